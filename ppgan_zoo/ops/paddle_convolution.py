"""Convolution by Paddle's operations."""

from __future__ import annotations

from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.ops import winograd
from ppgan_zoo.ops.bias import add_bias
from ppgan_zoo.ops.geometry import Geometry

HIGHEST_COST = 1.45
"""Up to what :func:`ppgan_zoo.ops.winograd.cost` it is faster than Paddle's convolutions, which
take 1.1 (stride 1) to 3 times what a direct convolution could. Measured on the zoo's shapes."""


def plain_convolve(geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of `x` ``[N, C, H, W]`` as Paddle's layers compute it."""
    stride, ends, groups = list(geometry.stride), geometry.padding, geometry.groups
    # A cut end: to a convolution rows that no window reaches, to a transposed one more output.
    padding = [max(end, 0) for end in ends]
    if geometry.transposed:
        extra = [max(-ends[1], 0), max(-ends[3], 0)]
        return F.conv2d_transpose(
            x, weight, bias, stride=stride, padding=padding, output_padding=extra, groups=groups
        )
    return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)


def convolve(geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the same in the fastest way that Paddle's operations allow."""
    if winograd.cost(geometry) < HIGHEST_COST:
        return winograd.convolve(geometry, x, weight, bias)
    return add_bias(plain_convolve(geometry, x, weight, None), bias)
