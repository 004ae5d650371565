"""Rules of the translation for arithmetic, shapes, lookups and constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppgan_zoo.export.graph import UNARY
from ppgan_zoo.export.operations import Operation
from ppgan_zoo.export.translator import Rule, Translator, UnknownFormError


def _unary(kind: str) -> Rule:
    return lambda t, op: t.graph.node(kind, t.input(op))


def _binary(kind: str) -> Rule:
    def rule(t: Translator, op: Operation) -> str:
        x, y = t.input(op, 0), t.input(op, 1)
        axis, rank = op.attributes.get("axis", -1), len(t.shape(op, 0))
        if axis not in (-1, rank - len(t.shape(op, 1))):  # Paddle 2: where y begins in x
            open_sides = rank - axis - len(t.shape(op, 1))
            y = t.reshaped(y, (*t.shape(op, 1), *[1] * open_sides))
        return t.graph.node(kind, x, y)

    return rule


def _same(t: Translator, op: Operation) -> str:
    return t.input(op)


def _dropout(t: Translator, op: Operation) -> str:
    mode = op.attributes.get("mode", op.attributes.get("dropout_implementation"))
    if not op.attributes.get("is_test") or mode != "upscale_in_train":
        raise UnknownFormError("'dropout' of training, or that scales when it samples")
    return t.input(op)


def _square(t: Translator, op: Operation) -> str:
    return t.graph.node("multiply", t.input(op), t.input(op))


def _rsqrt(t: Translator, op: Operation) -> str:
    return t.graph.node("divide", t.constant(1.0), t.graph.node("sqrt", t.input(op)))


def _silu(t: Translator, op: Operation) -> str:
    if op.attributes.get("beta", 1.0) != 1.0:
        raise UnknownFormError(f"{op.kind!r} has a beta")
    return t.graph.node("multiply", t.input(op), t.graph.node("sigmoid", t.input(op)))


def _gelu(t: Translator, op: Operation) -> str:
    if op.attributes.get("approximate"):
        raise UnknownFormError("'gelu' is the approximate one")
    x, half = t.input(op), t.constant(0.5)
    erf = t.graph.node("erf", t.graph.node("multiply", x, t.constant(math.sqrt(0.5))))
    plus = t.graph.node("add", erf, t.constant(1.0))
    return t.graph.node("multiply", t.graph.node("multiply", x, half), plus)


def _softplus(t: Translator, op: Operation) -> str:
    if op.attributes.get("threshold", 20.0) < 20.0:  # above it softplus is x to float32's rounding
        raise UnknownFormError("'softplus' with a threshold below 20")
    beta = t.constant(op.attributes.get("beta", 1.0))
    raised = t.graph.node("softplus", t.graph.node("multiply", t.input(op), beta))
    return t.graph.node("divide", raised, beta)


def _leaky_relu(t: Translator, op: Operation) -> str:
    return t.graph.node("leaky_relu", t.input(op), alpha=op.attributes["negative_slope"])


def _elu(t: Translator, op: Operation) -> str:
    return t.graph.node("elu", t.input(op), alpha=op.attributes["alpha"])


def _clip(t: Translator, op: Operation) -> str:
    low, high = t.number(op, "min", 1), t.number(op, "max", 2)
    x = t.graph.node("maximum", t.input(op), t.constant(low))
    return t.graph.node("minimum", x, t.constant(high))


def _scale(t: Translator, op: Operation) -> str:
    factor, shift = t.number(op, "scale", 1), op.attributes["bias"]
    if not op.attributes["bias_after_scale"]:
        shift *= factor
    x = t.input(op)
    if factor != 1.0:
        x = t.graph.node("multiply", x, t.constant(factor))
    return x if shift == 0.0 else t.graph.node("add", x, t.constant(shift))


def _matmul(t: Translator, op: Operation) -> str:
    sides = [t.input(op, 0), t.input(op, 1)]
    for place, turned in enumerate(("transpose_x", "transpose_y")):
        rank = len(t.shape(op, place))
        if op.attributes.get(turned) and rank > 1:
            order = (*range(rank - 2), rank - 1, rank - 2)
            sides[place] = t.graph.node("transpose", sides[place], order=order)
    return t.graph.node("matmul", *sides)


def _dot(t: Translator, op: Operation) -> str:
    product = t.graph.node("multiply", t.input(op, 0), t.input(op, 1))
    total = t.graph.node("sum", product, axes=(len(t.shape(op)) - 1,))
    return t.reshaped(total, t.result_shape(op))


def _reduction(kind: str) -> Rule:
    def rule(t: Translator, op: Operation) -> str:
        rank = len(t.shape(op))
        axes = t.numbers(op, "axis", 1)
        if op.attributes.get("reduce_all") or not axes:
            axes = list(range(rank))
        x = t.graph.node(kind, t.input(op), axes=tuple(sorted(axis % rank for axis in axes)))
        return x if op.attributes.get("keepdim") else t.reshaped(x, t.result_shape(op))

    return rule


def _softmax(t: Translator, op: Operation) -> str:
    axis = op.attributes.get("axis", -1) % len(t.shape(op))
    return t.graph.node("softmax", t.input(op), axis=axis)


def _reshape(t: Translator, op: Operation) -> str:
    """Of every operator that changes the shape alone: Paddle says what comes out."""
    return t.reshaped(t.input(op), t.result_shape(op))


def _transpose(t: Translator, op: Operation) -> str:
    return t.graph.node("transpose", t.input(op), order=tuple(op.attributes["perm"]))


def _expand(t: Translator, op: Operation) -> str:
    x, before, after = t.input(op), t.shape(op), t.result_shape(op)
    before = (1,) * (len(after) - len(before)) + before
    if any(old != -1 and new == -1 for old, new in zip(before, after, strict=True)):
        if sum(new == -1 for new in after) > 1 or after[0] != -1 or before[0] != 1:
            raise UnknownFormError(f"'expand' to {list(after)}")
        x = t.graph.node("add", x, _nothing_of_the_batch(t, len(after)))
    return t.graph.node("expand", x, shape=tuple(max(side, 1) for side in after))


def _nothing_of_the_batch(t: Translator, rank: int) -> str:
    """Return zeros ``[N, 1, 1, ...]``: what brings a constant to the size of the batch."""
    first = t.graph.node("slice", "z", axes=(1,), starts=(0,), ends=(1,), steps=(1,))
    zeros = t.graph.node("multiply", first, t.constant(0.0))
    return t.reshaped(zeros, (-1, *[1] * (rank - 1)))


def _tile(t: Translator, op: Operation) -> str:
    shape, times = list(t.shape(op)), t.numbers(op, "repeat_times", 1)
    rank = max(len(shape), len(times))
    shape, times = [1] * (rank - len(shape)) + shape, [1] * (rank - len(times)) + times
    if times[0] != 1 and shape[0] < 0:
        raise UnknownFormError("'tile' of the batch")
    pairs = [side for pair in zip([1] * rank, shape, strict=True) for side in pair]
    wanted = [side for time in times for side in (time, 1)]
    x = t.graph.node("expand", t.reshaped(t.input(op), pairs), shape=tuple(wanted))
    return t.reshaped(x, t.result_shape(op))


def _slice(t: Translator, op: Operation) -> str:
    axes = op.attributes["axes"]
    steps = t.numbers(op, "strides", 3) or [1] * len(axes)
    x = t.graph.node(
        "slice", t.input(op), axes=tuple(axes), starts=tuple(t.numbers(op, "starts", 1)),
        ends=tuple(t.numbers(op, "ends", 2)), steps=tuple(steps),
    )  # fmt: skip
    dropped = [axis for axis in op.attributes.get("decrease_axis") or [] if axis >= 0]
    return t.reshaped(x, t.result_shape(op)) if dropped else x


def _flip(t: Translator, op: Operation) -> str:
    axes = [axis % len(t.shape(op)) for axis in op.attributes["axis"]]
    whole = (-(2**31),) * len(axes)
    return t.graph.node(
        "slice", t.input(op), axes=tuple(axes), starts=(-1,) * len(axes), ends=whole,
        steps=(-1,) * len(axes),
    )  # fmt: skip


def _concat(t: Translator, op: Operation) -> str:
    parts = [t.name(name) for name in op.inputs[0]]
    rank = len(t.shapes[op.inputs[0][0]])
    return t.graph.node("concat", *parts, axis=t.number(op, "axis", 1) % rank)


def _stack(t: Translator, op: Operation) -> str:
    shape = list(t.result_shape(op))
    axis = op.attributes["axis"] % len(shape)
    shape[axis] = 1
    parts = [t.reshaped(t.name(name), shape) for name in op.inputs[0]]
    return t.graph.node("concat", *parts, axis=axis)


def _split(t: Translator, op: Operation) -> list[str]:
    place = 1 if op.kind == "split_with_num" else 2
    axis = t.number(op, "axis", place) % len(t.shape(op))
    made, start = [], 0
    for output in op.outputs:
        end = start + t.shapes[output][axis]
        if axis == 0 or end <= start:
            raise UnknownFormError(f"{op.kind!r} of an open side")
        made.append(t.graph.node(
            "slice", t.input(op), axes=(axis,), starts=(start,), ends=(end,), steps=(1,)
        ))  # fmt: skip
        start = end
    return made


def _embedding(t: Translator, op: Operation) -> str:
    if t.input(op, 0) != "labels":
        raise UnknownFormError(f"{op.kind!r} of other numbers than labels")
    return t.graph.node("rows", t.input(op, 1), "labels")


def _one_hot(t: Translator, op: Operation) -> str:
    if t.input(op) != "labels":
        raise UnknownFormError("'one_hot' of other numbers than labels")
    return t.graph.node("rows", t.graph.weight(np.eye(t.number(op, "num_classes", 1))), "labels")


def _cast(t: Translator, op: Operation) -> str:
    x = t.input(op)
    value = t.graph.value(x)
    floats = op.attributes.get("dtype", op.attributes.get("out_dtype")) in ("float32", 5)
    if value is not None and floats:
        return t.graph.weight(value.astype(np.float32))
    if (x == "labels") == floats:
        raise UnknownFormError("'cast' to another type")
    return x


def _full(t: Translator, op: Operation) -> str:
    value = op.attributes["value"]
    return t.graph.weight(np.full(op.attributes["shape"], value, _kind(value, op)))


def _full_int_array(t: Translator, op: Operation) -> str:
    return t.graph.weight(np.array(op.attributes["value"], np.int64))


def _assigned(t: Translator, op: Operation) -> str:
    values: list[float] = op.attributes.get("values") or op.attributes["fp32_values"]
    return t.graph.weight(np.reshape(values, op.attributes["shape"]).astype(_kind(values[0], op)))


def _kind(value: Any, op: Operation) -> str:
    """Return the type of a constant: whole numbers are places, shapes and the like."""
    whole = str(op.attributes.get("dtype")) in ("int32", "int64", "2", "3")
    return "int64" if whole and float(value).is_integer() else "float32"


BASIC_RULES: dict[str, Rule] = {
    **{kind: _unary(kind) for kind in UNARY if kind not in ("softplus", "absolute")},
    "abs": _unary("absolute"),
    "add": _binary("add"),
    "subtract": _binary("subtract"),
    "multiply": _binary("multiply"),
    "divide": _binary("divide"),
    "maximum": _binary("maximum"),
    "minimum": _binary("minimum"),
    "elementwise_pow": _binary("power"),
    "assign": _same,
    "share_data": _same,
    "dropout": _dropout,
    "square": _square,
    "rsqrt": _rsqrt,
    "silu": _silu,
    "swish": _silu,
    "gelu": _gelu,
    "softplus": _softplus,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "clip": _clip,
    "scale": _scale,
    "matmul": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "dot": _dot,
    "sum": _reduction("sum"),
    "mean": _reduction("mean"),
    "max": _reduction("max"),
    "softmax": _softmax,
    "reshape": _reshape,
    "flatten": _reshape,
    "squeeze": _reshape,
    "unsqueeze": _reshape,
    "transpose": _transpose,
    "expand": _expand,
    "tile": _tile,
    "slice": _slice,
    "strided_slice": _slice,
    "flip": _flip,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "split_with_num": _split,
    "embedding": _embedding,
    "one_hot": _one_hot,
    "cast": _cast,
    "full": _full,
    "full_int_array": _full_int_array,
    "assign_value": _assigned,
}
