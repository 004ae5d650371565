"""The gradient of LeakyReLU and ReLU by oneDNN.

Paddle's takes two to three times as long, on large maps a tenth of a convolution, and the
gradient of that gradient longer still. The numbers are the same to the bit: each is the gradient,
or it times the slope. At exactly 0, where there is no gradient, Paddle's LeakyReLU takes the
gradient, and this it times the slope.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer
from paddle.nn import functional as F

from ppgan_zoo.ops import differentiation
from ppgan_zoo.ops.onednn import DIFF_DST, DIFF_SRC, SRC, Library
from ppgan_zoo.ops.plan import Plan, contiguous, empty

LEAST_NUMBERS = 1 << 17
"""Of a tensor from which it pays: a call costs as much as the gradient of a small one."""


def leaky_relu(x: Tensor, slope: float, chosen: Callable[[], Library | None]) -> Tensor:
    """Return `x` where it is above 0, and `slope` times it elsewhere.

    Args:
        x: Any tensor.
        slope: 0 or more.
        chosen: Returns oneDNN, if it is to be used at the moment.
    """
    if (
        paddle.is_grad_enabled()
        and not x.stop_gradient
        and math.prod(x.shape) >= LEAST_NUMBERS
        and x.dtype == paddle.float32
        and x.place.is_cpu_place()
        and (library := chosen())
    ):
        return _LeakyReLU.apply(x, slope, library)
    return _value(x, slope)


def _value(x: Tensor, slope: float) -> Tensor:
    return F.leaky_relu(x, slope) if slope else F.relu(x)


class _LeakyReLU(PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, library: Library) -> Tensor:
        y = _value(x, slope)
        # Its sign is that of x. Detached, for it would keep itself alive.
        differentiation.save(ctx, y.detach())
        ctx.call = slope, library
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = differentiation.saved(ctx)
        slope, library = ctx.call
        if paddle.is_grad_enabled():  # paddle.grad(..., create_graph=True)
            factors = relu_gradient(library, y, paddle.ones_like(y), slope)
            return gradient * factors
        return relu_gradient(library, y, gradient, slope)


def relu_gradient(
    library: Library, y: Tensor, gradient: Tensor, slope: float, into: Tensor | None = None
) -> Tensor:
    """Return `gradient` where `y`, input or output of LeakyReLU, is above 0, else times `slope`.

    Args:
        library: oneDNN.
        y: float32 on the CPU.
        gradient: Of the same shape.
        slope: 0 or more.
        into: Where the result is written; None for a new tensor.
    """
    into = empty(gradient.shape) if into is None else into
    plan = _plan(library, tuple(y.shape), slope)
    plan.run({SRC: contiguous(y), DIFF_DST: contiguous(gradient), DIFF_SRC: into})
    return into


@functools.cache  # a program meets few shapes
def _plan(library: Library, shape: tuple[int, ...], slope: float) -> Plan:
    plain = library.strided(shape)
    arguments = dict.fromkeys((SRC, DIFF_DST, DIFF_SRC), plain)
    return Plan(library, library.relu_gradient(plain, slope), arguments)
