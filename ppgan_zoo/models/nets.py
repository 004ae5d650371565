"""Nets as they stand: making images, weights in and out, freezing."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.training.optimizers import Arrays, trainable_parameters

BATCH_NORMS = (nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm)


def generate(
    generator: nn.Layer, z: NDArray[np.float32], batch_size: int = 128
) -> NDArray[np.float32]:
    """Return G's images ``[N, C, H, W]`` of z ``[N, latent_dim]``, in eval mode.

    Leaves the generator in the mode that it was in.
    """
    with in_mode(generator, training=False), paddle.no_grad():
        parts = [
            generator(paddle.to_tensor(z[start : start + batch_size])).numpy()
            for start in range(0, len(z), batch_size)
        ]
    return np.concatenate(parts)


@contextlib.contextmanager
def in_mode(layer: nn.Layer, *, training: bool) -> Iterator[None]:
    """Put `layer` into train or eval mode, and at the end back into the mode that it was in."""
    before = layer.training
    _set_mode(layer, training)
    try:
        yield
    finally:
        if before != training:
            _set_mode(layer, before)


def _set_mode(layer: nn.Layer, training: bool) -> None:
    if training:
        layer.train()
    else:
        layer.eval()


@contextlib.contextmanager
def hooked(layers: Iterable[nn.Layer], hook: Callable[..., Any]) -> Iterator[None]:
    """Call `hook` with layer, inputs and output after every forward of one of `layers`."""
    handles = [layer.register_forward_post_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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


def take_statistics(net: nn.Layer, batches: Iterable[Tensor]) -> None:
    """Give each batch norm of `net` the mean of its statistics over `batches`.

    For weights that no batch has passed through in training, such as an average's: the
    statistics of other weights do not fit them. "Standing statistics" in BigGAN (Brock et al.
    2019, section 4.1), ``update_bn`` of Izmailov et al. 2018. Leaves `net` in its mode.
    """
    norms = [layer for layer in net.sublayers(include_self=True) if isinstance(layer, BATCH_NORMS)]
    if not norms:
        return
    momenta = [norm._momentum for norm in norms]
    try:
        with in_mode(net, training=True), paddle.no_grad():
            for index, batch in enumerate(batches):
                for norm in norms:  # the share of what is there: this makes a mean of all
                    norm._momentum = index / (index + 1.0)
                net(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm._momentum = momentum


def acts_row_by_row(net: nn.Layer, rows: Tensor) -> bool:
    """Whether each row of a net's output depends on that row of its input alone.

    Not on the others of its batch, as with batch norm, nor on chance or on the calls before.
    Then two batches may pass through the net as one, to the same effect. Found by trial, in
    the net's own mode; what the trial changes is put back.

    Args:
        net: Takes batches of any even size, or the answer is no.
        rows: Four rows to try it with.
    """
    random_state = paddle.get_rng_state()
    before = layer_arrays(net)
    try:
        with layer_state(net), paddle.no_grad():
            together = net(rows).numpy()
            apart = [net(half).numpy() for half in rows.split(2)]
            after = layer_arrays(net)
    except (AttributeError, IndexError, OSError, RuntimeError, TypeError, ValueError):
        return False  # such as a net for another dtype, or for batches of one size
    finally:
        paddle.set_rng_state(random_state)
    return all(np.array_equal(before[name], after[name]) for name in before) and np.allclose(
        together, np.concatenate(apart), rtol=1e-5, atol=1e-5 * float(np.abs(together).max())
    )
