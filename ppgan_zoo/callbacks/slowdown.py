"""Iterations that take longer than they did: said once, with what helps."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from ppgan_zoo.ops.threads import seconds_by_threads
from ppgan_zoo.storage.durations import in_short
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

WINDOW = 64
"""Iterations whose median is the pace: one that an evaluation came between does not count."""

SLOWER = 1.6
GAIN = 0.85
"""Fewer threads are worth a word if a product takes this share of its time with them, or less."""

QUIET_S = 1800.0
"""At least so long between two words."""


class Slowdown(Callback):
    """Watches the pace, and measures with how many threads this machine is fastest when it drops.

    Threads are not changed while a run goes on: sums would be rounded in another way, and a run
    that is continued would not end with the same bytes.

    Args:
        tell: Gets the line.
        go_on: The command that continues the run.
        clock: Returns seconds; for tests.
        measure: Returns the seconds of a product by the number of threads.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        go_on: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        measure: Callable[[], dict[int, float]] = seconds_by_threads,
    ) -> None:
        self.tell = tell
        self.go_on = go_on
        self.clock = clock
        self.measure = measure
        self._last: float | None = None
        self._intervals: list[float] = []
        self._best = float("inf")
        self._told: float | None = None

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Note the time since the iteration before; after a window of them, look at the pace."""
        now = self.clock()
        if self._last is not None:
            self._intervals.append(now - self._last)
        self._last = now
        if len(self._intervals) < WINDOW:
            return
        pace, self._intervals = median(self._intervals), []
        self._best = min(self._best, pace)
        waited = self._told is None or now - self._told >= QUIET_S
        if pace > SLOWER * self._best and waited:
            self._told = now
            self.tell(self._line(pace))
            self._last = self.clock()  # measuring took time

    def _line(self, pace: float) -> str:
        seconds = self.measure()
        most, best = max(seconds), min(seconds, key=lambda count: seconds[count])
        line = (
            f"an iteration takes {in_short(pace)} by now, and took {in_short(self._best)}: other "
            "programs need the processor"
        )
        if best == most or seconds[best] > GAIN * seconds[most]:
            return line
        return (
            f"{line}; a product of matrices takes {in_short(seconds[most])} with {most} threads "
            f"and {in_short(seconds[best])} with {best}: to go on faster, press Ctrl-C and run: "
            f"PPGAN_ZOO_THREADS={best} {self.go_on}"
        )
