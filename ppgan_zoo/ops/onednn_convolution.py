"""The products of convolutions and transposed convolutions by oneDNN.

Each shape is planned once, in the layouts that oneDNN finds best.
"""

from __future__ import annotations

import functools
from ctypes import c_int
from typing import Any

from paddle import Tensor

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


def output(
    library: Library, geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Return the convolution of `x` ``[N, C, H, W]``."""
    y = empty(geometry.target)
    arrays = {SRC: contiguous(x), WEIGHTS: contiguous(weight), DST: y}
    if bias is not None:
        arrays[BIAS] = contiguous(bias)
    _plan(library, geometry, "forward").run(arrays)
    return y


def input_gradient(library: Library, geometry: Geometry, weight: Tensor, dy: Tensor) -> Tensor:
    """Return the gradient of the input, of that of the output."""
    dx = empty(geometry.source)
    _plan(library, geometry, "backward_data").run(
        {WEIGHTS: contiguous(weight), DIFF_DST: contiguous(dy), DIFF_SRC: dx}
    )
    return dx


def filter_gradient(
    library: Library, geometry: Geometry, x: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of the filters, and of the bias where there is one."""
    dweight, dbias = empty(geometry.weight), None
    arrays = {SRC: contiguous(x), DIFF_DST: contiguous(dy), DIFF_WEIGHTS: dweight}
    if geometry.bias:
        arrays[DIFF_BIAS] = dbias = empty([geometry.target[1]])
    _plan(library, geometry, "backward_weights").run(arrays)
    return dweight, dbias


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
