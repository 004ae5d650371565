"""Rules of the translation for layers: norms, convolutions, pooling and growing pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ppgan_zoo.export.operations import Operation
from ppgan_zoo.export.translator import Rule, Translator, UnknownFormError


def _batch_norm(t: Translator, op: Operation) -> str:
    """By its running statistics: a factor and a shift of each map."""
    values = [t.graph.value(t.input(op, place)) for place in (1, 2, 3, 4)]
    known = [value for value in values if value is not None]
    training = not op.attributes.get("is_test") and not op.attributes.get("use_global_stats")
    if training or len(known) < 4 or op.attributes.get("data_format", "NCHW")[1] != "C":
        raise UnknownFormError("'batch_norm' of the batch's own statistics, or of channels last")
    mean, variance, weight, bias = known
    factor = weight / np.sqrt(variance.astype(np.float64) + op.attributes["epsilon"])
    shape = (1, -1, *[1] * (len(t.shape(op)) - 2))
    x = t.input(op)
    if not np.allclose(factor, 1.0, rtol=0, atol=1e-12):
        x = t.graph.node("multiply", x, t.graph.weight(factor.reshape(shape)))
    return t.graph.node("add", x, t.graph.weight((bias - mean * factor).reshape(shape)))


def _normalised(t: Translator, x: str, axes: tuple[int, ...], epsilon: float) -> str:
    centred = t.graph.node("subtract", x, t.graph.node("mean", x, axes=axes))
    variance = t.graph.node("mean", t.graph.node("multiply", centred, centred), axes=axes)
    root = t.graph.node("sqrt", t.graph.node("add", variance, t.constant(epsilon)))
    return t.graph.node("divide", centred, root)


def _with_factors(t: Translator, op: Operation, x: str, shape: Sequence[int]) -> str:
    for place, kind in ((1, "multiply"), (2, "add")):
        if t.has(op, place):
            x = t.graph.node(kind, x, t.reshaped(t.input(op, place), shape))
    return x


def _instance_norm(t: Translator, op: Operation) -> str:
    rank = len(t.shape(op))
    x = _normalised(t, t.input(op), tuple(range(2, rank)), op.attributes["epsilon"])
    return _with_factors(t, op, x, (1, -1, *[1] * (rank - 2)))


def _group_norm(t: Translator, op: Operation) -> str:
    shape = t.shape(op)
    if op.attributes.get("data_format", op.attributes.get("data_layout", "NCHW")) != "NCHW":
        raise UnknownFormError("'group_norm' of channels last")
    x = t.reshaped(t.input(op), (-1, op.attributes["groups"], math.prod(shape[1:])
                                   // op.attributes["groups"]))  # fmt: skip
    x = t.reshaped(_normalised(t, x, (2,), op.attributes["epsilon"]), (-1, *shape[1:]))
    return _with_factors(t, op, x, (1, -1, *[1] * (len(shape) - 2)))


def _layer_norm(t: Translator, op: Operation) -> str:
    shape, begin = t.shape(op), op.attributes["begin_norm_axis"]
    axes = tuple(range(begin, len(shape)))
    x = _normalised(t, t.input(op), axes, op.attributes["epsilon"])
    return _with_factors(t, op, x, shape[begin:])


def _prelu(t: Translator, op: Operation) -> str:
    x, slopes = t.input(op), t.input(op, 1)
    if math.prod(t.shape(op, 1)) > 1:
        slopes = t.reshaped(slopes, (1, -1, *[1] * (len(t.shape(op)) - 2)))
    below = t.graph.node("minimum", x, t.constant(0.0))
    return t.graph.node("add", t.graph.node("relu", x), t.graph.node("multiply", below, slopes))


def _geometry(t: Translator, op: Operation) -> dict[str, Any]:
    """Return strides, padding, dilations and groups of a convolution."""
    given = op.attributes
    if given.get("data_format", "NCHW") not in ("NCHW", "AnyLayout"):
        raise UnknownFormError(f"{op.kind!r} of channels last")
    padding = list(given["paddings"])
    if given.get("padding_algorithm", "EXPLICIT") == "VALID":
        padding = [0, 0]
    elif given.get("padding_algorithm", "EXPLICIT") == "SAME":
        raise UnknownFormError(f"{op.kind!r} with padding 'SAME'")
    if len(padding) == 4:  # top, bottom, left, right
        padding = [padding[0], padding[2], padding[1], padding[3]]
    else:
        padding = [*padding, *padding]
    return {
        "strides": tuple(given["strides"]),
        "padding": tuple(padding),
        "dilations": tuple(given.get("dilations", (1, 1))),
        "groups": given.get("groups", 1),
    }


def _conv2d(t: Translator, op: Operation) -> str:
    return t.graph.node("conv2d", t.input(op, 0), t.input(op, 1), **_geometry(t, op))


def _conv2d_transpose(t: Translator, op: Operation) -> str:
    """What Paddle calls output padding or an output size are rows and columns at the end."""
    geometry = _geometry(t, op)
    kernel, sides = t.shape(op, 1)[2:], t.shape(op)[2:]
    wanted = t.result_shape(op)[2:]
    top, left, bottom, right = geometry["padding"]
    least = [
        (side - 1) * stride - before - after + dilation * (size - 1) + 1
        for side, stride, before, after, dilation, size in zip(
            sides, geometry["strides"], (top, left), (bottom, right), geometry["dilations"],
            kernel, strict=True,
        )
    ]  # fmt: skip
    more = tuple(side - usual for side, usual in zip(wanted, least, strict=True))
    return t.graph.node(
        "conv2d_transpose", t.input(op, 0), t.input(op, 1), **geometry, output_padding=more
    )


def _pixel_shuffle(t: Translator, op: Operation) -> str:
    factor = op.attributes["upscale_factor"]
    _, maps, height, width = t.shape(op)
    if op.attributes.get("data_format", "NCHW") != "NCHW":
        raise UnknownFormError("'pixel_shuffle' of channels last")
    maps //= factor**2
    x = t.reshaped(t.input(op), (-1, maps, factor, factor, height, width))
    x = t.graph.node("transpose", x, order=(0, 1, 4, 2, 5, 3))
    return t.reshaped(x, (-1, maps, factor * height, factor * width))


def _pool2d(t: Translator, op: Operation) -> str:
    """Of windows that fill the maps without a rest: a mean or a maximum of an axis."""
    given, (_, maps, height, width) = op.attributes, t.shape(op)
    sizes = t.numbers(op, "ksize" if "ksize" in given else "kernel_size", 1)
    _, _, rows, columns = t.result_shape(op)
    tall, wide = height // max(rows, 1), width // max(columns, 1)
    plain = given.get("adaptive") or given.get("global_pooling") or (
        list(sizes) == [tall, wide] == list(given["strides"]) and not any(given["paddings"])
    )  # fmt: skip
    if not plain or (rows * tall, columns * wide) != (height, width):
        raise UnknownFormError("'pool2d' of windows that overlap or leave a rest")
    x = t.reshaped(t.input(op), (-1, maps, rows, tall, columns, wide))
    kind = "max" if given["pooling_type"] == "max" else "mean"
    return t.reshaped(t.graph.node(kind, x, axes=(3, 5)), (-1, maps, rows, columns))


def _nearest(t: Translator, op: Operation) -> str:
    """By whole factors: each pixel a block."""
    (_, maps, height, width), (_, _, tall, wide) = t.shape(op), t.result_shape(op)
    up, across = tall // height, wide // width
    whole = (up * height, across * width) == (tall, wide) and (
        _scales(op) in ((None, None), (up, across))
    )
    if op.attributes.get("align_corners") or not whole:
        raise UnknownFormError(f"{op.kind!r} by another than a whole factor")
    x = t.reshaped(t.input(op), (-1, maps, height, 1, width, 1))
    x = t.graph.node("expand", x, shape=(1, 1, 1, up, 1, across))
    return t.reshaped(x, (-1, maps, tall, wide))


def _bilinear(t: Translator, op: Operation) -> str:
    """One axis after the other is a product with a matrix of two weights a row."""
    (_, maps, height, width), (_, _, tall, wide) = t.shape(op), t.result_shape(op)
    corners = bool(op.attributes.get("align_corners"))
    half = not corners and op.attributes.get("align_mode", 0) == 0
    down, across = _scales(op)
    rows = _blend(height, tall, corners, half, down)
    columns = _blend(width, wide, corners, half, across)
    x = t.graph.node("matmul", t.graph.weight(rows), t.input(op))
    x = t.graph.node("matmul", x, t.graph.weight(columns.T))
    return t.reshaped(x, (-1, maps, tall, wide))


def _scales(op: Operation) -> tuple[float | None, float | None]:
    """Return the factors of height and width, where these were given and not the sides."""
    given = op.attributes.get("scale") or ()
    factors = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not factors or not all(factor > 0 for factor in factors):
        return None, None
    return factors[0], factors[-1]


def _blend(side: int, wanted: int, corners: bool, half: bool, scale: float | None) -> Any:
    """Return the weights of an axis ``[wanted, side]``; a `scale` goes before the sides' ratio."""
    if wanted == 1:
        step = 0.0
    elif corners:
        step = (side - 1) / (wanted - 1)
    else:
        step = 1.0 / scale if scale else side / wanted
    places = np.arange(wanted) * step if not half else (np.arange(wanted) + 0.5) * step - 0.5
    places = np.clip(places, 0, side - 1)
    left = np.minimum(np.floor(places).astype(int), max(side - 2, 0))
    matrix = np.zeros((wanted, side))
    matrix[np.arange(wanted), left] += 1 - (places - left)
    matrix[np.arange(wanted), np.minimum(left + 1, side - 1)] += places - left
    return matrix


LAYER_RULES: dict[str, Rule] = {
    "prelu": _prelu,
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "conv2d": _conv2d,
    "depthwise_conv2d": _conv2d,
    "conv2d_transpose": _conv2d_transpose,
    "depthwise_conv2d_transpose": _conv2d_transpose,
    "pixel_shuffle": _pixel_shuffle,
    "pool2d": _pool2d,
    "nearest_interp": _nearest,
    "bilinear_interp": _bilinear,
}
