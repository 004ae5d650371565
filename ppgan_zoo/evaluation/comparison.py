"""Two sets of pictures compared, whoever made them: no model, no recipe.

Both are brought to the form that the feature network takes. What copying is measured by, and the
floor, come from halves of the second set, since nothing else of it is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppgan_zoo.data import ImageSet
from ppgan_zoo.data.prepare.cache import prepared_in_cache
from ppgan_zoo.data.prepare.layout import is_prepared
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.data.prepared import load_prepared
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.evaluation.protocol import FORMAT, plain, run_facts, sight_of
from ppgan_zoo.evaluation.real_images import choose
from ppgan_zoo.metrics.feature_cache import cached_features
from ppgan_zoo.metrics.features import GENERAL, FeatureNetwork, FeatureSet, open_features
from ppgan_zoo.metrics.metric import RealFeatures, check_metrics, take_details, take_metrics
from ppgan_zoo.recipe.bounds import FEWEST_IMAGES, MOST_SAMPLES
from ppgan_zoo.registry import METRICS
from ppgan_zoo.storage.files import absolute, as_argument

DEFAULT_FEATURES = GENERAL

MOST_PICTURES = 10_000

METRICS_OF_PICTURES = (
    "fid",
    "kid",
    "precision_recall",
    "density_coverage",
    "sharpness",
    "memorisation",
)
"""What is taken where nothing is asked for: the rest needs labels, or classes of the network's."""


@dataclass(frozen=True)
class Comparison:
    """How two sets are compared.

    Attributes:
        features: Name of the feature network.
        weights: The network's weights, for one that the zoo does not ship.
        most: The most pictures of each set; where there are more, a fixed random choice.
        resize: Height and width, for a network that takes any size; None otherwise.
        metrics: Names of metrics; None for :data:`METRICS_OF_PICTURES`.
        floor: Whether halves of the second set are compared too.

    Raises:
        ConfigError: A number that is not allowed.
    """

    features: str = DEFAULT_FEATURES
    weights: Path | None = None
    most: int = MOST_PICTURES
    resize: int | None = None
    metrics: tuple[str, ...] | None = None
    floor: bool = True

    def __post_init__(self) -> None:
        """Refuse what nothing can be compared by."""
        if not FEWEST_IMAGES <= self.most <= MOST_SAMPLES:
            raise ConfigError(f"--num-samples {self.most}: give {FEWEST_IMAGES} to {MOST_SAMPLES}")


def compare(
    samples: Path,
    real: Path,
    how: Comparison,
    *,
    notify: Callable[[str], None] = print_to_stderr,
) -> dict[str, Any]:
    """Compare two sets of pictures.

    Args:
        samples: A set: a folder of pictures, an archive, arrays, or a prepared set; all that
            ``ppgan-zoo data prepare`` reads.
        real: The set that it is measured against.
        how: By what.
        notify: Called with a line of text for whatever the user should know.

    Returns:
        The result, as plain JSON values.

    Raises:
        ConfigError: Something is asked for that cannot be done.
        DataError: A set cannot be read, or has too few pictures.
    """
    started = time.monotonic()
    network = open_features(how.features, how.weights)
    shape = _shape(network, how.resize)
    metrics = check_metrics(
        how.metrics or METRICS_OF_PICTURES,
        classes=network.classes is not None,
        network=network.name,
    )
    sets = [choose(_load(path, shape, notify), how.most) for path in (samples, real)]
    shown, true = (cached_features(images, network) for images in sets)
    halves = _part(true, slice(None, None, 2)), _part(true, slice(1, None, 2))
    figures = _take(shown, true, halves, metrics)
    return {
        "format": FORMAT,
        "pictures": {"path": str(absolute(samples)), **sets[0].describe()},
        "features": {
            "name": network.name, "sha256": network.sha256, "dim": network.dim,
            "accuracy": network.accuracy,
        },
        "real": {"path": str(absolute(real)), **sets[1].describe()},
        "settings": {
            **asdict(how), "weights": None if how.weights is None else str(how.weights),
            "metrics": metrics, "image_shape": list(shape), "filter": Settings(shape[1:]).filter,
        },
        "metrics": plain(figures),
        "details": take_details(shown, RealFeatures(true), metrics),
        "floor": _floor(halves, metrics) if how.floor else None,
        "notes": _notes(network, shape, sets, metrics),
        **run_facts(started),
    }  # fmt: skip


