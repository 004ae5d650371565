"""What a run does when its numbers are no longer finite: find out why and stop, or go back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import paddle
from paddle import Tensor

from ppgan_zoo.callbacks.finite import NonFinite, NonFiniteError, raise_if_not_finite
from ppgan_zoo.errors import CheckpointError, TrainingError
from ppgan_zoo.storage.checkpoint import Arrays, Checkpoint
from ppgan_zoo.storage.retention import checkpoint_folders, load_newest
from ppgan_zoo.training.loop import BatchSource
from ppgan_zoo.training.trainer import Trainer
from ppgan_zoo.training.update import Update

LOSSES = {
    "discriminator_loss": "discriminator",
    "loss_of_real": "discriminator",
    "loss_of_fake": "discriminator",
    "generator_loss": "generator",
    "lazy_loss": None,
}
"""The methods of a game that make a loss, and whose it is; None: their first argument's."""

FreshTrainer = Callable[[], Trainer]
"""Builds the run's trainer as it was before its first iteration, or the first since a restart."""


def restore(trainer: Trainer, folder: Path, notify: Callable[[str], object]) -> Checkpoint:
    """Bring a fresh trainer to where the newest valid checkpoint was.

    Args:
        trainer: Of the run, as yet without an iteration.
        folder: The run's ``checkpoints`` folder.
        notify: Called with one line for each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: There is none, or it is of another model.
    """
    checkpoint, arrays = load_newest(folder, notify)
    bring_to(trainer, checkpoint, arrays)
    return checkpoint


def bring_to(trainer: Trainer, checkpoint: Checkpoint, arrays: Mapping[str, Arrays]) -> None:
    """Bring a fresh trainer to where a checkpoint was.

    Raises:
        CheckpointError: It is of another model.
    """
    trainer.load_state(dict(arrays), checkpoint.iteration)
    trainer.chance.rollbacks = checkpoint.rollbacks
    trainer.chance.restarts = checkpoint.restarts


def roll_back(
    error: NonFiniteError, rollbacks: int, fresh: FreshTrainer, folder: Path, logger: logging.Logger
) -> Trainer:
    """Return a trainer at the last good checkpoint, or at the beginning, on another course.

    The course is a function of seed and number of rollbacks, and checkpoints hold that
    number: a run killed after this does again what it did.

    Args:
        error: What made it necessary.
        rollbacks: How many there were before.
        fresh: Builds the trainer.
        folder: The run's ``checkpoints`` folder.
        logger: Gets a line.
    """
    trainer = fresh()
    try:
        where = restore(trainer, folder, logger.warning).path.name
    except CheckpointError:
        if checkpoint_folders(folder):
            raise
        where = "the beginning"
    trainer.chance.rollbacks = rollbacks + 1
    logger.warning("%s; rollback %d: back to %s", error, rollbacks + 1, where)
    return trainer


def error_with_cause(
    error: NonFiniteError,
    fresh: FreshTrainer,
    batches: BatchSource,
    folder: Path,
    logger: logging.Logger,
) -> TrainingError:
    """Return the error to end the run with: what was the first to go wrong, and what to do.

    Training looks at losses alone, which the other net's bad weights can spoil. So the
    iterations since the last good checkpoint are repeated with every number looked at.

    Args:
        error: What training saw.
        fresh: Builds the trainer.
        batches: The data.
        folder: The run's ``checkpoints`` folder.
        logger: Gets a line.
    """
    trainer = fresh()
    good = "none was saved yet"
    try:
        good = str(restore(trainer, folder, logger.warning).path)
    except CheckpointError:
        if checkpoint_folders(folder):
            return TrainingError(f"{error}; {folder}: no valid checkpoint")
    seen = error.found.iteration
    logger.warning(
        "%s; repeating iterations %d to %d to find the cause", error, trainer.iteration + 1, seen
    )
    first = first_cause(trainer, batches, seen) or error.found
    return TrainingError(
        f"{first}; last good checkpoint: {good}; lower the learning rates, or set "
        "recovery.non_finite=rollback to continue from there with other random numbers"
    )


def first_cause(trainer: Trainer, batches: BatchSource, until: int) -> NonFinite | None:
    """Train up to iteration `until` and return the first number that is not finite.

    Every loss, gradient, weight and moment of every update is looked at, in the order in
    which they come about. The trainer is of no use afterwards.

    Returns:
        None if all were finite (the first course met with something that is no function of
        the checkpoint, such as a fault of the machine).
    """
    _watch_losses(trainer)
    for update in trainer.updates:
        _watch_step(trainer, update)
    try:
        while trainer.iteration < until:
            scalars = trainer.step(batches[trainer.iteration])
            raise_if_not_finite(trainer, trainer.iteration, scalars)
    except NonFiniteError as error:
        return error.found
    return None


def _watch_losses(trainer: Trainer) -> None:
    for method, net in LOSSES.items():
        loss_of = getattr(trainer.game, method)

        def watched(
            *arguments: Any, _net: str | None = net, _loss_of: Any = loss_of, **options: Any
        ) -> tuple[Tensor | None, dict[str, Tensor]]:
            loss, scalars = _loss_of(*arguments, **options)
            owner = _net or arguments[0]
            # What the loss is made of comes first: a term is the cause of its sum.
            made_of = scalars if loss is None else {**scalars, f"loss/{owner}": loss}
            raise_if_not_finite(trainer, trainer.iteration + 1, made_of, owner)
            return loss, scalars

        setattr(trainer.game, method, watched)


def _watch_step(trainer: Trainer, update: Update) -> None:
    optimizer_step = update.optimizer.step

    def watched() -> None:
        for net, layer in update.nets.items():
            parameters = layer.named_parameters()
            gradients = ((name, p.grad) for name, p in parameters if p.grad is not None)
            _raise_at(trainer, net, "gradient of", gradients)
        optimizer_step()
        for net, layer in update.nets.items():
            _raise_at(trainer, net, "weight", layer.named_parameters())
        _raise_at(trainer, update.net, "optimizer state", update.optimizer.state_dict().items())

    update.optimizer.step = watched


def _raise_at(trainer: Trainer, net: str, kind: str, tensors: Any) -> None:
    for name, tensor in tensors:
        if isinstance(tensor, paddle.Tensor) and not bool(paddle.isfinite(tensor).all()):
            raise NonFiniteError(NonFinite(trainer.iteration + 1, net, f"{kind} {name}"))
