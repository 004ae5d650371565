"""The Frechet distance between Gaussians, which FID takes between feature sets.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

(Dowson and Landau 1982; Heusel et al. 2017, GANs Trained by a Two Time-Scale Update
Rule). With factors ``S = F^T F`` the last trace is the sum of the singular values of
``F1 F2^T``. So no matrix root is taken, nothing can turn complex, and a singular
covariance is as good as any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.metric import Metric, RealFeatures


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance, the latter as a factor.

    Attributes:
        mean: ``[D]``.
        factor: ``[R, D]`` with ``factor.T @ factor`` the covariance.
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Gaussian:
        """Fit features ``[N, D]``: sample mean and unbiased sample covariance.

        The factor is the triangle of a QR decomposition of the centred features; the
        covariance, whose rounding would cost half of the digits, is never formed.

        Raises:
            ValueError: Fewer than two rows, or a value that is not finite.
        """
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"features of shape {features.shape}; give [N, D], N at least 2")
        values = features.astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("features: some are not finite")
        mean = values.mean(axis=0)
        factor = np.linalg.qr(values - mean, mode="r") / np.sqrt(len(values) - 1)
        return cls(mean, factor)

    @classmethod
    def from_covariance(
        cls, mean: NDArray[np.floating], covariance: NDArray[np.floating]
    ) -> Gaussian:
        """Take given moments ``[D]`` and ``[D, D]``; the covariance may be singular."""
        values, vectors = np.linalg.eigh(covariance.astype(np.float64))
        factor = np.sqrt(values.clip(min=0.0))[:, None] * vectors.T
        return cls(mean.astype(np.float64), factor)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return the squared 2-Wasserstein distance of two Gaussians, which FID is; 0 if equal."""
    gap = a.mean - b.mean
    spread = np.sum(a.factor**2) + np.sum(b.factor**2)
    overlap = np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum()
    return max(0.0, float(gap @ gap + spread - 2.0 * overlap))


def _gaussian(real: RealFeatures) -> Gaussian:
    return Gaussian.of(real.features.features)


def _take(samples: FeatureSet, real: RealFeatures) -> tuple[float]:
    return (frechet_distance(Gaussian.of(samples.features), real.once(_gaussian)),)


FID = Metric(
    "fid",
    ("fid",),
    _take,
    source="Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule",
)
