"""Euclidean distances between two sets of points, a block of rows at a time.

Points are vectors ``[N, D]``, or images ``[N, C, H, W]`` of any number type, whose values are
the coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating] | NDArray[np.integer]

BLOCK_VALUES = 1 << 20
"""Distances held at a time: 8 MiB in float64."""

CHUNK_VALUES = 1 << 23
"""Coordinates of other points held at a time: 64 MiB in float64."""


def squared_distances(a: Points, b: Points) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield the squared distances of some rows of `a` to all rows of `b`.

    Expands ``|a - b|^2`` into ``|a|^2 + |b|^2 - 2ab`` about the mean of `b`, in float64.
    What is left of the squared norms by rounding alone is returned as 0, so that a point
    is at distance 0 from its copy.

    Args:
        a: ``[N, ...]``.
        b: ``[M, ...]``.

    Yields:
        The rows of `a` and their squared distances ``[rows, M]``, in order.

    Raises:
        ValueError: Not two sets of points of one dimension.
    """
    if a.ndim < 2 or a.shape[1:] != b.shape[1:] or not a.size or not b.size:
        raise ValueError(f"points of shapes {a.shape} and {b.shape} have no distances")
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
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


def nearest_distance(
    points: Points, others: Points, *, own: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return the distance of each of `points` to the nearest of `others`: ``[N]``.

    Arguments and errors are those of :func:`nearest`.
    """
    return nearest(points, others, own=own)[0]


def nearest(
    points: Points, others: Points, *, own: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance of each of `points` to the nearest of `others`, and which that is.

    Args:
        points: ``[N, ...]``.
        others: ``[M, ...]``; turned into float64 some at a time, so a training set of bytes
            stays small.
        own: int64 ``[N]``: for points that are among the others, which one each is. It is not
            compared with itself then, and infinitely far from the others if there are none.

    Returns:
        ``[N]`` and int64 ``[N]``; of several that are as near, one of them.

    Raises:
        ValueError: Not two sets of points of one dimension.
    """
    least, places = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
    step = max(1, CHUNK_VALUES // max(1, others[:1].size))
    for start in range(0, max(1, len(others)), step):  # of no others, squared_distances complains
        chunk = others[start : start + step]
        for rows, squared in squared_distances(points, chunk):
            if own is not None:
                at = own[rows] - start
                inside = np.flatnonzero((at >= 0) & (at < len(chunk)))
                squared[inside, at[inside]] = np.inf
            found = squared.argmin(axis=1)
            distances = squared[np.arange(len(found)), found]
            nearer = distances < least[rows]
            least[rows] = np.where(nearer, distances, least[rows])
            places[rows] = np.where(nearer, start + found, places[rows])
    return np.sqrt(least), places


def mean_distance(points: Points) -> float:
    """Return the mean distance of two different ones of `points` ``[N, ...]``.

    Raises:
        ValueError: Fewer than two points.
    """
    count = len(points)
    if count < 2:
        raise ValueError(f"points of shape {points.shape} are no pairs; give two or more")
    total = sum(float(np.sqrt(squared).sum()) for _, squared in squared_distances(points, points))
    return total / (count * (count - 1))
