"""Euclidean distances between two sets of points, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]

BLOCK_VALUES = 1 << 20
"""Distances held at a time: 8 MiB in float64."""


def squared_distances(a: Points, b: Points) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield the squared distances of some rows of `a` to all rows of `b`.

    Expands ``|a - b|^2`` into ``|a|^2 + |b|^2 - 2ab`` about the mean of `b`, in float64.
    What is left of the squared norms by rounding alone is returned as 0, so that a point
    is at distance 0 from its copy.

    Args:
        a: ``[N, D]``.
        b: ``[M, D]``.

    Yields:
        The rows of `a` and their squared distances ``[rows, M]``, in order.

    Raises:
        ValueError: Not two sets of points of one dimension.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not len(b):
        raise ValueError(f"points of shapes {a.shape} and {b.shape} have no distances")
    center = b.mean(axis=0, dtype=np.float64)
    columns = b.astype(np.float64) - center
    column_norms = np.einsum("ij,ij->i", columns, columns)
    columns = np.ascontiguousarray(-2.0 * columns.T)
    # Rounding in a sum of D products, with a margin for blocked summation.
    rounding = 4.0 * np.finfo(np.float64).eps * max(8, a.shape[1])
    step = max(1, BLOCK_VALUES // len(b))
    for start in range(0, len(a), step):
        rows = slice(start, min(start + step, len(a)))
        block = a[rows].astype(np.float64) - center
        norms = np.einsum("ij,ij->i", block, block)
        squared = block @ columns
        squared += norms[:, None]
        squared += column_norms
        squared *= squared > rounding * (norms[:, None] + column_norms.max())
        yield rows, squared


def nearest_distance(points: Points, others: Points) -> NDArray[np.float64]:
    """Return the distance of each of `points` ``[N, D]`` to the nearest of `others`: ``[N]``."""
    nearest = np.empty(len(points))
    for rows, squared in squared_distances(points, others):
        nearest[rows] = squared.min(axis=1)
    return np.sqrt(nearest)
