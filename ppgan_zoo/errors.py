"""The errors of the zoo: one root, so that a caller can catch them all.

Every message is one line that says where (file and key), what was found, what is
allowed and what to do next. The command line prints that line and exits 2; a
traceback is for bugs only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest of `choices`, or ``""``."""
    nearest = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""
