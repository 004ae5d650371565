"""The loop around the step, and what watches it.

:class:`Callback` has five moments, each of which a callback may use or leave alone.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ppgan_zoo.distributed.group import Group, ProcessLostError, losses_told
from ppgan_zoo.errors import ConfigError, TrainingError


class BatchSource(Protocol):
    """What training reads: a batch for every iteration, as a pure function."""

    @property
    def steps_per_epoch(self) -> int:
        """Iterations in one pass over the data."""

    def __getitem__(self, iteration: int) -> Any:
        """Return the batch of one iteration: :class:`ppgan_zoo.data.batches.Batch`, or images.

        Images are float32 ``[N, C, H, W]`` in the model's range.
        """


class Callback:
    """Base of all callbacks; every method does nothing.

    `trainer` is a :class:`ppgan_zoo.Trainer`.
    """

    def on_train_begin(self, trainer: Any) -> None:
        """Called before the first iteration; ``trainer.iteration`` is above 0 on a resume."""

    def on_step_together(self, trainer: Any) -> None:
        """Called after every iteration, before the others, in all processes that train together.

        Only here may callbacks exchange something, and each process must do the same.
        """

    def on_step_end(self, trainer: Any, scalars: dict[str, Any]) -> None:
        """Called after every iteration with its scalars, still on the device."""

    def on_epoch_end(self, trainer: Any) -> None:
        """Called after the last iteration of every pass over the data."""

    def on_train_end(self, trainer: Any, error: BaseException | None) -> None:
        """Called once when training ends, with what ended it if that was an exception."""


class Steps(Protocol):
    """What the loop needs of a trainer."""

    iteration: int
    stop_requested: bool
    stepping: bool

    def step(self, batch: Any) -> dict[str, Any]:
        """Do one iteration."""


def fit(
    trainer: Steps,
    batches: BatchSource,
    *,
    iterations: int | None = None,
    epochs: int | None = None,
    callbacks: Iterable[Callback] = (),
    group: Group | None = None,
) -> None:
    """Train until `iterations` (or `epochs`) in all are done, or a stop is requested.

    Arguments and errors are those of :meth:`ppgan_zoo.Trainer.fit`. All processes of a `group` end
    after the same iteration: when one of them is to stop, and when one fails.

    Raises:
        TrainingError: Another thread of this process is training.
    """
    if (iterations is None) == (epochs is None):
        raise ConfigError("fit: give either iterations or epochs")
    total = iterations if iterations is not None else epochs * batches.steps_per_epoch  # type: ignore[operator]
    with alone_in_process():
        _fit(trainer, batches, total, callbacks, group or Group())


@contextlib.contextmanager
def alone_in_process() -> Iterator[None]:
    """Train in one thread of this process only; the same thread may do so again inside.

    Paddle draws from one stream of random numbers for all threads, so that two trainings would
    draw from each other's.

    Raises:
        TrainingError: Another thread is training.
    """
    if not _training.acquire(blocking=False):
        raise TrainingError(
            "another thread of this process is training, and both would draw the same random "
            "numbers; wait until it ends, or train in another process"
        )
    try:
        yield
    finally:
        _training.release()


_training = threading.RLock()


@contextlib.contextmanager
def failures_told(group: Group) -> Iterator[None]:
    """Let the other processes know, where they agree on whether to stop, if the block fails."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(RuntimeError, ProcessLostError):  # they are gone
            group.agree(True, failed=True)
        raise


def _fit(
    trainer: Steps,
    batches: BatchSource,
    total: int,
    callbacks: Iterable[Callback],
    group: Group,
) -> None:
    trainer.stop_requested = False  # that of an earlier call was for that one
    watchers: list[Callback] = []
    error: BaseException | None = None
    try:
        with failures_told(group), group.waited_for():
            for callback in callbacks:
                callback.on_train_begin(trainer)
                watchers.append(callback)
        while not group.agree(trainer.stop_requested) and trainer.iteration < total:
            trainer.stepping = True
            with losses_told(group):
                scalars = trainer.step(batches[trainer.iteration])
            trainer.stepping = False
            with losses_told(group):
                for callback in watchers:
                    callback.on_step_together(trainer)
            with failures_told(group), group.waited_for():
                for callback in watchers:
                    callback.on_step_end(trainer, scalars)
                if trainer.iteration % batches.steps_per_epoch == 0:
                    for callback in watchers:
                        callback.on_epoch_end(trainer)
    except BaseException as raised:
        error = raised
        raise
    finally:
        with contextlib.ExitStack() as ends:
            if error is None:
                ends.enter_context(failures_told(group))
            if not trainer.stepping:
                ends.enter_context(group.waited_for())
            # Each is called, even if one before it fails.
            for callback in reversed(watchers):
                ends.callback(callback.on_train_end, trainer, error)
    # All leave together: the others wait for the leader, which has nothing to wait for.
    with contextlib.suppress(*[ProcessLostError] if group.leads else []):
        group.agree(False)
