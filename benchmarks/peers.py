"""Compare the zoo with the same nets in PyTorch or in Keras on JAX, run by run in one command.

For every recipe and round: a process of the zoo, then one of each variant of the peer, each of
which warms up and then times its iterations, on the same number of threads. A round's ratio is
peer / ours, of medians; the table has the median of the rounds, and the least and the
largest. ``make bench-peer`` runs it, with the peer in an environment of its own.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from ppgan_zoo import runtime
from ppgan_zoo.bench.driver import bench, table
from ppgan_zoo.errors import ZooError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe

HERE = Path(__file__).resolve().parent
RECIPES = (  # fastgan_folder has a peer too, and needs pictures: -o data.directory=...
    "dcgan_dropout_mnist", "dcgan_fashion", "dcgan_keras_mnist", "dcgan_mnist", "demo",
    "demo_fashion", "gan_mlp_bn_fashion", "gan_mlp_mnist_published", "gan_mlp_mnist_relu",
    "gan_mlp_mnist_wasserstein", "r3gan_mnist", "sngan_mnist", "stylegan2_mnist",
)  # fmt: skip
DENSE = tuple(name for name in RECIPES if name.startswith("gan_mlp"))
TORCH = {  # variants of the peer
    "eager": "as its tutorials write it",
    "freeze": "and D frozen in G's updates",
    "best": "and maps stored channels last, and the optimizer fused",
    "compile": "D frozen, the optimizer fused, both nets compiled; not for a penalty on gradients",
}
KERAS = {"jit": "Keras 3 on JAX, an iteration compiled as one function; dense nets only"}
COLUMNS = {
    "recipe": "{recipe}",
    "of": "{of}",
    "peer": "{peer}",
    "ours, ms": "{ours_ms:,.1f}",
    "peer, ms": "{peer_ms:,.1f}",
    "ratio": "{ratio:.2f}",
    "least to largest": "{ratios_least:.2f} to {ratios_largest:.2f}",
}


def main():
    """Run the comparison; 2 when a recipe cannot be compared."""
    options = parse()
    rows = []
    try:
        for name in options.recipes or (RECIPES if options.peer == "torch" else DENSE):
            for sample in {"training": (False,), "sampling": (True,), "both": (False, True)}[
                options.what
            ]:
                rows += compare(name, sample, options)
    except ZooError as error:
        print(f"peer_torch: {error}", file=sys.stderr)
        return 2
    if options.format == "json":
        print(json.dumps(rows, indent=2))
    else:
        print(table(rows, COLUMNS, markdown=options.format == "markdown"))
        print(f"\n{rows[0]['threads']} threads, Paddle {rows[0]['paddle']} with ops "
              f"{rows[0]['ops']}, {rows[0]['of_peer']}, {options.rounds} rounds, "
              f"{options.clock} time")  # fmt: skip
    return 0


def parse():
    """Return the command line's options, with the variants as a list."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-c", dest="recipes", metavar="RECIPE", action="append",
                        help="repeatable (default: all that have a peer)")  # fmt: skip
    parser.add_argument("-o", dest="overrides", metavar="KEY=VALUE", action="append", default=[],
                        help="override any key of the recipes; repeatable")  # fmt: skip
    parser.add_argument("--peer", choices=("torch", "keras"), default="torch")
    parser.add_argument("--python", default=sys.executable, metavar="PYTHON",
                        help="an interpreter that has the peer")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--iterations", type=int, default=10, metavar="N",
                        help="fewest to time in a process")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S",
                        help="shortest time to spend on them")  # fmt: skip
    parser.add_argument("--warmup", type=int, default=3, metavar="N")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall",
                        help="processor: mean processor time of all threads, which other programs "
                        "hardly change; fair with one thread (PPGAN_ZOO_THREADS=1)")  # fmt: skip
    parser.add_argument("--what", choices=("training", "sampling", "both"), default="both")
    parser.add_argument("--ops", choices=("auto", "onednn", "paddle", "off"), default="auto",
                        help="whether ours may use oneDNN")  # fmt: skip
    parser.add_argument("--variant", dest="variants", metavar="NAME", action="append",
                        help="how the peer is written; repeatable. "
                        + "; ".join(f"{name}: {text}" for name, text in (TORCH | KERAS).items()),
                        choices=(*TORCH, *KERAS))  # fmt: skip
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    options = parser.parse_args()
    known = TORCH if options.peer == "torch" else KERAS
    options.variants = list(dict.fromkeys(options.variants or [next(iter(known))]))
    for variant in options.variants:
        if variant not in known:
            parser.error(f"--peer {options.peer} has no variant {variant}; give {', '.join(known)}")
    return options


def compare(name, sample, options):
    """Return the rows of one recipe, one a variant: every round's times and the ratio."""
    timing = {key: getattr(options, key) for key in ("warmup", "iterations", "seconds")}
    path = find_recipe(name)
    request = {
        **timing,
        "recipe": load_recipe(path, options.overrides).model_dump(mode="json"),
        "threads": runtime.cpu_threads(),
        "sample": sample,
    }
    of = "sampling" if sample else "training"
    rounds = {variant: [] for variant in options.variants}
    for number in range(1, options.rounds + 1):
        mine = bench(name, options.overrides, ops=options.ops, sample=sample, **timing)
        kind = "processor_ms" if options.clock == "processor" else "ms"
        ours_ms = mine[f"{kind}_per_{'batch' if sample else 'iteration'}"]
        for variant, found in rounds.items():
            theirs = peer(
                options.peer,
                options.python,
                {**request, "setting": mine["setting"], "variant": variant},
            )
            if theirs["parameters"] != mine["parameters"]:
                raise ZooError(
                    f"{path.stem}: the peer has {theirs['parameters']} parameters, ours "
                    f"{mine['parameters']}"
                )
            peer_ms = theirs[kind]
            ratio = peer_ms / ours_ms
            found.append({"ours_ms": ours_ms, "peer_ms": peer_ms, "ratio": ratio})
            print(f"{path.stem} {of}, round {number}: ours {ours_ms:.1f} ms, {variant} "
                  f"{peer_ms:.1f} ms, ratio {ratio:.2f}", file=sys.stderr)  # fmt: skip
    return [
        {
            "recipe": path.stem,
            "of": of,
            "peer": variant,
            **{key: median(one[key] for one in found) for key in ("ours_ms", "peer_ms", "ratio")},
            "ratios_least": min(one["ratio"] for one in found),
            "ratios_largest": max(one["ratio"] for one in found),
            "rounds": found,
            "parameters": mine["parameters"],
            "threads": request["threads"],
            "ops": mine["ops"],
            "paddle": mine["runtime"]["paddle"],
            "of_peer": theirs["versions"],
        }
        for variant, found in rounds.items()
    ]


def peer(which, python, request):
    """Run one process of the peer and return what it measured."""
    done = subprocess.run(
        [python, str(HERE / f"{which}_process.py"), json.dumps(request)],
        capture_output=True, text=True, check=False,
        # The zoo's folder is not the peer's; and the peer is told its threads by the request.
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")},
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ZooError(
            f"{python}: {last}; is the peer installed there? make bench-peer PEER={which} does it"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
