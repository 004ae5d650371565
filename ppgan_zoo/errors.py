"""The errors of the zoo: one root, so that a caller can catch them all.

Every message is one line that says where (file and key), what was found, what is
allowed and what to do next. The command line prints that line and exits 2; a
traceback is for bugs only. What the system refuses becomes one of them by :func:`os_errors`.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError

INTERRUPTED = 128
"""What a process that a signal ended exits with, less the signal's number: as shells count."""


class Ended(SystemExit):
    """The end of this process, on purpose: a signal came twice, or ended a search.

    Any other ``SystemExit`` while a command runs is a stranger's.
    """


class ZooError(Exception):
    """Root of every error that the zoo raises on purpose."""


class ConfigError(ZooError):
    """A recipe, an override or a command-line value that cannot be used."""


class UnknownNameError(ConfigError):
    """A name (of a model, an objective, a recipe, ...) that nothing answers to.

    Args:
        kind: What the name should have been, such as ``"model"``.
        name: The name that was asked for.
        known: The names that would have been accepted.
        where: File and key the name was read from, if any.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        choices = sorted(known)
        prefix = f"{where}: " if where else ""
        super().__init__(
            f"{prefix}unknown {kind} {name!r}{did_you_mean(name, choices)}; "
            f"known: {', '.join(choices) or 'none'}"
        )


class DataError(ZooError):
    """A data file or folder that is missing, damaged or of the wrong form."""


class CheckpointError(ZooError):
    """A run or checkpoint that is missing, damaged or belongs to another model."""


class TrainingError(ZooError):
    """A run that cannot go on: its numbers are not finite, or it cannot be saved."""


class ExportError(ZooError):
    """An export that failed, or an exported model that cannot be trusted."""


class PluginError(ZooError):
    """An installed plugin that is broken or claims a name that is taken."""


@contextlib.contextmanager
def os_errors(kind: type[ZooError], found: str, then: str = "") -> Iterator[None]:
    """Turn an operating-system error inside the block into one of the zoo's.

    Args:
        kind: The class of the error to raise.
        found: What could not be done, such as ``"run/recipe.yml: cannot be read"``; the
            system's reason follows it.
        then: What the user should do, if there is something.

    Raises:
        ZooError: Of class `kind`: ``"<found>: <reason>; <then>"``.
    """
    try:
        yield
    except OSError as error:
        advice = f"; {then}" if then else ""
        raise kind(f"{found}: {error.strerror or error}{advice}") from None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest of `choices`, or ``""``."""
    nearest = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


def first_line(error: Warning | Exception | str) -> str:
    """Return the first line of an error's text, or its kind if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class Fault(NamedTuple):
    """What pydantic found wrong first with the keys of a file: ``str`` gives ``"key: reason"``.

    Attributes:
        key: The key's path, with dots in between; empty for the whole.
        found: The value.
        reason: What is wrong with it.
    """

    key: str
    found: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}" if self.key else self.reason


def first_fault(error: ValidationError) -> Fault:
    """Return what pydantic found wrong first."""
    first = error.errors()[0]
    reason = first["msg"].removeprefix("Value error, ")
    key = ".".join(map(str, first["loc"]))
    return Fault(key, first["input"], f"{reason[:1].lower()}{reason[1:]}")


def reason_of(error: Exception) -> str:
    """Return in one line why a file of keys cannot be read: the system's reason, or pydantic's."""
    from pydantic import ValidationError

    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    return str(first_fault(error)) if isinstance(error, ValidationError) else first_line(error)
