"""Resampling by a smoothing filter, as in StyleGAN2 and R3GAN: the filter [1, 3, 3, 1].

A finite impulse response (FIR) filter keeps halved images free of the staircase that taking
every second pixel leaves, and doubled ones free of the checkerboard of transposed convolutions.

To double a side, zeros go between the pixels, and the filter smooths over them; to halve it,
the filter smooths, and every second pixel is taken. All of this is linear, one axis after the
other, so that each axis is one product with a small matrix, mostly zeros. On CPUs that is
several times faster than convolving a zero-filled image, and products have the double gradient
that penalties need.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo.ops.arrays import Constant


def upsample(images: Tensor) -> Tensor:
    """Double both sides: ``[N, C, H, W]`` to ``[N, C, 2H, 2W]``."""
    return fir(images, up=2, padding=(2, 1), gain=4.0)


def downsample(images: Tensor) -> Tensor:
    """Halve both sides, which are even: ``[N, C, H, W]`` to ``[N, C, H/2, W/2]``."""
    return fir(images, down=2, padding=(1, 1))


def fir(
    images: Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int] = (0, 0),
    gain: float = 1.0,
    taps: Sequence[float] = (1.0, 3.0, 3.0, 1.0),
) -> Tensor:
    """Insert zeros, pad with zeros, convolve with a separable filter, take every `down`-th pixel.

    StyleGAN2's ``upfirdn2d`` (Karras et al. 2020). Each side H becomes
    ``ceil((H * up + before + after - len(taps) + 1) / down)``.

    Args:
        images: ``[N, C, H, W]``, H and W known when a model is exported.
        up: Each pixel is followed by ``up - 1`` zeros, the last one too.
        down: Of the filtered pixels, the first and every `down`-th after it are kept.
        padding: Zeros before and after, of rows and columns alike; none is below 0.
        gain: Factor of the result. `up` squared keeps a flat image as bright as it was.
        taps: The filter of one axis; it is scaled to a sum of 1.

    Returns:
        ``[N, C, H', W']``.

    Raises:
        ValueError: The padded image is smaller than the filter.
    """
    maps, height, width = images.shape[-3:]
    options = (up, down, *padding, tuple(taps))
    rows = _matrix(gain, height, *options).like(images)
    columns = _matrix(1.0, width, *options).like(images)
    # Maps of all images in one axis: exported, Paddle Inference reads what a transposed
    # convolution hands to a product of four axes in the wrong order.
    planes = images.reshape([-1, height, width])
    planes = paddle.matmul(rows, paddle.matmul(planes, columns, transpose_y=True))
    return planes.reshape([-1, maps, *planes.shape[-2:]])


@lru_cache(maxsize=96)  # with ADA the sides that are met go on changing
def _matrix(
    gain: float, side: int, up: int, down: int, before: int, after: int, taps: tuple[float, ...]
) -> Constant:
    """Return the matrix ``[H', H]`` that resamples one axis of H pixels."""
    length = before + side * up + after
    if length < len(taps):
        raise ValueError(f"a side of {length} pixels, padded, is shorter than {len(taps)} taps")
    kernel = np.array(taps) / np.sum(taps)
    impulses = np.zeros((side, length))
    impulses[np.arange(side), before + up * np.arange(side)] = 1.0
    filtered = np.stack([np.convolve(row, kernel, mode="valid") for row in impulses], axis=1)
    return Constant(gain * filtered[::down])
