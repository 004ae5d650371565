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
        net: Whose it is: ``"generator"``, ``"discriminator"`` or a further net's name. None where
            that is not known.
        what: Such as ``"loss"``, ``"gradient of layers.0.weight"``, ``"term/r1"``.
        value: The number, if it was one alone.
    """

    iteration: int
    net: str | None
    what: str
    value: float | None = None

    def __str__(self) -> str:
        found = "NaN or infinite" if self.value is None else str(self.value)
        owner = "" if self.net is None else f"the {self.net}'s "
        return f"iteration {self.iteration}: {owner}{self.what} is {found}"


class NonFiniteError(TrainingError):
    """Training came to NaN or infinity.

    Attributes:
        found: Where.
    """

    def __init__(self, found: NonFinite) -> None:
        super().__init__(str(found))
        self.found = found


HELD = 1000
"""The most iterations whose scalars are kept on the device."""


class FiniteCheck(Callback):
    """Looks at every iteration's losses and scores, and at all of a state before it is saved.

    Reading a number waits for the device, so the scalars of all iterations are kept there
    and read together every so often, :data:`HELD` at most.

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
        due = any(trainer.iteration % steps == 0 for steps in self.every_steps)
        if due or len(self._pending) >= HELD:
            self._look(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Look, before others make something of the epoch."""
        self._look(trainer)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Look at what is left."""
        if error is None:
            self._look(trainer)

    def before_save(self, trainer: Trainer, state: Mapping[str, Arrays]) -> None:
        """Look at all that a checkpoint is about to hold, and at the scalars up to it."""
        self._look(trainer)
        for name, arrays in state.items():
            key = first_non_finite(arrays)
            if key is not None:
                net, what = _in_state(trainer, name, key)
                raise NonFiniteError(NonFinite(trainer.iteration, net, what))

    def _look(self, trainer: Trainer) -> None:
        for iteration, scalars in self._pending:
            raise_if_not_finite(trainer, iteration, scalars)
        self._pending.clear()  # not of what was bad: it must be found again before a save


def raise_if_not_finite(
    trainer: Trainer, iteration: int, scalars: Mapping[str, Any], net: str | None = None
) -> None:
    """Raise NonFiniteError for the first of one iteration's scalars that is not finite.

    Args:
        trainer: Knows whose the terms are.
        iteration: The iteration.
        scalars: What :meth:`ppgan_zoo.Trainer.step` or a loss of the game returned.
        net: Whose loss returned them, if that is known.
    """
    for key, scalar in scalars.items():
        value = float(scalar)
        if not math.isfinite(value):
            owner, what = _owner_of_scalar(trainer, key)
            raise NonFiniteError(NonFinite(iteration, owner or net, what, value))


def _owner_of_scalar(trainer: Trainer, key: str) -> tuple[str | None, str]:
    """Return whose a scalar is, and what to call it."""
    kind, _, name = key.partition("/")
    if kind == "loss":
        return name, "loss"
    if kind == "score":
        return "discriminator", key
    if kind != "term":
        return None, key
    term, _, rest = name.partition("/")  # a net, if the term is in both losses
    return rest if rest in trainer.gan.nets else trainer.game.terms.net_of(term), key


def _in_state(trainer: Trainer, file: str, key: str) -> tuple[str | None, str]:
    """Return whose an array of a trainer's state is, and what to call it."""
    nets = trainer.gan.nets
    if file in nets:
        return file, f"weight {key}"
    if file == "ema":
        return "generator", f"EMA weight {key}"
    if file == "terms":
        term, _, _ = key.partition(".")
        return trainer.game.terms.net_of(term), f"state of term {key}"
    for update in trainer.updates:
        if file == f"{update.net}_optimizer":
            other, _, rest = key.partition(".")  # of the nets that learn with the first one
            if other in list(update.nets)[1:]:
                return other, f"optimizer state {rest}"
            return update.net, f"optimizer state {key}"
    return None, f"state of {file} {key}"
