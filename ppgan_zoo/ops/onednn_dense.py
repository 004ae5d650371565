"""Dense layers with their activations by oneDNN, forward and backward.

Paddle adds the bias, and sums its gradient, in passes of their own, which take as long as
a fifth of the product; and each layer's way through Python costs as much as a small one.
Here bias and activation are part of the product, and a run of layers is one ``PyLayer``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppgan_zoo.ops import differentiation
from ppgan_zoo.ops.dense import Dense
from ppgan_zoo.ops.onednn import (
    BIAS,
    DIFF_DST,
    DIFF_SRC,
    DST,
    SRC,
    WEIGHTS,
    Library,
)
from ppgan_zoo.ops.plan import Plan, contiguous, empty


def dense(library: Library, x: Tensor, run: Sequence[Dense]) -> Tensor:
    """Take x ``[N, in]`` through the layers of `run`, with gradients to all their tensors."""
    tensors = [x, *(t for layer in run for t in layer[:2] if t is not None)]
    learns = [not tensor.stop_gradient for tensor in tensors]
    if paddle.is_grad_enabled() and any(learns):
        return _Run.apply(library, run, learns, *tensors)
    for layer in run:
        x = _forward(library, x, layer)
    return x


class _Run(PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any, library: Library, run: Sequence[Dense], learns: list[bool], *tensors: Tensor
    ) -> Tensor:
        values = [tensors[0]]
        for layer in run:
            values.append(_forward(library, values[-1], layer))
        y = values[-1]
        # Not y itself, which would keep itself alive; and only an activation asks for it.
        values[-1:] = [] if run[-1].slope is None else [y.detach()]
        ctx.save_for_backward(*values, *(layer.weight for layer in run))
        ctx.call = library, [(bias is not None, slope) for _, bias, slope in run], learns
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        library, forms, learns = ctx.call
        saved = ctx.saved_tensor()
        values, weights = saved[: -len(forms)], saved[-len(forms) :]
        if paddle.is_grad_enabled():  # paddle.grad(..., create_graph=True)
            differentiation.check_of_input_alone()
            # A run may begin at what is no image, such as a label, and has no gradient to give.
            dx = _differentiable(forms, values, weights, gradient) if learns[0] else None
            return dx, *(None for _ in learns[1:])
        gradient = contiguous(gradient)
        gradients: list[Tensor | None] = []
        left = len(learns)
        last = len(forms) - 1
        for place in range(last, -1, -1):
            biased, slope = forms[place]
            if slope is not None:
                # In the gradient's own memory, where nobody else has it.
                into = empty(gradient.shape) if place == last else gradient
                _activation_gradient(library, values[place + 1], gradient, slope, into)
                gradient = into
            if biased:
                left -= 1
                gradients.append(_sum_of_rows(library, gradient) if learns[left] else None)
            left -= 1
            gradients.append(
                _multiply(library, values[place], gradient, flipped=(True, False))
                if learns[left]
                else None
            )
            if not any(learns[:left]):
                return *(None for _ in learns[:left]), *gradients[::-1]
            gradient = _multiply(library, gradient, weights[place], flipped=(False, True))
        return gradient, *gradients[::-1]


def _differentiable(
    forms: Sequence[tuple[bool, float | None]],
    values: Sequence[Tensor],
    weights: Sequence[Tensor],
    gradient: Tensor,
) -> Tensor:
    """Return the gradient of the input by Paddle's operations, which have gradients again."""
    for place in range(len(forms) - 1, -1, -1):
        slope = forms[place][1]
        if slope is not None:
            positive = (values[place + 1].detach() > 0.0).astype("float32")
            gradient = gradient * (slope + (1.0 - slope) * positive)
        gradient = paddle.matmul(gradient, weights[place], transpose_y=True)
    return gradient


def _forward(library: Library, x: Tensor, layer: Dense) -> Tensor:
    weight, bias, slope = layer
    return _multiply(library, x, weight, bias, slope=slope)


def _multiply(
    library: Library,
    a: Tensor,
    b: Tensor,
    bias: Tensor | None = None,
    *,
    flipped: tuple[bool, bool] = (False, False),
    slope: float | None = None,
) -> Tensor:
    """Return the product of two matrices, each transposed first if it is `flipped`."""
    rows, inner = a.shape[::-1] if flipped[0] else a.shape
    columns = b.shape[0 if flipped[1] else 1]
    y = empty([rows, columns])
    tensors = {SRC: contiguous(a), WEIGHTS: contiguous(b), DST: y}
    if bias is not None:
        tensors[BIAS] = contiguous(bias)
    _product(library, (rows, inner, columns), flipped, bias is not None, slope).run(tensors)
    return y


def _sum_of_rows(library: Library, a: Tensor) -> Tensor:
    """Return the sum of `a` ``[N, columns]`` over N; as a product, far faster than a sum."""
    rows, columns = a.shape
    sums = empty([columns])
    plan = _product(library, (1, rows, columns), (False, False), False, None)
    plan.run({SRC: _ones(rows), WEIGHTS: a, DST: sums})
    return sums


def _activation_gradient(
    library: Library, y: Tensor, gradient: Tensor, slope: float, into: Tensor
) -> None:
    # Output and input have the same sign, and the gradient depends on that alone.
    plan = _activation(library, tuple(y.shape), slope)
    plan.run({SRC: y, DIFF_DST: gradient, DIFF_SRC: into})


@functools.cache  # a program meets few batch sizes
def _ones(count: int) -> Tensor:
    return paddle.ones([count], "float32")


@functools.cache  # and few shapes
def _product(
    library: Library,
    sizes: tuple[int, int, int],
    flipped: tuple[bool, bool],
    biased: bool,
    slope: float | None,
) -> Plan:
    rows, inner, columns = sizes
    plain = {
        SRC: library.strided([rows, inner], _strides(rows, inner, flipped[0])),
        WEIGHTS: library.strided([inner, columns], _strides(inner, columns, flipped[1])),
        DST: library.strided([rows, columns]),
    }
    if biased:
        plain[BIAS] = library.strided([1, columns])
    descriptor = library.primitive_descriptor(
        "dnnl_matmul_primitive_desc_create",
        plain[SRC], plain[WEIGHTS], plain.get(BIAS), plain[DST],
        None if slope is None else library.followed_by_relu(slope),
    )  # fmt: skip
    return Plan(library, descriptor, plain)


def _strides(rows: int, columns: int, flipped: bool) -> list[int] | None:
    # A row is a column in memory, but oneDNN reads past the end of one described as flipped.
    return [1, rows] if flipped and min(rows, columns) > 1 else None


@functools.cache
def _activation(library: Library, shape: tuple[int, ...], slope: float) -> Plan:
    plain = library.strided(shape)
    arguments = dict.fromkeys((SRC, DIFF_DST, DIFF_SRC), plain)
    return Plan(library, library.relu_gradient(plain, slope), arguments)
