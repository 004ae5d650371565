"""How long a run will take, soon after it began; and where it is, once a minute, without a bar."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from ppgan_zoo.storage.durations import HEARTBEAT_S, MEASURED_S, WORTH_S, in_short, in_time
from ppgan_zoo.storage.stages import is_on_terminal
from ppgan_zoo.training.loop import BatchSource, Callback, Steps
from ppgan_zoo.training.trainer import Trainer


class Pace(Callback):
    """Tells the estimated duration once, and without a terminal where it is, once a minute.

    Args:
        total: Iterations of the whole run.
        tell: Gets the lines.
        what: Begins each line; such as ``"seed 2 of 3: "``.
        clock: Returns seconds; for tests.
        has_bar: Whether the time left is shown anyway, by a progress bar.
    """

    def __init__(
        self,
        total: int,
        tell: Callable[[str], None],
        *,
        what: str = "",
        clock: Callable[[], float] = time.monotonic,
        has_bar: Callable[[], bool] = is_on_terminal,
    ) -> None:
        self.total = total
        self.tell = tell
        self.what = what
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
                    self.tell(
                        f"{self.what}about {in_time(left * seconds)} for the {left:,} iterations "
                        f"to come, at {in_short(seconds)} an iteration"
                    )
        elif now - self._told >= HEARTBEAT_S and left:
            self._told = now
            if not self.has_bar():
                self.tell(
                    f"{self.what}iteration {trainer.iteration:,} of {self.total:,} "
                    f"({100 * trainer.iteration // self.total} %), about "
                    f"{in_time(left * seconds)} left"
                )


def seconds_of_an_iteration(
    trainer: Steps,
    batches: BatchSource,
    *,
    seconds: float = 3.0,
    most: int = 20,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[float, int]:
    """Train a few iterations, and return the seconds of one and how many were timed.

    The first is not timed, since libraries prepare themselves in it.

    Args:
        trainer: It is another afterwards.
        batches: What it learns from.
        seconds: To go on for.
        most: Iterations timed at most; at least one is.
        clock: Returns seconds; ``time.process_time`` for those of the processor.
    """
    _read(trainer.step(batches[0]))
    began = clock()
    done = 0
    while not done or (done < most and clock() - began < seconds):
        done += 1
        _read(trainer.step(batches[done]))
    return (clock() - began) / done, done


def _read(scalars: dict[str, Any]) -> None:
    """Wait for an iteration that a device may still be at work on."""
    for value in scalars.values():
        with contextlib.suppress(TypeError, ValueError):
            float(value)
