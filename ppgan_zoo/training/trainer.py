"""The trainer: D once, then G twice, or any other list of updates.

Read :meth:`Trainer.step`. What an update is, stands in ``update.py``; what is random, in
``chance.py``; the losses, in :mod:`ppgan_zoo.game.game`; the loop, in ``loop.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from ppgan_zoo import ops
from ppgan_zoo.data import to_uint8
from ppgan_zoo.data.batches import Batch, Batches, Share, Shares, as_batch
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.game.ada import AdaptiveProbability
from ppgan_zoo.game.game import SIGN, Game
from ppgan_zoo.game.terms import Scalars
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.weights import layer_arrays, load_arrays
from ppgan_zoo.ops.arrays import from_array
from ppgan_zoo.storage.checkpoint import Arrays
from ppgan_zoo.storage.pictures import grid_html
from ppgan_zoo.training import loop
from ppgan_zoo.training.chance import Chance
from ppgan_zoo.training.ema import Ema
from ppgan_zoo.training.loop import BatchSource, Callback
from ppgan_zoo.training.update import Update

SHOWN = 20
"""Samples in a notebook."""

ALL = slice(None)
"""Every row."""


def own_arguments(trainer_class: type) -> dict[str, inspect.Parameter]:
    """Return the keyword-only arguments of a trainer's own, by name."""
    parameters = inspect.signature(trainer_class).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


class Part(Protocol):
    """Something that remembers, and that checkpoints therefore carry."""

    def state(self) -> Arrays:
        """Return what it remembers by name; an empty dict has no file in a checkpoint."""

    def load_state(self, arrays: Arrays) -> None:
        """Put it back."""


