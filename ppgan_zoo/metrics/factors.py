"""How much of what avatars are made of is seen in samples: the metric ``factors``.

The parts of each drawing (hair, eyes, colours) are known, so a classifier can be fitted that reads
them off the features of ``avatars-v1``: for each style and factor a linear discriminant, from the
5,000 embedded training pictures. It reads the values of samples and of real images alike, so
its errors are on both sides. Only factors that it reads well are judged (:data:`READABLE`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data import load_image_set
from ppgan_zoo.data.avatars import NO_VALUE, STYLES, load_factor_names, load_factors
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics.classes_found import FAIR_SHARE
from ppgan_zoo.metrics.feature_cache import cached_features
from ppgan_zoo.metrics.features import FeatureSet, open_features
from ppgan_zoo.metrics.metric import Metric, RealFeatures

NETWORK = "avatars-v1"

READABLE = {
    "critters": {
        "bodyVariant": 0.982, "eyesVariant": 0.972, "mouthVariant": 0.942,
        "backgroundColor": 1.0, "bodyColor": 0.978,
    },
    "cutouts": {
        "headVariant": 1.0, "hairVariant": 0.999, "eyesVariant": 0.998, "noseVariant": 0.962,
        "mouthVariant": 1.0, "backgroundColor": 0.963, "paperFaceColor": 1.0,
    },
    "landscape": {
        "orbVariant": 0.904, "backgroundColor": 0.941, "hill1Color": 0.976, "hill2Color": 0.985,
        "hill3Color": 0.973, "hill4Color": 0.97,
    },
    "lorelei": {"beardVariant": 1.0, "hairVariant": 1.0, "headVariant": 0.986},
    "marbles": {"topVariant": 0.962, "eyesVariant": 0.95, "mouthVariant": 0.95},
    "open-peeps": {
        "headVariant": 1.0, "maskVariant": 0.911, "clothingColor": 0.95, "skinColor": 0.976,
    },
    "pixel-art": {"clothingColor": 0.909},
    "planets": {"backgroundColor": 1.0, "planetColor": 1.0},
    "sprouts": {
        "plantVariant": 1.0, "potVariant": 0.989, "eyesVariant": 0.926, "mouthVariant": 0.967,
        "backgroundColor": 1.0, "potColor": 0.936,
    },
    "voxel-art": {"backgroundColor": 1.0, "shoesColor": 0.998},
}  # fmt: skip
"""The factors that are judged, by style: 39 of 107. The number is the share of 400 other pictures
whose value is read rightly, each value counting as much as another; it is 0.9 or more."""

NONE = "none"
"""The value of a drawing that has no such part."""

_SHRINKAGE = 0.05  # of covariances, towards a multiple of the identity
_FARTHEST = 150.0
"""The largest median distance of real images from their style: 120 of avatars, of any size; 173 and
more of digits, clothes and noise."""


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads one factor of one style off features.

    Attributes:
        values: What the factor may be.
        weights: float64 ``[D, values]``.
        bias: float64 ``[values]``.
    """

    values: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[Any], chosen: NDArray[np.uint8], names: list[str]) -> Reader:
        """Fit a linear discriminant: Gaussians of one covariance, and the values' shares.

        Args:
            features: ``[N, D]``.
            chosen: The value of each, ``[N]``; :data:`NO_VALUE` for none.
            names: Of the values.
        """
        found, places = np.unique(chosen, return_inverse=True)
        means = np.stack([features[places == value].mean(axis=0) for value in range(len(found))])
        weights = np.linalg.solve(_covariance(features - means[places]), means.T)
        bias = np.log(np.bincount(places) / len(places)) - 0.5 * np.sum(means.T * weights, axis=0)
        values = tuple(NONE if value == NO_VALUE else names[value] for value in found)
        return cls(values, weights, bias)

    def read(self, features: NDArray[Any]) -> NDArray[np.int64]:
        """Return which of the values each row of features ``[N, D]`` has, ``[N]``."""
        scores = features.astype(np.float64) @ self.weights + self.bias
        return np.asarray(scores.argmax(axis=1), np.int64)

    def shares(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the share of each value, ``[values]``; zeros of no rows."""
        count = np.bincount(self.read(features), minlength=len(self.values))
        return count / max(1, len(features))


@dataclass(frozen=True)
class Found:
    """What of a factor's values is seen.

    Attributes:
        recall: The share of the real images' values that samples have too.
        distance: The total variation distance between the two distributions, 0 to 1.
        missing: The values that they have not.
    """

    recall: float
    distance: float
    missing: tuple[str, ...]


def compare_shares(
    samples: NDArray[np.float64], real: NDArray[np.float64], values: tuple[str, ...]
) -> Found:
    """Compare how often each value is there.

    Args:
        samples: Of the samples, ``[values]``; zeros if there are none of the style.
        real: Of the real images, ``[values]``, at least one above 0.
        values: Their names. A value is seen if its share is a tenth of the real one, or more.
    """
    there = real > 0
    seen = (samples > 0) & (samples >= FAIR_SHARE * real)
    missing = tuple(values[place] for place in np.flatnonzero(there & ~seen))
    distance = 0.5 * np.abs(samples - real).sum() if samples.any() else 1.0
    return Found(1.0 - len(missing) / int(there.sum()), float(distance), missing)


def factors_found(samples: FeatureSet, real: RealFeatures) -> dict[tuple[str, str], Found]:
    """Return what is seen of each readable factor, by style and factor.

    Raises:
        ConfigError: The real images are no avatars, or their features of another network.
    """
    wanted = real.once(_real_shares)
    styles = _styles_of(samples)
    found = {}
    for (style, factor), reader in _readers().items():
        there = wanted[style, factor]
        if there.any():
            shares = reader.shares(samples.features[styles == STYLES.index(style)])
            found[style, factor] = compare_shares(shares, there, reader.values)
    return found


@lru_cache
def _embedded() -> tuple[FeatureSet, NDArray[np.int64]]:
    """Return features and styles of the embedded training pictures."""
    images = load_image_set("avatars")
    assert images.labels is not None
    return cached_features(images, open_features(NETWORK)), images.labels


@lru_cache
def _readers() -> dict[tuple[str, str], Reader]:
    """Return the reader of each readable factor, by style and factor."""
    known, labels = _embedded()
    features, chosen = known.features.astype(np.float64), load_factors("train")
    readers = {}
    for style, names in load_factor_names().items():
        rows = labels == STYLES.index(style)
        for place, (factor, values) in enumerate(names.items()):
            if factor in READABLE[style]:
                readers[style, factor] = Reader.of(features[rows], chosen[rows, place], values)
    return readers


def _real_shares(real: RealFeatures) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return the shares among the real images, once it is sure that these are avatars."""
    features, styles = real.features.features, _styles_of(real.features)
    _check_are_avatars(features)
    return {
        (style, factor): reader.shares(features[styles == STYLES.index(style)])
        for (style, factor), reader in _readers().items()
    }


def _check_are_avatars(features: NDArray[np.float32]) -> None:
    known, labels = _embedded()
    if features.shape[1:] == known.features.shape[1:]:
        own = known.features.astype(np.float64)
        means = np.stack([own[labels == label].mean(axis=0) for label in range(len(STYLES))])
        inverse = np.linalg.inv(_covariance(own - means[labels]))
        gaps = features[:, None].astype(np.float64) - means
        distance = np.median(np.einsum("nsd,de,nse->ns", gaps, inverse, gaps).min(axis=1))
        if distance <= _FARTHEST:
            return
    raise ConfigError(
        "metrics: factors: the real images are no avatars as data.name: avatars has them, whose "
        "parts alone can be read; leave it out"
    )


def _covariance(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance ``[D, D]`` of rows ``[N, D]`` of mean 0, shrunk a little."""
    covariance = centred.T @ centred / len(centred)
    size = len(covariance)
    scale = np.trace(covariance) / size
    return np.asarray((1 - _SHRINKAGE) * covariance + _SHRINKAGE * scale * np.eye(size))


def _styles_of(features: FeatureSet) -> NDArray[np.int64]:
    assert features.probabilities is not None
    return np.asarray(features.probabilities.argmax(axis=1), np.int64)


def _take(samples: FeatureSet, real: RealFeatures) -> tuple[float, ...]:
    found = factors_found(samples, real).values()
    recalls, distances = [each.recall for each in found], [each.distance for each in found]
    return float(np.mean(recalls)), min(recalls), float(np.mean(distances)), max(distances)


def _details(samples: FeatureSet, real: RealFeatures) -> dict[str, Any]:
    """Return all that is seen, by style and factor, as plain JSON values."""
    told: dict[str, Any] = {}
    for (style, factor), found in factors_found(samples, real).items():
        told.setdefault(style, {})[factor] = {
            "recall": round(found.recall, 4),
            "distance": round(found.distance, 4),
            "missing": list(found.missing),
        }
    return told


FACTORS = Metric(
    "factors",
    ("factor_recall", "least_factor_recall", "factor_distance", "largest_factor_distance"),
    _take,
    needs_classes=True,
    network=NETWORK,
    details=_details,
)
