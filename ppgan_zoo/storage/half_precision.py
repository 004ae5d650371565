"""Weights at half the size: float16 on disk, float32 in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import CheckpointError

HALF = "float16"

Arrays = dict[str, NDArray[Any]]
"""The tensors of one net or optimizer, by structured name."""


def halved(arrays: Arrays) -> Arrays:
    """Return `arrays` with every float32 array of two axes or more rounded to float16.

    Those of one axis (biases, gains, the running statistics of batch norm) stay as they are:
    they take next to no room, and a variance can lie outside of what float16 holds.

    Raises:
        CheckpointError: A weight is too large for float16, whose largest number is 65504.
    """
    with np.errstate(over="ignore"):
        found = {
            name: array.astype(HALF) if array.dtype == np.float32 and array.ndim > 1 else array
            for name, array in arrays.items()
        }
    for name, array in found.items():
        if array.dtype == np.float16 and not np.isfinite(array).all():
            raise CheckpointError(
                f"tensor {name!r} holds a number above 65504, which float16 has not; keep float32"
            )
    return found


def widened(arrays: Arrays) -> Arrays:
    """Return `arrays` with every float16 array as float32; the numbers stay the same."""
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in arrays.items()
    }
