"""Saves checkpoints: the last few, and the best."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppgan_zoo import ops
from ppgan_zoo.callbacks.finite import FiniteCheck, NonFinite, NonFiniteError
from ppgan_zoo.errors import CheckpointError, TrainingError
from ppgan_zoo.storage.checkpoint import save_checkpoint
from ppgan_zoo.storage.retention import (
    list_checkpoints,
    prune_checkpoints,
    read_best,
    remember_best,
    remember_good,
    remove_abandoned,
)
from ppgan_zoo.storage.tolerance import reason
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

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
        finite: Looks at the state before it is saved; None for no look.
        facts: More plain data for the manifest of each checkpoint, such as the run's seed.
        owned: Called before each save; raises if the folder is another run's by now.
        go_on: Whether training continues where a checkpoint cannot be written. The last one
            of a run must be written all the same.
        good_until: Returns the iteration up to which the run was healthy: the last checkpoint
            up to there is kept too. None for none.

    Raises:
        TrainingError: From the callback's methods: a checkpoint cannot be written.
        NonFiniteError: Likewise: the state is not finite, and not saved.
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
        finite: FiniteCheck | None = None,
        owned: Callable[[], None] = lambda: None,
        facts: Mapping[str, Any] | None = None,
        go_on: bool = False,
        good_until: Callable[[], int | None] | None = None,
    ) -> None:
        self.folder = folder
        self.model = dict(model)
        self.every_steps = every_steps
        self.keep_last = keep_last
        self.figure_name = figure_name
        self.figure = figure
        self.logger = logger
        self.finite = finite
        self.owned = owned
        self.facts = dict(facts or {})
        self.go_on = go_on
        self.good_until = good_until
        self.best: float | None = None
        self.saved_at = -1

    def on_train_begin(self, trainer: Trainer) -> None:
        """Look up the best so far of a resumed run, and forget what it abandons."""
        self.saved_at = trainer.iteration if trainer.iteration else -1
        remove_abandoned(self.folder, trainer.iteration, self.logger.warning)
        # From the checkpoints themselves: a kill may have come before best.json was written.
        known = [
            (float(found.manifest[self.figure_name]), found.iteration, found)
            for found in list_checkpoints(self.folder)
            if self.figure_name in found.manifest
        ]
        if known:
            self.best, _, best = min(known, key=lambda entry: entry[:2])
            if read_best(self.folder) != _entry(best.path, self.figure_name, self.best):
                remember_best(self.folder, best, self.figure_name, self.best)

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Save, if it is time to."""
        if self.every_steps and trainer.iteration % self.every_steps == 0:
            self._save(trainer, go_on=self.go_on)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Save, if it is once an epoch."""
        if self.every_steps is None:
            self._save(trainer, go_on=self.go_on)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Save what was done since."""
        if error is None and self.saved_at != trainer.iteration:
            self._save(trainer, go_on=False)

    def _save(self, trainer: Trainer, *, go_on: bool) -> None:
        state = trainer.state()
        if self.finite is not None:
            self.finite.before_save(trainer, state)
        chance = trainer.chance
        facts: dict[str, Any] = {
            **self.facts, "rollbacks": chance.rollbacks, "products": ops.choices_used(),
        }  # fmt: skip
        if chance.restarts:
            facts["restarts"] = chance.restarts
        if self.figure is not None:
            facts[self.figure_name] = value = self.figure(trainer)
            if not math.isfinite(value):
                found = NonFinite(trainer.iteration, "generator", self.figure_name, value)
                raise NonFiniteError(found)
        try:
            self._write(trainer, state, facts)
        except OSError as error:
            line = self._what_failed(trainer, error)
            # A folder that is gone will not come back: then nothing is left to go on for.
            if not go_on or not self.folder.is_dir():
                raise TrainingError(line) from None
            self.logger.warning("%s; training continues", line)

    def _write(self, trainer: Trainer, state: Mapping[str, Any], facts: dict[str, Any]) -> None:
        self.owned()
        self.folder.stat()  # one that was taken away with its run is not made anew
        checkpoint = save_checkpoint(self.folder, state, trainer.iteration, self.model, **facts)
        self.saved_at = trainer.iteration
        if self.figure is not None:
            value = facts[self.figure_name]
            if self.best is None or value < self.best:
                remember_best(self.folder, checkpoint, self.figure_name, value)
                self.best = value
                self.logger.info(
                    "best so far: iteration %d, %s %.4f",
                    trainer.iteration, self.figure_name, value,
                )  # fmt: skip
        good_until = self.good_until() if self.good_until is not None else None
        if good_until is not None:
            remember_good(self.folder, good_until)
        prune_checkpoints(
            self.folder, self.keep_last, trainer.iteration, good_until, self.logger.warning
        )

    def _what_failed(self, trainer: Trainer, error: OSError) -> str:
        saved = []
        with contextlib.suppress(CheckpointError):  # one error is enough to tell
            saved = list_checkpoints(self.folder)
        good = saved[-1].path if saved else "none"
        return (
            f"iteration {trainer.iteration}: checkpoint not saved: {reason(error)}; last good "
            f"checkpoint: {good}; make room or mend {self.folder.parent}, then "
            "continue with --resume"
        )


def _entry(path: Path, figure: str, value: float) -> dict[str, Any]:
    return {"checkpoint": path.name, "figure": figure, "value": value}
