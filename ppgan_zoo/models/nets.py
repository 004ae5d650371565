"""Nets as they stand: making images, train and eval mode, statistics, what a batch does."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.weights import layer_arrays, trainable_parameters
from ppgan_zoo.ops.arrays import from_array
from ppgan_zoo.storage.stages import stage

BATCH_SIZE = 128
"""Rows that go through a net at once where nobody says otherwise."""

UNSUITED = (AttributeError, IndexError, OSError, RuntimeError, TypeError, ValueError)
"""What a net raises on trial that is of another dtype, or for batches of one size."""

BATCH_NORMS = (nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D, nn.SyncBatchNorm)


def generate(
    net: nn.Layer,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64] | None = None,
    batch_size: int = BATCH_SIZE,
) -> NDArray[np.float32]:
    """Return a net's output of arrays, in eval mode: of G, images ``[N, C, H, W]`` of z.

    Leaves the net in the mode that it was in.

    Args:
        net: G, or any net of one output.
        inputs: z ``[N, latent_dim]``, or what the net takes.
        labels: int64 ``[N]``, for a net that takes labels.
        batch_size: The most rows that go through the net at once.
    """
    arrays: list[NDArray[Any]] = [inputs] if labels is None else [inputs, labels]
    parts = []
    what = f"{len(inputs):,} samples"
    with in_mode(net, training=False), paddle.no_grad(), stage(what, len(inputs)) as advance:
        for start in range(0, len(inputs), batch_size):
            batch = [from_array(array[start : start + batch_size]) for array in arrays]
            parts.append(_first_output(net(*batch)).numpy())
            advance(len(batch[0]))
    return np.concatenate(parts)


def judged(
    gan: Gan, images: NDArray[np.float32], labels: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Return D's logits ``[N, 1]`` of images, in eval mode; all of them at once."""
    told = [None if array is None else from_array(array) for array in (images, labels)]
    with in_mode(*gan.nets.values(), training=False), paddle.no_grad():
        logits: NDArray[np.float32] = gan.judge(*told).logits.numpy()
    return logits


@contextlib.contextmanager
def in_mode(*layers: nn.Layer, training: bool) -> Iterator[None]:
    """Put `layers` into train or eval mode, and at the end back into the modes they were in."""
    before = [layer.training for layer in layers]
    for layer in layers:
        _set_mode(layer, training)
    try:
        yield
    finally:
        for layer, mode in zip(layers, before, strict=True):
            if mode != training:
                _set_mode(layer, mode)


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


def take_statistics(net: nn.Layer, batches: Iterable[Sequence[Tensor]]) -> None:
    """Give each batch norm of `net` the mean of its statistics over `batches`.

    For weights that no batch has passed through in training, such as an average's: the
    statistics of other weights do not fit them. "Standing statistics" in BigGAN (Brock et al.
    2019, section 4.1), ``update_bn`` of Izmailov et al. 2018. Leaves `net` in its mode.

    Args:
        net: The net.
        batches: What it is called with, each time.
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
                net(*batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm._momentum = momentum


def acts_row_by_row(net: nn.Layer, *rows: Tensor | None) -> bool:
    """Whether each row of a net's output depends on that row of its input alone.

    Not on the others of its batch, as with batch norm, nor on chance or on the calls before.
    Then two batches may pass through the net as one, to the same effect. A net can say so
    itself by an attribute ``acts_row_by_row``; otherwise it is found by trial, in the net's
    own mode. The trial is of a copy whose weights are moved off zero: a layer that begins at
    zero would hide what stands before it.

    Args:
        net: Takes batches of any even size, or the answer is no.
        *rows: What to try it with, four rows each; None for what is left out.
    """
    declared = getattr(net, "acts_row_by_row", None)
    if declared is not None:
        return bool(declared)
    given = [row for row in rows if row is not None]
    random_state = paddle.get_rng_state()
    try:
        twin = with_moved_weights(net)
        before = layer_arrays(twin)
        with paddle.no_grad():
            together = _first_output(twin(*given)).numpy()
            halves = zip(*(row.split(2) for row in given), strict=True)
            apart = [_first_output(twin(*half)).numpy() for half in halves]
        after = layer_arrays(twin)
    except UNSUITED:
        return False
    finally:
        paddle.set_rng_state(random_state)
    return all(np.array_equal(before[name], after[name]) for name in before) and np.allclose(
        together, np.concatenate(apart), rtol=1e-5, atol=1e-5 * float(np.abs(together).max())
    )


def with_moved_weights(net: nn.Layer) -> nn.Layer:
    """Return a copy of `net` with a little noise, always the same, on each weight that learns."""
    twin = copy.deepcopy(net)
    rng = np.random.default_rng(0)
    for parameter in trainable_parameters(twin):
        noise = 0.05 * rng.standard_normal(parameter.shape)
        parameter.set_value(parameter + paddle.to_tensor(noise).astype(parameter.dtype))
    return twin


def _first_output(answer: Any) -> Tensor:
    """Return a net's answer, or the logits of a judgement."""
    return answer if isinstance(answer, Tensor) else answer.logits
