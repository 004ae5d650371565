"""``ppgan-zoo train``: trains a recipe, or continues a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import (
    add_data_dir,
    add_device,
    add_overrides,
    data_override,
    named_path,
)
from ppgan_zoo.distributed.streams import processes
from ppgan_zoo.errors import INTERRUPTED, ConfigError, DataError
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.files import as_argument
from ppgan_zoo.storage.terminal import say, tell

if TYPE_CHECKING:
    from ppgan_zoo.recipe.recipe import Recipe
    from ppgan_zoo.run.train import Outcome

STOPPED_BY_HEALTH = 3


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("-c", "--config", metavar="RECIPE", help="a .yml file or a shipped name")
    add_overrides(parser, "the recipe, such as -o data.batch_size=64")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="the run directory (default: output/RECIPE)"
    )
    parser.add_argument(
        "--resume", nargs="?", const="", metavar="RUN",
        help="continue a run (default: the newest one under --output, or under output)",
    )  # fmt: skip
    parser.add_argument(
        "--processes", type=int, metavar="N", default=1,
        help="train in N processes of this machine, each with its part of every batch",
    )  # fmt: skip
    add_device(parser, default=None)
    parser.add_argument("--seed", help="seed of everything random in the run")
    add_data_dir(parser)
    parser.add_argument(
        "--data", type=named_path, metavar="SOURCE",
        help="train on this instead: a prepared set, or pictures, which are prepared first",
    )  # fmt: skip
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument(
        "--dry-run", action="store_true",
        help="check everything, print the resolved recipe and its cost, and train nothing",
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.dry_run or processes() == 1:
        return _train(options)
    from ppgan_zoo.distributed.group import started
    from ppgan_zoo.distributed.meeting import meeting

    with meeting(started()):  # all are told if this one is refused
        return _train(options)


def _train(options: argparse.Namespace) -> int:
    overrides = list(options.overrides)
    if options.device is not None:
        overrides.append(f"device={options.device}")
    if options.seed is not None:
        overrides.append(f"seed={options.seed}")
    if options.data_dir is not None:
        overrides.append(data_override(options.data_dir))

    if options.processes != 1:
        from ppgan_zoo.distributed.launch import check_processes

        check_processes(options.processes)
    if options.resume is not None:
        return _resume(options, overrides)
    if options.config is None:
        raise ConfigError("train needs -c RECIPE, or --resume RUN to continue a run")
    from ppgan_zoo.recipe.shipped import find_recipe

    path = find_recipe(options.config)
    from ppgan_zoo.recipe.load import load_recipe

    recipe = load_recipe(path, overrides)
    MODELS.check_name(recipe.model.name, where=f"{path}: model.name")
    from ppgan_zoo.run.own_pictures import own_pictures, with_the_line_that_works
    from ppgan_zoo.storage.run_directory import RunDirectory

    if options.data is not None:
        if options.data_dir is not None:
            raise ConfigError("--data takes the place of the recipe's set: leave out --data-dir")
        pictures = Path(options.data)
        _refuse_to_prepare_at_once(pictures)
        overrides += own_pictures(recipe, pictures, tell, overrides)
        recipe = load_recipe(path, overrides)
    output = options.output or Path("output") / path.stem
    if options.processes > 1:
        _check_shares(options.processes, recipe, path)
        if not options.dry_run:
            RunDirectory(output).check_free()
            arguments = ["train", "-c", str(path), "--output", str(output)]
            return _in_processes(options, arguments, overrides)
    _start_paddle(options)
    from ppgan_zoo.run import train

    try:
        if options.dry_run:
            say(*train.dry_run(recipe, offline=options.offline, source=path))
            return 0
        outcome = train.train(recipe, output, offline=options.offline, source=path)
    except DataError as error:
        raise DataError(with_the_line_that_works(error, recipe, options.config)) from None
    return _report(outcome)


def _resume(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.config is not None or options.dry_run or options.data is not None:
        raise ConfigError("--resume takes the run's own recipe: leave out -c, --data and --dry-run")
    from ppgan_zoo.storage.run_directory import RunDirectory, newest_run

    if options.resume and options.output:
        raise ConfigError("--resume RUN continues inside RUN: leave out --output")
    run = (
        RunDirectory(Path(options.resume))
        if options.resume
        else newest_run(options.output or Path("output"))
    )
    run.check()
    if options.processes > 1:
        from ppgan_zoo.recipe.load import load_recipe

        _check_shares(options.processes, load_recipe(run.recipe), run.recipe)
        return _in_processes(options, ["train", "--resume", str(run.path)], overrides)
    _start_paddle(options)
    from ppgan_zoo.run import train

    return _report(train.resume(run, overrides, offline=options.offline))


def _start_paddle(options: argparse.Namespace) -> None:
    """Import Paddle; a device that the command names is refused without blame on the recipe."""
    if options.device is None:
        runtime.import_paddle()
    else:
        runtime.start(options.device)


def _check_shares(processes: int, recipe: Recipe, path: Path) -> None:
    from ppgan_zoo.distributed.group import Group
    from ppgan_zoo.run.shares import check_shares

    check_shares(recipe, Group(size=processes), path)


def _refuse_to_prepare_at_once(pictures: Path) -> None:
    """Refuse that each of the processes that Paddle's launcher started prepares pictures."""
    from ppgan_zoo.data.prepare.layout import is_prepared
    from ppgan_zoo.distributed.group import started

    if started().size > 1 and not is_prepared(pictures):
        raise ConfigError(
            f"--data {pictures}: is no prepared set, and several processes would prepare it at "
            "once; first: ppgan-zoo data prepare, or use: ppgan-zoo train --processes"
        )


def _in_processes(options: argparse.Namespace, arguments: list[str], overrides: list[str]) -> int:
    """Train in several processes, each of which is given these arguments."""
    from ppgan_zoo.distributed.launch import run_in_processes

    offline = ["--offline"] if options.offline else []
    more = [part for override in overrides for part in ("-o", override)]
    return run_in_processes(options.processes, [*arguments, *offline, *more])


def _report(outcome: Outcome | None) -> int:
    if outcome is None:  # another process tells
        return 0
    from ppgan_zoo.distributed.launch import resume_command

    run = outcome.run.path
    if outcome.signal is not None:
        tell(
            f"stopped at iteration {outcome.iteration} and saved; continue with: "
            f"{resume_command(run)}"
        )
        return INTERRUPTED + outcome.signal
    if outcome.trouble is not None:
        tell(_trouble_line(outcome))
        return STOPPED_BY_HEALTH
    say(
        f"done: {outcome.iteration} iterations in {run}",
        f"  samples: {outcome.run.samples}",
        f"  export:  ppgan-zoo export --checkpoint {as_argument(run)} "
        f"--output {as_argument(run / 'export')}",
    )
    return 0


def _trouble_line(outcome: Outcome) -> str:
    from ppgan_zoo.callbacks.first_phase import NAME
    from ppgan_zoo.storage.retention import list_checkpoints

    key = "on_early_collapse" if outcome.trouble == NAME else "stop_on"
    line = f"stopped at iteration {outcome.iteration} by health.{key}: {outcome.trouble}"
    good = [
        checkpoint.path
        for checkpoint in list_checkpoints(outcome.run.checkpoints)
        if checkpoint.iteration <= (outcome.good_until or 0)
    ]
    if not good:
        return f"{line}; no checkpoint is older than the trouble"
    return f"{line}; the last good checkpoint is {good[-1]}"
