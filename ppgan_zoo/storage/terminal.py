"""What is printed: lines that steer no terminal, on any stream, whatever names they hold.

A name of a file, a folder or a plugin may hold an escape sequence, a line break or bytes that are
no text. :func:`printable` is the one place that makes them harmless, and nothing else in the
package prints.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from ppgan_zoo.errors import ZooError


def printable(text: str) -> str:
    """Return text as one line: what cannot be shown is escaped, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def can_show(text: str) -> bool:
    """Tell whether standard output and standard error show a text as it is."""
    if not text.isprintable():
        return False
    for stream in (sys.stdout, sys.stderr):
        try:
            text.encode(getattr(stream, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            return False
    return True


def say(*lines: str) -> None:
    """Print lines to standard output.

    Raises:
        OSError: They cannot be written, as on a full disk.
    """
    if sys.stdout is None:  # as in a program without a console
        return
    try:
        _write(sys.stdout, lines)
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def say_answer(work: Callable[[], dict[str, Any]]) -> int:
    """Print what `work` returns as a line of JSON, or the key ``error`` of what is wrong.

    For modules that another process of the zoo starts, and whose answer it reads.

    Returns:
        The exit code, 0.
    """
    try:
        answer = work()
    except ZooError as error:
        answer = {"error": " ".join(str(error).split())}
    say(json.dumps(answer))
    return 0


def exit_text(code: int) -> str:
    """Return how a process ended: its exit code, or the signal that ended it."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def tell(*lines: str) -> None:
    """Print lines to standard error; if that is gone, as a closed terminal is, do nothing."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            _write(sys.stderr, lines)


def tell_warnings() -> None:
    """Print what the zoo's modules log, and what libraries warn of, in a line each.

    For a program that is the zoo alone, such as the command line.
    """
    warnings.showwarning = _tell_warning
    logger = logging.getLogger("ppgan_zoo")
    if not logger.handlers:
        logger.addHandler(_Teller(logging.WARNING))


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Tell the first line of a warning; where it comes from is nothing to the user."""
    first = next(iter(str(message).strip().splitlines()), "")
    tell(f"{category.__name__}: {first}")


class _Teller(logging.Handler):
    """Tells each record in a line."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


def _write(stream: TextIO, lines: tuple[str, ...]) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        shown = printable(line).encode(encoding, "backslashreplace").decode(encoding)
        stream.write(f"{shown}\n")
    stream.flush()
