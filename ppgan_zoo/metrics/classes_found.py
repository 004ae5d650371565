"""Which classes the samples fall into, by the classifier's first choice: the metric ``modes``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.metrics.class_score import entropy
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures

FAIR_SHARE = 0.1
"""A class is found if it has this part of the samples that it would have among equals."""


class ClassesFound(NamedTuple):
    """What of the classes was found.

    Attributes:
        found: Number of classes with at least a tenth of an equal share.
        entropy: Of the predicted classes, in nats; log(classes) if all are as frequent.
        shares: ``[classes]``, of the samples.
    """

    found: int
    entropy: float
    shares: NDArray[np.float64]


def classes_found(
    probabilities: NDArray[np.floating], *, fair_share: float = FAIR_SHARE
) -> ClassesFound:
    """Count the classes among predicted probabilities ``[N, classes]``.

    Raises:
        ValueError: No rows.
    """
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities of shape {probabilities.shape}; give [N, classes]")
    count, classes = probabilities.shape
    shares = np.bincount(probabilities.argmax(axis=1), minlength=classes) / count
    found = np.count_nonzero((shares > 0) & (shares >= fair_share / classes))
    return ClassesFound(int(found), float(entropy(shares)), shares)


def _take(samples: FeatureSet, real: RealFeatures) -> tuple[float, float]:
    assert samples.probabilities is not None
    found = classes_found(samples.probabilities)
    return found.found, found.entropy


MODES = Metric("modes", ("modes", "class_entropy"), _take, needs_classes=True)
