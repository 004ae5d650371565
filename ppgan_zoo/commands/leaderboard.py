"""``ppgan-zoo leaderboard``: every recipe for 28x28 images with the same budget."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from ppgan_zoo.commands.arguments import add_data_dir, add_device, parse_run_seeds
from ppgan_zoo.errors import ConfigError, Ended
from ppgan_zoo.storage.files import read_regular
from ppgan_zoo.storage.terminal import say, tell


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command and its three take."""
    parts = parser.add_subparsers(required=True, metavar="command", dest="part")
    run = parts.add_parser("run", help="train and measure what is missing")
    run.add_argument("--budget", type=float, required=True, metavar="MINUTES",
                     help="CPU minutes of each run")  # fmt: skip
    run.add_argument("--output", type=Path, required=True, metavar="DIR",
                     help="for runs and pages; what is already there is kept")  # fmt: skip
    run.add_argument("--seeds", default="0-2", metavar="LIST",
                     help="of each recipe, such as 0-2 or 0,3 (default: 0-2)")  # fmt: skip
    run.add_argument("--recipes", metavar="A,B",
                     help="only these shipped ones, or paths (default: all shipped)")  # fmt: skip
    run.add_argument("--data", choices=("mnist", "fashion_mnist", "both"), default="both")
    add_data_dir(run, "where the data sets are")
    run.add_argument("--shard", default="1/1", metavar="I/N",
                     help="do the I-th of N parts, one a machine (default: 1/1)")  # fmt: skip
    run.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at the same time")
    run.add_argument("--retry-failed", action="store_true", help="do failed runs again")
    run.add_argument("--retime", action="store_true",
                     help="time recipes anew for the runs that are missing")  # fmt: skip
    run.add_argument("--offline", action="store_true", help="never use the network")
    add_device(run, default=None)
    run.set_defaults(run=_run)
    show = parts.add_parser("show", help="write JSON and pages from what is there")
    show.add_argument("folder", type=Path, metavar="DIR")
    show.set_defaults(run=_show)
    merge = parts.add_parser("merge", help="put the parts of several machines together")
    merge.add_argument("inputs", type=Path, nargs="+", metavar="DIR")
    merge.add_argument("--output", type=Path, required=True, metavar="DIR")
    merge.set_defaults(run=_merge)


def _run(options: argparse.Namespace) -> int:
    if not (math.isfinite(options.budget) and 0 < options.budget <= 5000):
        raise ConfigError(f"--budget {options.budget:g}: give minutes, more than 0, at most 5000")
    seeds = parse_run_seeds(options.seeds)
    shard = _shard(options.shard)
    from ppgan_zoo.runtime import cpu_threads

    if not 1 <= options.jobs <= cpu_threads():
        raise ConfigError(
            f"--jobs {options.jobs}: give 1 to {cpu_threads()}, the number of threads"
        )
    from ppgan_zoo.leaderboard.contest import SETS
    from ppgan_zoo.leaderboard.driver import Contest, run_leaderboard
    from ppgan_zoo.search import Conditions

    contest = Contest(
        minutes=options.budget,
        seeds=seeds,
        data=SETS if options.data == "both" else (options.data,),
        recipes=None if options.recipes is None else tuple(options.recipes.split(",")),
        shard=shard,
    )
    conditions = Conditions(
        data_directory=options.data_dir,
        offline=options.offline,
        device=options.device,
        jobs=options.jobs,
    )
    try:
        leaderboard = run_leaderboard(
            contest, options.output, conditions,
            retry_failed=options.retry_failed, retime=options.retime,
        )  # fmt: skip
    except (KeyboardInterrupt, Ended):
        tell(f"stopped; what is done is in {options.output}; the same command goes on")
        raise
    _say_pages(options.output)
    failed = sum(run.outcome == "failed" for run in leaderboard.runs)
    if failed:
        tell(f"{failed} of {len(leaderboard.runs)} runs failed; --retry-failed does them again")
    return 0


def _show(options: argparse.Namespace) -> int:
    from ppgan_zoo.leaderboard.publish import publish

    publish(options.folder)
    _say_pages(options.folder)
    return 0


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= parts:
        raise ConfigError(f"--shard {text}: give I/N with I from 1 to N, such as 2/4")
    return part - 1, parts


def _merge(options: argparse.Namespace) -> int:
    from ppgan_zoo.leaderboard.publish import merge_folders

    merge_folders(options.inputs, options.output)
    _say_pages(options.output)
    return 0


def _say_pages(output: Path) -> None:
    say(*read_regular(output / "leaderboard.md").decode().splitlines())
    tell(f"leaderboard.html, .md and .json in {output}")
