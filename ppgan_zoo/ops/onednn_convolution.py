"""Convolution and transposed convolution by oneDNN, forward and backward.

Each shape is planned once: oneDNN picks the layout of every array, and arrays in
another layout are copied into one workspace that all plans share. A call is serialised
by one lock, as plans and workspace are shared.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from ctypes import c_int
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
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

FEW_CHANNELS = 4
HIGHEST_COST = 1.0
"""Up to what :func:`ppgan_zoo.ops.winograd.cost` it is faster than oneDNN, which comes near the
full speed."""
_ALIGNMENT = 64
_OUTPUTS = frozenset({DST, DIFF_SRC, DIFF_WEIGHTS, DIFF_BIAS})
_lock = threading.Lock()


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
    y = paddle.empty(geometry.target, "float32")
    arrays = {SRC: _plain(x), WEIGHTS: _plain(weight), DST: y}
    if bias is not None:
        arrays[BIAS] = _plain(bias)
    _plan(library, geometry, "forward").run(arrays)
    return y


def _backward(
    library: Library, geometry: Geometry, learns: list[bool], x: Tensor, weight: Tensor, dy: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    dx = dweight = dbias = None
    if paddle.is_grad_enabled():  # paddle.grad(..., create_graph=True)
        differentiation.check_of_input_alone()
        return convolve(library, geometry.reversed(), dy, weight, None), None, None
    dy = _plain(dy)
    if learns[0] and _is_better_natively(geometry.reversed()):
        dx = paddle_convolution.convolve(geometry.reversed(), dy, weight, None)
    elif learns[0]:
        dx = paddle.empty(geometry.source, "float32")
        _plan(library, geometry, "backward_data").run(
            {WEIGHTS: _plain(weight), DIFF_DST: dy, DIFF_SRC: dx}
        )
    if learns[1] or learns[2]:
        dweight = paddle.empty(geometry.weight, "float32")
        arrays = {SRC: _plain(x), DIFF_DST: dy, DIFF_WEIGHTS: dweight}
        if geometry.bias:
            dbias = paddle.empty([geometry.target[1]], "float32")
            arrays[DIFF_BIAS] = dbias
        _plan(library, geometry, "backward_weights").run(arrays)
    return dx, dweight if learns[1] else None, dbias if learns[2] else None


def _is_better_natively(geometry: Geometry) -> bool:
    """Whether it is a transposed convolution to an image's few channels.

    oneDNN computes sixteen channels at once, needed or not; Paddle multiplies matrices
    and adds up the columns, which is three times faster there.
    """
    return geometry.transposed and geometry.target[1] <= FEW_CHANNELS


def _plain(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_contiguous() else tensor.contiguous()


class _Plan:
    """One primitive for one geometry, ready to run on tensors in Paddle's layout.

    Args:
        library: oneDNN.
        descriptor: The primitive's.
        plain: Paddle's layout of each argument.
    """

    def __init__(self, library: Library, descriptor: Any, plain: Mapping[int, Any]) -> None:
        self._library = library
        self._primitive = library.primitive(descriptor)
        self._given = {argument: library.memory(layout) for argument, layout in plain.items()}
        self._used = dict(self._given)
        self._copies: dict[int, tuple[Any, int]] = {}
        for argument, layout in plain.items():
            if argument in (BIAS, DIFF_BIAS):
                continue
            wanted = library.chosen_layout(descriptor, argument)
            if library.same_layout(layout, wanted):
                continue
            self._used[argument] = library.memory(wanted)
            ends = (wanted, layout) if argument in _OUTPUTS else (layout, wanted)
            self._copies[argument] = library.reorder(*ends), library.layout_bytes(wanted)

    def run(self, tensors: Mapping[int, Tensor]) -> None:
        """Compute the output arguments of `tensors` from the others."""
        library = self._library
        with _lock:
            for argument, tensor in tensors.items():
                library.point(self._given[argument], tensor.data_ptr())
            for argument, (reorder, size) in self._copies.items():
                library.point(self._used[argument], _workspace(argument, size))
                if argument not in _OUTPUTS:
                    self._copy(reorder, self._given[argument], self._used[argument])
            library.execute(self._primitive, self._used)
            for argument, (reorder, _) in self._copies.items():
                if argument in _OUTPUTS:
                    self._copy(reorder, self._used[argument], self._given[argument])

    def _copy(self, reorder: Any, source: Any, target: Any) -> None:
        self._library.execute(reorder, {SRC: source, DST: target})


_buffers: dict[int, NDArray[np.uint8]] = {}


def _workspace(argument: int, size: int) -> int:
    """Return the address of at least `size` bytes, kept for the next call."""
    buffer = _buffers.get(argument)
    if buffer is None or buffer.nbytes < size + _ALIGNMENT:
        buffer = _buffers[argument] = np.empty(size + _ALIGNMENT, np.uint8)
    address = buffer.ctypes.data
    return int(address + -address % _ALIGNMENT)


@functools.cache  # a program meets few shapes
def _plan(library: Library, geometry: Geometry, way: str) -> _Plan:
    source, target, weight = geometry.source, geometry.target, geometry.weight
    weight_strides = row_major(weight)
    if geometry.transposed:  # oneDNN names the axes [out, in, h, w] there too
        weight = (weight[1], weight[0], *weight[2:])
        weight_strides = [weight_strides[1], weight_strides[0], *weight_strides[2:]]
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
    return _Plan(library, descriptor, arguments)
