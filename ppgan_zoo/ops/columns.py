"""Convolution as matrix products over the columns that its windows make (im2col).

Paddle's own convolutions are computed so; here the gradient of the filters is one product for
each image, without the passes that Paddle adds. A 1x1 convolution has its columns for nothing.
"""

from __future__ import annotations

import math

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.ops.geometry import Geometry

LARGEST = 64 << 20
"""Numbers that the columns of a batch may have: 256 MiB."""


def takes(geometry: Geometry) -> bool:
    """Tell whether the gradient of this convolution's filters can be computed so."""
    fine, coarse = _sides(geometry)
    columns = fine[0] * fine[1] * math.prod(geometry.weight[2:]) * math.prod(coarse[2:])
    return min(geometry.padding) >= 0 and columns <= LARGEST


def is_pointwise(geometry: Geometry) -> bool:
    """Tell whether it is a 1x1 convolution of each pixel, in one group."""
    return (
        geometry.weight[2:] == (1, 1)
        and geometry.stride == (1, 1)
        and not any(geometry.padding)
        and geometry.groups == 1
    )


def pointwise(geometry: Geometry, x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution of `x` ``[N, C, H, W]`` where :func:`is_pointwise`, no bias added."""
    filters = weight.reshape(list(geometry.weight[:2]))
    maps = paddle.matmul(filters, _flat(x), transpose_x=geometry.transposed)
    return maps.reshape(list(geometry.target))


def weight_gradient(geometry: Geometry, x: Tensor, dy: Tensor) -> Tensor:
    """Return the gradient of the filters, in the shape of ``geometry.weight``.

    Args:
        geometry: One that :func:`takes`.
        x: The input ``[N, C, H, W]``.
        dy: The gradient of the output.
    """
    fine, coarse = (dy, x) if geometry.transposed else (x, dy)
    if is_pointwise(geometry):
        columns = _flat(fine)
    else:
        top, bottom, left, right = geometry.padding
        columns = F.unfold(
            fine, list(geometry.weight[2:]), strides=list(geometry.stride),
            paddings=[top, left, bottom, right],
        )  # fmt: skip
    groups = geometry.groups
    images, positions = coarse.shape[0], columns.shape[2]
    columns = columns.reshape([images * groups, -1, positions])
    maps = coarse.reshape([images * groups, -1, positions])
    products = paddle.matmul(maps, columns, transpose_y=True)
    return products.reshape([images, -1]).sum(axis=0).reshape(list(geometry.weight))


def _flat(maps: Tensor) -> Tensor:
    return maps.reshape([*maps.shape[:2], -1])


def _sides(geometry: Geometry) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of the maps that windows slide over, and of those with one number each."""
    pair = geometry.source, geometry.target
    return pair[::-1] if geometry.transposed else pair
