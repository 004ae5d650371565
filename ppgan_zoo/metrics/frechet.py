"""The Frechet distance between Gaussians, which FID takes between feature sets.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))

(Dowson and Landau 1982; Heusel et al. 2017, GANs Trained by a Two Time-Scale Update
Rule). With factors ``S = F^T F`` the last trace is the sum of the singular values of
``F1 F2^T``. So no matrix root is taken, nothing can turn complex, and a singular
covariance is as good as any.

How far off it is, for sets of this size, its influence function tells (the infinitesimal
jackknife: Jaeckel 1972; Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans).
A bootstrap is no help: sets with repeated points have a higher distance by themselves.
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
    # Not max(), which takes NaN for 0.
    return float(np.maximum(0.0, gap @ gap + spread - 2.0 * overlap))


def frechet_standard_error(
    a: Gaussian, b: Gaussian, of_a: NDArray[np.floating], of_b: NDArray[np.floating]
) -> float:
    """Return the standard error of the distance of two feature sets' Gaussians.

    Each point's influence is how fast the distance grows with its weight. The optimal map T of
    the first Gaussian to the second gives it in closed form, and so does its inverse for the
    second; the variance of the mean of a set's influences is its part of the error's square.

    It says how much the figure differs from one draw of as many points to the next. It says nothing
    of what all draws have in common: the distance of few points is too high. Where both
    sets have one distribution, as at the floor, it is up to half too large.

    Args:
        a: Fitted to `of_a`.
        b: Fitted to `of_b`.
        of_a: ``[N, D]``, N at least 2.
        of_b: ``[M, D]``, likewise.
    """
    left, _, right = np.linalg.svd(a.factor @ b.factor.T, full_matrices=False)
    turn = left @ right  # T takes the rows of a.factor.T to those of b.factor.T, turned by it
    variance = _influences(a, b, turn, of_a).var() / len(of_a)
    variance += _influences(b, a, turn.T, of_b).var() / len(of_b)
    return float(np.sqrt(variance))


def _influences(
    own: Gaussian, other: Gaussian, turn: NDArray[np.float64], points: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the influences ``[N]`` of the points that `own` was fitted to, but for a constant.

    That is ``2 (m1 - m2).c + c.c - c.T c`` for a centred point c, with T the optimal map.
    """
    centred = points.astype(np.float64) - own.mean
    coordinates = np.linalg.lstsq(own.factor.T, centred.T, rcond=None)[0]
    moved = (other.factor.T @ (turn.T @ coordinates)).T
    influences: NDArray[np.float64] = 2.0 * centred @ (own.mean - other.mean)
    return influences + np.sum(centred * (centred - moved), axis=1)


def _gaussian(real: RealFeatures) -> Gaussian:
    return Gaussian.of(real.features.features)


def _take(samples: FeatureSet, real: RealFeatures) -> tuple[float, float]:
    of_samples, of_real = Gaussian.of(samples.features), real.once(_gaussian)
    error = frechet_standard_error(of_samples, of_real, samples.features, real.features.features)
    return frechet_distance(of_samples, of_real), error


FID = Metric(
    "fid",
    ("fid", "fid_standard_error"),
    _take,
    source="Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule",
)
