"""Compare the zoo with the same nets in plain PyTorch, run by run in one command.

For every recipe and round: a process of the zoo, then one of PyTorch, each of which warms
up and then times its iterations, on the same number of threads. A round's ratio is
peer / ours, of medians; the table has the median of the rounds, and the least and the
largest. ``make bench-peer`` runs it, with PyTorch in an environment of its own.
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
COLUMNS = {
    "recipe": "{recipe}",
    "of": "{of}",
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
        for name in options.recipes or RECIPES:
            for sample in {"training": (False,), "sampling": (True,), "both": (False, True)}[
                options.what
            ]:
                rows.append(compare(name, sample, options))
    except ZooError as error:
        print(f"peer_torch: {error}", file=sys.stderr)
        return 2
    if options.format == "json":
        print(json.dumps(rows, indent=2))
    else:
        print(table(rows, COLUMNS, markdown=options.format == "markdown"))
        print(f"\n{rows[0]['threads']} threads, Paddle {rows[0]['paddle']} with ops "
              f"{rows[0]['ops']}, PyTorch {rows[0]['torch']} {options.variant}, "
              f"{options.rounds} rounds")  # fmt: skip
    return 0


def parse():
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-c", dest="recipes", metavar="RECIPE", action="append",
                        help="repeatable (default: all that have a peer)")  # fmt: skip
    parser.add_argument("-o", dest="overrides", metavar="KEY=VALUE", action="append", default=[],
                        help="override any key of the recipes; repeatable")  # fmt: skip
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON",
                        help="an interpreter that has PyTorch")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--iterations", type=int, default=10, metavar="N",
                        help="fewest to time in a process")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S",
                        help="shortest time to spend on them")  # fmt: skip
    parser.add_argument("--warmup", type=int, default=3, metavar="N")
    parser.add_argument("--what", choices=("training", "sampling", "both"), default="both")
    parser.add_argument("--ops", choices=("auto", "onednn", "paddle", "off"), default="auto",
                        help="whether ours may use oneDNN")  # fmt: skip
    parser.add_argument("--variant", choices=("eager", "freeze"), default="eager",
                        help="freeze: the peer freezes D in G's updates")  # fmt: skip
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    return parser.parse_args()


def compare(name, sample, options):
    """Return the row of one recipe: every round's times and the ratio."""
    timing = {key: getattr(options, key) for key in ("warmup", "iterations", "seconds")}
    path = find_recipe(name)
    request = {
        **timing,
        "recipe": load_recipe(path, options.overrides).model_dump(mode="json"),
        "threads": runtime.cpu_threads(),
        "variant": options.variant,
        "sample": sample,
    }
    rounds = []
    for number in range(1, options.rounds + 1):
        mine = bench(name, options.overrides, ops=options.ops, sample=sample, **timing)
        theirs = peer(options.torch, {**request, "setting": mine["setting"]})
        if theirs["parameters"] != mine["parameters"]:
            raise ZooError(
                f"{path.stem}: the peer has {theirs['parameters']} parameters, ours "
                f"{mine['parameters']}"
            )
        ours_ms = mine["ms_per_batch" if sample else "ms_per_iteration"]
        rounds.append(
            {"ours_ms": ours_ms, "peer_ms": theirs["ms"], "ratio": theirs["ms"] / ours_ms}
        )
        print(f"{path.stem} {'sampling' if sample else 'training'}, round {number}: ours "
              f"{ours_ms:.1f} ms, peer {theirs['ms']:.1f} ms, ratio {rounds[-1]['ratio']:.2f}",
              file=sys.stderr)  # fmt: skip
    ratios = [entry["ratio"] for entry in rounds]
    return {
        "recipe": path.stem,
        "of": "sampling" if sample else "training",
        **{key: median(entry[key] for entry in rounds) for key in ("ours_ms", "peer_ms", "ratio")},
        "ratios_least": min(ratios),
        "ratios_largest": max(ratios),
        "rounds": rounds,
        "parameters": mine["parameters"],
        "threads": request["threads"],
        "ops": mine["ops"],
        "paddle": mine["runtime"]["paddle"],
        "torch": theirs["torch"],
        "variant": options.variant,
    }


def peer(python, request):
    """Run one process of PyTorch and return what it measured."""
    done = subprocess.run(
        [python, str(HERE / "torch_process.py"), json.dumps(request)],
        capture_output=True, text=True, check=False,
        # The zoo's folder is not the peer's; and a limit of one thread would outlive its cause.
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")},
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ZooError(f"{python}: {last}; is PyTorch installed there? make bench-peer does it")
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
