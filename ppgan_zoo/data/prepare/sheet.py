"""The contact sheet of a prepared set: a picture of some of its pictures, to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.storage.pictures import MIN_CELL, image_grid, save_png

WIDTH = 1200  # pixels, about
MOST_COLUMNS, MOST_ROWS = 16, 24


def save_sheet(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> None:
    """Write a PNG of evenly spaced images; of a set with classes, a row of each class.

    Args:
        path: The file.
        images: uint8 ``[N, C, H, W]``.
        labels: int64 ``[N]``, or None.

    Raises:
        OSError: It cannot be written.
    """
    columns = max(1, min(MOST_COLUMNS, WIDTH // max(MIN_CELL, images.shape[3])))
    if labels is None:
        chosen = _spread(np.arange(len(images)), columns * min(columns, MOST_ROWS))
        save_png(path, image_grid(images[chosen], columns))
        return
    found = np.unique(labels)
    rows = []
    for label in found[_spread(np.arange(len(found)), MOST_ROWS)]:
        of_class = images[_spread(np.flatnonzero(labels == label), columns)]
        empty = np.zeros((columns - len(of_class), *images.shape[1:]), np.uint8)
        rows += [of_class, empty]
    save_png(path, image_grid(np.concatenate(rows), columns))


def _spread(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return at most so many of some numbers, evenly spaced."""
    return numbers[np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(int)]
