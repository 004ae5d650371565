"""All metrics by name: what samples' features say beside those of real images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics.class_score import class_score
from ppgan_zoo.metrics.distances import nearest_distance
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.frechet import Gaussian, frechet_distance
from ppgan_zoo.metrics.kernel_distance import kernel_distance
from ppgan_zoo.metrics.manifold import (
    COVERAGE_K,
    PRECISION_K,
    Manifold,
    density_coverage,
    precision,
    recall,
)
from ppgan_zoo.metrics.memorisation import compare_distances
from ppgan_zoo.metrics.modes import modes

METRICS = {
    "fid": ("fid",),
    "kid": ("kid", "kid_standard_error"),
    "class_score": ("class_score", "class_score_std"),
    "precision_recall": ("precision", "recall"),
    "density_coverage": ("density", "coverage"),
    "modes": ("modes", "class_entropy"),
    "memorisation": ("memorisation", "memorisation_z", "memorisation_ratio"),
}
"""The figures of each metric."""

NEEDS_CLASSES = ("class_score", "modes")
"""Metrics of predicted classes, which not every feature network has."""

FEWEST = 100
"""The fewest images, real or generated, that metrics are taken of."""


@dataclass(eq=False)
class RealFeatures:
    """Real images' features, and what metrics make of them, worked out once.

    Attributes:
        features: Of the images that samples are compared with.
        training: Features ``[N, D]`` of the images trained on, for memorisation; they
            are others than those of `features`.
    """

    features: FeatureSet
    training: NDArray[np.float32] | None = None
    _manifolds: dict[int, Manifold] = field(default_factory=dict, repr=False)

    @cached_property
    def gaussian(self) -> Gaussian:
        """The Gaussian that FID compares with."""
        return Gaussian.of(self.features.features)

    @cached_property
    def held_out_distances(self) -> NDArray[np.float64]:
        """Distance of each image to the nearest one that was trained on: ``[N]``."""
        assert self.training is not None
        return nearest_distance(self.features.features, self.training)

    def manifold(self, k: int) -> Manifold:
        """The balls to the `k`-th neighbours."""
        if k not in self._manifolds:
            self._manifolds[k] = Manifold.of(self.features.features, k)
        return self._manifolds[k]


def measure(samples: FeatureSet, real: RealFeatures, metrics: Iterable[str]) -> dict[str, float]:
    """Return the figures of `metrics`, in the order of :data:`METRICS`.

    Args:
        samples: Of the generated images, in random order.
        real: Of the real images, in random order.
        metrics: Names out of :data:`METRICS`.

    Raises:
        ConfigError: An unknown name, or one that needs what is not there.
    """
    wanted = check_metrics(metrics, classes=samples.probabilities is not None)
    if "memorisation" in wanted and real.training is None:
        raise ConfigError("memorisation: needs the training images and others that are held out")
    figures: dict[str, float] = {}
    for name in METRICS:
        if name in wanted:
            values = _measure_one(name, samples, real)
            figures.update(zip(METRICS[name], values, strict=True))
    return figures


def check_metrics(metrics: Iterable[str], *, classes: bool) -> list[str]:
    """Return the names as a list.

    Args:
        metrics: The names.
        classes: Whether the feature network predicts classes.

    Raises:
        ConfigError: An unknown name, or one that needs classes.
    """
    wanted = list(metrics)
    for name in wanted:
        if name not in METRICS:
            raise ConfigError(f"metrics: found {name!r}; allowed: {', '.join(METRICS)}")
        if name in NEEDS_CLASSES and not classes:
            raise ConfigError(
                f"metrics: {name} needs predicted classes, which this feature network has none of"
            )
    return wanted


def _measure_one(name: str, samples: FeatureSet, real: RealFeatures) -> tuple[float, ...]:
    points, real_points = samples.features, real.features.features
    if name == "fid":
        return (frechet_distance(Gaussian.of(points), real.gaussian),)
    if name == "kid":
        return kernel_distance(points, real_points)
    if name == "precision_recall":
        return (
            precision(points, real.manifold(PRECISION_K)),
            recall(Manifold.of(points, PRECISION_K), real_points),
        )
    if name == "density_coverage":
        return density_coverage(points, real.manifold(COVERAGE_K))
    if name == "memorisation":
        assert real.training is not None
        distances = nearest_distance(points, real.training)
        return compare_distances(distances, real.held_out_distances)
    assert samples.probabilities is not None
    if name == "class_score":
        return class_score(samples.probabilities)
    found = modes(samples.probabilities)
    return found.found, found.entropy
