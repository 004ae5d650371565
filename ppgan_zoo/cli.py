"""The command line: ``ppgan-zoo`` and the scripts under ``tools/``.

Every command is a few lines onto a function that a program can call too. Paddle is
imported by the commands that need it, after the arguments have been checked.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ppgan_zoo import __version__, runtime
from ppgan_zoo.errors import ConfigError, ZooError
from ppgan_zoo.registry import REGISTRY, Source, constructor_arguments

INTERRUPTED = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 when all is well; 2 with one line on standard error for whatever the user can
    mend; 130 and 143 after Ctrl-C and SIGTERM.
    """
    options = _parser().parse_args(arguments)
    runtime.prepare()
    try:
        code: int = options.run(options)
        return code
    except ZooError as error:
        print(f"ppgan-zoo: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED + signal.SIGINT
    except BrokenPipeError:  # such as "ppgan-zoo list | head -1"
        sys.stderr.close()
        return 0
    except OSError as error:  # a full disk, a folder that went away: not a bug
        print(f"ppgan-zoo: {error.filename or 'the system'}: {error.strerror}", file=sys.stderr)
        return 2


def tool(command: str) -> int:
    """Run one command for a script of that name under ``tools/``."""
    return main([command, *sys.argv[1:]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppgan-zoo", description="A plugin-style zoo of GANs for PaddlePaddle."
    )
    parser.add_argument("--version", action="version", version=f"ppgan_zoo {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_list(commands)
    _add_info(commands)
    _add_train(commands)
    _add_export(commands)
    _add_sample(commands)
    return parser


# list, info


def _add_list(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("list", help="list the models and the shipped recipes")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=_list)


def _list(options: argparse.Namespace) -> int:
    from ppgan_zoo.recipe import shipped_recipes

    models = [
        {"name": name, "summary": _summary(source), "from": source.owner, "spec": source.target}
        for name, source in sorted(REGISTRY.sources().items())
    ]
    recipes = list(shipped_recipes())
    if options.format == "json":
        print(json.dumps({"models": models, "recipes": recipes}, indent=2, ensure_ascii=False))
        return 0
    width = max(len(model["name"]) for model in models)
    for model in models:
        owner = "" if model["from"] == "ppgan_zoo" else f"  [{model['from']}]"
        print(f"{model['name']:{width}}  {model['summary']}{owner}")
    print(f"\nrecipes: {', '.join(recipes)}")
    return 0


def _summary(source: Source) -> str:
    """Return the first line of the module's docstring, without running the module."""
    try:
        found = importlib.util.find_spec(source.target.partition(":")[0])
        if found is None or found.origin is None:
            return ""
        text = ast.get_docstring(ast.parse(Path(found.origin).read_bytes()))
    except (ImportError, OSError, SyntaxError, ValueError):
        return "(cannot be read)"
    return (text or "").partition("\n")[0].rstrip(".")


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("info", help="show all that is known of one model")
    parser.add_argument("name")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> int:
    source = REGISTRY.check_name(options.name)
    runtime.start("cpu")
    spec = REGISTRY.get(options.name)
    from ppgan_zoo.estimate import count_parameters
    from ppgan_zoo.registry import build_gan

    gan = build_gan(spec, {}, {})
    facts = {
        "name": spec.name,
        "from": source.owner,
        "paper": spec.paper,
        "image_shape": list(gan.image_shape),
        "image_range": list(spec.image_range),
        "latent": {"dim": gan.latent_dim, "prior": spec.latent_prior},
        "objective": spec.objective,
    }
    for role, layer in (("generator", gan.generator), ("discriminator", gan.discriminator)):
        facts[role] = {
            "class": f"{type(layer).__module__}.{type(layer).__qualname__}",
            "parameters": count_parameters(layer),
            "arguments": {
                name: f"{_annotation(parameter)} = {parameter.default!r}"
                for name, parameter in constructor_arguments(type(layer)).items()
            },
        }
    if options.format == "json":
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        import yaml

        print(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=100), end="")
    return 0


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


# train


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("train", help="train a recipe, or resume a run")
    parser.add_argument("-c", "--config", metavar="RECIPE", help="a .yml file or a shipped name")
    parser.add_argument(
        "-o", dest="overrides", metavar="KEY=VALUE", action="append", default=[],
        help="override any key of the recipe, such as -o data.batch_size=64; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="the run directory (default: output/RECIPE)"
    )
    parser.add_argument(
        "--resume", nargs="?", const="", metavar="RUN",
        help="go on with a run (default: the newest one under --output, or under output)",
    )  # fmt: skip
    parser.add_argument("--device", help="auto, cpu, gpu or gpu:N")
    parser.add_argument("--seed", help="of everything random in the run")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data set lies")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument(
        "--dry-run", action="store_true",
        help="check everything, print the resolved recipe and its cost, and train nothing",
    )  # fmt: skip
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    overrides = list(options.overrides)
    if options.device is not None:
        overrides.append(f"device={options.device}")
    if options.seed is not None:
        overrides.append(f"seed={options.seed}")
    if options.data_dir is not None:  # absolute, so that a resume from elsewhere finds it
        overrides.append(f"data.directory={json.dumps(str(Path(options.data_dir).resolve()))}")
    if options.resume is not None:
        return _resume(options, overrides)
    if options.config is None:
        raise ConfigError("train needs -c RECIPE, or --resume RUN to go on with a run")
    from ppgan_zoo.recipe import find_recipe, load_recipe

    path = find_recipe(options.config)
    recipe = load_recipe(path, overrides)
    REGISTRY.check_name(recipe.model.name, where=f"{path}: model.name")
    output = options.output or Path("output") / path.stem
    from ppgan_zoo import train

    if options.dry_run:
        print(train.dry_run(recipe, offline=options.offline))
        return 0
    return _report(train.train(recipe, output, offline=options.offline))


def _resume(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.config is not None or options.dry_run:
        raise ConfigError("--resume takes the run's own recipe: leave out -c and --dry-run")
    from ppgan_zoo.run import RunDirectory, newest_run

    if options.resume and options.output:
        raise ConfigError("--resume RUN goes on inside RUN: leave out --output")
    run = (
        RunDirectory(Path(options.resume))
        if options.resume
        else newest_run(options.output or Path("output"))
    )
    run.check()
    from ppgan_zoo import train

    return _report(train.resume(run, overrides, offline=options.offline))


def _report(outcome: object) -> int:
    from ppgan_zoo.train import Outcome

    assert isinstance(outcome, Outcome)
    run = outcome.run.path
    if outcome.signal is not None:
        print(
            f"stopped at iteration {outcome.iteration} and saved; go on with: "
            f"ppgan-zoo train --resume {run}",
            file=sys.stderr,
        )
        return INTERRUPTED + outcome.signal
    print(
        f"done: {outcome.iteration} iterations in {run}\n"
        f"  samples: {outcome.run.samples}\n"
        f"  export:  ppgan-zoo export --checkpoint {run} --output {run / 'export'}"
    )
    return 0


# export, sample


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("export", help="make a model for Paddle Inference")
    parser.add_argument(
        "--checkpoint", type=Path, required=True, metavar="RUN", help="a run or one checkpoint"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--best", action="store_true", help="a run's best checkpoint")
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from ppgan_zoo.sampling import find_checkpoint

    checkpoint = find_checkpoint(options.checkpoint, best=options.best)
    runtime.start("cpu")  # the same graph serves a GPU
    from ppgan_zoo.export import export

    description = export(checkpoint, options.output)
    worst = description.largest_difference
    print(
        f"exported {description.name} (iteration {description.origin.iteration}, "
        f"{description.origin.weights} weights) to {options.output}\n"
        f"  largest difference from the trained generator over {worst.samples} samples: "
        f"static graph {worst.static_graph:.1e}, Paddle Inference {worst.paddle_inference:.1e} "
        f"(allowed {worst.tolerance:.0e})"
    )
    return 0


def _add_sample(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("sample", help="make images")
    parser.add_argument("model", type=Path, metavar="MODEL_OR_RUN",
                        help="a run, a checkpoint or an exported model")  # fmt: skip
    parser.add_argument("-n", dest="count", type=int, default=64, help="how many (default: 64)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("samples.png"), metavar="FILE",
                        help=".png for a grid, .npy for uint8 [N, C, H, W]")  # fmt: skip
    parser.add_argument("--best", action="store_true", help="a run's best checkpoint")
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N")
    parser.set_defaults(run=_sample)


def _sample(options: argparse.Namespace) -> int:
    if not 1 <= options.count <= 1_000_000:
        raise ConfigError(f"-n {options.count}: give 1 to 1000000")
    if options.seed < 0:
        raise ConfigError(f"--seed {options.seed}: give 0 or more")
    if options.output.suffix not in {".png", ".npy"}:
        raise ConfigError(f"--output {options.output}: the name must end in .png or .npy")
    if not options.model.is_dir():
        raise ConfigError(f"{options.model}: no such directory; give a run or an exported model")
    runtime.start(options.device)
    from ppgan_zoo.sampling import open_sampler, write_images

    sampler = open_sampler(options.model, best=options.best)
    write_images(sampler.sample(options.count, options.seed), options.output)
    print(f"{options.count} images in {options.output}")
    return 0


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
