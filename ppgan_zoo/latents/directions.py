"""Directions in the latent space along which images change most: GANSpace and SeFa."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError, did_you_mean
from ppgan_zoo.latents.readers import find_readers, first_features
from ppgan_zoo.latents.space import LatentSpace, Points

COUNT = 10
"""Directions that are looked for where nobody says otherwise."""

SAMPLES, SAMPLES_SEED = 10_000, 0xDCA
MOST_NUMBERS = 1 << 26
"""Of all activations together; of wider layers fewer samples are taken."""

FLAT = 1e-9
"""Share of the largest variance below which there is none along an axis."""

_OVERSAMPLING, _POWER_ITERATIONS = 10, 4


@dataclass(frozen=True)
class Directions:
    """Directions in a latent space, the strongest first.

    Attributes:
        method: ``"pca"`` or ``"sefa"``.
        space: ``"z"`` or ``"w"``: of which space.
        vectors: float32 ``[K, dim]``: what one step along each adds to a point.
        shares: float64 ``[K]``: of all variance (PCA) or of all eigenvalues (SeFa).
        reach: How many steps to either side are usual.
    """

    method: str
    space: str
    vectors: Points
    shares: NDArray[np.float64]
    reach: float

    @property
    def names(self) -> tuple[str, ...]:
        """Their names: ``pca1``, ``pca2``, ..."""
        return tuple(f"{self.method}{place}" for place in range(1, len(self.vectors) + 1))

    def __getitem__(self, name: str) -> Points:
        """Return the vector ``[dim]`` of a name.

        Raises:
            ConfigError: There is none.
        """
        if name not in self.names:
            raise ConfigError(
                f"direction {name!r}: no such one{did_you_mean(name, self.names)}; known: "
                f"{', '.join(self.names)}"
            )
        return self.vectors[self.names.index(name)]

    def moved(self, points: Points, name: str, steps: float) -> Points:
        """Return points ``[N, dim]``, each so many steps along a direction."""
        return (points + np.float32(steps) * self[name]).astype(np.float32)


def pca(
    space: LatentSpace, count: int = COUNT, *, samples: int = SAMPLES, seed: int = SAMPLES_SEED
) -> Directions:
    """Return the principal directions of what G makes of random points.

    GANSpace (Haerkoenen et al. 2020). Of a G with styles these are the principal axes of w, and
    a step is one standard deviation along them. Of any other, the principal axes V of the
    activations after the first layer are mapped to z by least squares: with A the coordinates
    along V, each of variance 1, and Z the noise, ``U = argmin |A U - Z|``.

    Args:
        space: The latent space.
        count: How many directions; fewer, if the space has no more.
        samples: Random points that are looked at.
        seed: Of these.

    Raises:
        ConfigError: `count` or `samples` is out of range.
    """
    count = _count(space, count)
    if samples < 2 * count:
        raise ConfigError(f"pca: {samples} samples for {count} directions; give {2 * count}")
    if space.name == "w":
        points = space.points(samples, seed)
        axes, deviations, shares = principal_axes(points, count)
        vectors = axes * deviations[:, None]
    else:
        width = first_features(space, space.points(2, seed)).shape[1]
        samples = max(2 * count, min(samples, MOST_NUMBERS // width))
        points = space.points(samples, seed)
        features = first_features(space, points)
        axes, deviations, shares = principal_axes(features, count)
        coordinates = (features - features.mean(axis=0)) @ axes.T / deviations
        noise = points[:, : space.free_dim]
        found, *_ = np.linalg.lstsq(coordinates, noise - noise.mean(axis=0), rcond=None)
        vectors = np.zeros((len(axes), space.dim))
        vectors[:, : space.free_dim] = found
    return Directions("pca", space.name, _signed(vectors), shares, reach=2.0)


def sefa(space: LatentSpace, count: int = COUNT) -> Directions:
    """Return the directions that the layers which read the latent amplify most; needs no images.

    SeFa (Shen and Zhou 2021): with A ``[outputs, dim]`` what these layers multiply the latent
    by, the eigenvectors of ``A'A`` of the largest eigenvalues, each of length 1. Where several
    layers read it (the affine maps of styles, the parts of z of BigGAN's blocks), they are
    stacked, with each row scaled to length 1, so that no layer outweighs the others.

    Args:
        space: The latent space.
        count: How many directions; fewer, if the space has no more.

    Raises:
        ConfigError: No layer reads the latent as it is, or `count` is below 1.
    """
    count = _count(space, count)
    matrices = [reader.matrix(space.dim)[:, : space.free_dim] for reader in find_readers(space)]
    if not matrices:
        raise ConfigError(
            f"sefa: no dense or convolutional layer of {space.model} reads {space.name} as it is; "
            "use pca"
        )
    weights = matrices[0] if len(matrices) == 1 else _unit_rows(np.concatenate(matrices))
    values, vectors = np.linalg.eigh(weights.T @ weights)  # ascending
    whole = np.zeros((count, space.dim))
    whole[:, : space.free_dim] = vectors.T[::-1][:count]
    shares = values[::-1][:count] / values.sum()
    return Directions("sefa", space.name, _signed(whole), shares, reach=3.0)


METHODS: dict[str, Callable[[LatentSpace, int], Directions]] = {"pca": pca, "sefa": sefa}
"""What finds directions, by name."""


def principal_axes(
    rows: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the principal axes of rows ``[N, F]``, by a randomised SVD (Halko et al. 2011).

    Returns:
        Orthonormal axes ``[K, F]``, the largest deviation first; the standard deviation along
        each; and its share of all variance. K is `count`, or less where rows have fewer.
    """
    centred = rows - rows.mean(axis=0)
    width = min(count + _OVERSAMPLING, *centred.shape)
    basis = np.random.default_rng(SAMPLES_SEED).standard_normal((centred.shape[1], width))
    sketch = centred @ basis.astype(np.float32)
    for _ in range(_POWER_ITERATIONS):
        sketch = centred @ (centred.T @ np.linalg.qr(sketch)[0])
    orthonormal = np.linalg.qr(sketch)[0].astype(np.float64)
    _, values, axes = np.linalg.svd(orthonormal.T @ centred, full_matrices=False)
    variances = np.square(values) / (len(rows) - 1)
    total = float(np.square(centred, dtype=np.float64).sum()) / (len(rows) - 1)
    count = min(count, int((variances > FLAT * variances[0]).sum()) or 1)
    deviations = np.maximum(np.sqrt(variances[:count]), 1e-12)
    return axes[:count], deviations, variances[:count] / max(total, 1e-300)


def _count(space: LatentSpace, count: int) -> int:
    if count < 1:
        raise ConfigError(f"directions: {count}; give 1 or more")
    return min(count, space.free_dim)


def _unit_rows(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = matrix / np.maximum(lengths, 1e-12)
    return scaled


def _signed(vectors: NDArray[np.float64]) -> Points:
    """Return the vectors, each with the sign that makes its largest number positive."""
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.sign(vectors[np.arange(len(vectors)), largest])
    return (vectors * np.where(signs == 0, 1, signs)[:, None]).astype(np.float32)
