"""Looks once, after the first few hundred iterations, whether G has begun to learn."""

from __future__ import annotations

import logging
import math
from typing import Any

from ppgan_zoo.callbacks.finite import NonFinite, NonFiniteError
from ppgan_zoo.data import ImageSet
from ppgan_zoo.errors import TrainingError
from ppgan_zoo.training.first_phase import BEGUN, Look
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

NAME = "early_collapse"


class EarlyCollapseError(TrainingError):
    """G has not begun to learn in the first phase.

    Attributes:
        iteration: Iterations done.
        distance: The :func:`ppgan_zoo.training.first_phase.start_distance` of its samples.
    """

    def __init__(self, iteration: int, distance: float) -> None:
        super().__init__(
            f"iteration {iteration}: G has not begun to learn: its samples are at {distance:.2f}, "
            f"where one flat picture for every z is at 1 and a G that has begun is below {BEGUN:g}"
        )
        self.iteration = iteration
        self.distance = distance


class FirstPhaseWatch(Callback):
    """Looks at G's samples after an iteration, once.

    What it finds is a function of the trainer's state then, so that a run that is killed and
    resumed takes the same course.

    Args:
        images: The training images.
        iteration: When to look.
        action: ``"warn"``: log a line; ``"stop"``: end the run too; ``"restart"``: raise.
        logger: Gets the line.

    Attributes:
        stopped: Whether it has ended the run.

    Raises:
        EarlyCollapseError: From `on_step_end`: G has not begun, and `action` is to restart.
        NonFiniteError: Likewise: G's images are not finite.
    """

    def __init__(
        self, images: ImageSet, *, iteration: int, action: str, logger: logging.Logger
    ) -> None:
        self.images = images
        self.iteration = iteration
        self.action = action
        self.logger = logger
        self.stopped = False

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Look, if it is time to."""
        if trainer.iteration != self.iteration:
            return
        distance, _ = Look(self.images, trainer)(trainer)
        if math.isnan(distance):
            raise NonFiniteError(NonFinite(trainer.iteration, "generator", "image"))
        if distance < BEGUN:
            return
        error = EarlyCollapseError(trainer.iteration, distance)
        if self.action == "restart":
            raise error
        self.logger.warning(
            "health: %s at %s; try another seed, lower learning rates, or "
            "health.on_early_collapse=restart", NAME, error,
        )  # fmt: skip
        if self.action == "stop":
            self.stopped = trainer.stop_requested = True
