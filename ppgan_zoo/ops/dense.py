"""Dense layers and the activations between them, found as runs in an ``nn.Sequential``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import paddle
from paddle import Tensor, nn


class Dense(NamedTuple):
    """A dense layer and the activation after it.

    Attributes:
        weight: ``[in, out]``.
        bias: ``[out]``, or None.
        slope: Of the activation below 0 (0 for ReLU); None for no activation.
    """

    weight: Tensor
    bias: Tensor | None
    slope: float | None = None


Compute = Callable[[Tensor, Sequence[Dense]], Tensor]
"""Takes ``[N, in]`` through dense layers, one after the other."""


def through(
    layers: Sequence[nn.Layer], x: Tensor, dense_class: type[nn.Layer], compute: Compute
) -> Tensor:
    """Return what `layers` make of `x`, with each run of dense layers computed at once.

    Args:
        layers: In their order.
        x: Input of the first.
        dense_class: Class of the dense layers that may be computed so.
        compute: How.
    """
    at = 0
    while at < len(layers):
        run, length = _run(layers[at:], dense_class)
        if run and fits(x, run):
            x = compute(x, run)
            at += length
        else:
            x = layers[at](x)
            at += 1
    return x


def fits(x: Tensor, run: Sequence[Dense]) -> bool:
    """Whether `run` can be computed in float32 on the CPU, of an `x` of two axes."""
    width = x.shape[1] if x.ndim == 2 and x.shape[0] else 0
    for weight, _, _ in run:
        if not width or weight.shape[0] != width or weight.dtype != paddle.float32:
            return False
        width = weight.shape[1]
    return bool(width and x.dtype == paddle.float32 and x.place.is_cpu_place())


def _run(layers: Sequence[nn.Layer], dense_class: type[nn.Layer]) -> tuple[list[Dense], int]:
    """Return the dense layers that `layers` begin with, and how many of them these take."""
    run: list[Dense] = []
    at = 0
    while at < len(layers) and _is_bare(layers[at], dense_class) and layers[at].training:
        slope = _slope(layers[at + 1]) if at + 1 < len(layers) else None
        run.append(Dense(layers[at].weight, layers[at].bias, slope))
        at += 1 if slope is None else 2
    return run, at


def _slope(layer: Any) -> float | None:
    if _is_bare(layer, nn.ReLU):
        return 0.0
    # Not below 0: its gradient could not be told from its output.
    if _is_bare(layer, nn.LeakyReLU) and layer._negative_slope >= 0.0:
        return float(layer._negative_slope)
    return None


def _is_bare(layer: Any, exact_class: type[nn.Layer]) -> bool:
    """Whether it is of that very class and nobody watches its calls."""
    return type(layer) is exact_class and not (
        layer._forward_pre_hooks or layer._forward_post_hooks
    )
