"""Whether oneDNN computes here what Paddle computes: asked once, before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.ops import paddle_convolution
from ppgan_zoo.ops.choice import Forms
from ppgan_zoo.ops.convolution import convolve
from ppgan_zoo.ops.dense import Dense
from ppgan_zoo.ops.geometry import Geometry
from ppgan_zoo.ops.onednn import Library
from ppgan_zoo.ops.onednn_dense import dense

# Small, and of every kind: padding at one end alone, strides, a cut end, one channel, groups.
CASES = (
    Geometry(False, (2, 3, 9, 8), (4, 3, 3, 3), True, (2, 2), (0, 0, 0, 1)),
    Geometry(False, (2, 1, 8, 8), (5, 1, 5, 5), False, (1, 1), (0, 0, 0, 0)),
    Geometry(True, (2, 3, 4, 4), (3, 4, 5, 5), True, (2, 2), (2, 1, 2, 1)),
    Geometry(True, (2, 3, 4, 4), (3, 1, 3, 3), False, (1, 1), (1, 1, 1, 1)),
    Geometry(False, (2, 6, 4, 4), (12, 3, 3, 3), True, (1, 1), (1, 1, 1, 1), 2),
    Geometry(True, (2, 12, 4, 4), (12, 3, 3, 3), False, (1, 1), (1, 1, 1, 1), 2),
)

Arrays = list[NDArray[np.float32]]


def largest_error(library: Library) -> float:
    """Return the largest difference of outputs and gradients, relative to Paddle's own."""
    errors = [0.0]
    for geometry in CASES:
        rng = np.random.default_rng(len(errors))
        shapes = [geometry.source, geometry.weight, (geometry.target[1],), geometry.target]
        drawn = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        wanted = _results(None, geometry, drawn)
        found = _results(library, geometry, drawn)
        errors += _relative_errors(found, wanted)
    errors += _errors_of_dense(library)
    return max(errors) if all(np.isfinite(errors)) else float("inf")


def _errors_of_dense(library: Library) -> list[float]:
    rng = np.random.default_rng(0)
    shapes = ((3, 5), (5, 4), (4,), (4, 1), (1,))
    drawn = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def plain(x: Tensor, run: Sequence[Dense]) -> Tensor:
        for weight, bias, slope in run:
            x = F.leaky_relu(F.linear(x, weight, bias), slope)
        return x

    results = []
    for compute in (partial(dense, Forms(library)), plain):
        given = [paddle.to_tensor(array, stop_gradient=False) for array in drawn]
        x, w1, b1, w2, b2 = given
        with paddle.enable_grad():
            y = compute(x, [Dense(w1, b1, 0.2), Dense(w2, b2, 0.5)])
            y.square().sum().backward()
        results.append([y.numpy(), *(tensor.grad.numpy() for tensor in given)])
    return _relative_errors(*results)


def _relative_errors(found: Arrays, wanted: Arrays) -> list[float]:
    """Return the largest difference of each pair over the largest wanted value."""
    return [
        float(np.abs(one - other).max() / np.abs(other).max())
        for one, other in zip(found, wanted, strict=True)
    ]


def _results(library: Library | None, geometry: Geometry, drawn: Arrays) -> Arrays:
    """Return the output and every gradient of ``sum(output * r)``."""
    x, weight, bias = (paddle.to_tensor(array, stop_gradient=False) for array in drawn[:3])
    r = paddle.to_tensor(drawn[3])
    given = bias if geometry.bias else None
    with paddle.enable_grad():
        if library is not None:
            y = convolve(Forms(library), geometry, x, weight, given)
        else:
            y = paddle_convolution.plain_convolve(geometry, x, weight, given)
        (y * r).sum().backward()
    learned = [x, weight, *([bias] if geometry.bias else [])]
    return [y.numpy(), *(tensor.grad.numpy() for tensor in learned)]
