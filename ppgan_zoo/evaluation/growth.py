"""How the samples of a run grew: the grids that it drew of the same z, in their order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.pictures import opened_picture
from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage.run_directory import RunDirectory

NAME = re.compile(r"step-(\d{8,18})\.png")
MOST_GRIDS = 2000


@dataclass(frozen=True)
class Grid:
    """A grid of samples.

    Attributes:
        iteration: Iterations done when it was drawn.
        path: Its file.
        pixels: uint8 ``[H, W]`` or ``[H, W, 3]``.
    """

    iteration: int
    path: Path
    pixels: NDArray[np.uint8]


def read_growth(run: RunDirectory, most: int = MOST_GRIDS) -> list[Grid]:
    """Return the grids of a run, oldest first.

    Args:
        run: The run.
        most: The most to return; of more, so many that lie evenly, first and last among them.

    Raises:
        CheckpointError: The run has drawn none.
        DataError: One cannot be read.
    """
    found = sorted(
        (int(match[1]), path)
        for path in (run.samples.iterdir() if run.samples.is_dir() else ())
        if (match := NAME.fullmatch(path.name))
    )
    if not found:
        raise CheckpointError(f"{run.samples}: holds no sample grids yet; train for longer")
    if len(found) > most:
        places = np.linspace(0, len(found) - 1, most).round().astype(int)
        found = [found[place] for place in places]
    grids = []
    for iteration, path in found:
        with opened_picture(path) as picture:
            pixels = np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))
        grids.append(Grid(iteration, path, pixels))
    return grids
