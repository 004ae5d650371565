"""``ppgan-zoo report``: a run, or several, as one HTML page."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_data_dir
from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.storage.ownership import BLANK, own_file, refuse_foreign, seal
from ppgan_zoo.storage.stages import shown
from ppgan_zoo.storage.terminal import say

if TYPE_CHECKING:
    from ppgan_zoo.report.facts import RunFacts

MOST_RUNS, MOST = 12, 96


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="finished or not")
    parser.add_argument(
        "--figures", type=Path, action="append", default=[], metavar="FILE",
        help="what evaluate --output wrote for a checkpoint of these runs; repeatable",
    )  # fmt: skip
    parser.add_argument("--frames", type=int, default=40, metavar="N",
                        help="the most sample grids of a run (40)")  # fmt: skip
    parser.add_argument(
        "--neighbours", type=int, default=0, metavar="N",
        help="show N samples beside their nearest training pictures (needs Paddle and the data; "
        "the first time it takes a minute)",
    )  # fmt: skip
    add_data_dir(parser, "for --neighbours: where the data lie")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument("--output", type=Path, default=Path("report.html"), metavar="FILE",
                        help=".html (default: report.html)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a file that ppgan-zoo did not make")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    output: Path = options.output
    if output.suffix != ".html":
        raise ConfigError(f"--output {output}: the name must end in .html")
    if not 1 <= options.frames <= 1000:
        raise ConfigError(f"--frames {options.frames}: give 1 to 1000")
    if len(options.runs) > MOST_RUNS:
        raise ConfigError(f"report: {len(options.runs)} runs; give {MOST_RUNS} or fewer")
    if not 0 <= options.neighbours <= MOST:
        raise ConfigError(f"--neighbours {options.neighbours}: give 0 to {MOST}")
    if options.data_dir is not None and not options.neighbours:
        raise ConfigError("--data-dir: is for --neighbours; add it, or leave --data-dir out")
    refuse_foreign(output, overwrite=options.overwrite)
    from ppgan_zoo.evaluation.result import read_evaluation
    from ppgan_zoo.report.facts import read_run
    from ppgan_zoo.report.page import page

    results = [read_evaluation(path) for path in options.figures]
    runs = [read_run(path, frames=options.frames, results=results) for path in options.runs]
    for path, result in zip(options.figures, results, strict=True):
        if not any(result in run.evaluations for run in runs):
            raise ConfigError(
                f"--figures {path}: belongs to no checkpoint that these runs still have; evaluate "
                "one of them"
            )
    if options.neighbours:
        runs = _with_neighbours(runs, options)
    with (
        os_errors(ConfigError, f"--output {output}: cannot be written"),
        own_file(output, overwrite=options.overwrite) as file,
    ):
        file.write(page(runs).encode() + b"<!-- " + BLANK)
        seal(file)
        file.seek(0, 2)
        file.write(b" -->\n")
    say(f"report in {output}; open it in a browser")
    return 0


def _with_neighbours(runs: list[RunFacts], options: argparse.Namespace) -> list[RunFacts]:
    """Return the runs, each with samples beside their nearest training pictures."""
    runtime.start("auto")
    from ppgan_zoo.report.neighbours import find_neighbours

    with shown():
        return [
            replace(
                run,
                neighbours=find_neighbours(
                    run.path,
                    options.neighbours,
                    directory=options.data_dir,
                    offline=options.offline,
                ),
            )
            for run in runs
        ]
