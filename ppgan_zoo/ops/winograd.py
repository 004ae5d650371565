"""Convolution by fewer multiplications, as matrix products of Paddle.

Along one axis, m outputs of a filter of r taps take n = m + r - 1 multiplications instead of
m r: signal and filter become values at n points, which are multiplied and interpolated,
``y = A ((G w) * (B x))``. Along two axes each pair of points asks for one matrix product, of
all channels. Winograd, *Arithmetic Complexity of Computations* (1980); Lavin and Gray 2016,
arXiv:1509.09308.

With stride s a filter is s filters, each for every s-th input. A transposed convolution is
the adjoint, ``x = B^T ((G w) * (A^T y))``. As all are operations of Paddle's, any gradient may
be taken, and again.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

from ppgan_zoo.ops.bias import add_bias
from ppgan_zoo.ops.geometry import Geometry

# By a search among small fractions: those that let rounding errors grow least.
FINITE_POINTS: dict[int, tuple[float, ...]] = {
    2: (0,),
    3: (0, -1),
    4: (0, 1, -1),
    5: (0, -1, 1 / 2, 2),
    6: (0, 3 / 2, -3 / 2, 2 / 3, -2 / 3),
    7: (0, 1, 1 / 2, 2, -3 / 4, -4 / 3),
    8: (0, 1, -1, 1 / 2, -1 / 2, 2, -2),
}
"""For each number of points, all of them but infinity."""

TILES = (2, 3, 4)
LARGEST_ERROR = 20.0
"""How far rounding errors may grow: here about 5e-6 of the largest result in float32."""

# Times over that of a multiply-add in a direct convolution at full speed, measured.
PRODUCT_COST = 1.33
"""Of a multiply-add in the products."""
TRANSFORM_COST = 40.0
"""Of the transform of a number, besides one for each number along its axis."""


@dataclass(frozen=True)
class Axis:
    """The algorithm along one axis.

    Attributes:
        signal: B ``[n * tiles, inputs]``.
        taps: G ``[n, kernel]``.
        result: A, transposed: ``[n * tiles, outputs]``.
        tiles: How many tiles the axis is cut into.
        error: How far rounding errors grow.
    """

    signal: Tensor
    taps: Tensor
    result: Tensor
    tiles: int
    error: float

    @property
    def points(self) -> int:
        """Values of the filter."""
        return int(self.taps.shape[0])

    @property
    def products(self) -> int:
        """Values of the signal, over all tiles."""
        return self.points * self.tiles


def convolve(geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of `x` ``[N, C, H, W]``.

    Needs a geometry whose :func:`cost` is finite.
    """
    return convolve_values(geometry, values_of(geometry, x), weight, bias)


def values_of(geometry: Geometry, x: Tensor) -> Tensor:
    """Return the input at the points: ``[points, tiles and images, C]``."""
    down, across = _axes(geometry)
    values = _to_points(across.signal, down.signal, x, across.tiles)
    return values.reshape([across.points * down.points, -1, geometry.source[1]])


