"""How far a run is, in a file that other programs read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.progress import Progress, Stretch, read_progress
from ppgan_zoo.storage.tolerance import Guard, strict
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

EVERY_SECONDS = 5.0


class ProgressFile(Callback):
    """Keeps ``progress.json``: at the beginning, every few seconds, and at the end.

    Args:
        path: The file. That of a resumed run is added to.
        iterations: Of the whole run.
        guard: Around the writing of the file.
    """

    def __init__(self, path: Path, iterations: int, guard: Guard = strict) -> None:
        self.path = path
        self.iterations = iterations
        self.guard = guard
        self._before: tuple[Stretch, ...] = ()
        self._first = 0
        self._began = self._clock = self._cpu_clock = self._written = 0.0

    def on_train_begin(self, trainer: Trainer) -> None:
        """Begin a stretch."""
        try:
            known = read_progress(self.path)
        except DataError:  # damaged: only the times of before are lost
            known = None
        self._before = known.stretches if known is not None else ()
        self._first = trainer.iteration
        self._began, self._clock = time.time(), time.monotonic()
        self._cpu_clock = time.process_time()
        self._write(trainer)

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Write, if it is time to, and after the last iteration."""
        now = time.monotonic()
        if now - self._written >= EVERY_SECONDS or trainer.iteration == self.iterations:
            self._write(trainer)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Write what was done, whatever ended it."""
        if trainer.iteration > self._first:
            self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        self._written = time.monotonic()
        stretch = Stretch(
            began=self._began,
            first=self._first,
            done=trainer.iteration,
            seconds=round(max(self._written - self._clock, 0.0), 3),
            cpu_seconds=round(time.process_time() - self._cpu_clock, 3),
        )
        with self.guard(self.path.name):
            Progress(iterations=self.iterations, stretches=(*self._before, stretch)).write(
                self.path
            )
