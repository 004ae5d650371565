"""What may fail while a run goes on: the things that only watch it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Guard = Callable[[str], AbstractContextManager[None]]
"""Makes the context for writing something, given the name to report it by."""

# What a library's writer is known to raise. A missing name, a failed assertion and a lack of
# memory stay what they are: bugs and trouble that nobody should train through.
WRITER_FAILURES = (OSError, RuntimeError, ValueError, TypeError, LookupError, ImportError)


def strict(what: str) -> AbstractContextManager[None]:
    """Tolerate nothing: an error goes to the caller."""
    return contextlib.nullcontext()


class Tolerant:
    """Logs one line where something cannot be written, and goes on.

    Every later write is tried as well, in silence: once a full disk has room again,
    grids and curves go on.

    Args:
        logger: Gets the line, once for each name.
        owned: Called before each write; raises if the place is another run's by now.
    """

    def __init__(self, logger: logging.Logger, owned: Callable[[], None] = lambda: None) -> None:
        self._logger = logger
        self._owned = owned
        self._said: set[str] = set()

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Run a block that writes `what`, such as ``"sample grids"``."""
        with contextlib.suppress(OSError):  # gone: the write will tell
            self._owned()
        try:
            yield
        except WRITER_FAILURES as error:
            if what not in self._said:
                self._said.add(what)
                self._logger.warning(
                    "%s: cannot be written: %s; training continues", what, reason(error)
                )


def reason(error: BaseException) -> str:
    """Return what went wrong on one line: place and the system's words, if it is an OSError."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(f"{type(error).__name__}: {error}".split())
