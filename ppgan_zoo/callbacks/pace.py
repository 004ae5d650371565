"""How long a run will take, soon after it began; and where it is, once a minute, without a bar."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from ppgan_zoo.training.loop import BatchSource, Callback, Steps
from ppgan_zoo.training.trainer import Trainer

MEASURED_S = 5.0
"""Seconds of training, after the first iteration, from which the duration is estimated."""

WORTH_S = 15.0
"""A run that will end within these seconds is not told of."""

HEARTBEAT_S = 60.0
"""Seconds between two lines that say where a run is."""


class Pace(Callback):
    """Logs the estimated duration once, and without a terminal a line about once a minute.

    Args:
        total: Iterations of the whole run.
        logger: Where the lines go.
        clock: Returns seconds; for tests.
        has_bar: Whether the time left is shown anyway, by a progress bar.
    """

    def __init__(
        self,
        total: int,
        logger: logging.Logger,
        *,
        clock: Callable[[], float] = time.monotonic,
        has_bar: Callable[[], bool] = lambda: sys.stderr is not None and sys.stderr.isatty(),
    ) -> None:
        self.total = total
        self.logger = logger
        self.clock = clock
        self.has_bar = has_bar
        self._start: tuple[int, float] | None = None
        self._told: float | None = None

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Look at the clock; the first iteration, which is slower, is not counted."""
        now = self.clock()
        if self._start is None:
            self._start = (trainer.iteration, now)
            return
        first, began = self._start
        elapsed = now - began
        left = self.total - trainer.iteration
        seconds = elapsed / (trainer.iteration - first)
        if self._told is None:
            if elapsed >= MEASURED_S:
                self._told = now
                if left * seconds >= WORTH_S:
                    self.logger.info(
                        "about %s for the %s iterations to come, at %s an iteration",
                        in_time(left * seconds), f"{left:,}", in_short(seconds),
                    )  # fmt: skip
        elif now - self._told >= HEARTBEAT_S and left:
            self._told = now
            if not self.has_bar():
                self.logger.info(
                    "iteration %s of %s (%d %%), about %s left",
                    f"{trainer.iteration:,}", f"{self.total:,}",
                    100 * trainer.iteration // self.total, in_time(left * seconds),
                )  # fmt: skip


def seconds_of_an_iteration(
    trainer: Steps, batches: BatchSource, *, seconds: float = 3.0, most: int = 20
) -> tuple[float, int]:
    """Train a few iterations, and return the seconds of one and how many were timed.

    The first is not timed, since libraries prepare themselves in it.

    Args:
        trainer: It is another afterwards.
        batches: What it learns from.
        seconds: To go on for.
        most: Iterations timed at most; at least one is.
    """
    _read(trainer.step(batches[0]))
    began = time.monotonic()
    done = 0
    while not done or (done < most and time.monotonic() - began < seconds):
        done += 1
        _read(trainer.step(batches[done]))
    return (time.monotonic() - began) / done, done


def _read(scalars: dict[str, Any]) -> None:
    """Wait for an iteration that a device may still be at work on."""
    for value in scalars.values():
        with contextlib.suppress(TypeError, ValueError):
            float(value)


def in_time(seconds: float) -> str:
    """Return a duration in words: ``45 s``, ``4 min 10 s``, ``1 h 35 min``, ``3 days 4 h``."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        minutes, rest = divmod(round(whole / 10) * 10, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def in_short(seconds: float) -> str:
    """Return the time of an iteration: ``85 ms`` or ``1.6 s``."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
