"""Whether samples are as sharp as real images are.

An averaged G, or one whose loss is a distance of pixels, draws what is right and smooths it: a
picture that looks good, and whose features lie beside those of real images.
"""

from __future__ import annotations

from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures


def _take(samples: FeatureSet, real: RealFeatures) -> tuple[float]:
    of_samples, of_real = samples.sharpness, real.features.sharpness
    if of_samples is None or of_real is None:
        raise ValueError("sharpness: these features were made without their images")
    mean = float(of_real.mean(dtype="float64"))
    return (float(of_samples.mean(dtype="float64")) / mean if mean else float("nan"),)


SHARPNESS = Metric(
    "sharpness",
    ("sharpness",),
    _take,
    source="Nayar and Nakagawa 1994, Shape from Focus (the modified Laplacian)",
)
"""The mean modified Laplacian of the samples over that of real images: 1 is as it should be."""
