"""Convolution and transposed convolution in the fastest of several forms, forward and backward.

Each of the three products (the output, the gradient of the input, that of the filters) has a form
of its own. Which is the fastest depends on shape, processor and threads, and is found by trial.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppgan_zoo.ops import columns, differentiation, onednn_convolution, paddle_convolution, winograd
from ppgan_zoo.ops.bias import add_bias, sum_by_channel
from ppgan_zoo.ops.choice import LEAST_WORK, Choices, Forms
from ppgan_zoo.ops.geometry import Geometry
from ppgan_zoo.ops.onednn import BFLOAT16, FLOAT32, Library
from ppgan_zoo.ops.trial import ROUGH, Run, drawn
from ppgan_zoo.ops.turned import FEW_CHANNELS, turn, twin

WINOGRADS_COST = 1.0
"""Up to what :func:`ppgan_zoo.ops.winograd.cost` it is the usual form."""
HIGHEST_COST = 2.0
"""Up to what cost it is tried at all."""

TRIAL_WORK = 150_000_000
"""Multiply-adds of a product in a trial: of a larger batch only a part is tried."""
FEWEST_IMAGES = 32
"""Of that part, where there are so many: in fewer, what is done once a batch weighs too much."""

ONEDNN, PADDLE, WINOGRAD, COLUMNS = "onednn", "paddle", "winograd", "columns"
TURNED = "turned "
"""Begins the name of a form of the :func:`~ppgan_zoo.ops.turned.twin`."""
NUMBERS = {ONEDNN: FLOAT32, ROUGH: BFLOAT16}
"""What oneDNN rounds factors to, by form."""
OUTPUT, INPUT, FILTERS = "output", "gradient of the input", "gradient of the filters"


def convolve(forms: Forms, geometry: Geometry, x: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """Return the convolution of `x` ``[N, C, H, W]``, with gradients to all three."""
    learns = [t is not None and not t.stop_gradient for t in (x, weight, bias)]
    if not (paddle.is_grad_enabled() and any(learns)):
        return _output(forms, geometry, x, weight, bias)[0]
    return _Convolution.apply(x, weight, bias, forms, geometry, learns)


class _Convolution(PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        forms: Forms,
        geometry: Geometry,
        learns: list[bool],
    ) -> Tensor:
        y, values = _output(forms, geometry, x, weight, bias)
        # Winograd's values serve the gradient of the filters as well.
        kept = values is not None and learns[1] and _chosen(forms, FILTERS, geometry) == WINOGRAD
        differentiation.save(ctx, weight, *([values] if kept else [x]))
        ctx.call = forms, geometry, learns, kept
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, source = differentiation.saved(ctx)
        forms, geometry, learns, kept = ctx.call
        dx = dweight = dbias = None
        if paddle.is_grad_enabled():  # paddle.grad(..., create_graph=True)
            differentiation.check_of_input_alone()
            if learns[0]:
                dx = convolve(forms, geometry.reversed(), gradient, weight, None)
        else:
            if learns[0]:
                form = _chosen(forms, INPUT, geometry)
                dx = _input_as(form, forms.library, geometry, weight, gradient)
            if learns[1]:
                form = _chosen(forms, FILTERS, geometry)
                dweight, dbias = _filters_as(
                    form, forms.library, geometry, source, gradient, kept=kept
                )
            elif learns[2]:
                dbias = sum_by_channel(gradient)
        gradients = (dx, dweight, dbias if learns[2] else None)
        return gradients if geometry.bias else gradients[:2]  # as many as there were tensors


def _output(
    forms: Forms, geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the output, and what Winograd's algorithm made of the input if it was that."""
    form = _chosen(forms, OUTPUT, geometry)
    return _output_as(form, forms.library, geometry, x, weight, bias)