def _shape(network: FeatureNetwork, resize: int | None) -> tuple[int, int, int]:
    """Return channels, height and width that all pictures are brought to."""
    own = network.image_shape
    if own is None and resize is None:
        raise ConfigError(
            f"--features {network.name}: takes pictures of any size; give the size for both "
            "sets, such as --resize 64"
        )
    if own is None:
        return (3, resize or 0, resize or 0)
    if resize not in (None, own[1]):
        raise ConfigError(
            f"--resize {resize}: {network.name} takes {own[1]} x {own[2]} pixels; leave it out"
        )
    return own


def _load(path: Path, shape: tuple[int, int, int], notify: Callable[[str], None]) -> ImageSet:
    """Return a set in the form that is wanted."""
    channels, height, width = shape
    path = absolute(path)
    if (path / "recipe.yml").is_file() or (path / "checkpoint.json").is_file():
        raise ConfigError(
            f"{path}: is a run or a checkpoint, and --against compares pictures; draw some first: "
            f"ppgan-zoo sample {as_argument(path)} -n 10000 --output PICTURES"
        )
    prepared = path
    if not is_prepared(path):
        settings = Settings((height, width), channels=channels, held_out=0.0)
        prepared = prepared_in_cache(path, settings, notify)
    images = load_prepared(prepared).resized(height, channels)
    if len(images) < FEWEST_IMAGES:
        raise DataError(f"{path}: {len(images)} pictures; metrics need {FEWEST_IMAGES}")
    return images


def _take(
    shown: FeatureSet, true: FeatureSet, halves: tuple[FeatureSet, FeatureSet], metrics: list[str]
) -> dict[str, float]:
    """Return the figures; copying is measured by the distance to one half of the real set."""
    alone = [name for name in metrics if METRICS.get(name).needs_training_images]
    others = [name for name in metrics if name not in alone]
    figures = take_metrics(shown, RealFeatures(true), others)
    if alone:
        trained_on, held_out = halves
        figures |= take_metrics(shown, RealFeatures(held_out, trained_on.features), alone)
    return figures


def _floor(halves: tuple[FeatureSet, FeatureSet], metrics: list[str]) -> dict[str, Any]:
    names = [name for name in metrics if not METRICS.get(name).needs_training_images]
    shown, real = halves[0], RealFeatures(halves[1])
    return {
        "real": {"count": len(shown.features)},
        "metrics": plain(take_metrics(shown, real, names)),
        "details": take_details(shown, real, names),
    }


def _part(found: FeatureSet, rows: slice) -> FeatureSet:
    return found.map(lambda values: np.ascontiguousarray(values[rows]))


def _notes(
    network: FeatureNetwork, shape: tuple[int, int, int], sets: list[ImageSet], metrics: list[str]
) -> list[str]:
    """Return what a reader of the figures must know."""
    notes = [sight_of(network, shape)]
    counts = [len(images) for images in sets]
    if counts[0] != counts[1] or min(counts) < MOST_PICTURES:
        notes.append(
            f"{counts[0]:,} pictures against {counts[1]:,}: the bias of FID depends on both "
            "counts, so compare with figures of the same counts only"
        )
    if "memorisation" in metrics:
        notes.append(
            "memorisation compares with one half of the real set, the other half being held "
            "out: it shows copying if that is the set that was trained on, and a full copy "
            "gives 0.75"
        )
    return notes
