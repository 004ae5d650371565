"""The progress bar, and the line per epoch."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from ppgan_zoo.callbacks.scalars import Means, in_words, losses_in_short
from ppgan_zoo.storage.stages import Bar
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer


class ProgressBar(Callback):
    """Iteration, losses, images/s and time left, on a terminal only.

    Args:
        total: Iterations of the whole run.
        images_per_step: Real images seen in an iteration.
        every_steps: Iterations between two readings of the losses from the device.
        tags: Returns a few words to stand behind them, or none.
        title: Stands before the iteration, such as ``"seed 2 of 3"``.
    """

    def __init__(
        self,
        total: int,
        images_per_step: int,
        every_steps: int,
        tags: Callable[[], str] = lambda: "",
        title: str = "",
    ) -> None:
        self.total = total
        self.images_per_step = images_per_step
        self.every_steps = every_steps
        self.tags = tags
        self.title = title
        self.bar: Any = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Show the bar, unless standard error is a file or a pipe."""
        self.bar = Bar(self.total, self.title, initial=trainer.iteration)

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Move the bar."""
        if self.bar.disable:
            return
        try:
            self._move(trainer, scalars)
        except OSError:  # the terminal is gone, and the run is to go on without it
            self.bar.disable = True

    def _move(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        self.bar.update()
        if trainer.iteration % self.every_steps == 0:
            rate = (self.bar.format_dict["rate"] or 0.0) * self.images_per_step
            words = [*losses_in_short(scalars), f"{rate:.0f} images/s", self.tags()]
            self.bar.set_postfix_str(" ".join(words).rstrip(), refresh=False)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Leave the bar as it stands."""
        with contextlib.suppress(OSError):
            self.bar.close()


class EpochLog(Callback):
    """One log line per epoch, with the means of all scalars; one more at the end.

    Args:
        logger: Where the lines go.
        steps_per_epoch: Iterations of an epoch.
        images_per_step: Real images seen in an iteration.
    """

    def __init__(self, logger: logging.Logger, steps_per_epoch: int, images_per_step: int) -> None:
        self.logger = logger
        self.steps_per_epoch = steps_per_epoch
        self.images_per_step = images_per_step
        self.means = Means()
        self.started = 0.0

    def on_train_begin(self, trainer: Trainer) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Count the scalars in."""
        self.means.add(scalars)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the epoch's line."""
        self._write(trainer)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Write a line for what is left of an epoch."""
        if self.means.iterations:
            self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        elapsed = time.monotonic() - self.started
        rate = self.means.iterations * self.images_per_step / max(elapsed, 1e-9)
        words = [
            f"epoch {trainer.iteration / self.steps_per_epoch:.2f}",
            f"iteration {trainer.iteration}",
            *in_words(self.means.take()),
            f"{rate:.0f} images/s",
        ]
        self.logger.info("%s", "  ".join(words))
        self.started = time.monotonic()
