"""KID: the squared maximum mean discrepancy under a polynomial kernel.

    mean k(x, x') + mean k(y, y') - 2 mean k(x, y),   k(a, b) = (a.b / D + 1)^3

the first two over pairs of different points, which makes the estimate unbiased (Gretton
et al. 2012, A Kernel Two-Sample Test; Binkowski et al. 2018, Demystifying MMD GANs). It
may come out below 0.

Other code averages over random subsets of 1,000. Those averages estimate the same number
with more noise, and the spread of subsets that overlap is no standard error. Here all
points are used, and the error is that of a jackknife over groups of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures

GROUPS = 20
"""Parts of each set for the jackknife."""

_BLOCK = 2048


class KernelDistance(NamedTuple):
    """An estimate and its standard error (NaN for sets too small to tell)."""

    value: float
    standard_error: float


def kernel_distance(
    samples: NDArray[np.floating], real: NDArray[np.floating], *, groups: int = GROUPS
) -> KernelDistance:
    """Return KID of two feature sets.

    Args:
        samples: ``[N, D]``, in random order (the jackknife leaves out runs of rows).
        real: ``[M, D]``, likewise.
        groups: Parts that the jackknife leaves out in turn. Its error is slightly too
            large rather than too small (Efron and Stein 1981).

    Raises:
        ValueError: Sets of other dimensions, or of fewer than two points.
    """
    if samples.ndim != 2 or real.ndim != 2 or samples.shape[1] != real.shape[1]:
        raise ValueError(f"features of shapes {samples.shape} and {real.shape} differ in kind")
    if min(len(samples), len(real)) < 2:
        raise ValueError("KID needs at least two points in each set")
    groups = min(groups, len(samples) // 2, len(real) // 2)
    x = np.array_split(samples.astype(np.float64), groups)
    y = np.array_split(real.astype(np.float64), groups)
    sums = _Sums(_group_sums(x, x), _group_sums(y, y), _group_sums(x, y))
    sizes = np.array([len(part) for part in x]), np.array([len(part) for part in y])
    everything = np.ones(groups, dtype=bool)
    value = _estimate(sums, sizes, everything)
    if groups < 2:
        return KernelDistance(value, float("nan"))
    left_out = np.array([_estimate(sums, sizes, row) for row in ~np.eye(groups, dtype=bool)])
    variance = (groups - 1) / groups * np.sum((left_out - left_out.mean()) ** 2)
    return KernelDistance(value, float(np.sqrt(variance)))


class _Sums(NamedTuple):
    """Kernel values added up by pairs of groups ``[groups, groups]``; no point with itself."""

    xx: NDArray[np.float64]
    yy: NDArray[np.float64]
    xy: NDArray[np.float64]


def _estimate(
    sums: _Sums, sizes: tuple[NDArray[np.int64], NDArray[np.int64]], kept: NDArray[np.bool_]
) -> float:
    n, m = int(sizes[0][kept].sum()), int(sizes[1][kept].sum())
    xx, yy, xy = (part[np.ix_(kept, kept)].sum() for part in sums)
    return float(xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2.0 * xy / (n * m))


def _group_sums(a: list[NDArray[np.float64]], b: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    same = a is b
    sums = np.zeros((len(a), len(b)))
    for i, rows in enumerate(a):
        for j, columns in enumerate(b):
            if same and j < i:
                sums[i, j] = sums[j, i]
                continue
            sums[i, j] = _kernel_sum(rows, columns)
            if same and i == j:
                own = np.einsum("ij,ij->i", rows, rows) / rows.shape[1] + 1.0
                sums[i, j] -= np.sum(own**3)
    return sums


def _kernel_sum(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> float:
    total = 0.0
    for start in range(0, len(rows), _BLOCK):
        kernel = rows[start : start + _BLOCK] @ columns.T
        kernel /= rows.shape[1]
        kernel += 1.0
        total += float(np.vdot(kernel * kernel, kernel))
    return total


def _take(samples: FeatureSet, real: RealFeatures) -> KernelDistance:
    return kernel_distance(samples.features, real.features.features)


KID = Metric(
    "kid",
    ("kid", "kid_standard_error"),
    _take,
    source="Binkowski et al. 2018, Demystifying MMD GANs",
)
