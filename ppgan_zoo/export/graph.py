"""A generator as a graph of few kinds of nodes, from which other formats are written.

Paddle has hundreds of operators, and two versions of many. A translation
(:mod:`ppgan_zoo.export.translation`) brings those of a program down to the kinds below, with
all that is constant worked out; the ONNX file and the JavaScript page are each a table of
these kinds.

Every tensor is float32, but for the input ``labels``, int64 ``[N]``. The first axis of what
depends on an input is the batch or a multiple of it. An axis counts from 0.

| kind | inputs | attributes |
| --- | --- | --- |
| ``add subtract multiply divide maximum minimum power`` | two, which broadcast as numpy's | |
| ``relu sigmoid tanh softplus exp log sqrt absolute erf`` | one | |
| ``leaky_relu`` ``elu`` | one | ``alpha`` |
| ``matmul`` | two, as ``numpy.matmul`` | |
| ``sum mean max`` | one | ``axes``, which stay as sides of 1 |
| ``softmax`` | one | ``axis`` |
| ``reshape`` | one | ``shape``, one of which may be -1 |
| ``expand`` | one | ``shape``; 1 keeps a side as it is |
| ``transpose`` | one | ``order`` |
| ``slice`` | one | ``axes``, ``starts``, ``ends``, ``steps``, as Python's |
| ``concat`` | any number | ``axis`` |
| ``rows`` | a weight, and labels ``[N]`` | of the weight's first axis, one for each label |
| ``conv2d`` | ``[N, C, H, W]``, weight ``[O, C / groups, h, w]`` | ``strides``, ``padding`` (top, left, bottom, right), ``dilations``, ``groups`` |
| ``conv2d_transpose`` | ``[N, C, H, W]``, weight ``[C, O / groups, h, w]`` | the same, and ``output_padding`` |
"""  # noqa: E501, a table

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

UNARY = ("relu", "sigmoid", "tanh", "softplus", "exp", "log", "sqrt", "absolute", "erf")
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")
KINDS = (
    *UNARY, *BINARY, "leaky_relu", "elu", "matmul", "sum", "mean", "max", "softmax", "reshape",
    "expand", "transpose", "slice", "concat", "rows", "conv2d", "conv2d_transpose",
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One operation: a kind of the table above, its inputs, its one result.

    Attributes:
        kind: Which.
        inputs: Names of weights, of the graph's inputs and of results before it.
        output: Name of the result.
        attributes: Numbers and tuples of them, by name.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A generator.

    Attributes:
        inputs: ``("z",)`` or ``("z", "labels")``.
        output: Name of the images.
        nodes: In an order in which they can be computed.
        weights: Those that nodes use, by name.
    """

    inputs: tuple[str, ...]
    output: str
    nodes: tuple[Node, ...]
    weights: Mapping[str, Array]


class Builder:
    """Makes a graph, and works out at once what depends on weights alone.

    Args:
        inputs: Names of the graph's inputs.
    """

    def __init__(self, inputs: tuple[str, ...]) -> None:
        self.inputs = inputs
        self._nodes: list[Node] = []
        self._weights: dict[str, NDArray[Any]] = {}

    def weight(self, values: Any) -> str:
        """Add an array, and return its name."""
        name = f"w{len(self._weights)}"
        self._weights[name] = np.asarray(values)
        return name

    def value(self, name: str) -> NDArray[Any] | None:
        """Return the array that a name stands for; None if it depends on an input."""
        return self._weights.get(name)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, or its result as a weight, and return the result's name."""
        values = [self._weights.get(name) for name in inputs]
        if kind in FOLDED and all(value is not None for value in values):
            result = FOLDED[kind](*values, **attributes)
            return self.weight(result.astype(result.dtype if result.dtype.kind in "iu" else "f4"))
        output = f"v{len(self._nodes)}"
        self._nodes.append(Node(kind, inputs, output, attributes))
        return output

    def graph(self, output: str) -> Graph:
        """Return the graph of what `output` depends on, its weights numbered as they are used."""
        needed, nodes = {output}, []
        for node in reversed(self._nodes):
            if node.output in needed:
                needed.update(node.inputs)
                nodes.append(node)
        nodes.reverse()
        used = [name for node in nodes for name in node.inputs if name in self._weights]
        names = {name: f"w{place}" for place, name in enumerate(dict.fromkeys(used))}
        weights = {
            new: np.ascontiguousarray(self._weights[old], np.float32) for old, new in names.items()
        }
        renamed = tuple(
            replace(node, inputs=tuple(names.get(name, name) for name in node.inputs))
            for node in nodes
        )
        return Graph(self.inputs, output, renamed, weights)


def python_slice(side: int, start: int, end: int, step: int) -> slice:
    """Return a node's slice of an axis of so many rows as Python's.

    Backwards, an end before the first row takes that too.
    """
    return slice(start, None if step < 0 and end < -side else end, step)


def _sliced(x: Array, axes: Any, starts: Any, ends: Any, steps: Any) -> Array:
    where = [slice(None)] * x.ndim
    for axis, *bounds in zip(axes, starts, ends, steps, strict=True):
        where[axis] = python_slice(x.shape[axis], *bounds)
    return x[tuple(where)]


def _expanded(x: Array, shape: Any) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, shape))


FOLDED: dict[str, Callable[..., NDArray[Any]]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "matmul": np.matmul,
    "sum": lambda x, axes: np.sum(x, axis=axes, keepdims=True),
    "mean": lambda x, axes: np.mean(x, axis=axes, keepdims=True),
    "max": lambda x, axes: np.max(x, axis=axes, keepdims=True),
    "reshape": np.reshape,
    "expand": _expanded,
    "transpose": lambda x, order: np.transpose(x, order),
    "slice": _sliced,
    "concat": lambda *parts, axis: np.concatenate(parts, axis),
}
"""What is worked out where all inputs are weights, with numpy."""
