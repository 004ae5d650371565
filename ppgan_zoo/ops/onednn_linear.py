"""Dense layers by oneDNN, forward and backward.

Paddle multiplies by MKL, which reaches half of the machine's speed for a batch of 64.
"""

from __future__ import annotations

import functools
from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from ppgan_zoo.ops import differentiation
from ppgan_zoo.ops.onednn import BIAS, DST, SRC, WEIGHTS, Library
from ppgan_zoo.ops.plan import Plan, contiguous


def linear(library: Library, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x [N, in]`` times ``weight [in, out]`` plus ``bias [out]``, with gradients."""
    return _product(library, x, weight, bias, transposed=False)


def _product(
    library: Library, x: Tensor, weight: Tensor, bias: Tensor | None, *, transposed: bool
) -> Tensor:
    """Return `x` times the weight, or times the transposed one."""
    learns = [t is not None and not t.stop_gradient for t in (x, weight, bias)]
    if paddle.is_grad_enabled() and any(learns):
        return _Product.apply(x, weight, bias, library, transposed, learns)
    return _forward(library, x, weight, bias, transposed)


class _Product(PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        library: Library,
        transposed: bool,
        learns: list[bool],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.call = library, transposed, learns, bias is not None
        return _forward(library, x, weight, bias, transposed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensor()
        library, transposed, learns, biased = ctx.call
        dx = dweight = dbias = None
        if paddle.is_grad_enabled():  # paddle.grad(..., create_graph=True)
            differentiation.check_of_input_alone()
            dx = _product(library, gradient, weight, None, transposed=not transposed)
            return (dx, None, None) if biased else (dx, None)
        if learns[0]:
            dx = _forward(library, gradient, weight, None, not transposed)
        if learns[1]:
            pair = (gradient, x) if transposed else (x, gradient)
            dweight = _first_transposed(library, *pair)
        if learns[2]:
            ones = paddle.ones([1, gradient.shape[0]])
            dbias = paddle.matmul(ones, gradient).reshape([-1])
        return (dx, dweight, dbias) if biased else (dx, dweight)


def _forward(
    library: Library, x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool
) -> Tensor:
    rows, inner = x.shape
    columns = weight.shape[0 if transposed else 1]
    return _multiply(library, x, weight, bias, (rows, inner, columns), (False, transposed))


def _first_transposed(library: Library, a: Tensor, b: Tensor) -> Tensor:
    """Return the transpose of `a` times `b`."""
    sizes = (a.shape[1], a.shape[0], b.shape[1])
    return _multiply(library, a, b, None, sizes, (True, False))


def _multiply(
    library: Library,
    a: Tensor,
    b: Tensor,
    bias: Tensor | None,
    sizes: tuple[int, int, int],
    flipped: tuple[bool, bool],
) -> Tensor:
    y = paddle.empty([sizes[0], sizes[2]], "float32")
    tensors = {SRC: contiguous(a), WEIGHTS: contiguous(b), DST: y}
    if bias is not None:
        tensors[BIAS] = contiguous(bias)
    _plan(library, sizes, flipped, bias is not None).run(tensors)
    return y


@functools.cache  # a program meets few shapes
def _plan(
    library: Library, sizes: tuple[int, int, int], flipped: tuple[bool, bool], biased: bool
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
        plain[SRC], plain[WEIGHTS], plain.get(BIAS), plain[DST], None,
    )  # fmt: skip
    return Plan(library, descriptor, plain)


def _strides(rows: int, columns: int, flipped: bool) -> list[int] | None:
    # A row is a column in memory, but oneDNN reads past the end of one described as flipped.
    return [1, rows] if flipped and min(rows, columns) > 1 else None