class Trainer:
    """Trains one GAN. :func:`ppgan_zoo.make_trainer` makes one with the usual parts.

    A new algorithm adds a term, a view, an objective or an update, not a loop. A subclass may
    take keyword-only arguments of its own, with defaults: they are the section ``trainer`` of
    a recipe. What it remembers, it adds to :attr:`parts`.

    Args:
        gan: The nets, from :func:`ppgan_zoo.create`.
        game: The losses.
        updates: What an iteration does, in this order.
        ema: The moving average of G; None for none.
        chance: Draws all that is random.

    Attributes:
        iteration: Iterations done.
        parts: All that remembers besides nets and optimizers, by the name of its file in a
            checkpoint.
        stop_requested: Set it to end :meth:`fit` after the running iteration.
        stepping: Whether an iteration has begun and not ended.
        warnings: A line for each choice that works and is not advised.

    Raises:
        ConfigError: Game and nets make no sense together.
    """

    def __init__(
        self,
        gan: Gan,
        game: Game,
        updates: Sequence[Update],
        ema: Ema | None,
        chance: Chance,
    ) -> None:
        self.gan = gan
        self.game = game
        self.updates = updates
        self.ema = ema
        self.chance = chance
        self.iteration = 0
        self.precision: ops.Precision = "float32"
        self.stop_requested = False
        self.stepping = False
        self.parts: dict[str, Part] = {"terms": game.terms}
        if game.view.controller is not None:
            self.parts["augmentation"] = game.view.controller
        discriminators = [update for update in updates if update.net == "discriminator"]
        self._batches_per_step = sum(update.own_batches for update in updates) or 1
        self._batches_of_d = sum(update.own_batches for update in discriminators) or 1
        self._batch_multiple = max((update.batch_multiple for update in updates), default=1)
        clip = next((u.weight_clip for u in discriminators if u.weight_clip is not None), None)
        self.warnings = game.prepare(gan, clip)
        for update in updates:
            update.prepare(gan, game, chance.group)
        if game.accelerated:
            ops.accelerate(*gan.nets.values())

    def step(self, batch: Any) -> Scalars:
        """Do one iteration and return its scalars, still on the device.

        Args:
            batch: A :class:`ppgan_zoo.data.batches.Batch` of D's updates times N images, in
                the model's range, or the images alone; each D update takes the next N, G's
                updates draw N samples each, or a multiple of it. With fresh real images for
                G's updates, N more for each of these. Of several processes each is given the
                whole batch and takes its rows, or a :class:`ppgan_zoo.data.batches.Share`, which
                has them alone.

        Returns:
            ``loss/discriminator``, ``loss/generator``, ``score/real``, ``score/fake``: of
            the last update of each net; ``term/NAME`` of each term that was due.
        """
        moment, group = self.chance.at(self.iteration), self.chance.group
        own, count = self._shared_out(as_batch(batch))
        scalars: Scalars = {}
        with group.together(), ops.precision(self.precision):
            for update in self.updates:
                scalars.update(update.apply(self.gan, self.game, own, moment))
        scalars = group.mean(scalars)
        images = count * self._batches_of_d
        if self.game.view.controller is not None:
            scalars.update(self._adapt(self.game.view.controller, scalars[SIGN], images))
        if self.ema is not None:
            size = self._batch_multiple * count // self.updates[0].accumulate_steps
            self.ema.follow(self.gan.generator, self.iteration, images, size)
        self.iteration += 1
        return scalars

    def _adapt(self, controller: AdaptiveProbability, sign: Tensor, images: int) -> Scalars:
        """Let the probability of augmentation follow D, and return what to log of it."""
        controller.follow(sign, images)
        return {"augment/probability": paddle.full([], controller.probability, "float32")}

    def _shared_out(self, batch: Batch) -> tuple[list[Batch], int]:
        """Return this process's rows of each update's batch, and the images of one in all."""
        parts = self._labelled_as_needed(batch).map(from_array).split(self._batches_per_step)
        if isinstance(batch, Share):
            return parts, batch.whole // len(parts)
        return [part.map(self._own_rows) for part in parts], len(parts[0])

    def _own_rows(self, rows: Any) -> Any:
        """Return this process's rows of a batch of one update that all processes share."""
        return self.chance.group.own(rows, self.updates[0].accumulate_steps)

    def shares_of(self, batches: BatchSource) -> BatchSource:
        """Return batches of which no process reads the rows of another, where that can be had."""
        if self.chance.group.size == 1 or not isinstance(batches, Batches):
            return batches
        rows = np.arange(batches.batch_size).reshape(self._batches_per_step, -1)
        return Shares(batches, np.concatenate([self._own_rows(of_update) for of_update in rows]))

    def _labelled_as_needed(self, batch: Batch) -> Batch:
        """Return a batch with labels if the nets take them, and without if they do not."""
        if not self.gan.num_classes:
            return Batch(batch.images)
        if batch.labels is None:
            raise ConfigError(
                f"{self.gan.spec.name} was built for labels of {self.gan.num_classes} classes, and "
                "a batch has none; train on Batches(..., labels=True)"
            )
        return batch

    def fit(
        self,
        batches: BatchSource,
        *,
        iterations: int | None = None,
        epochs: int | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> Trainer:
        """Train until `iterations` (or `epochs`) in all are done, or a stop is requested.

        Goes on from :attr:`iteration`, so a loaded checkpoint is simply fitted further.

        Args:
            batches: The data, such as :class:`ppgan_zoo.data.Batches`.
            iterations: Total number of iterations.
            epochs: Total number of passes over the data, in place of `iterations`.
            callbacks: Watchers, called in this order.

        Returns:
            Itself.

        Raises:
            ConfigError: Not exactly one of `iterations` and `epochs`.
        """
        loop.fit(
            self,
            self.shares_of(batches),
            iterations=iterations,
            epochs=epochs,
            callbacks=callbacks,
            group=self.chance.group,
        )
        return self

    @property
    def best_generator(self) -> nn.Layer:
        """The net to draw samples from: the average where there is one, else G itself."""
        return self.gan.generator if self.ema is None else self.ema.generator

    def samples(
        self, count: int, labels: NDArray[np.int64] | None = None, rows: slice = ALL
    ) -> NDArray[np.float32]:
        """Return images ``[count, C, H, W]`` of fixed codes, by :attr:`best_generator`.

        Clipped to the image range, as they are where they are shown.

        Args:
            count: How many.
            labels: int64 ``[count]``; None for each class in its turn.
            rows: Only these of them.
        """
        code = self.chance.display(count, labels)
        told = None if code.labels is None else code.labels[rows]
        images = generate(self.best_generator, code.z[rows], told)
        return np.clip(images, *self.gan.image_range)

    def _repr_html_(self) -> str:
        """Show a few samples in a notebook; training is not touched by it."""
        images = to_uint8(np.nan_to_num(self.samples(SHOWN)), self.gan.image_range)
        what = "moving average" if self.ema is not None else "G as it is"
        caption = f"{self.gan.spec.name}, iteration {self.iteration:,} ({what})"
        return grid_html(images, SHOWN // 2, caption)

    def state(self) -> dict[str, Arrays]:
        """Return all that a checkpoint must hold, by file, under structured names."""
        arrays = {name: layer_arrays(net) for name, net in self.gan.nets.items()}
        if self.ema is not None:
            arrays["ema"] = layer_arrays(self.ema.generator)
        for update in self.updates:
            arrays[f"{update.net}_optimizer"] = update.state()
        for name, part in self.parts.items():
            if remembered := part.state():
                arrays[name] = remembered
        return arrays

    def load_state(self, arrays: dict[str, Arrays], iteration: int) -> None:
        """Put back what :meth:`state` returned after `iteration` iterations.

        Raises:
            CheckpointError: The state is of another model or configuration.
        """
        optimizers = {f"{update.net}_optimizer": update for update in self.updates}
        needed = {*self.gan.nets, *optimizers, *(["ema"] if self.ema is not None else [])}
        if not needed <= set(arrays) or set(arrays) - needed - set(self.parts):
            raise CheckpointError(
                f"checkpoint holds {', '.join(sorted(arrays))}; this run needs "
                f"{', '.join(sorted(needed))}"
            )
        for name, update in optimizers.items():
            update.load_state(arrays[name])
        for name, net in self.gan.nets.items():
            load_arrays(net, arrays[name])
        if self.ema is not None:
            load_arrays(self.ema.net, arrays["ema"])
            self.ema.loaded()
        for name, part in self.parts.items():
            part.load_state(arrays.get(name, {}))  # none, of one that remembered nothing
        self.iteration = iteration
