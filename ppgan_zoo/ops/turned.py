"""A convolution of stride 1 as a transposed one, or the reverse: the same sums, other products.

A convolution to few channels, such as a generator's last one, is slow in its own kind. oneDNN
computes sixteen channels of output at once, needed or not, and as a product of matrices it makes
columns of many channels first. A transposed convolution multiplies first, which leaves few
numbers, and adds these up where they belong. (Paddle cannot differentiate it twice, so this is for
:mod:`ppgan_zoo.ops.convolution` alone, which has gradients of its own.)
"""

from __future__ import annotations

import functools
from dataclasses import replace

import paddle
from paddle import Tensor

from ppgan_zoo.ops.geometry import Geometry

FEW_CHANNELS = 4


@functools.lru_cache(maxsize=512)
def twin(geometry: Geometry) -> Geometry | None:
    """Return the convolution of the other kind, if it is the faster one; else None.

    It takes its filters :func:`turn`-ed.
    """
    ends = (geometry.source[1], geometry.target[1])
    fine, coarse = ends[::-1] if geometry.transposed else ends  # what windows slide over, is first
    down, across = geometry.weight[2:]
    top, bottom, left, right = geometry.padding
    padding = (down - 1 - top, down - 1 - bottom, across - 1 - left, across - 1 - right)
    if (
        coarse > FEW_CHANNELS
        or fine <= FEW_CHANNELS
        or geometry.stride != (1, 1)
        or geometry.groups != 1
        or (down, across) == (1, 1)
        or min(padding) < 0
    ):
        return None
    first, second, *sides = geometry.weight
    return replace(
        geometry,
        transposed=not geometry.transposed,
        weight=(second, first, *sides),
        padding=padding,
    )


def turn(weight: Tensor) -> Tensor:
    """Return filters for the other kind of convolution, ``[B, A, h, w]`` of ``[A, B, h, w]``."""
    return paddle.flip(weight, [2, 3]).transpose([1, 0, 2, 3])
