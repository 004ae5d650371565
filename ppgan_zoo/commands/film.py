"""``ppgan-zoo film``: the samples of a run, from the first to the last, as a film."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo.storage.films import Film
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.terminal import say

SECONDS_OF_THE_LAST = 2.0


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("model", type=Path, metavar="RUN", help="a run, finished or not")
    parser.add_argument("--fps", type=float, default=4.0, help="frames a second (4)")
    parser.add_argument("--output", type=Path, default=Path("film.gif"), metavar="FILE",
                        help=".gif, or .mp4 where ffmpeg is installed (film.gif)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true",
                        help="replace a file that ppgan-zoo did not make")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    film = Film(options.output, options.fps, options.overwrite)
    film.check()
    run = RunDirectory(options.model)
    run.check()
    from ppgan_zoo.evaluation.growth import read_growth

    grids = read_growth(run)
    film.write(
        [grid.pixels for grid in grids], hold=max(1, round(SECONDS_OF_THE_LAST * options.fps))
    )
    say(f"{len(grids)} frames, iterations {grids[0].iteration} to {grids[-1].iteration}, in "
        f"{film.in_file}")  # fmt: skip
    return 0
