"""Mixtures of Gaussians in the plane: the ring of 8 and the grid of 25.

Metz et al. 2017 (Unrolled GAN) drew the ring, Srivastava et al. 2017 (VEEGAN) added the
grid and the two figures; radius, spacing and standard deviations here are those of Lin et
al. 2018 (PacGAN, section 4.1), and so is what counts: a sample is of high quality if it
lies within three standard deviations of the nearest mode, and a mode is found if at least
one sample of high quality is nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.collapse.modes import ModeCount, reverse_kl

WITHIN_STDS = 3.0
POINTS = 100_000  # PacGAN's training set; here the length of an epoch of ever new points
DATA_DRAW, REAL_DRAW = 0x6A55, 0x6A56  # told apart from the trainer's keys


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians of equal weight and equal, round spread.

    Attributes:
        means: ``float64 [K, 2]``.
        std: Standard deviation along each axis.
        extent: The plane from -extent to extent is what a net has as -1 to 1.
    """

    means: NDArray[np.float64]
    std: float
    extent: float

    def points(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw points ``[count, 2]``."""
        modes = rng.integers(len(self.means), size=count)
        return self.means[modes] + self.std * rng.standard_normal((count, 2))

    def to_images(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return points as what a net takes: images ``[N, 2, 1, 1]``."""
        return (points / self.extent).astype(np.float32)[:, :, None, None]

    def to_points(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Undo :meth:`to_images`."""
        return images.reshape(-1, 2).astype(np.float64) * self.extent

    def score(self, points: NDArray[np.float64]) -> ModeCount:
        """Count the modes found and the samples of high quality; NaN is of none."""
        distances = np.linalg.norm(points[:, None] - self.means[None], axis=2)
        nearest = distances.argmin(axis=1)
        good = distances[np.arange(len(points)), nearest] <= WITHIN_STDS * self.std
        counts = np.bincount(nearest[good], minlength=len(self.means))
        return ModeCount(int((counts > 0).sum()), float(good.mean()), reverse_kl(counts))


class MixtureBatches:
    """New points in every iteration, as a pure function of seed and iteration.

    Args:
        mixture: Where from.
        size: Points in an iteration.
        seed: Of the points.
    """

    def __init__(self, mixture: Mixture, size: int, seed: int) -> None:
        self.mixture = mixture
        self.size = size
        self.seed = seed
        self.steps_per_epoch = max(1, POINTS // size)

    def __getitem__(self, iteration: int) -> NDArray[np.float32]:
        """Return the points of one iteration as images ``[size, 2, 1, 1]``."""
        rng = np.random.default_rng((self.seed, DATA_DRAW, iteration))
        return self.mixture.to_images(self.mixture.points(self.size, rng))


def _ring(modes: int) -> NDArray[np.float64]:
    angles = 2 * np.pi * np.arange(modes) / modes
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _grid(side: int, spacing: float) -> NDArray[np.float64]:
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


MIXTURES = {
    "ring": Mixture(_ring(8), std=0.01, extent=2.0),
    "grid": Mixture(_grid(5, 2.0), std=0.05, extent=6.0),
}
