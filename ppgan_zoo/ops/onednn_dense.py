"""Dense layers with their activations by oneDNN, forward and backward.

Paddle adds the bias, and sums its gradient, in passes of their own, which take as long as
a fifth of the product; and each layer's way through Python costs as much as a small one.
Here bias and activation are part of the product, and a run of layers is one ``PyLayer``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer
from paddle.nn import functional as F

from ppgan_zoo.ops import differentiation
from ppgan_zoo.ops.activation import relu_gradient
from ppgan_zoo.ops.choice import LEAST_WORK, Forms
from ppgan_zoo.ops.dense import Dense
from ppgan_zoo.ops.onednn import (
    BFLOAT16,
    BIAS,
    DST,
    SRC,
    WEIGHTS,
    Library,
)
from ppgan_zoo.ops.plan import Plan, contiguous, empty
from ppgan_zoo.ops.trial import ROUGH, Run, drawn

ONEDNN, PADDED, PADDLE = FORMS = ("onednn", "padded", "paddle")
"""Ways to compute a product, the usual one first.

Padded: oneDNN reads a copy of the second matrix whose rows lie a line of the cache further apart.
Rows of a power of two fall on the same few lines, and a product takes twice as long where oneDNN
makes no such copy itself, as with AVX2.
"""
PADDING = 16


def dense(forms: Forms, x: Tensor, run: Sequence[Dense]) -> Tensor:
    """Take x ``[N, in]`` through the layers of `run`, with gradients to all their tensors."""
    tensors = [x, *(t for layer in run for t in layer[:2] if t is not None)]
    learns = [not tensor.stop_gradient for tensor in tensors]
    if paddle.is_grad_enabled() and any(learns):
        return _Run.apply(forms, run, learns, *tensors)
    for layer in run:
        x = _forward(forms, x, layer)
    return x


class _Run(PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any, forms: Forms, run: Sequence[Dense], learns: list[bool], *tensors: Tensor
    ) -> Tensor:
        values = [tensors[0]]
        for layer in run:
            values.append(_forward(forms, values[-1], layer))
        y = values[-1]
        # Not y itself, which would keep itself alive; and only an activation asks for it.
        values[-1:] = [] if run[-1].slope is None else [y.detach()]
        differentiation.save(ctx, *values, *(layer.weight for layer in run))
        ctx.call = forms, [(bias is not None, slope) for _, bias, slope in run], learns
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        forms, layers, learns = ctx.call
        saved = differentiation.saved(ctx)
        values, weights = saved[: -len(layers)], saved[-len(layers) :]
        if paddle.is_grad_enabled():  # paddle.grad(..., create_graph=True)
            differentiation.check_of_input_alone()
            # A run may begin at what is no image, such as a label, and has no gradient to give.
            dx = _differentiable(layers, values, weights, gradient) if learns[0] else None
            return dx, *(None for _ in learns[1:])
        gradient = contiguous(gradient)
        gradients: list[Tensor | None] = []
        left = len(learns)
        last = len(layers) - 1
        for place in range(last, -1, -1):
            biased, slope = layers[place]
            if slope is not None:
                # In the gradient's own memory, where nobody else has it.
                into = None if place == last else gradient
                gradient = relu_gradient(forms.library, values[place + 1], gradient, slope, into)
            if biased:
                left -= 1
                gradients.append(_sum_of_rows(forms.library, gradient) if learns[left] else None)
            left -= 1
            gradients.append(
                _multiply(forms, values[place], gradient, flipped=(True, False))
                if learns[left]
                else None
            )
            if not any(learns[:left]):
                return *(None for _ in learns[:left]), *gradients[::-1]
            gradient = _multiply(forms, gradient, weights[place], flipped=(False, True))
        return gradient, *gradients[::-1]


def _differentiable(
    layers: Sequence[tuple[bool, float | None]],
    values: Sequence[Tensor],
    weights: Sequence[Tensor],
    gradient: Tensor,
) -> Tensor:
    """Return the gradient of the input by Paddle's operations, which have gradients again."""
    for place in range(len(layers) - 1, -1, -1):
        slope = layers[place][1]
        if slope is not None:
            positive = (values[place + 1].detach() > 0.0).astype("float32")
            gradient = gradient * (slope + (1.0 - slope) * positive)
        gradient = paddle.matmul(gradient, weights[place], transpose_y=True)
    return gradient


def _forward(forms: Forms, x: Tensor, layer: Dense) -> Tensor:
    weight, bias, slope = layer
    return _multiply(forms, x, weight, bias, slope=slope)


