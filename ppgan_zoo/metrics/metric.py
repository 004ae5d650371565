"""All metrics by name: what samples' features say beside those of real images.

Each metric stands with the function that works it out; the table ``METRICS`` of
:mod:`ppgan_zoo.registry` says where.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError, PluginError
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.registry import METRICS
from ppgan_zoo.storage.stages import stage

T = TypeVar("T")


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
    _made: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def once(self, make: Callable[..., T], *arguments: Hashable) -> T:
        """Return ``make(self, *arguments)``, worked out at the first call and then kept.

        Args:
            make: A function of a module: by it, and the arguments, the result is known again.
            arguments: What else it depends on.
        """
        key = (make, *arguments)
        if key not in self._made:
            self._made[key] = make(self, *arguments)
        made: T = self._made[key]
        return made


@dataclass(frozen=True)
class Metric:
    """One metric: a function of features, and what it needs.

    Attributes:
        name: Name in the registry.
        figures: Names of the numbers that it gives, each of this metric alone.
        take: Samples and real images to these numbers, in this order; both are in random
            order. What it needs of the real images alone, it takes by
            :meth:`RealFeatures.once`.
        needs_classes: Whether the feature network must predict classes.
        needs_training_images: Whether :attr:`RealFeatures.training` must be there.
        needs_labels: Whether :attr:`FeatureSet.labels` of the samples must be there.
        needs_categories: Whether :attr:`FeatureSet.categories` of the samples must be there.
        network: The one feature network that it is for; None for any.
        details: Samples and real images to more than numbers, as plain JSON values; None for a
            metric that has no more to say.
        source: Where it was published: authors, year, title.
    """

    name: str
    figures: tuple[str, ...]
    take: Callable[[FeatureSet, RealFeatures], tuple[float, ...]]
    needs_classes: bool = False
    needs_training_images: bool = False
    needs_labels: bool = False
    needs_categories: bool = False
    network: str | None = None
    details: Callable[[FeatureSet, RealFeatures], Any] | None = None
    source: str = ""

    def check(self, where: str) -> None:
        """Refuse a metric without figures.

        Raises:
            PluginError: One line that says so.
        """
        if not self.figures or len(set(self.figures)) < len(self.figures):
            raise PluginError(f"{where}: figures {self.figures}; give one name or more, none twice")


def metric_names() -> list[str]:
    """Return the names of all metrics: the zoo's own in the order of its table, then others."""
    own = list(METRICS.built_in)
    return own + [name for name in METRICS.names() if name not in own]


def take_metrics(
    samples: FeatureSet,
    real: RealFeatures,
    metrics: Iterable[str],
    labels: NDArray[np.int64] | None = None,
    categories: NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """Return the figures of `metrics`, in the order of :func:`metric_names`.

    Args:
        samples: Of the generated images, in random order.
        real: Of the real images, in random order.
        metrics: Names out of :func:`metric_names`.
        labels: int64 ``[N]``, which class each of the samples was made for; None if they
            were made for none.
        categories: int64 ``[N]``, which category of the model's own each was made for, likewise.

    Raises:
        ConfigError: An unknown name, or one that needs what is not there.
        ValueError: There are not as many labels or categories as samples.
    """
    wanted = check_metrics(
        metrics,
        classes=samples.probabilities is not None,
        labels=labels is not None,
        categories=categories is not None,
    )
    for name, given in (("labels", labels), ("categories", categories)):
        if given is not None and given.shape != (len(samples.features),):
            raise ValueError(f"{name} {list(given.shape)} for {len(samples.features)} samples")
    samples = replace(samples, labels=labels, categories=categories)
    figures: dict[str, float] = {}
    in_order = [name for name in metric_names() if name in wanted]
    with stage("figures", len(in_order)) as advance:
        for name in in_order:
            metric = METRICS.get(name)
            if metric.needs_training_images and real.training is None:
                raise ConfigError(f"{name}: needs the training images and others that are held out")
            figures.update(zip(metric.figures, metric.take(samples, real), strict=True))
            advance(1)
    return figures


def take_details(samples: FeatureSet, real: RealFeatures, metrics: Iterable[str]) -> dict[str, Any]:
    """Return what those of `metrics` say that have more to say than numbers, by their names."""
    return {
        name: details(samples, real)
        for name in metrics
        if (details := METRICS.get(name).details) is not None
    }


def check_metrics(
    metrics: Iterable[str],
    *,
    classes: bool,
    labels: bool = False,
    categories: bool = False,
    network: str | None = None,
) -> list[str]:
    """Return the names as a list.

    Args:
        metrics: The names.
        classes: Whether the feature network predicts classes.
        labels: Whether the samples are made for known classes.
        categories: Whether they are made for categories of the model's own.
        network: The feature network's name; None where it is not known yet.

    Raises:
        ConfigError: An unknown name, or one that needs classes, labels, categories or another
            feature network.
    """
    wanted = list(metrics)
    for name in wanted:
        metric = METRICS.get(name, where="metrics")
        if network is not None and metric.network not in (None, network):
            raise ConfigError(
                f"metrics: {name} is for the feature network {metric.network} and its images, and "
                f"not for {network}; leave it out"
            )
        if metric.needs_classes and not classes:
            raise ConfigError(
                f"metrics: {name} needs predicted classes, which this feature network has none of"
            )
        if metric.needs_labels and not labels:
            raise ConfigError(
                f"metrics: {name} needs samples that are made for a class each; leave it out, or "
                "measure a model that takes labels"
            )
        if metric.needs_categories and not categories:
            raise ConfigError(
                f"metrics: {name} needs samples that are made for a category each; leave it out, "
                "or measure a model whose z has a categorical code, such as infogan"
            )
    return wanted
