"""The class score: what the Inception Score is, for whichever classifier.

    exp(mean KL(p(y|x) || p(y)))

(Salimans et al. 2016, Improved Techniques for Training GANs): high where each image is
of a clear class and all classes occur, from 1 to the number of classes. It knows nothing
of the real images. Scores of different classifiers do not compare.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures

SPLITS = 10


class ClassScore(NamedTuple):
    """Mean and standard deviation over the splits."""

    value: float
    std: float


def class_score(probabilities: NDArray[np.floating], *, splits: int = SPLITS) -> ClassScore:
    """Return the score of predicted probabilities.

    Args:
        probabilities: ``[N, classes]``, rows that sum to 1, in random order.
        splits: Parts of equal size that are scored on their own, as published scores are.

    Raises:
        ValueError: Fewer rows than splits.
    """
    if probabilities.ndim != 2 or len(probabilities) < splits or splits < 1:
        raise ValueError(f"{splits} splits of probabilities of shape {probabilities.shape}")
    scores = []
    bounds = [split * len(probabilities) // splits for split in range(splits + 1)]
    for start, stop in itertools.pairwise(bounds):
        conditional = probabilities[start:stop].astype(np.float64)
        marginal = entropy(conditional.mean(axis=0))
        # The mean of KL(p(y|x) || p(y)) is the entropy of the mean less the mean entropy.
        scores.append(np.exp(marginal - np.mean(entropy(conditional))))
    return ClassScore(float(np.mean(scores)), float(np.std(scores)))


def entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy in nats over the last axis; ``0 log 0`` is 0."""
    logs = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    total: NDArray[np.float64] = 0.0 - np.sum(probabilities * logs, axis=-1)
    return total


def _take(samples: FeatureSet, real: RealFeatures) -> ClassScore:
    assert samples.probabilities is not None
    return class_score(samples.probabilities)


CLASS_SCORE = Metric(
    "class_score",
    ("class_score", "class_score_std"),
    _take,
    needs_classes=True,
    source="Salimans et al. 2016, Improved Techniques for Training GANs",
)
