"""Curves, histograms and hyperparameters of a run, for whatever logs it has."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppgan_zoo.models.weights import trainable_parameters
from ppgan_zoo.storage.logs import Log
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

METRICS = ("loss/discriminator", "loss/generator")


class Curves(Callback):
    """Records scalars at the true iteration number, and weight histograms now and then.

    Args:
        log: Where to.
        every_steps: Iterations between two points of a curve.
        histogram_every_steps: Iterations between two histograms; None for none.
        images_per_step: Real images seen in an iteration.
        hparams: The recipe, flattened to ``key.path: value``.
    """

    def __init__(
        self,
        log: Log,
        *,
        every_steps: int,
        histogram_every_steps: int | None,
        images_per_step: int,
        hparams: Mapping[str, Any],
    ) -> None:
        self.log = log
        self.every_steps = every_steps
        self.histogram_every_steps = histogram_every_steps
        self.images_per_step = images_per_step
        self.hparams = dict(hparams)
        self.marked = (0, 0.0)

    def on_train_begin(self, trainer: Trainer) -> None:
        """Record the hyperparameters and start the clock."""
        self.log.hparams(self.hparams, list(METRICS))
        self.marked = (trainer.iteration, time.monotonic())

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Record what is due."""
        step = trainer.iteration
        if step % self.every_steps == 0:
            for tag, value in scalars.items():
                self.log.scalar(tag, float(value), step)
            for update in trainer.updates:
                rate = float(update.optimizer.get_lr())
                self.log.scalar(f"learning_rate/{update.net}", rate, step)
            done, since = self.marked
            seconds = max(time.monotonic() - since, 1e-9)
            images = (step - done) * self.images_per_step
            self.log.scalar("speed/images_per_second", images / seconds, step)
            self.marked = (step, time.monotonic())
        if self.histogram_every_steps and step % self.histogram_every_steps == 0:
            self._record_weights(trainer)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Close the log."""
        self.log.close()

    def _record_weights(self, trainer: Trainer) -> None:
        for net, layer in trainer.gan.nets.items():
            learned = {id(parameter) for parameter in trainable_parameters(layer)}
            for name, parameter in layer.named_parameters():
                if id(parameter) in learned:
                    values: np.ndarray = parameter.numpy()
                    self.log.histogram(f"{net}/{name}", values, trainer.iteration)
