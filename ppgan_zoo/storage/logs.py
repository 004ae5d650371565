"""Where the curves, pictures and histograms of a run go: :class:`Log`, and :class:`LogKind`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ppgan_zoo.errors import PluginError
from ppgan_zoo.runtime import check_installed
from ppgan_zoo.storage.tolerance import Guard

RESERVED = ("samples", "checkpoints")
"""Folders of a run that are no log's."""


class Log(Protocol):
    """What a run writes to. A tag is ``loss/generator``; a step, iterations that are done."""

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one point of a curve."""

    def image(self, tag: str, array: npt.NDArray[np.uint8], step: int) -> None:
        """Add a picture: uint8 ``[H, W, 3]`` or ``[H, W]``."""

    def histogram(self, tag: str, values: npt.NDArray[Any], step: int) -> None:
        """Add a histogram of the finite `values`, of any shape; none at all adds nothing."""

    def hparams(self, values: Mapping[str, object], metrics: Sequence[str]) -> None:
        """Add the run's settings, once; `metrics` are the tags to compare runs by."""

    def close(self) -> None:
        """Write what is left and close; a second call does nothing."""


def finite_values(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return what a histogram is made of: the finite `values`, of any shape, in a row."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.isfinite(flat)]


@dataclass(frozen=True)
class LogKind:
    """One kind of log, by the name that ``log.to`` has.

    Attributes:
        name: Name in the registry, and of the folder in the run: lower case, digits, underscores.
        begin: Called as ``begin(folder, guard=..., resume_step=...)``; returns the log.
            `guard` goes around every write (:mod:`ppgan_zoo.storage.tolerance`). `resume_step`
            is None for a fresh run, or the last iteration of which records are to stay: those
            of later ones must not be shown twice.
        modules: What has to be installed for it, as it is imported.
        extra: The extra of the zoo that brings `modules`.
    """

    name: str
    begin: Callable[..., Log]
    modules: tuple[str, ...] = ()
    extra: str = ""

    def check(self, where: str) -> None:
        """Refuse a name that cannot be a folder of a run.

        Raises:
            PluginError: One line that says why.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in RESERVED:
            raise PluginError(
                f"{where}: name {self.name!r} is to be that of a folder in a run: lower case, "
                f"digits and underscores, and not {' or '.join(RESERVED)}"
            )

    def check_installed(self) -> None:
        """Make sure that it can be opened.

        Raises:
            ConfigError: A package is missing; the line says how to install it.
        """
        check_installed(self.modules, self.extra, f"log.to: {self.name}")


class Logs:
    """Several logs as one.

    Args:
        logs: All get everything.
    """

    def __init__(self, logs: Sequence[Log]) -> None:
        self.logs = tuple(logs)

    @classmethod
    def begin(
        cls, kinds: Sequence[LogKind], run: Path, guard: Guard, resume_step: int | None
    ) -> Logs:
        """Open a log of each kind, in a folder of its name under `run`."""
        return cls(
            [kind.begin(run / kind.name, guard=guard, resume_step=resume_step) for kind in kinds]
        )

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one point of a curve."""
        for log in self.logs:
            log.scalar(tag, value, step)

    def image(self, tag: str, array: npt.NDArray[np.uint8], step: int) -> None:
        """Add a picture: uint8 ``[H, W, 3]`` or ``[H, W]``."""
        for log in self.logs:
            log.image(tag, array, step)

    def histogram(self, tag: str, values: npt.NDArray[Any], step: int) -> None:
        """Add a histogram of the finite `values`."""
        for log in self.logs:
            log.histogram(tag, values, step)

    def hparams(self, values: Mapping[str, object], metrics: Sequence[str]) -> None:
        """Add the run's settings."""
        for log in self.logs:
            log.hparams(values, metrics)

    def close(self) -> None:
        """Close all, also where one of them fails."""
        with contextlib.ExitStack() as stack:
            for log in reversed(self.logs):
                stack.callback(log.close)
