"""Whether samples copy the training images: nearest-neighbour distances, compared.

A model that copies makes samples that lie nearer to the training set than fresh real
images do. With d(.) the distance to the nearest training image, the figure is

    P(d(sample) < d(held-out)) + P(d(sample) = d(held-out)) / 2

the Mann-Whitney statistic as a probability, and its z-score with the sign turned, which
is C_T of Meehan et al. 2020 (A Non-Parametric Test to Detect Data-Copying in Generative
Models) with one cell. 0.5 is chance, towards 1 is copying; below 0.5 the samples lie
farther from the training images than real ones do, as bad samples will.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.metrics.distances import Points, nearest_distance
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures


class Memorisation(NamedTuple):
    """How near samples come to the training set.

    Attributes:
        probability: That a sample is nearer than a held-out image: 0.5 is chance, 1 copying.
        z: Its distance from chance in standard deviations; above 3 is significant.
        ratio: Median distance of the samples over that of the held-out images.
    """

    probability: float
    z: float
    ratio: float


def memorisation(samples: Points, training: Points, held_out: Points) -> Memorisation:
    """Compare `samples` with `held_out` by their distance to `training`, all ``[N, D]``."""
    return compare_distances(
        nearest_distance(samples, training), nearest_distance(held_out, training)
    )


def compare_distances(
    of_samples: NDArray[np.float64], of_held_out: NDArray[np.float64]
) -> Memorisation:
    """Compare distances ``[N]`` and ``[M]`` to the nearest training image."""
    n, m = len(of_samples), len(of_held_out)
    ordered = np.sort(of_held_out)
    not_nearer = np.searchsorted(ordered, of_samples, side="left")  # held out < sample
    nearer_or_tied = np.searchsorted(ordered, of_samples, side="right")
    wins = np.sum(m - nearer_or_tied) + 0.5 * np.sum(nearer_or_tied - not_nearer)
    _, ties = np.unique(np.concatenate([of_samples, of_held_out]), return_counts=True)
    total = n + m
    ties = ties.astype(np.float64)
    variance = n * m / 12 * (total + 1 - np.sum(ties**3 - ties) / (total * (total - 1)))
    z = (wins - n * m / 2) / np.sqrt(variance) if variance > 0 else 0.0
    median = float(np.median(of_held_out))
    ratio = float(np.median(of_samples)) / median if median > 0 else float("nan")
    return Memorisation(float(wins / (n * m)), float(z), ratio)


def _held_out_distances(real: RealFeatures) -> NDArray[np.float64]:
    assert real.training is not None
    return nearest_distance(real.features.features, real.training)


def _take(samples: FeatureSet, real: RealFeatures) -> Memorisation:
    assert real.training is not None
    distances = nearest_distance(samples.features, real.training)
    return compare_distances(distances, real.once(_held_out_distances))


MEMORISATION = Metric(
    "memorisation",
    ("memorisation", "memorisation_z", "memorisation_ratio"),
    _take,
    needs_training_images=True,
    source="Meehan et al. 2020, A Non-Parametric Test to Detect Data-Copying in Generative Models",
)
