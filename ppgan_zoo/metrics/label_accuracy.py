"""Whether samples are of the classes that they were made for.

The share of samples whose first choice by the classifier is the label that G was given:
what the inception accuracy of class-conditional models is (Odena et al. 2017, Conditional
Image Synthesis with Auxiliary Classifier GANs), for whichever classifier. It is bounded by
the classifier's own accuracy on real images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures


def label_accuracy(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the share of rows whose most probable class is the label, 0 to 1.

    Args:
        probabilities: ``[N, classes]``.
        labels: int64 ``[N]``, 0 to ``classes - 1``.

    Raises:
        ValueError: Not as many labels as rows, or no rows.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(f"labels {labels.shape} for probabilities of shape {probabilities.shape}")
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def _take(samples: FeatureSet, real: RealFeatures) -> tuple[float]:
    assert samples.probabilities is not None and samples.labels is not None
    classes = samples.probabilities.shape[1]
    if samples.labels.max() >= classes:
        raise ConfigError(
            f"metrics: label_accuracy: samples of class {samples.labels.max()}, and the feature "
            f"network knows 0 to {classes - 1}; take a network of the model's own classes"
        )
    return (label_accuracy(samples.probabilities, samples.labels),)


LABEL_ACCURACY = Metric(
    "label_accuracy",
    ("label_accuracy",),
    _take,
    needs_classes=True,
    needs_labels=True,
    source="Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs",
)
