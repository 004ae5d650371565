"""Convolution and transposed convolution by oneDNN, forward and backward.

Each shape is planned once, in the layouts that oneDNN finds best.
"""

from __future__ import annotations

import functools
from ctypes import c_int
from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppgan_zoo.ops import differentiation, paddle_convolution, winograd
from ppgan_zoo.ops.geometry import Geometry
from ppgan_zoo.ops.onednn import (
    BIAS,
    CONVOLUTION_DIRECT,
    DECONVOLUTION_DIRECT,
    DIFF_BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    FORWARD_TRAINING,
    SRC,
    WEIGHTS,
    Library,
    row_major,
    spatial,
)
from ppgan_zoo.ops.plan import Plan, contiguous, empty

FEW_CHANNELS = 4
HIGHEST_COST = 1.0
"""Up to what :func:`ppgan_zoo.ops.winograd.cost` it is faster than oneDNN, which comes near the
full speed."""


def convolve(library: Library, geometry: Geometry, x: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """Return the convolution of `x` ``[N, C, H, W]``, with gradients to all three."""
    if winograd.cost(geometry) < HIGHEST_COST:
        return winograd.convolve(geometry, x, weight, bias)
    learns = [t is not None and not t.stop_gradient for t in (x, weight, bias)]
    if not (paddle.is_grad_enabled() and any(learns)):
        return _forward(library, geometry, x, weight, bias)
    return _Convolution.apply(x, weight, bias, library, geometry, learns)


class _Convolution(PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        library: Library,
        geometry: Geometry,
        learns: list[bool],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.call = library, geometry, learns
        return _forward(library, geometry, x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensor()
        library, geometry, learns = ctx.call
        gradients = _backward(library, geometry, learns, x, weight, gradient)
        return gradients if geometry.bias else gradients[:2]  # as many as there were tensors


def _forward(
    library: Library, geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    if _is_better_natively(geometry):
        return paddle_convolution.convolve(geometry, x, weight, bias)
    y = empty(geometry.target)
    arrays = {SRC: contiguous(x), WEIGHTS: contiguous(weight), DST: y}
    if bias is not None:
        arrays[BIAS] = contiguous(bias)
    _plan(library, geometry, "forward").run(arrays)
    return y


def _backward(
    library: Library, geometry: Geometry, learns: list[bool], x: Tensor, weight: Tensor, dy: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    dx = dweight = dbias = None
    if paddle.is_grad_enabled():  # paddle.grad(..., create_graph=True)
        differentiation.check_of_input_alone()
        if learns[0]:
            dx = convolve(library, geometry.reversed(), dy, weight, None)
        return dx, None, None
    dy = contiguous(dy)
    if learns[0] and _is_better_natively(geometry.reversed()):
        dx = paddle_convolution.convolve(geometry.reversed(), dy, weight, None)
    elif learns[0]:
        dx = empty(geometry.source)
        _plan(library, geometry, "backward_data").run(
            {WEIGHTS: contiguous(weight), DIFF_DST: dy, DIFF_SRC: dx}
        )
    if learns[1] or learns[2]:
        dweight = empty(geometry.weight)
        arrays = {SRC: contiguous(x), DIFF_DST: dy, DIFF_WEIGHTS: dweight}
        if geometry.bias:
            dbias = empty([geometry.target[1]])
            arrays[DIFF_BIAS] = dbias
        _plan(library, geometry, "backward_weights").run(arrays)
    return dx, dweight if learns[1] else None, dbias if learns[2] else None


def _is_better_natively(geometry: Geometry) -> bool:
    """Whether it is a transposed convolution to an image's few channels.

    oneDNN computes sixteen channels at once, needed or not; Paddle multiplies matrices
    and adds up the columns, which is three times faster there.
    """
    return geometry.transposed and geometry.target[1] <= FEW_CHANNELS


@functools.cache  # a program meets few shapes
def _plan(library: Library, geometry: Geometry, way: str) -> Plan:
    source, target = geometry.source, geometry.target
    weight, weight_strides = _weight_of(geometry)
    shapes = {"source": source, "weight": weight, "target": target}
    free = {name: library.any_layout(shape) for name, shape in shapes.items()}
    plain = {
        "source": library.strided(source),
        "weight": library.strided(weight, weight_strides),
        "target": library.strided(target),
        "bias": library.strided([target[1]]) if geometry.bias else None,
    }
    top, bottom, left, right = geometry.padding
    window = (
        spatial(geometry.stride), spatial([0, 0]), spatial([top, left]), spatial([bottom, right]),
    )  # fmt: skip
    kind = "deconvolution" if geometry.transposed else "convolution"
    algorithm = c_int(DECONVOLUTION_DIRECT if geometry.transposed else CONVOLUTION_DIRECT)

    def describe(way: str, *arguments: Any) -> Any:
        create = f"dnnl_{kind}_{way}_primitive_desc_create"
        return library.primitive_descriptor(create, *arguments, None)

    forward = describe(
        "forward", c_int(FORWARD_TRAINING), algorithm,
        free["source"], free["weight"], plain["bias"], free["target"], *window,
    )  # fmt: skip
    if way == "forward":
        roles = {SRC: "source", WEIGHTS: "weight", DST: "target", BIAS: "bias"}
        descriptor = forward
    elif way == "backward_data":
        roles = {DIFF_SRC: "source", WEIGHTS: "weight", DIFF_DST: "target"}
        descriptor = describe(
            way, algorithm, free["source"], free["weight"], free["target"], *window, forward
        )
    else:
        roles = {SRC: "source", DIFF_WEIGHTS: "weight", DIFF_DST: "target", DIFF_BIAS: "bias"}
        descriptor = describe(
            way, algorithm,
            free["source"], free["weight"], plain["bias"], free["target"], *window, forward,
        )  # fmt: skip
    arguments = {argument: plain[role] for argument, role in roles.items() if plain[role]}
    return Plan(library, descriptor, arguments)


def _weight_of(geometry: Geometry) -> tuple[list[int], list[int]]:
    """Return shape and strides of Paddle's weight as oneDNN names the axes.

    ``[out, in, h, w]``, transposed or not, with the groups before them where there are several.
    """
    first, *rest = geometry.weight
    shape = [geometry.groups, first // geometry.groups, *rest]
    strides = row_major(shape)
    if geometry.transposed:
        for sizes in (shape, strides):
            sizes[1], sizes[2] = sizes[2], sizes[1]
    return (shape, strides) if geometry.groups > 1 else (shape[1:], strides[1:])
