"""Metrics of a model that is being trained."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from ppgan_zoo.data import ImageSet, to_uint8
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.real_images import REAL_IMAGES, choose
from ppgan_zoo.metrics.feature_cache import cached_features
from ppgan_zoo.metrics.features import FeatureNetwork, FeatureSet
from ppgan_zoo.metrics.metric import RealFeatures, check_metrics, take_metrics
from ppgan_zoo.models.latent import labels_in_turn
from ppgan_zoo.recipe.bounds import FEWEST_IMAGES
from ppgan_zoo.training.loop import failures_told
from ppgan_zoo.training.trainer import Trainer


class Evaluator:
    """Takes the metrics of a trainer's samples: always of the same z, from the EMA if any.

    Draws nothing from a random state and leaves the trainer as it was.

    Args:
        network: The feature network.
        real: What samples are compared with; at most 10,000 of them are used.
        metrics: Names out of :func:`ppgan_zoo.metrics.metric.metric_names`.
        num_samples: How many images are generated each time.
        labels: Whether they are generated of labels.
        categories: Whether they are generated of a categorical code.
        trained_on: The training images, for memorisation.

    Raises:
        ConfigError: Too few images, images that the network does not take, or a metric that
            it does not allow.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        real: ImageSet,
        metrics: tuple[str, ...],
        *,
        num_samples: int,
        labels: bool = False,
        categories: bool = False,
        trained_on: ImageSet | None = None,
    ) -> None:
        if len(real) < FEWEST_IMAGES:
            raise ConfigError(
                f"evaluation: {len(real)} real images of {real.name} ({real.location}); metrics "
                f"need {FEWEST_IMAGES}"
            )
        check_metrics(
            metrics,
            classes=network.classes is not None,
            labels=labels,
            categories=categories,
            network=network.name,
        )
        network(real.images[:1])  # a misfit is refused here, not after an hour of training
        self.network = network
        self.metrics = metrics
        self.num_samples = num_samples
        self._compared = choose(real, REAL_IMAGES)
        self._trained_on = trained_on

    @cached_property
    def real(self) -> RealFeatures:
        """The features of the real images, worked out at the first evaluation."""
        features = cached_features(self._compared, self.network)
        if self._trained_on is None:
            return RealFeatures(features)
        return RealFeatures(features, cached_features(self._trained_on, self.network).features)

    def __call__(self, trainer: Trainer) -> dict[str, float]:
        """Return the figures of the trainer's weights as they are."""
        return self.figures(self.features(trainer))

    def features(self, trainer: Trainer, group: Group | None = None) -> FeatureSet:
        """Return what the network says of the samples.

        Args:
            trainer: Whose samples.
            group: Processes that share them out; all of them must call this.
        """
        group = group or Group()
        classes = trainer.gan.num_classes
        labels = labels_in_turn(self.num_samples, classes) if classes else None
        with failures_told(group):
            images = trainer.samples(self.num_samples, labels, group.share(self.num_samples))
            # Weights that are not finite are found by who looks for them, and told of there.
            found = self.network(to_uint8(np.nan_to_num(images), trainer.gan.image_range))
        group.agree(False)  # raises if another process failed in the block
        chance = trainer.chance
        return replace(
            found.map(lambda rows: group.gathered(rows, self.num_samples)),
            labels=labels,
            categories=chance.latent.first_category(chance.display(self.num_samples, labels).z),
        )

    def figures(self, samples: FeatureSet) -> dict[str, float]:
        """Return the metrics of what :meth:`features` returned."""
        return take_metrics(samples, self.real, self.metrics, samples.labels, samples.categories)
