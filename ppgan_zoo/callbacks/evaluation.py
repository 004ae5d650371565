"""Metrics during training, as curves and in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ppgan_zoo.metrics.table import in_order
from ppgan_zoo.storage.logs import Log
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer


class Evaluation(Callback):
    """Takes metrics every so often, and when it is asked for them.

    No iteration is evaluated twice: the checkpoint saver, which asks for the figure of
    the weights it saves, gets the figures that were taken of them already.

    Args:
        evaluator: From a trainer to its figures by name.
        every_steps: Iterations between two evaluations; None for only when asked.
        log: Gets each figure as ``metric/NAME``; None where there is none.
        logger: Gets a line for each evaluation.
    """

    def __init__(
        self,
        evaluator: Callable[[Trainer], dict[str, float]],
        *,
        every_steps: int | None,
        log: Log | None,
        logger: logging.Logger,
    ) -> None:
        self.evaluator = evaluator
        self.every_steps = every_steps
        self.log = log
        self.logger = logger
        self._latest: tuple[int, dict[str, float]] | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Forget figures of weights that may have been replaced."""
        self._latest = None

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Evaluate, if it is time to."""
        if self.every_steps and trainer.iteration % self.every_steps == 0:
            self.figures(trainer)

    def figures(self, trainer: Trainer) -> dict[str, float]:
        """Return the figures of the trainer's weights at this iteration."""
        if self._latest is None or self._latest[0] != trainer.iteration:
            figures = self.evaluator(trainer)
            if self.log is not None:
                for name, value in figures.items():
                    self.log.scalar(f"metric/{name}", value, trainer.iteration)
            text = "  ".join(f"{name} {figures[name]:.4f}" for name in in_order(figures))
            self.logger.info("evaluated at iteration %d: %s", trainer.iteration, text)
            self._latest = (trainer.iteration, figures)
        return self._latest[1]
