"""Samples beside the training pictures that are nearest to them: does G copy?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.real_images import RealImages
from ppgan_zoo.metrics.distances import Points, nearest, nearest_distance
from ppgan_zoo.metrics.feature_cache import cached_features
from ppgan_zoo.metrics.features import FeatureNetwork
from ppgan_zoo.registry import DATA
from ppgan_zoo.report.facts import Neighbours

COMPARED = 500
"""Training pictures whose nearest other one is looked for, to know what is near."""


def find_neighbours(
    path: Path, count: int, *, directory: str | None = None, offline: bool = False
) -> Neighbours:
    """Draw samples of a run's newest checkpoint, and find their nearest training pictures.

    Nearest by the features of the data set's own network, where it has one for pictures of this
    size, and otherwise by pixels.

    Args:
        path: The run.
        count: How many samples; of seed 0, and the moving average of the weights if there is one.
        directory: Where the data are, if not where the run found them.
        offline: Whether to leave the network alone.

    Raises:
        CheckpointError: It has no checkpoint.
        DataError: The training pictures are not there.
    """
    from ppgan_zoo.evaluation.sampler import open_sampler
    from ppgan_zoo.run.evaluate import find_data

    sampler = open_sampler(path)
    source = find_data(path, None, directory, otherwise="give the run that it is from")
    real = RealImages(source, sampler.image_shape, "train", offline, print_to_stderr)
    training = real.trained_on
    samples = sampler.sample(count, 0)
    network = _network(source.name, samples)
    of_samples: Points = samples
    of_training: Points = training.images
    if network is not None:
        of_samples = network(samples).features
        of_training = cached_features(training, network).features
    distances, places = nearest(of_samples, of_training)
    chosen = np.unique(np.linspace(0, len(training) - 1, COMPARED).astype(np.int64))
    usual = float(np.median(nearest_distance(of_training[chosen], of_training, own=chosen)))
    return Neighbours(
        samples=samples,
        nearest=training.images[places],
        ratio=float(np.median(distances)) / usual if usual > 0 else float("nan"),
        measured_by="pixels" if network is None else network.name,
        trained_on=len(training),
        is_known=real.is_known_to_be_trained_on(),
    )


def _network(data: str, images: NDArray[np.uint8]) -> FeatureNetwork | None:
    """Return the feature network of an image set; None if it has none for such images."""
    from ppgan_zoo.metrics.features import open_features

    name = DATA.get(data).features
    if name is None:
        return None
    network = open_features(name)
    try:
        network(images[:1])
    except ConfigError:
        return None
    return network
