"""What watches training: four moments, each of which a callback may use or leave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgan_zoo.training.trainer import Trainer


class Callback:
    """Base of all callbacks; every method does nothing."""

    def on_train_begin(self, trainer: Trainer) -> None:
        """Called before the first iteration; ``trainer.iteration`` is above 0 on a resume."""

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Called after every iteration with its scalars, still on the device."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Called after the last iteration of every pass over the data."""

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Called once when training ends, with what ended it if that was an exception."""
