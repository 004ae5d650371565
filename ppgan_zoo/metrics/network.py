"""Which feature network belongs to which image set."""

from __future__ import annotations

from pathlib import Path

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics.features import FeatureNetwork, open_features
from ppgan_zoo.registry import DATA


def own_networks(data: str) -> set[str]:
    """Return the feature networks of image sets: of the zoo's own, and of the set `data`.

    They are small, so that whole training sets go through them in minutes.
    """
    return {kind.features for kind in (*DATA.all(), DATA.get(data)) if kind.features}


def open_network(data: str, features: str | None, weights: Path | None) -> FeatureNetwork:
    """Open a feature network: the named one, or the own one of an image set.

    Raises:
        ConfigError: The set has none of its own, or the network cannot be opened.
    """
    name = features or DATA.get(data).features
    if name is None:
        raise ConfigError(
            f"features: image set {data!r} has no network of its own; give inception-v3 and its "
            "weights"
        )
    return open_features(name, weights)
