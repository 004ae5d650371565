"""What the rules of a translation work with: the graph that grows, and what the program says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppgan_zoo.export.graph import Builder
from ppgan_zoo.export.operations import Operation, Steps


class UnknownFormError(Exception):
    """An operator that has no rule, or a form of one that its rule does not know."""


class Translator:
    """What the rules work with: the graph that grows, and names of tensors in it.

    Args:
        graph: The graph.
        steps: What is translated.
    """

    def __init__(self, graph: Builder, steps: Steps) -> None:
        self.graph = graph
        self.shapes = steps.shapes
        self.names: dict[str, str] = {}
        self._unknown: dict[str, str] = {}

    def translate(self, operation: Operation, rule: Rule | None) -> None:
        """Add an operation by its rule; what it makes is marked if it is not understood."""
        try:
            if rule is None:
                raise UnknownFormError(f"it uses the operator {operation.kind!r}")
            made = rule(self, operation)
        except (UnknownFormError, LookupError, TypeError, ValueError) as error:
            if not isinstance(error, UnknownFormError):
                error = UnknownFormError(f"it uses a form of {operation.kind!r} that is not known")
            self._unknown.update(dict.fromkeys(operation.outputs, str(error)))
            return
        results = [made] if isinstance(made, str) else made
        self.names.update(zip(operation.outputs, results, strict=False))

    def name(self, tensor: str) -> str:
        """Return what a tensor of the program is called in the graph."""
        if tensor in self._unknown:
            raise UnknownFormError(self._unknown[tensor])
        return self.names[tensor]

    def input(self, operation: Operation, place: int = 0) -> str:
        """Return the graph's name of an operation's input."""
        (tensor,) = operation.inputs[place]
        return self.name(tensor)

    def has(self, operation: Operation, place: int) -> bool:
        """Tell whether an input is there: some may be left out."""
        return place < len(operation.inputs) and bool(operation.inputs[place])

    def shape(self, operation: Operation, place: int = 0) -> tuple[int, ...]:
        """Return the shape of an input."""
        return self.shapes[operation.inputs[place][0]]

    def result_shape(self, operation: Operation) -> tuple[int, ...]:
        """Return the shape of the first result."""
        return self.shapes[operation.outputs[0]]

    def number(self, operation: Operation, name: str, place: int, default: Any = None) -> Any:
        """Return an attribute, which Paddle 3 may give as a constant input instead."""
        if self.has(operation, place):
            value = self.graph.value(self.input(operation, place))
            if value is None:
                raise UnknownFormError(f"{name} of {operation.kind!r} depends on what is fed")
            found = value.tolist()
        else:
            found = operation.attributes.get(name, default)
        if isinstance(found, list) and not isinstance(default, (list, tuple)) and len(found) == 1:
            return found[0]
        return found

    def numbers(self, operation: Operation, name: str, place: int) -> list[int]:
        """Return an attribute that is a list, or a single number as a list of one."""
        found = self.number(operation, name, place, [])
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def constant(self, value: float) -> str:
        """Add a number, and return its name in the graph."""
        return self.graph.weight(np.float32(value))

    def reshaped(self, x: str, shape: Sequence[int]) -> str:
        """Add a reshape; of the sides that Paddle leaves open, one at most can be worked out."""
        if sum(side < 0 for side in shape) > 1:
            raise UnknownFormError(f"it reshapes to {list(shape)}, of which two sides are open")
        return self.graph.node("reshape", x, shape=tuple(shape))


Rule = Callable[[Translator, Operation], "str | Sequence[str]"]
"""Adds an operation to the graph, and returns the names of its results there."""
