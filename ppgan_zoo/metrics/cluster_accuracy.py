"""Whether the categories that a model found by itself are classes (Chen et al. 2016, InfoGAN).

Nobody told the model which category stands for which class, so that each category is given the
class by which the most samples are right: the best assignment of one to one. As "unsupervised
clustering accuracy" this is usual for clusters of real images; here the samples of a category are
the cluster, and a classifier says what they show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures


def cluster_accuracy(predicted: NDArray[np.int64], categories: NDArray[np.int64]) -> float:
    """Return the share of samples that show the class of their category, 0 to 1.

    Args:
        predicted: The class of each sample, int64 ``[N]``, 0 and up.
        categories: The category of each, likewise.

    Raises:
        ValueError: Not as many of one as of the other, or none.
    """
    if predicted.shape != categories.shape or predicted.ndim != 1 or not len(predicted):
        raise ValueError(f"categories {categories.shape} for {predicted.shape} predicted classes")
    size = 1 + int(max(predicted.max(), categories.max()))
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (categories, predicted), 1)
    return float(counts[np.arange(size), best_assignment(-counts)].sum() / len(predicted))


def best_assignment(costs: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.int64]:
    """Give each row a column of its own so that the sum of the costs is least.

    The Hungarian method, row by row, with potentials of rows and columns: O(n^3) (Kuhn 1955;
    Jonker and Volgenant 1987).

    Args:
        costs: ``[n, n]``.

    Returns:
        The column of each row, int64 ``[n]``.
    """
    size = len(costs)
    of_row, of_column = np.zeros(size), np.zeros(size + 1)
    row_of = np.full(size + 1, -1)  # of each column; the last one is where a search begins
    for row in range(size):
        row_of[size] = row
        least, before = np.full(size, np.inf), np.full(size, size)
        done = np.zeros(size + 1, bool)
        column = size
        while row_of[column] >= 0:
            done[column] = True
            here, open_ = row_of[column], ~done[:size]
            reduced = costs[here] - of_row[here] - of_column[:size]
            better = open_ & (reduced < least)
            least[better], before[better] = reduced[better], column
            nearest = int(np.where(open_, least, np.inf).argmin())
            step = least[nearest]
            of_row[row_of[done]] += step
            of_column[done] -= step
            least[open_] -= step
            column = nearest
        while column != size:  # back along the path, each column taking the row before it
            row_of[column] = row_of[before[column]]
            column = int(before[column])
        row_of[size] = -1
    assigned = np.empty(size, np.int64)
    assigned[row_of[:size]] = np.arange(size)
    return assigned


def _take(samples: FeatureSet, real: RealFeatures) -> tuple[float]:
    assert samples.probabilities is not None and samples.categories is not None
    return (cluster_accuracy(samples.probabilities.argmax(axis=1), samples.categories),)


CLUSTER_ACCURACY = Metric(
    "cluster_accuracy",
    ("cluster_accuracy",),
    _take,
    needs_classes=True,
    needs_categories=True,
    source="Chen et al. 2016, InfoGAN",
)
