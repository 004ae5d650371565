"""Names trouble while training continues, with the remedy in the same line."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.batches import as_batch
from ppgan_zoo.storage.logs import Log
from ppgan_zoo.training.loop import BatchSource, Callback
from ppgan_zoo.training.signals import nearness_to_training, take_signals
from ppgan_zoo.training.trainer import Trainer

MEMORY_EVERY_CHECKS = 10  # a search for neighbours costs as much as several checks
MEMORY_BYTES = 4 << 20  # of training images that are searched


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble.

    Attributes:
        name: As ``health.stop_on`` has it.
        signal: The figure that shows it; its tag as a curve is ``health/`` and this.
        limit: Trouble is at or beyond it.
        above: Whether beyond is above the limit, or below it.
        checks: How many in a row begin it, and how many without it end it.
        tag: What the progress bar says.
        finding: What the log says, with a place for the figure.
        remedy: What to do.
    """

    name: str
    signal: str
    limit: float
    above: bool
    checks: int
    tag: str
    finding: str
    remedy: str

    def shows(self, value: float) -> bool:
        """Tell whether a figure shows this trouble; NaN shows none."""
        return value >= self.limit if self.above else value <= self.limit


# The limits are measured: docs/health.md says on which runs.
TROUBLES = (
    Trouble(
        name="strong_discriminator",
        signal="ranking",
        limit=0.999,
        above=True,
        checks=10,
        tag="D too strong",
        finding="D ranks {:.2%} of all pairs of a real image and a sample right",
        remedy="lower optimizer.discriminator.learning_rate, train G more often, or hold D back: "
        "terms r1, constraints.spectral_norm or instance_noise, objective.label_smoothing",
    ),
    Trouble(
        name="identical_samples",
        signal="sample_distance",
        limit=0.25,
        above=False,
        checks=10,
        tag="samples alike",
        finding="G's samples lie {:.2f} times as far apart as real images",
        remedy="set training.generator_steps to 1 or lower optimizer.generator.learning_rate; "
        "constraints.packing 2, a penalty such as r1, or objective.name relativistic_pairing "
        "with r1 and r2",
    ),
    Trouble(
        name="vanishing_gradient",
        signal="generator_gradient",
        limit=0.01,
        above=False,
        checks=5,
        tag="no gradient to G",
        finding="moving a sample as far as two real images lie apart changes G's loss by {:.1e}",
        remedy="set objective.name to non_saturating instead of minimax; weaken D: fewer "
        "training.discriminator_steps, a lower learning rate, a gradient penalty",
    ),
    Trouble(
        name="memorisation",
        signal="memorisation",
        limit=0.8,
        above=False,
        checks=2,
        tag="memorising",
        finding="samples lie {:.2f} times as far from the nearest training image as another "
        "training image does",
        remedy="use more images (data.limit) or constraints.augment, a smaller D, or stop earlier "
        "and take the best checkpoint",
    ),
)
TROUBLE_NAMES = tuple(trouble.name for trouble in TROUBLES)
BY_NAME = dict(zip(TROUBLE_NAMES, TROUBLES, strict=True))


