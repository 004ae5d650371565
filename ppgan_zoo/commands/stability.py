"""``ppgan-zoo stability``: the share of a recipe's seeds that begin to learn."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ppgan_zoo.commands.arguments import add_data_dir, add_overrides, parse_run_seeds
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.ops import SWITCH_VALUES
from ppgan_zoo.recipe.bounds import LOOKS_AT_A_START
from ppgan_zoo.storage.terminal import say, tell


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("recipe", metavar="RECIPE", help="a .yml file or a shipped name")
    add_overrides(parser, "the recipe")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR",
        help="for results and a picture of each run; a study that is already there is continued",
    )  # fmt: skip
    parser.add_argument("--seeds", default="0-39", metavar="LIST",
                        help="such as 0-39 or 0,3,7 (default: 0-39)")  # fmt: skip
    parser.add_argument(
        "--iterations", type=int, default=500, metavar="N",
        help="a run that has not begun to learn by then has failed (default: 500)",
    )  # fmt: skip
    parser.add_argument(
        "--every-steps", type=int, default=25, metavar="N",
        help="iterations between two looks at the samples (default: 25)",
    )  # fmt: skip
    parser.add_argument(
        "--ops", action="append", choices=SWITCH_VALUES,
        help="what computes; repeatable: every seed with each, since they round differently "
        "(default: auto)",
    )  # fmt: skip
    add_data_dir(parser)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="runs at the same time, each with its part of the threads (default: 1)",
    )  # fmt: skip
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.runtime import cpu_threads

    seeds = parse_run_seeds(options.seeds)
    for name in ("iterations", "every_steps"):
        if getattr(options, name) < 1:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} {getattr(options, name)}: give 1 or more")
    if options.iterations < LOOKS_AT_A_START:
        raise ConfigError(
            f"--iterations {options.iterations}: a run has begun when {LOOKS_AT_A_START} looks "
            f"in a row say so; give {LOOKS_AT_A_START} or more"
        )
    if options.every_steps * LOOKS_AT_A_START > options.iterations:
        most = options.iterations // LOOKS_AT_A_START
        raise ConfigError(
            f"--every-steps {options.every_steps}: a run has begun when {LOOKS_AT_A_START} looks "
            f"in a row say so; give {most} at most, or more --iterations"
        )
    if not 1 <= options.jobs <= cpu_threads():
        raise ConfigError(
            f"--jobs {options.jobs}: give 1 to {cpu_threads()}, the number of threads"
        )
    from ppgan_zoo.stability.driver import Study, run_study
    from ppgan_zoo.stability.report import as_json, table

    overrides = list(options.overrides)
    if options.data_dir is not None:
        directory = str(Path(options.data_dir).expanduser().resolve())
        overrides.append(f"data.directory={json.dumps(directory)}")
    study = Study(
        recipe=options.recipe,
        overrides=tuple(overrides),
        seeds=seeds,
        iterations=options.iterations,
        every_steps=options.every_steps,
        ops=tuple(dict.fromkeys(options.ops or ["auto"])),
    )
    rows = run_study(study, options.output, jobs=options.jobs)
    text = json.dumps(as_json(rows), indent=2) if options.format == "json" else table(rows)
    say(*text.split("\n"))
    tell(f"every run and its samples in {options.output}")
    return 0
