"""Precision, recall, density and coverage: the share of one set within reach of the other.

A set's manifold is estimated by a ball around each of its points that reaches its k-th
nearest neighbour in the set.

- Precision: share of samples inside any real ball. Recall: share of real points inside
  any sample's ball (Kynkaanniemi et al. 2019, Improved Precision and Recall Metric; k=3).
- Density: real balls around a sample, divided by k, on average (it can exceed 1).
  Coverage: share of real balls that hold a sample (Naeem et al. 2020, Reliable Fidelity
  and Diversity Metrics; k=5). A few outliers among the samples cannot raise them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.metrics.distances import Points, squared_distances
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures

PRECISION_K = 3
COVERAGE_K = 5
ROUNDING = 1e-10
"""By what share further than a radius still counts as inside: where copies lie is on surfaces."""


@dataclass(frozen=True)
class Manifold:
    """Balls around points.

    Attributes:
        points: ``[N, D]``.
        squared_radii: ``[N]``.
        k: Which neighbour the balls reach.
    """

    points: Points
    squared_radii: NDArray[np.float64]
    k: int

    @classmethod
    def of(cls, points: Points, k: int) -> Manifold:
        """Reach from each of `points` ``[N, D]`` to its `k`-th nearest other point.

        Raises:
            ValueError: Not more than `k` points.
        """
        if len(points) <= k:
            raise ValueError(f"{len(points)} points have no {k}-th neighbour each")
        radii = np.empty(len(points))
        for rows, squared in squared_distances(points, points):
            # The point itself takes place 0.
            radii[rows] = np.partition(squared, k, axis=1)[:, k]
        return cls(points, radii, k)

    def hits(self, points: Points) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return in how many balls each of `points` lies, and which balls hold any of them."""
        balls_of_point = np.empty(len(points), dtype=np.int64)
        ball_is_hit = np.zeros(len(self.points), dtype=bool)
        within = self.squared_radii * (1.0 + ROUNDING)
        for rows, squared in squared_distances(points, self.points):
            inside = squared <= within
            balls_of_point[rows] = inside.sum(axis=1)
            ball_is_hit |= inside.any(axis=0)
        return balls_of_point, ball_is_hit


def precision(samples: Points, real: Manifold) -> float:
    """Return the share of `samples` ``[N, D]`` that lie on the real manifold."""
    return float(np.mean(real.hits(samples)[0] > 0))


def recall(samples: Manifold, real: Points) -> float:
    """Return the share of `real` ``[N, D]`` that lie on the samples' manifold."""
    return precision(real, samples)


def density_coverage(samples: Points, real: Manifold) -> tuple[float, float]:
    """Return density and coverage of `samples` ``[N, D]``."""
    balls_of_sample, ball_is_hit = real.hits(samples)
    return float(balls_of_sample.mean() / real.k), float(ball_is_hit.mean())


def _manifold(real: RealFeatures, k: int) -> Manifold:
    return Manifold.of(real.features.features, k)


def _precision_recall(samples: FeatureSet, real: RealFeatures) -> tuple[float, float]:
    return (
        precision(samples.features, real.once(_manifold, PRECISION_K)),
        recall(Manifold.of(samples.features, PRECISION_K), real.features.features),
    )


def _density_coverage(samples: FeatureSet, real: RealFeatures) -> tuple[float, float]:
    return density_coverage(samples.features, real.once(_manifold, COVERAGE_K))


PRECISION_RECALL = Metric(
    "precision_recall",
    ("precision", "recall"),
    _precision_recall,
    source="Kynkaanniemi et al. 2019, Improved Precision and Recall Metric for Assessing "
    "Generative Models",
)

DENSITY_COVERAGE = Metric(
    "density_coverage",
    ("density", "coverage"),
    _density_coverage,
    source="Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models",
)
