"""Which feature network belongs to which image set."""

from __future__ import annotations

from pathlib import Path

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics.features import FeatureNetwork, open_features

DEFAULT_FEATURES = {"mnist": "digits-v1", "fashion_mnist": "fashion-v1"}
"""The feature network of each image set that has one of its own."""


def open_network(data: str, features: str | None, weights: Path | None) -> FeatureNetwork:
    """Open a feature network: the named one, or the own one of an image set.

    Raises:
        ConfigError: The set has none of its own, or the network cannot be opened.
    """
    name = features or DEFAULT_FEATURES.get(data)
    if name is None:
        raise ConfigError(
            f"features: image set {data!r} has no network of its own; give inception-v3 and its "
            "weights"
        )
    return open_features(name, weights)