def convolve_values(
    geometry: Geometry, values: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Return the convolution of an input that :func:`values_of` has transformed."""
    down, across = _axes(geometry)
    filters = _to_points(across.taps, down.taps, weight, 1)
    filters = filters.reshape([across.points * down.points, *geometry.weight[:2]])
    products = paddle.matmul(values, filters, transpose_y=not geometry.transposed)
    maps = _from_points(products, down.result, across.result, across.points)
    return add_bias(maps.reshape(list(geometry.target)), bias)


def weight_gradient(geometry: Geometry, values: Tensor, dy: Tensor) -> Tensor:
    """Return the gradient of the filters, in the shape of ``geometry.weight``.

    Args:
        geometry: One whose :func:`cost` is finite.
        values: What :func:`values_of` made of the input.
        dy: The gradient of the output ``[N, C, H, W]``.
    """
    down, across = _axes(geometry)
    products = _to_points(across.result, down.result, dy, across.tiles)
    products = products.reshape([across.points * down.points, -1, geometry.target[1]])
    pair = (values, products) if geometry.transposed else (products, values)
    filters = paddle.matmul(*pair, transpose_x=True)
    taps = _from_points(filters, down.taps, across.taps, across.points)
    return taps.reshape(list(geometry.weight))


def _from_points(products: Tensor, down: Tensor, across: Tensor, points: int) -> Tensor:
    """Return ``[..., across.shape[1]]``, the adjoint of :func:`_to_points`."""
    maps = products.reshape([points, down.shape[0], -1])
    maps = paddle.matmul(maps, down, transpose_x=True)
    return paddle.matmul(maps.reshape([across.shape[0], -1]), across, transpose_x=True)


def _to_points(across: Tensor, down: Tensor, maps: Tensor, tiles: int) -> Tensor:
    """Return ``[points across, points down, tiles down, tiles across, ...]`` of ``[..., H, W]``."""
    height, width = maps.shape[2:]
    # Each product takes the last axis and brings it to the front, transformed.
    values = paddle.matmul(across, maps.reshape([-1, width]), transpose_y=True)
    values = values.reshape([across.shape[0] // tiles, -1, height])
    return paddle.matmul(down, values, transpose_y=True)


@functools.lru_cache(maxsize=256)
def cost(geometry: Geometry) -> float:
    """Return an estimate of the time it takes over that of a direct convolution at full speed.

    Infinite where no choice of tiles is exact enough, and for groups of channels.
    """
    if geometry.groups > 1:
        return math.inf
    try:
        down, across = _axes(geometry)
    except ValueError:
        return math.inf
    batch, channels = geometry.source[:2]
    transform = TRANSFORM_COST + (geometry.source[2] + geometry.target[2]) / 2
    of_maps = down.products * across.products * (1 / channels + 1 / geometry.target[1])
    of_filters = down.points * across.points / batch
    coarse = geometry.source if geometry.transposed else geometry.target
    return (
        PRODUCT_COST * down.products * across.products + transform * (of_maps + of_filters)
    ) / math.prod((*coarse[2:], *geometry.weight[2:]))


@functools.lru_cache(maxsize=256)
def _axes(geometry: Geometry) -> tuple[Axis, Axis]:
    """Return the algorithms down and across with the fewest products that are exact enough.

    Raises:
        ValueError: There are none.
    """
    down, across = (
        [found for tile in TILES if (found := _axis(geometry, axis, tile))] for axis in (0, 1)
    )
    pairs = itertools.product(down, across)
    exact = [pair for pair in pairs if pair[0].error * pair[1].error <= LARGEST_ERROR]
    return min(exact, key=lambda pair: pair[0].products * pair[1].products)


def _axis(geometry: Geometry, axis: int, tile: int) -> Axis | None:
    """Return the algorithm that cuts the shorter side into tiles of that many numbers."""
    fine, coarse = geometry.source[2 + axis], geometry.target[2 + axis]
    if geometry.transposed:
        fine, coarse = coarse, fine
    kernel, stride = geometry.weight[2 + axis], geometry.stride[axis]
    tiles = -(-coarse // tile)
    parts = []
    error = 0.0
    for phase in range(min(stride, kernel)):
        taps = range(phase, kernel, stride)
        if tile + len(taps) - 1 not in FINITE_POINTS:
            return None
        a, g, b = _by_points(tile, len(taps))
        error = max(error, _growth(a, g, b))
        signal = np.zeros((len(b), tiles, fine))
        result = np.zeros((len(a), tiles, coarse))
        for number in range(tiles):
            outputs = np.arange(tile) + number * tile
            inputs = (np.arange(b.shape[1]) + number * tile) * stride + phase
            inputs -= geometry.padding[2 * axis]
            kept, seen = outputs < coarse, (inputs >= 0) & (inputs < fine)
            result[:, number, outputs[kept]] = a[:, kept]
            signal[:, number, inputs[seen]] = b[:, seen]
        filters = np.zeros((len(g), kernel))
        filters[:, taps] = g
        parts.append((signal.reshape(-1, fine), filters, result.reshape(-1, coarse)))
    signal, filters, result = (_tensor(matrices) for matrices in zip(*parts, strict=True))
    if geometry.transposed:
        signal, result = result, signal
    return Axis(signal, filters, result, tiles, error)


def _by_points(outputs: int, taps: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return A transposed, G and B: a row for each point, ``y[i] = sum_k w[k] x[i + k]``."""
    points = FINITE_POINTS[outputs + taps - 1]

    def powers(count: int) -> NDArray[Any]:
        at_infinity = np.eye(count)[-1:]
        return np.vstack([np.vander(points, count, increasing=True), at_infinity])

    return powers(outputs), powers(taps), np.linalg.inv(powers(outputs + taps - 1)).T


def _growth(a: NDArray[Any], g: NDArray[Any], b: NDArray[Any]) -> float:
    """Return how far rounding errors of results and of gradients grow over a direct sum's."""
    lengths = [np.linalg.norm(matrix, axis=1, keepdims=True) for matrix in (a, g, b)]
    together = np.prod(lengths, axis=0)
    outputs, taps = a.shape[1], g.shape[1]
    return max(
        float(np.linalg.norm(matrix * together / length, axis=0).max()) / math.sqrt(terms)
        for matrix, length, terms in zip((a, g, b), lengths, (taps, outputs, taps), strict=True)
    )


def _tensor(matrices: tuple[NDArray[Any], ...]) -> Tensor:
    stacked = np.concatenate(matrices).astype(np.float32)
    return paddle.to_tensor(stacked, place=paddle.CPUPlace())