class Health(Callback):
    """Checks now and then, and says once when trouble begins and once when it ends.

    What it remembers, a few checks, does not survive a resume: trouble that was there is
    named again after as many checks as it takes to begin.

    Args:
        batches: The data that the trainer is fitted to.
        images_per_update: Real images of one D update.
        training: Images ``uint8 [N, C, H, W]`` to search for memorised ones.
        every_steps: Iterations between two checks.
        stop_on: Names of troubles that end training.
        logger: Gets the lines.
        log: Gets the figures.
        good_until: Of a resumed run, what was known of it before.

    Attributes:
        stopped_by: Name of the trouble that ended training, or None.
        good_until: Iteration up to which each of `stop_on` was measured and not there; what is
            not measured at every check, as memorisation is not, is known up to its last check.
    """

    def __init__(
        self,
        batches: BatchSource,
        images_per_update: int,
        training: NDArray[np.uint8],
        *,
        every_steps: int,
        stop_on: Collection[str] = (),
        logger: logging.Logger,
        log: Log | None = None,
        good_until: int | None = None,
    ) -> None:
        self.batches = batches
        self.images_per_update = images_per_update
        searched = max(2, min(len(training), MEMORY_BYTES // max(1, training[0].nbytes)))
        chosen = np.linspace(0, len(training) - 1, min(searched, len(training))).astype(int)
        self.training = training[chosen]
        self.every_steps = every_steps
        self.stop_on = frozenset(stop_on)
        self.logger = logger
        self.log = log
        self.stopped_by: str | None = None
        self.good_until = good_until
        self._states = [_State(trouble, good_until) for trouble in TROUBLES]

    @property
    def tags(self) -> str:
        """What the progress bar is to say: the troubles that are there, in short."""
        return ", ".join(state.trouble.tag for state in self._states if state.active)

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Check, if it is time to."""
        if trainer.iteration % self.every_steps == 0:
            self.check(trainer)

    def check(self, trainer: Trainer) -> None:
        """Take the figures, record them, and name what begins or ends."""
        figures = self.figures(trainer)
        if self.log is not None:
            for signal, value in figures.items():
                self.log.scalar(f"health/{signal}", value, trainer.iteration)
        for state in self._states:
            trouble = state.trouble
            value = figures.get(trouble.signal, math.nan)
            if math.isnan(value) or not self._applies(trouble, trainer):
                continue
            if not trouble.shows(value):
                state.good_until = trainer.iteration
            if state.changes(trouble.shows(value)):
                self._tell(state, value, trainer)
        self.good_until = self._known_good(trainer)

    def _known_good(self, trainer: Trainer) -> int | None:
        """Return until when each of `stop_on` was measured and not there; None if one never was."""
        good: list[int] = []
        for state in self._states:
            if state.trouble.name in self.stop_on and self._applies(state.trouble, trainer):
                if state.good_until is None:
                    return None
                good.append(state.good_until)
        return min(good, default=trainer.iteration)

    def _applies(self, trouble: Trouble, trainer: Trainer) -> bool:
        """Tell whether a trouble can be there at all."""
        if trouble.name == "memorisation":
            return len(self.training) > 1
        # A critic is to be trained to its best, and its slope does not fade for it.
        return trouble.name != "strong_discriminator" or not trainer.game.objective.of_critic

    def figures(self, trainer: Trainer) -> Mapping[str, float]:
        """Return the figures that are due, by signal."""
        # The batch that D has just learned from; the data are a function of the iteration.
        real = as_batch(self.batches[trainer.iteration - 1])
        signals = take_signals(trainer, real.map(lambda array: array[: self.images_per_update]))
        figures = {
            "ranking": signals.ranking,
            "sample_distance": signals.sample_distance,
            "generator_gradient": signals.generator_gradient,
        }
        due = trainer.iteration // self.every_steps % MEMORY_EVERY_CHECKS == 0
        if due and self._applies(BY_NAME["memorisation"], trainer):
            figures["memorisation"] = nearness_to_training(
                signals.samples, self.training, trainer.gan.image_range
            )
        return figures

    def _tell(self, state: _State, value: float, trainer: Trainer) -> None:
        trouble = state.trouble
        if not state.active:
            self.logger.info("health: %s is over (iteration %d)", trouble.name, trainer.iteration)
            return
        self.logger.warning(
            "health: %s at iteration %d: %s; %s",
            trouble.name, trainer.iteration, trouble.finding.format(value), trouble.remedy,
        )  # fmt: skip
        if trouble.name in self.stop_on:
            self.stopped_by = self.stopped_by or trouble.name
            trainer.stop_requested = True


class _State:
    """Whether one trouble is there: it takes several checks in a row to change."""

    def __init__(self, trouble: Trouble, good_until: int | None = None) -> None:
        self.trouble = trouble
        self.good_until = good_until  # of the last check that measured it and found nothing
        self.active = False
        self._against = 0

    def changes(self, shows: bool) -> bool:
        """Take one check into account; tell whether trouble has begun or ended."""
        self._against = self._against + 1 if shows != self.active else 0
        if self._against < self.trouble.checks:
            return False
        self.active, self._against = shows, 0
        return True