def _output_as(
    form: str,
    library: Library,
    geometry: Geometry,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Return what :func:`_output` does, in a form."""
    if form.startswith(TURNED):
        other = _twin(geometry)
        return _output_as(form.removeprefix(TURNED), library, other, x, turn(weight), bias)
    if form in NUMBERS:
        y = onednn_convolution.output(library, geometry, x, weight, bias, NUMBERS[form])
        return y, None
    if form == WINOGRAD:
        values = winograd.values_of(geometry, x)
        return winograd.convolve_values(geometry, values, weight, bias), values
    if form == PADDLE:
        maps = paddle_convolution.plain_convolve(geometry, x, weight, None)
    else:
        maps = columns.pointwise(geometry, x, weight)
    return add_bias(maps, bias), None


def _input_as(
    form: str, library: Library, geometry: Geometry, weight: Tensor, dy: Tensor
) -> Tensor:
    """Return the gradient of the input."""
    if form.startswith(TURNED):
        other = _twin(geometry)
        return _input_as(form.removeprefix(TURNED), library, other, turn(weight), dy)
    if form in NUMBERS:
        return onednn_convolution.input_gradient(library, geometry, weight, dy, NUMBERS[form])
    return _output_as(form, library, geometry.reversed(), dy, weight, None)[0]


def _filters_as(
    form: str, library: Library, geometry: Geometry, source: Tensor, dy: Tensor, *, kept: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of filters and bias.

    Args:
        form: ``onednn``, ``bfloat16``, ``winograd``, ``columns``, or one of these turned.
        library: oneDNN.
        geometry: The convolution.
        source: Its input, or if `kept` what Winograd's algorithm made of it.
        dy: The gradient of its output.
        kept: See `source`.
    """
    if form.startswith(TURNED):
        form, other = form.removeprefix(TURNED), _twin(geometry)
        dweight, dbias = _filters_as(form, library, other, source, dy, kept=False)
        return turn(dweight), dbias
    if form in NUMBERS:
        return onednn_convolution.filter_gradient(library, geometry, source, dy, NUMBERS[form])
    if form == WINOGRAD:
        values = source if kept else winograd.values_of(geometry, source)
        dweight = winograd.weight_gradient(geometry, values, dy)
    else:
        dweight = columns.weight_gradient(geometry, source, dy)
    return dweight, sum_by_channel(dy) if geometry.bias else None


def _chosen(forms: Forms, product: str, geometry: Geometry) -> str:
    """Return the form of one of the three products of a convolution."""
    library, choices, rough = forms
    if choices is None:
        return forms_of(product, geometry)[0]
    return choices.remembered(
        (product, geometry, rough), lambda: _choose(library, choices, product, geometry, rough)
    )


def _choose(
    library: Library, choices: Choices, product: str, geometry: Geometry, rough: bool
) -> str:
    names = forms_of(product, geometry)
    if _work(geometry) < LEAST_WORK:
        return names[0]
    part = _in_part(geometry)
    if product == INPUT:  # to which the bias is nothing
        part = replace(part, bias=False)
    text = f"{product} of {_text(part)}"
    return choices.of(text, names, lambda names: _runs(library, product, part, names), rough)


@functools.lru_cache(maxsize=512)
def forms_of(product: str, geometry: Geometry) -> tuple[str, ...]:
    """Return the forms that a product can have, the usual one first."""
    other = twin(geometry)
    turned = () if other is None else forms_of(product, other)
    return *(TURNED + name for name in turned if name != WINOGRAD), *_own_forms(product, geometry)


def _own_forms(product: str, geometry: Geometry) -> tuple[str, ...]:
    cost = winograd.cost(geometry)
    # Of an image's few channels oneDNN computes sixteen at once, needed or not; Paddle multiplies
    # matrices and adds up the columns. Of many, it has never been the fastest.
    way = geometry.reversed() if product == INPUT else geometry
    to_few = way.transposed and way.target[1] <= FEW_CHANNELS
    of_few = min(geometry.source[1], geometry.target[1]) <= FEW_CHANNELS
    is_pointwise = columns.is_pointwise(geometry)
    possible = {ONEDNN: True, WINOGRAD: cost < HIGHEST_COST}
    if product == FILTERS:
        possible[COLUMNS] = (of_few or is_pointwise) and columns.takes(geometry)
    else:
        possible[PADDLE] = of_few
        possible[COLUMNS] = is_pointwise
    usual = PADDLE if to_few and product != FILTERS else ONEDNN
    if cost < WINOGRADS_COST:
        usual = WINOGRAD
    return usual, *(name for name, is_so in possible.items() if is_so and name != usual)


def _twin(geometry: Geometry) -> Geometry:
    other = twin(geometry)
    assert other is not None  # where a form is a turned one
    return other


def _work(geometry: Geometry) -> int:
    """Return the multiply-adds of a direct computation."""
    coarse = geometry.source if geometry.transposed else geometry.target
    return math.prod(coarse) * math.prod(geometry.weight) // coarse[1]


def _in_part(geometry: Geometry) -> Geometry:
    """Return the same of so many images that a trial is short."""
    count, *rest = geometry.source
    most = max(FEWEST_IMAGES, TRIAL_WORK * count // _work(geometry))
    return replace(geometry, source=(min(count, most), *rest))


def _text(geometry: Geometry) -> str:
    kind = "transposed convolution" if geometry.transposed else "convolution"
    source, weight, stride, padding = (
        "x".join(map(str, sizes))
        for sizes in (geometry.source, geometry.weight, geometry.stride, geometry.padding)
    )
    bias = ", bias" if geometry.bias else ""
    return (
        f"{kind}, input {source}, filters {weight}, stride {stride}, padding {padding}, "
        f"groups {geometry.groups}{bias}"
    )


def _runs(
    library: Library, product: str, geometry: Geometry, names: tuple[str, ...]
) -> Mapping[str, Run]:
    """Return the forms of a product on random numbers, each ready to run."""
    x, weight, dy = (
        drawn(shape, seed)
        for seed, shape in enumerate((geometry.source, geometry.weight, geometry.target))
    )
    bias = drawn([geometry.target[1]], seed=3) if geometry.bias else None
    if bias is not None:  # as large as what it is added to: one left out must be seen
        bias = bias * math.sqrt(math.prod(geometry.weight) / geometry.target[1])

    def run(form: str) -> Sequence[Tensor]:
        with paddle.no_grad():
            if product == OUTPUT:
                return _output_as(form, library, geometry, x, weight, bias)[:1]
            if product == INPUT:
                return (_input_as(form, library, geometry, weight, dy),)
            found = _filters_as(form, library, geometry, x, dy, kept=False)
            return [gradient for gradient in found if gradient is not None]

    return {name: functools.partial(run, name) for name in names}
