"""The sliced Wasserstein distance between two sets of images.

The squared 2-Wasserstein distance of one-dimensional projections has a closed form
(sort both, compare in order); its mean over random directions is a metric between
distributions (Rabin et al. 2012, Wasserstein Barycenter and its Application to Texture
Mixing). It needs no feature network and takes milliseconds, which is what a figure
taken at every checkpoint must; it looks at pixels and not at meaning, so it ranks the
checkpoints of one run and does not compare papers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sliced_wasserstein(
    samples: NDArray[np.floating],
    real: NDArray[np.floating],
    *,
    projections: int = 256,
    seed: int = 0,
) -> float:
    """Return the root mean square over directions of the 2-Wasserstein distance.

    Args:
        samples: ``[N, ...]``, any shape but for the first axis; flattened.
        real: ``[N, ...]``, as many as `samples`.
        projections: Number of random unit directions.
        seed: Of the directions; the same seed gives the same directions.

    Returns:
        A distance in the units of the pixels, 0 for equal sets.

    Raises:
        ValueError: The two sets differ in size or shape.
    """
    if samples.shape != real.shape:
        raise ValueError(f"sets of shapes {samples.shape} and {real.shape} cannot be compared")
    a = samples.reshape(len(samples), -1).astype(np.float64)
    b = real.reshape(len(real), -1).astype(np.float64)
    directions = np.random.default_rng(seed).standard_normal((a.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    gaps = np.sort(a @ directions, axis=0) - np.sort(b @ directions, axis=0)
    return float(np.sqrt(np.mean(gaps**2)))
