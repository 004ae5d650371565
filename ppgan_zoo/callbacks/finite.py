"""Finds NaN and infinity before a checkpoint can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppgan_zoo.errors import TrainingError
from ppgan_zoo.storage.checkpoint import Arrays, first_non_finite
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer


@dataclass(frozen=True)
class NonFinite:
    """Where a number was NaN or infinite.

    Attributes:
        iteration: Iterations done, with the one that it was found in.
        net: ``"generator"`` or ``"discriminator"``.
        what: Such as ``"loss"``, ``"gradient of layers.0.weight"``, ``"penalty/r1"``.
        value: The number, if it was one alone.
    """

    iteration: int
    net: str
    what: str
    value: float | None = None

    def __str__(self) -> str:
        found = "NaN or infinite" if self.value is None else str(self.value)
        return f"iteration {self.iteration}: the {self.net}'s {self.what} is {found}"


class NonFiniteError(TrainingError):
    """Training came to NaN or infinity.

    Attributes:
        found: Where.
    """

    def __init__(self, found: NonFinite) -> None:
        super().__init__(str(found))
        self.found = found


class FiniteCheck(Callback):
    """Looks at every iteration's losses and scores, and at all of a state before it is saved.

    Reading a number waits for the device, so the scalars of all iterations are kept there
    and read together every so often.

    Args:
        *every_steps: Iterations between two looks; of several periods, whichever is due. There
            is one at the end of each epoch too.

    Raises:
        NonFiniteError: From the callback's methods, with the first iteration that was bad.
    """

    def __init__(self, *every_steps: int | None) -> None:
        self.every_steps = tuple(steps for steps in every_steps if steps is not None)
        self._pending: list[tuple[int, Mapping[str, Any]]] = []

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Keep the scalars, and look if it is time to."""
        self._pending.append((trainer.iteration, scalars))
        if any(trainer.iteration % steps == 0 for steps in self.every_steps):
            self._look()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Look, before others make something of the epoch."""
        self._look()

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Look at what is left."""
        if error is None:
            self._look()

    def before_save(self, trainer: Trainer, state: Mapping[str, Arrays]) -> None:
        """Look at all that a checkpoint is about to hold, and at the scalars up to it."""
        self._look()
        for name, arrays in state.items():
            key = first_non_finite(arrays)
            if key is not None:
                net = "discriminator" if name.startswith(("discriminator", "terms")) else (
                    "generator"
                )  # fmt: skip
                kind = {"generator": "weight", "discriminator": "weight", "ema": "EMA weight"}
                what = f"{kind.get(name, 'optimizer state')} {key}"
                raise NonFiniteError(NonFinite(trainer.iteration, net, what))

    def _look(self) -> None:
        for iteration, scalars in self._pending:
            raise_if_not_finite(iteration, scalars)
        self._pending.clear()  # not of what was bad: it must be found again before a save


def raise_if_not_finite(iteration: int, scalars: Mapping[str, Any]) -> None:
    """Raise NonFiniteError for the first of one iteration's scalars that is not finite."""
    for key, scalar in scalars.items():
        value = float(scalar)
        if not math.isfinite(value):
            kind, _, name = key.partition("/")
            net = name if kind == "loss" else "discriminator"
            raise NonFiniteError(
                NonFinite(iteration, net, "loss" if kind == "loss" else key, value)
            )