class Product(NamedTuple):
    """The product of two matrices, with what follows it.

    Attributes:
        rows: Of the result.
        inner: Length of the sums.
        columns: Of the result.
        flipped: Whether each matrix is transposed first.
        biased: Whether a bias is added.
        slope: Of the LeakyReLU that follows; None for none.
    """

    rows: int
    inner: int
    columns: int
    flipped: tuple[bool, bool] = (False, False)
    biased: bool = False
    slope: float | None = None


def _multiply(
    forms: Forms,
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
    product = Product(rows, inner, columns, flipped, bias is not None, slope)
    return multiply_as(_chosen(forms, product), forms.library, product, a, b, bias)


def multiply_as(
    form: str, library: Library, product: Product, a: Tensor, b: Tensor, bias: Tensor | None
) -> Tensor:
    """Return a product in one of :data:`FORMS`, or with factors rounded to bfloat16."""
    if form == PADDLE:
        # A sum and a rule of signs that nobody differentiates.
        across, down = product.flipped
        y = paddle.matmul(a, b, transpose_x=across, transpose_y=down)
        y = y if bias is None else y + bias
        return y if product.slope is None else F.leaky_relu(y, product.slope)
    y = empty([product.rows, product.columns])
    tensors = {SRC: contiguous(a), WEIGHTS: contiguous(b), DST: y}
    if bias is not None:
        tensors[BIAS] = contiguous(bias)
    _product(library, product, form).run(tensors)
    return y


def _chosen(forms: Forms, product: Product) -> str:
    """Return the form of a product."""
    choices = forms.choices
    work = product.rows * product.inner * product.columns
    if choices is None or work < LEAST_WORK:
        return FORMS[0]
    return choices.remembered(
        (product, forms.rough),
        lambda: choices.of(
            _text(product), FORMS, lambda names: _runs(forms.library, product, names), forms.rough
        ),
    )


def _text(product: Product) -> str:
    ends = [" transposed" if flipped else "" for flipped in product.flipped]
    return (
        f"product {product.rows}x{product.inner}{ends[0]} by {product.inner}x{product.columns}"
        f"{ends[1]}{', bias' if product.biased else ''}"
        f"{'' if product.slope is None else f', slope {product.slope:g}'}"
    )


def _runs(library: Library, product: Product, names: tuple[str, ...]) -> Mapping[str, Run]:
    """Return the forms of a product on random numbers, each ready to run."""
    first, second = [product.rows, product.inner], [product.inner, product.columns]
    a = drawn(first[::-1] if product.flipped[0] else first, seed=0)
    b = drawn(second[::-1] if product.flipped[1] else second, seed=1)
    bias = drawn([product.columns], seed=2) if product.biased else None

    def run(form: str) -> Sequence[Tensor]:
        with paddle.no_grad():
            return (multiply_as(form, library, product, a, b, bias),)

    return {form: functools.partial(run, form) for form in names}


def _sum_of_rows(library: Library, a: Tensor) -> Tensor:
    """Return the sum of `a` ``[N, columns]`` over N; as a product, far faster than a sum."""
    rows, columns = a.shape
    sums = empty([columns])
    plan = _product(library, Product(1, rows, columns), ONEDNN)
    plan.run({SRC: _ones(rows), WEIGHTS: a, DST: sums})
    return sums


@functools.cache  # a program meets few batch sizes
def _ones(count: int) -> Tensor:
    return paddle.ones([count], "float32")


@functools.cache  # and few shapes
def _product(library: Library, product: Product, form: str) -> Plan:
    rows, inner, columns, flipped, biased, slope = product
    plain = {
        SRC: library.strided([rows, inner], _strides(rows, inner, flipped[0])),
        WEIGHTS: library.strided([inner, columns], _strides(inner, columns, flipped[1])),
        DST: library.strided([rows, columns]),
    }
    if biased:
        plain[BIAS] = library.strided([1, columns])
    source, weights = plain[SRC], plain[WEIGHTS]
    if form == PADDED:
        weights = library.strided([inner, columns], [columns + PADDING, 1])
    elif form == ROUGH:
        source = library.any_layout([rows, inner], BFLOAT16)
        weights = library.any_layout([inner, columns], BFLOAT16)
    descriptor = library.primitive_descriptor(
        "dnnl_matmul_primitive_desc_create", source, weights, plain.get(BIAS), plain[DST],
        None if slope is None else library.followed_by_relu(slope),
    )  # fmt: skip
    return Plan(library, descriptor, plain)


def _strides(rows: int, columns: int, flipped: bool) -> list[int] | None:
    # A row is a column in memory, but oneDNN reads past the end of one described as flipped.
    return [1, rows] if flipped and min(rows, columns) > 1 else None
