"""Optimizers by name, learning-rate schedules, and optimizer state by structured names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.optimizer import Optimizer

from ppgan_zoo.errors import CheckpointError, UnknownNameError
from ppgan_zoo.storage.checkpoint import Arrays as Arrays

Schedule = Callable[[int], float]
"""Learning rate as a pure function of the iteration, so that nothing of it needs saving."""

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": paddle.optimizer.Adam,
    "adamw": paddle.optimizer.AdamW,
    "rmsprop": paddle.optimizer.RMSProp,
    "momentum": paddle.optimizer.Momentum,
    "sgd": paddle.optimizer.SGD,
}


def trainable_parameters(layer: nn.Layer) -> list[Any]:
    """Return the parameters that learn; Paddle lists batch norm's running statistics too."""
    return [parameter for parameter in layer.parameters() if not parameter.stop_gradient]


def make_optimizer(
    layer: nn.Layer, name: str = "adam", *, learning_rate: float, **options: float
) -> Optimizer:
    """Return an optimizer over the trainable parameters of `layer`.

    Args:
        layer: The net.
        name: A key of :data:`OPTIMIZERS`.
        learning_rate: Rate at the start.
        **options: Paddle's own arguments of that optimizer, such as ``beta1``.

    Raises:
        UnknownNameError: No such optimizer.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name](
        learning_rate=learning_rate, parameters=trainable_parameters(layer), **options
    )


def constant(learning_rate: float) -> Schedule:
    """Keep the rate as it is."""
    return lambda iteration: learning_rate


def linear(learning_rate: float, iterations: int, start: int = 0, final: float = 0.0) -> Schedule:
    """Keep the rate until `start`, then go straight to ``final * rate`` at `iterations`."""

    def rate(iteration: int) -> float:
        span = max(iterations - start, 1)
        done = min(max((iteration - start) / span, 0.0), 1.0)
        return learning_rate * (1.0 - done * (1.0 - final))

    return rate


def cosine(learning_rate: float, iterations: int, final: float = 0.0) -> Schedule:
    """Half a cosine from the rate down to ``final * rate`` (Loshchilov and Hutter 2017)."""

    def rate(iteration: int) -> float:
        done = min(iteration / max(iterations, 1), 1.0)
        return learning_rate * (final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * done)))

    return rate


def inverse_time(learning_rate: float, decay: float) -> Schedule:
    """Keras's ``decay``: the rate over ``1 + decay * iteration``."""
    return lambda iteration: learning_rate / (1.0 + decay * iteration)


def optimizer_arrays(optimizer: Optimizer, layer: nn.Layer) -> Arrays:
    """Return the optimizer's state under the names of the layer's own parameters.

    Paddle keys it by automatic names, which shift when another layer was built before;
    the keys here are ``"structured.name|accumulator"``.
    """
    state = optimizer.state_dict()
    return {
        structured: state[automatic].numpy()
        for structured, automatic in _structured_keys(state, layer).items()
    }


def load_optimizer_arrays(
    optimizer: Optimizer, layer: nn.Layer, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Put back what :func:`optimizer_arrays` returned, bit by bit.

    Overwrites nothing but the optimizer's state; the layer must get its weights
    **after** this call, which needs one step to create the state.

    Raises:
        CheckpointError: A missing, an extra or a wrongly shaped entry.
    """
    for parameter in trainable_parameters(layer):
        parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    optimizer.clear_grad(set_to_zero=False)
    state = optimizer.state_dict()
    keys = _structured_keys(state, layer)
    if set(keys) != set(arrays):
        odd = sorted(set(keys) ^ set(arrays))[0]
        raise CheckpointError(
            f"optimizer state: entry {odd!r} is {'missing' if odd in keys else 'not expected'}; "
            "the checkpoint was written with another optimizer or model"
        )
    for structured, automatic in keys.items():
        if tuple(state[automatic].shape) != arrays[structured].shape:
            raise CheckpointError(
                f"optimizer state: {structured} has shape {arrays[structured].shape}, "
                f"needed {tuple(state[automatic].shape)}"
            )
        state[automatic] = paddle.to_tensor(np.ascontiguousarray(arrays[structured]))
    optimizer.set_state_dict(state)


def _structured_keys(state: Mapping[str, Any], layer: nn.Layer) -> dict[str, str]:
    """Map ``structured|accumulator`` to Paddle's ``automatic_accumulator_0``."""
    names = {parameter.name: name for name, parameter in layer.named_parameters()}
    keys: dict[str, str] = {}
    for key in state:
        # One automatic name can begin another's (w_1, w_10): the longest match is the owner.
        owner = max((name for name in names if key.startswith(name + "_")), key=len, default=None)
        if owner is None:
            continue  # "LR_Scheduler" and "master_weights": not used here
        accumulator = key[len(owner) + 1 :].rsplit("_", 1)[0]
        keys[f"{names[owner]}|{accumulator}"] = key
    return keys
