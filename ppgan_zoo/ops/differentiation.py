"""What kind of gradient is being asked for; a PyLayer's backward cannot see that itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from paddle import Tensor

_of_input_alone = ContextVar("of_input_alone", default=False)


@contextlib.contextmanager
def input_gradients_alone() -> Iterator[None]:
    """Promise that gradients of weights are not asked for, and allow double gradients."""
    token = _of_input_alone.set(True)
    try:
        yield
    finally:
        _of_input_alone.reset(token)


def is_of_input_alone() -> bool:
    """Tell whether it was promised: then a forward is one that is differentiated twice."""
    return _of_input_alone.get()


def check_of_input_alone() -> None:
    """Refuse, in a backward under ``create_graph=True``, what was not promised.

    Raises:
        NotImplementedError: Not inside :func:`input_gradients_alone`.
    """
    if not _of_input_alone.get():
        raise NotImplementedError(
            "a gradient that is to be differentiated again, through an accelerated layer: "
            "call paddle.grad inside ppgan_zoo.ops.input_gradients() if it asks for gradients of "
            "images alone, inside ppgan_zoo.ops.native() (with the forward) otherwise"
        )


def save(ctx: Any, *tensors: Tensor) -> None:
    """Keep tensors of a PyLayer's forward for its backward, which takes them by :func:`saved`."""
    ctx.save_for_backward(*tensors)
    ctx.versions = [tensor.inplace_version for tensor in tensors]


def saved(ctx: Any) -> Sequence[Tensor]:
    """Return what :func:`save` kept.

    Raises:
        RuntimeError: One was changed in place since, as Paddle's own layers raise it.
    """
    tensors: Sequence[Tensor] = ctx.saved_tensor()
    if [tensor.inplace_version for tensor in tensors] != ctx.versions:
        raise RuntimeError(
            "a tensor that an accelerated layer needs for its gradient, its input, output or "
            "weights, was changed in place after the layer ran: write h = h + 1 instead of "
            "h.add_(1), or run the layer inside ppgan_zoo.ops.native()"
        )
    return tensors
