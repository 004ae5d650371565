"""The weights of a net: in and out, frozen, normalised, clipped."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.storage.checkpoint import Arrays

NORMALISED = (
    nn.Linear, nn.Embedding, nn.Conv1D, nn.Conv2D, nn.Conv3D,
    nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose,
)  # fmt: skip


def trainable_parameters(layer: nn.Layer) -> list[Any]:
    """Return the parameters that learn; Paddle lists batch norm's running statistics too."""
    return [parameter for parameter in layer.parameters() if not parameter.stop_gradient]


def load_arrays(layer: nn.Layer, arrays: Arrays) -> None:
    """Set every parameter and buffer of `layer`; names and shapes must be the layer's own.

    Raises:
        CheckpointError: A missing, an extra or a wrongly shaped tensor. (Paddle's own
            ``set_state_dict`` passes these over.)
    """
    state = layer.state_dict()
    if set(state) != set(arrays):
        odd = sorted(set(state) ^ set(arrays))[0]
        raise CheckpointError(
            f"tensor {odd!r} is {'missing' if odd in state else 'not expected'} in the "
            "checkpoint; it was written by another model or other model arguments"
        )
    for name, tensor in state.items():
        if tuple(tensor.shape) != arrays[name].shape:
            raise CheckpointError(
                f"tensor {name!r} has shape {arrays[name].shape} in the checkpoint, and the "
                f"model needs {tuple(tensor.shape)}"
            )
        needed = str(tensor.dtype).rpartition(".")[2]
        if arrays[name].dtype.name != needed:
            raise CheckpointError(
                f"tensor {name!r} has values of {arrays[name].dtype.name} in the checkpoint, and "
                f"the model needs {needed}"
            )
        tensor.set_value(np.ascontiguousarray(arrays[name]))


def layer_arrays(layer: nn.Layer) -> Arrays:
    """Return every parameter and buffer of `layer`, copied, by structured name."""
    return {name: tensor.numpy() for name, tensor in layer.state_dict().items()}


def frozen_copy(layer: nn.Layer) -> nn.Layer:
    """Return a copy of `layer` in eval mode whose parameters do not learn."""
    twin = copy.deepcopy(layer)
    twin.eval()
    set_stop_gradient(trainable_parameters(twin), True)
    return twin


def set_stop_gradient(parameters: Iterable[Any], value: bool) -> None:
    """Freeze `parameters` (True) or thaw them (False)."""
    for parameter in parameters:
        parameter.stop_gradient = value


@contextlib.contextmanager
def frozen(*layers: nn.Layer) -> Iterator[None]:
    """Let no parameter of `layers` learn inside; gradients still flow through to their inputs."""
    parameters = [parameter for layer in layers for parameter in trainable_parameters(layer)]
    set_stop_gradient(parameters, True)
    try:
        yield
    finally:
        set_stop_gradient(parameters, False)


@contextlib.contextmanager
def layer_state(layer: nn.Layer) -> Iterator[None]:
    """Put back, at the end, what a forward in train mode changes: statistics and buffers."""
    learned = {id(parameter) for parameter in trainable_parameters(layer)}
    tensors = [tensor for tensor in layer.state_dict().values() if id(tensor) not in learned]
    before = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        for tensor, value in zip(tensors, before, strict=True):
            paddle.assign(value, tensor)


def spectral_norm(
    layer: nn.Layer, *, leave_out: tuple[type, ...] = (), power_iterations: int = 0
) -> None:
    """Divide the weight of each dense layer, convolution and embedding by its spectral norm.

    Miyato et al. 2018, one power iteration for each forward in train mode. Layers that have it
    already stay as they are. Make the optimizer after this call.

    Args:
        layer: The net.
        leave_out: Classes of layers that keep their weights as they are.
        power_iterations: How many to do at once. The estimate of a new net is of two random
            vectors: without any, what it does in eval mode before training says nothing.

    Raises:
        ConfigError: A weight is zero, as those are with which some residual blocks begin, or
            weights are scaled again in use.
    """
    if scales_weights(layer):
        raise ConfigError(
            f"constraints.spectral_norm: {type(layer).__name__} has an equalised learning rate, "
            "which scales its weights in use; leave spectral_norm out"
        )
    parts = {
        name: part
        for name, part in layer.named_sublayers(include_self=True)
        if isinstance(part, NORMALISED)
        and not isinstance(part, leave_out)
        # Not one that has it, or is built without values, to learn its size alone.
        and "weight_orig" not in part._parameters
        and part.weight._is_initialized()
    }
    for name, part in parts.items():
        if not part.weight.abs().max().item():
            raise ConfigError(
                f"constraints.spectral_norm: {name}.weight of {type(layer).__name__} begins at "
                "zero, and has no norm that it could be divided by; leave spectral_norm out"
            )
    # nn.utils.spectral_norm, never nn.SpectralNorm: that one does not iterate at all.
    for part in parts.values():
        nn.utils.spectral_norm(part)
        (hook,) = list(part._forward_pre_hooks.values())[-1:]
        for _ in range(power_iterations):
            hook.compute_weight(part, do_power_iteration=True)


def scales_weights(layer: nn.Layer) -> bool:
    """Tell whether `layer` scales weights in use, so that their own size says nothing."""
    return any(hasattr(part, "weight_scale") for part in layer.sublayers(include_self=True))


def has_spectral_norm(layer: nn.Layer) -> bool:
    """Tell whether :func:`spectral_norm` was applied to `layer`."""
    return any(name.endswith("weight_orig") for name, _ in layer.named_parameters())


@paddle.no_grad()
def clip_weights(layer: nn.Layer, limit: float) -> None:
    """Clip every weight that learns to ``[-limit, limit]`` (Arjovsky et al. 2017)."""
    for parameter in trainable_parameters(layer):
        parameter.clip_(-limit, limit)


def fill_gradients(*layers: nn.Layer) -> None:
    """Give a gradient of zero to every parameter that learns and has none."""
    for layer in layers:
        for parameter in trainable_parameters(layer):
            if parameter.grad is None:
                parameter.grad = paddle.zeros_like(parameter)


LARGEST_GRADIENT = 1e5
"""What stands in place of an infinite gradient."""


@paddle.no_grad()
def clean_gradients(*layers: nn.Layer) -> None:
    """Replace NaN in gradients by 0, and what is infinite by :data:`LARGEST_GRADIENT`."""
    for layer in layers:
        for parameter in trainable_parameters(layer):
            if parameter.grad is not None:
                parameter.grad = paddle.nan_to_num(
                    parameter.grad, nan=0.0, posinf=LARGEST_GRADIENT, neginf=-LARGEST_GRADIENT
                )
