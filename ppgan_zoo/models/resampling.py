"""Doubling and halving feature maps, as fast as Paddle's operations for CPUs allow.

Paddle's ``expand``, average pooling and slices are slow on CPUs, and their gradients slower: in
the residual nets they took a tenth of a step. Products of matrices are fast there. In an export,
which is computed by Paddle Inference, plain operations stand.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.autograd import PyLayer
from paddle.nn import functional as F

from ppgan_zoo.ops.arrays import Constant

WIDEST_PRODUCT = 64
"""Pixels of a row up to which a product takes less time than Paddle's operation for it."""


def doubled(x: Tensor) -> Tensor:
    """Return ``[N, C, 2 H, 2 W]``: each pixel four times. Nearest-neighbour upsampling.

    A product of each row with a matrix of zeros and ones, which is exact, is two to ten times as
    fast as ``expand``.
    """
    _, channels, height, width = x.shape
    shape = [-1, channels, 2 * height, 2 * width]
    if _pays(x, width):
        rows = x.reshape([-1, width])
        return paddle.matmul(rows, _repetition(width).like(x)).reshape(shape)
    x = x.reshape([-1, channels, height, 1, width, 1]).expand([-1, -1, -1, 2, -1, 2])
    return x.reshape(shape)


def halved(x: Tensor) -> Tensor:
    """Return ``[N, C, H / 2, W / 2]``, rounded down: the mean of each 2x2 pixels.

    A product of each two rows with a matrix of zeros and quarters is four times as fast as
    average pooling.
    """
    _, channels, height, width = x.shape
    if _pays(x, width) and height % 2 == 0 and width % 2 == 0:
        pairs = x.reshape([-1, 2 * width])
        means = paddle.matmul(pairs, _means(width // 2).like(x))
        return means.reshape([-1, channels, height // 2, width // 2])
    return F.avg_pool2d(x, 2)


def max_pooled(x: Tensor) -> Tensor:
    """Return the largest of each 2x2 pixels, ``[N, C, H / 2, W / 2]`` rounded down.

    It may be differentiated twice, which Paddle's own max-pooling may not.
    """
    if paddle.in_dynamic_mode():
        return _MaxPool.apply(x)
    _, channels, height, width = x.shape
    rows, columns = height // 2, width // 2
    cells = x[:, :, : 2 * rows, : 2 * columns].reshape([-1, channels, rows, 2, columns, 2])
    above, below = cells[:, :, :, 0], cells[:, :, :, 1]
    larger = above + F.relu(below - above)  # [N, C, rows, columns, 2]
    left, right = larger[..., 0], larger[..., 1]
    return left + F.relu(right - left)


class _MaxPool(PyLayer):  # type: ignore[misc]
    """Max-pooling by 2x2, as Paddle's own, but for NaN and for what its gradient can do.

    With its mask Paddle's is several times cheaper on CPUs, forward and backward. Where all of
    a window is NaN, though, that mask holds -1, and Paddle's backward then writes in front of
    the gradient: the process ends in a crash, or never. Here the backward is the unpooling by
    the same mask, which is the same numbers, kept inside, and has a gradient itself.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        pooled, mask = F.max_pool2d(x, kernel_size=2, stride=2, return_mask=True)
        ctx.save_for_backward(mask)
        ctx.shape = x.shape
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (mask,) = ctx.saved_tensor()
        inside = mask.clip(min=0)
        return F.max_unpool2d(gradient, inside, kernel_size=2, stride=2, output_size=ctx.shape)


def _pays(x: Tensor, width: int) -> bool:
    return bool(paddle.in_dynamic_mode() and x.place.is_cpu_place() and 0 < width <= WIDEST_PRODUCT)


@functools.cache
def _repetition(width: int) -> Constant:
    """Return the matrix ``[width, 4 width]`` that makes of a row two, each number twice in both."""
    return Constant(_twice(width))


@functools.cache
def _means(width: int) -> Constant:
    """Return the matrix ``[4 width, width]`` that makes of two rows the means of 2x2 numbers."""
    return Constant(_twice(width).T / 4)


def _twice(width: int) -> NDArray[np.float64]:
    return np.tile(np.repeat(np.eye(width), 2, axis=1), (1, 2))
