"""Metrics during training, as curves and in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from ppgan_zoo.distributed.group import Group
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.table import in_order
from ppgan_zoo.storage.logs import Log
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer


class Evaluator(Protocol):
    """What takes the figures: :class:`ppgan_zoo.evaluation.evaluator.Evaluator`."""

    num_samples: int

    def features(self, trainer: Trainer, group: Group | None = None) -> FeatureSet:
        """Return what a network says of samples, to which all of a group do their share."""

    def figures(self, samples: FeatureSet) -> dict[str, float]:
        """Return the figures of that."""


class SampleFeatures(Callback):
    """The features of samples, to which every process of a group does its share.

    Meant for all processes of a run: those that do not lead have nothing else of an evaluation.

    Args:
        evaluator: Takes the features.
        every_steps: Numbers of iterations between two evaluations.
        group: The processes that train together.
    """

    def __init__(self, evaluator: Evaluator, every_steps: Iterable[int], group: Group) -> None:
        self.evaluator = evaluator
        self.every_steps = tuple(every_steps)
        self.group = group
        self._latest: tuple[int, FeatureSet] | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Forget features of weights that may have been replaced."""
        self._latest = None

    def on_step_together(self, trainer: Trainer) -> None:
        """Take them with the other processes, if it is time to."""
        is_time = any(trainer.iteration % number == 0 for number in self.every_steps)
        if is_time and 1 < self.group.size <= self.evaluator.num_samples:
            self._latest = trainer.iteration, self.evaluator.features(trainer, self.group)

    def of(self, trainer: Trainer) -> FeatureSet:
        """Return those of this iteration; work them out here if the others did not help."""
        if self._latest is not None and self._latest[0] == trainer.iteration:
            return self._latest[1]
        return self.evaluator.features(trainer)


class Evaluation(Callback):
    """Takes metrics every so often, and when it is asked for them.

    No iteration is evaluated twice: the checkpoint saver, which asks for the figure of
    the weights it saves, gets the figures that were taken of them already.

    Args:
        features: The samples' features; must be called before this one.
        every_steps: Iterations between two evaluations; None for only when asked.
        log: Gets each figure as ``metric/NAME``; None where there is none.
        logger: Gets a line for each evaluation.
    """

    def __init__(
        self,
        features: SampleFeatures,
        *,
        every_steps: int | None,
        log: Log | None,
        logger: logging.Logger,
    ) -> None:
        self.features = features
        self.every_steps = every_steps
        self.log = log
        self.logger = logger
        self._latest: tuple[int, dict[str, float]] | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Forget figures of weights that may have been replaced."""
        self._latest = None

    def on_step_end(self, trainer: Trainer, scalars: dict[str, object]) -> None:
        """Evaluate, if it is time to."""
        if self.every_steps and trainer.iteration % self.every_steps == 0:
            self.figures(trainer)

    def figures(self, trainer: Trainer) -> dict[str, float]:
        """Return the figures of the trainer's weights at this iteration."""
        if self._latest is None or self._latest[0] != trainer.iteration:
            figures = self.features.evaluator.figures(self.features.of(trainer))
            if self.log is not None:
                for name, value in figures.items():
                    self.log.scalar(f"metric/{name}", value, trainer.iteration)
            text = "  ".join(f"{name} {figures[name]:.4f}" for name in in_order(figures))
            self.logger.info("evaluated at iteration %d: %s", trainer.iteration, text)
            self._latest = (trainer.iteration, figures)
        return self._latest[1]
