"""Saves checkpoints: the last few, and the best."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppgan_zoo.callbacks.base import Callback
from ppgan_zoo.checkpoint import (
    checkpoint_name,
    prune_checkpoints,
    read_best,
    remember_best,
    save_checkpoint,
)
from ppgan_zoo.trainer import Trainer

Figure = Callable[[Trainer], float]
"""How good the trainer's samples are; lower is better."""


class CheckpointSaver(Callback):
    """Saves every so often and when training ends well or is asked to stop.

    Args:
        folder: The run's ``checkpoints`` folder.
        model: What rebuilds the model, for the manifest.
        every_steps: Iterations between two checkpoints; None for one an epoch.
        keep_last: How many of the newest to keep, beside the best.
        figure_name: Name of the figure that the best is chosen by.
        figure: The figure; None to keep no best.
        logger: Gets a line for each new best.
        good_until: Returns the iteration up to which the run was healthy: the last checkpoint
            up to there is kept too. None for none.
    """

    def __init__(
        self,
        folder: Path,
        model: Mapping[str, Any],
        *,
        every_steps: int | None,
        keep_last: int,
        figure_name: str,
        figure: Figure | None,
        logger: logging.Logger,
        good_until: Callable[[], int | None] | None = None,
    ) -> None:
        self.folder = folder
        self.model = dict(model)
        self.every_steps = every_steps
        self.keep_last = keep_last
        self.figure_name = figure_name
        self.figure = figure
        self.logger = logger
        self.good_until = good_until
        self.best: float | None = None
        self.saved_at = -1

    def on_train_begin(self, trainer: Trainer) -> None:
        """Look up the best so far of a resumed run."""
        self.saved_at = trainer.iteration if trainer.iteration else -1
        best = read_best(self.folder)
        if best is None or best["figure"] != self.figure_name:
            return
        if best["checkpoint"] <= checkpoint_name(trainer.iteration):
            self.best = best["value"]
        else:  # of a course of the run that this resume abandons
            (self.folder / "best.json").unlink()

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Save, if it is time to."""
        if self.every_steps and trainer.iteration % self.every_steps == 0:
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Save, if it is once an epoch."""
        if self.every_steps is None:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Save what was done since."""
        if error is None and self.saved_at != trainer.iteration:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        facts: dict[str, Any] = {}
        if self.figure is not None:
            facts[self.figure_name] = self.figure(trainer)
        checkpoint = save_checkpoint(
            self.folder, trainer.state(), trainer.iteration, self.model, **facts
        )
        if self.figure is not None:
            value = facts[self.figure_name]
            if self.best is None or value < self.best:
                self.best = value
                remember_best(self.folder, checkpoint, self.figure_name, value)
                self.logger.info(
                    "best so far: iteration %d, %s %.4f",
                    trainer.iteration, self.figure_name, value,
                )  # fmt: skip
        good_until = self.good_until() if self.good_until is not None else None
        prune_checkpoints(self.folder, self.keep_last, trainer.iteration, good_until)
        self.saved_at = trainer.iteration
