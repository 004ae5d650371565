"""Runs a graph with Paddle: what other formats are measured against, and what rounding costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.export.graph import Array, Graph, python_slice


def run_graph(
    graph: Graph, inputs: tuple[NDArray[Any], ...], weights: Mapping[str, Array] | None = None
) -> Array:
    """Return the images ``[N, C, H, W]`` of a graph.

    Args:
        graph: The generator.
        inputs: z ``[N, latent_dim]`` and, if it takes them, labels ``[N]``.
        weights: Other weights of the same names, such as rounded ones.
    """
    images: Array = compute(graph, inputs, weights)[graph.output].numpy()
    return images


def compute(
    graph: Graph, inputs: tuple[NDArray[Any], ...], weights: Mapping[str, Array] | None = None
) -> dict[str, Tensor]:
    """Return all that a graph computes, by name; arguments as of :func:`run_graph`."""
    found = {
        name: paddle.to_tensor(value)
        for name, value in (
            *(graph.weights if weights is None else weights).items(),
            *zip(graph.inputs, inputs, strict=True),
        )
    }
    with paddle.no_grad():
        for node in graph.nodes:
            taken = [found[name] for name in node.inputs]
            found[node.output] = _RUNS[node.kind](*taken, **node.attributes)
    return found


def _concat(*parts: Tensor, axis: int) -> Tensor:
    return paddle.concat(list(parts), axis)


def _expand(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    rank = max(len(shape), len(x.shape))
    own = [1] * (rank - len(x.shape)) + list(x.shape)
    wanted = [1] * (rank - len(shape)) + list(shape)
    return x.expand([max(pair) for pair in zip(own, wanted, strict=True)])


def _slice(x: Tensor, axes: Any, starts: Any, ends: Any, steps: Any) -> Tensor:
    for axis, *bounds in zip(axes, starts, ends, steps, strict=True):
        chosen = np.arange(x.shape[axis])[python_slice(x.shape[axis], *bounds)]
        x = paddle.index_select(x, paddle.to_tensor(chosen), axis)
    return x


def _sides(padding: tuple[int, int, int, int]) -> list[int]:
    """Return (top, left, bottom, right) in Paddle's order: top, bottom, left, right."""
    top, left, bottom, right = padding
    return [top, bottom, left, right]


def _conv2d(x: Tensor, weight: Tensor, **given: Any) -> Tensor:
    return F.conv2d(
        x, weight, stride=given["strides"], padding=_sides(given["padding"]),
        dilation=given["dilations"], groups=given["groups"],
    )  # fmt: skip


def _conv2d_transpose(x: Tensor, weight: Tensor, **given: Any) -> Tensor:
    return F.conv2d_transpose(
        x, weight, stride=given["strides"], padding=_sides(given["padding"]),
        output_padding=given["output_padding"], dilation=given["dilations"],
        groups=given["groups"],
    )  # fmt: skip


def _reduction(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x, axes: reduce(x, axis=list(axes), keepdim=True)


_RUNS: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": paddle.tanh,
    "softplus": F.softplus,
    "exp": paddle.exp,
    "log": paddle.log,
    "sqrt": paddle.sqrt,
    "absolute": paddle.abs,
    "erf": paddle.erf,
    "add": paddle.add,
    "subtract": paddle.subtract,
    "multiply": paddle.multiply,
    "divide": paddle.divide,
    "maximum": paddle.maximum,
    "minimum": paddle.minimum,
    "power": paddle.pow,
    "leaky_relu": lambda x, alpha: F.leaky_relu(x, alpha),
    "elu": lambda x, alpha: F.elu(x, alpha),
    "matmul": paddle.matmul,
    "sum": _reduction(paddle.sum),
    "mean": _reduction(paddle.mean),
    "max": _reduction(paddle.max),
    "softmax": lambda x, axis: F.softmax(x, axis),
    "reshape": lambda x, shape: x.reshape(list(shape)),
    "expand": _expand,
    "transpose": lambda x, order: x.transpose(list(order)),
    "slice": _slice,
    "concat": _concat,
    "rows": lambda weight, labels: F.embedding(labels, weight),
    "conv2d": _conv2d,
    "conv2d_transpose": _conv2d_transpose,
}
