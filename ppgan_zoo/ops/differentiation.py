"""What kind of gradient is being asked for; a PyLayer's backward cannot see that itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

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
