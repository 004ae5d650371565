"""Optimizers by name, and their state by structured names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.optimizer import Optimizer

from ppgan_zoo.errors import CheckpointError, UnknownNameError
from ppgan_zoo.models.weights import trainable_parameters
from ppgan_zoo.storage.checkpoint import Arrays

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": paddle.optimizer.Adam,
    "adamw": paddle.optimizer.AdamW,
    "rmsprop": paddle.optimizer.RMSProp,
    "momentum": paddle.optimizer.Momentum,
    "sgd": paddle.optimizer.SGD,
}


def make_optimizer(
    layer: nn.Layer | Sequence[nn.Layer],
    name: str = "adam",
    *,
    learning_rate: float,
    clip_norm: float | None = None,
    **options: float,
) -> Optimizer:
    """Return an optimizer over the trainable parameters of one layer or several.

    Args:
        layer: The net, or the nets that learn together.
        name: A key of :data:`OPTIMIZERS`.
        learning_rate: Rate at the start.
        clip_norm: Norm to which all gradients together are scaled down where theirs is larger;
            None for none.
        **options: Paddle's own arguments of that optimizer, such as ``beta1``.

    Raises:
        UnknownNameError: No such optimizer.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    layers = [layer] if isinstance(layer, nn.Layer) else layer
    parameters = [parameter for part in layers for parameter in trainable_parameters(part)]
    clip = None if clip_norm is None else nn.ClipGradByGlobalNorm(clip_norm)
    return OPTIMIZERS[name](
        learning_rate=learning_rate, parameters=parameters, grad_clip=clip, **options
    )


def betas_of(optimizer: Optimizer) -> tuple[float, float] | None:
    """Return the two betas of an Adam; None for an optimizer that has none."""
    if not hasattr(optimizer, "_beta2"):
        return None
    return float(optimizer._beta1), float(optimizer._beta2)


def set_betas(optimizer: Optimizer, beta1: float, beta2: float) -> None:
    """Set the betas of an Adam for its next steps."""
    optimizer._beta1, optimizer._beta2 = beta1, beta2


def optimizer_arrays(optimizer: Optimizer, nets: Mapping[str, nn.Layer]) -> Arrays:
    """Return the optimizer's state under the names of the nets' own parameters.

    Paddle keys it by automatic names, which shift when another layer was built before;
    the keys here are ``"structured.name|accumulator"``, with the net's name before a name of
    any net but the first.
    """
    state = optimizer.state_dict()
    return {
        structured: state[automatic].numpy()
        for structured, automatic in _structured_keys(state, nets).items()
    }


def load_optimizer_arrays(
    optimizer: Optimizer, nets: Mapping[str, nn.Layer], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Put back what :func:`optimizer_arrays` returned, bit by bit.

    Overwrites nothing but the optimizer's state; the nets must get their weights
    **after** this call, which needs one step to create the state. Weights without an entry, such
    as a head that no loss teaches, have none again: Paddle makes it at their first gradient.

    Raises:
        CheckpointError: A missing, an extra or a wrongly shaped entry.
    """
    held = {key.rpartition("|")[0] for key in arrays}
    for name, parameter in _structured(nets).items():
        if name in held and not parameter.stop_gradient:
            parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    optimizer.clear_grad(set_to_zero=False)
    state = optimizer.state_dict()
    keys = _structured_keys(state, nets)
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


def _structured(nets: Mapping[str, nn.Layer]) -> dict[str, Any]:
    """Return all parameters by their names, the net's before that of any net but the first."""
    return {
        name if place == 0 else f"{net}.{name}": parameter
        for place, (net, layer) in enumerate(nets.items())
        for name, parameter in layer.named_parameters()
    }


def _structured_keys(state: Mapping[str, Any], nets: Mapping[str, nn.Layer]) -> dict[str, str]:
    """Map ``structured|accumulator`` to Paddle's ``automatic_accumulator_0``."""
    names = {parameter.name: name for name, parameter in _structured(nets).items()}
    keys: dict[str, str] = {}
    for key in state:
        # One automatic name can begin another's (w_1, w_10): the longest match is the owner.
        owner = max((name for name in names if key.startswith(name + "_")), key=len, default=None)
        if owner is None:
            continue  # "LR_Scheduler" and "master_weights": not used here
        accumulator = key[len(owner) + 1 :].rsplit("_", 1)[0]
        keys[f"{names[owner]}|{accumulator}"] = key
    return keys
