"""The products of convolutions and transposed convolutions by oneDNN.

Each shape is planned once, in the layouts that oneDNN finds best.
"""

from __future__ import annotations

import functools
from ctypes import c_int
from dataclasses import replace
from typing import Any

from paddle import Tensor

from ppgan_zoo.ops.bias import add_bias
from ppgan_zoo.ops.geometry import Geometry
from ppgan_zoo.ops.onednn import (
    BFLOAT16,
    BIAS,
    CONVOLUTION_DIRECT,
    DECONVOLUTION_DIRECT,
    DIFF_BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    FLOAT32,
    FORWARD_TRAINING,
    SRC,
    WEIGHTS,
    Library,
    row_major,
    spatial,
)
from ppgan_zoo.ops.plan import Plan, contiguous, empty


def output(
    library: Library,
    geometry: Geometry,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    number: int = FLOAT32,
) -> Tensor:
    """Return the convolution of `x` ``[N, C, H, W]``.

    Args:
        library: oneDNN.
        geometry: The convolution.
        x: The input.
        weight: The filters.
        bias: One number for each channel of the output, or None.
        number: What factors are rounded to: ``FLOAT32`` (not at all) or ``BFLOAT16``. Sums, bias
            and what is returned are float32 in any case; likewise in the other functions.
    """
    y = empty(geometry.target)
    arrays = {SRC: contiguous(x), WEIGHTS: contiguous(weight), DST: y}
    # With AMX, oneDNN 3.6 leaves the bias out of most strided transposed convolutions of bfloat16.
    apart = geometry.bias and geometry.transposed and number == BFLOAT16
    if apart:
        geometry = replace(geometry, bias=False)
    elif bias is not None:
        arrays[BIAS] = contiguous(bias)
    _plan(library, geometry, "forward", number).run(arrays)
    return add_bias(y, bias) if apart else y


def input_gradient(
    library: Library, geometry: Geometry, weight: Tensor, dy: Tensor, number: int = FLOAT32
) -> Tensor:
    """Return the gradient of the input, of that of the output."""
    dx = empty(geometry.source)
    _plan(library, geometry, "backward_data", number).run(
        {WEIGHTS: contiguous(weight), DIFF_DST: contiguous(dy), DIFF_SRC: dx}
    )
    return dx


def filter_gradient(
    library: Library, geometry: Geometry, x: Tensor, dy: Tensor, number: int = FLOAT32
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of the filters, and of the bias where there is one."""
    dweight, dbias = empty(geometry.weight), None
    arrays = {SRC: contiguous(x), DIFF_DST: contiguous(dy), DIFF_WEIGHTS: dweight}
    if geometry.bias:
        arrays[DIFF_BIAS] = dbias = empty([geometry.target[1]])
    _plan(library, geometry, "backward_weights", number).run(arrays)
    return dweight, dbias


@functools.cache  # a program meets few shapes
def _plan(library: Library, geometry: Geometry, way: str, number: int) -> Plan:
    source, target = geometry.source, geometry.target
    weight, weight_strides = _weight_of(geometry)
    shapes = {"source": source, "weight": weight, "target": target}
    factor = {name: library.any_layout(shape, number) for name, shape in shapes.items()}
    result = {name: library.any_layout(shape) for name, shape in shapes.items()}
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
        "forward", c_int(FORWARD_TRAINING), algorithm, factor["source"], factor["weight"],
        plain["bias"], (result if way == "forward" else factor)["target"], *window,
    )  # fmt: skip
    if way == "forward":
        roles = {SRC: "source", WEIGHTS: "weight", DST: "target", BIAS: "bias"}
        descriptor = forward
    elif way == "backward_data":
        roles = {DIFF_SRC: "source", WEIGHTS: "weight", DIFF_DST: "target"}
        descriptor = describe(
            way, algorithm, result["source"], factor["weight"], factor["target"], *window, forward
        )
    else:
        roles = {SRC: "source", DIFF_WEIGHTS: "weight", DIFF_DST: "target", DIFF_BIAS: "bias"}
        descriptor = describe(
            way, algorithm, factor["source"], result["weight"], plain["bias"], factor["target"],
            *window, forward,
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
