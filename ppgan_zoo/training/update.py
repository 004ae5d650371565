"""One kind of update in an iteration: of D, or of G.

An update sets the rate, freezes the nets that do not learn in it, adds up the gradients of
all parts of the batch, lets the optimizer step, and clips.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.optimizer import Optimizer

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.schedules import Schedule, Value, at
from ppgan_zoo.game.terms import Net, Scalars
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import acts_row_by_row
from ppgan_zoo.models.weights import clean_gradients, clip_weights, fill_gradients, frozen
from ppgan_zoo.recipe.bounds import check_count
from ppgan_zoo.storage.checkpoint import Arrays
from ppgan_zoo.training.chance import Moment
from ppgan_zoo.training.optimizers import (
    betas_of,
    load_optimizer_arrays,
    optimizer_arrays,
    set_betas,
)

Loss = tuple[Tensor, Scalars]
LossOf = Callable[[Batch, Code], Loss]
"""From a part of the real batch and of the codes to the loss and what to log."""


class Update:
    """What the updates of G and of D have in common.

    Args:
        optimizer: Over the parameters of `nets`.
        schedule: Its learning rate by iteration.
        steps: How often it happens in an iteration.
        accumulate_steps: Parts that each batch goes through the nets in; their gradients are
            averaged. Less memory, the same update but for batch statistics.
        beta2: Adam's second beta, if it changes over the iterations.
        weight_clip: Bound of the net's weights, clipped to it after each step.
        clean_gradients: Replace NaN in a gradient by 0 and what is infinite by 1e5 or -1e5
            (Karras et al. 2020, StyleGAN2's code), before the gradients' norm is clipped.

    Attributes:
        net: ``"generator"`` or ``"discriminator"``.
        nets: All nets that learn in it, by name: `net` first.
        batch_multiple: Fake images for each real one.
        steps_each: Of the optimizer, in each update.

    Raises:
        ConfigError: A count below 1.
    """

    net: Net
    batch_multiple: int = 1
    steps_each: ClassVar[int] = 1

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule,
        *,
        steps: int = 1,
        accumulate_steps: int = 1,
        beta2: Value | None = None,
        weight_clip: float | None = None,
        clean_gradients: bool = False,
    ) -> None:
        check_count(f"training: {self.net}_steps", steps)
        check_count("training: accumulate_steps", accumulate_steps)
        self.optimizer = optimizer
        self.schedule = schedule
        self.steps = steps
        self.accumulate_steps = accumulate_steps
        self.beta2 = beta2
        self.weight_clip = weight_clip
        self.clean_gradients = clean_gradients
        self.nets: dict[str, nn.Layer] = {}
        self._others: list[nn.Layer] = []
        self._betas = betas_of(optimizer)  # as it was made, before any schedule or correction
        self._lazy_correction = 1.0
        self._group = Group()

    def prepare(self, gan: Gan, game: Game, group: Group) -> None:
        """Look at the nets once, before the first iteration."""
        self._group = group
        self.nets = gan.learning_with(self.net)
        self._others = [net for name, net in gan.nets.items() if name not in self.nets]
        # Lazy terms have steps of their own: with c = steps / all steps, the rate times c and
        # the betas to the power c go as far, and forget as fast, in all of them as before in
        # those without (Karras et al. 2020, appendix B).
        lazy = game.terms.share_of_lazy_steps(self.net)
        steps = self.steps * self.steps_each
        self._lazy_correction = steps / (steps + lazy)

    def apply(self, gan: Gan, game: Game, real: Sequence[Batch], moment: Moment) -> Scalars:
        """Do the updates of one iteration and return their scalars, of the last of them.

        Args:
            gan: The nets.
            game: Makes the losses.
            real: A batch for each of D's updates, then one for each of G's that has its own.
            moment: Draws the codes.
        """
        self._set_rates(moment.iteration)
        batches = self._batches(real)
        parts, multiple = self.accumulate_steps, self.batch_multiple
        codes = [
            game.beside(self.net, batch, moment.code(len(batch) * multiple, parts))
            for batch in batches
        ]
        scalars: Scalars = {}
        with frozen(*self._others), self._nothing_left_of_a_broken_step():
            for batch, code, losses in zip(
                batches, codes, self._losses(gan, game, codes, moment), strict=True
            ):
                scalars.update(self._learn(losses, batch, code))
                game.terms.updated(self.net)
            scalars.update(self._learn_lazily(gan, game, batches[-1], codes[-1], moment))
        return scalars

    @contextlib.contextmanager
    def _nothing_left_of_a_broken_step(self) -> Iterator[None]:
        """Drop the gradients of a step that ends in an error, such as a Ctrl-C in a notebook.

        The next step would add its own to them.
        """
        try:
            yield
        except BaseException:
            self.optimizer.clear_grad(set_to_zero=False)
            raise

    def state(self) -> Arrays:
        """Return the optimizer's state under the names of the nets' own parameters."""
        return optimizer_arrays(self.optimizer, self.nets)

    def load_state(self, arrays: Arrays) -> None:
        """Put it back; the nets must get their weights after this."""
        if arrays:  # an optimizer that has not stepped yet has no state, and needs none
            load_optimizer_arrays(self.optimizer, self.nets, arrays)

    @property
    def own_batches(self) -> int:
        """How many batches of real images it needs for itself in an iteration."""
        raise NotImplementedError

    def _batches(self, real: Sequence[Batch]) -> Sequence[Batch]:
        """Return the real images of each step."""
        raise NotImplementedError

    def _losses(
        self, gan: Gan, game: Game, codes: Sequence[Code], moment: Moment
    ) -> Sequence[Sequence[LossOf]]:
        """Return the losses of each step, each of which the optimizer steps on."""
        raise NotImplementedError

    def _learn(self, losses: Sequence[LossOf], batch: Batch, code: Code) -> Scalars:
        key = f"loss/{self.net}"
        total, scalars = None, {}
        for loss_of in losses:
            scalars.update(self._backward(loss_of, batch, code))
            self._step()
            total = scalars[key] if total is None else total + scalars[key]
        return {**scalars, key: total}

    def _learn_lazily(
        self, gan: Gan, game: Game, batch: Batch, code: Code, moment: Moment
    ) -> Scalars:
        """Do the update of the lazy terms, if any is due.

        It is a step of all weights, as in StyleGAN2's code: those that the terms say nothing of
        have a gradient of zero, so that Adam forgets in all of them alike.
        """
        if not game.terms.due(self.net, moment.iteration, lazy=True):
            return {}

        def loss_of(real: Batch, code: Code) -> Loss:
            loss, scalars = game.lazy_loss(self.net, gan, real, code, moment)
            assert loss is not None
            return loss, scalars

        scalars = self._backward(loss_of, batch, code)
        del scalars[f"loss/{self.net}"]
        fill_gradients(*self.nets.values())
        self._step()
        game.terms.updated(self.net)
        return scalars

    def _backward(self, loss_of: LossOf, batch: Batch, code: Code) -> Scalars:
        """Add up the gradients of all parts of the batch; return the parts' mean scalars."""
        parts = self.accumulate_steps
        if len(batch) % parts:
            raise ConfigError(
                f"training.accumulate_steps: a batch of {len(batch)} images does not divide "
                f"into {parts}; change data.batch_size"
            )
        means: Scalars = {}
        for real_part, code_part in zip(batch.split(parts), code.split(parts), strict=True):
            loss, scalars = loss_of(real_part, code_part)
            scalars = {f"loss/{self.net}": loss.detach(), **scalars}
            if parts == 1:
                loss.backward()
                return scalars
            (loss / parts).backward()
            for key, value in scalars.items():
                means[key] = means[key] + value / parts if key in means else value / parts
        return means

    def _set_rates(self, iteration: int) -> None:
        correction = self._lazy_correction
        rate = self.schedule(iteration)
        self.optimizer.set_lr(rate if correction == 1.0 else rate * correction)
        if self._betas is not None and (self.beta2 is not None or correction != 1.0):
            beta1, beta2 = self._betas
            if self.beta2 is not None:
                beta2 = at(self.beta2, iteration)
            set_betas(self.optimizer, beta1**correction, beta2**correction)

    def _step(self) -> None:
        self._group.average_gradients(
            parameter for net in self.nets.values() for parameter in net.parameters()
        )
        if self.clean_gradients:
            clean_gradients(*self.nets.values())
        self.optimizer.step()
        # Dropped, not zeroed: a zero gradient would still move parameters by momentum.
        self.optimizer.clear_grad(set_to_zero=False)
        if self.weight_clip is not None:
            clip_weights(self.nets[self.net], self.weight_clip)


class GeneratorUpdate(Update):
    """G learns; D's weights stand still and hand the gradient through.

    Args:
        optimizer: See :class:`Update`.
        schedule: Likewise.
        fresh_reals: Whether each step has real images of its own, and not those that D has
            just learnt from.
        batch_multiple: How many times as many images G learns from as D has fake ones.
        **options: See :class:`Update`.

    Raises:
        ConfigError: A count below 1.
    """

    net: Net = "generator"

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule,
        *,
        fresh_reals: bool = False,
        batch_multiple: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(optimizer, schedule, **options)
        check_count("training: generator_batch_multiple", batch_multiple)
        self.fresh_reals = fresh_reals
        self.batch_multiple = batch_multiple

    def prepare(self, gan: Gan, game: Game, group: Group) -> None:
        """Also refuse more fake images than real ones where the loss compares the two.

        Raises:
            ConfigError: It does, or may.
        """
        super().prepare(gan, game, group)
        if self.batch_multiple == 1:
            return
        objective, what = game.objective, None
        pairing = [term.name for term in game.terms.of("generator") if term.of_pairs]
        if objective.relativistic or objective.paired:
            what = f"objective {objective.name} compares real and fake images"
        elif type(game).generator_loss is not Game.generator_loss:
            what = f"{type(game).__name__} has a generator_loss of its own"
        elif pairing:
            what = f"term {pairing[0]} takes each fake image together with a real one"
        if what is not None:
            raise ConfigError(
                f"training.generator_batch_multiple: {self.batch_multiple} gives G's loss so many "
                f"fake images for each real one, and {what}; set it to 1"
            )

    @property
    def own_batches(self) -> int:
        """One for each step, if they are to be fresh."""
        return self.steps if self.fresh_reals else 0

    def _batches(self, real: Sequence[Batch]) -> Sequence[Batch]:
        return real[-self.steps :] if self.fresh_reals else [real[-1]] * self.steps

    def _losses(
        self, gan: Gan, game: Game, codes: Sequence[Code], moment: Moment
    ) -> Sequence[Sequence[LossOf]]:
        def loss_of(real: Batch, code: Code) -> Loss:
            return game.generator_loss(gan, real, code, moment)

        return [[loss_of]] * self.steps


class DiscriminatorUpdate(Update):
    """D learns, on real images of its own each time, and on G's, made before its loss is."""

    net: Net = "discriminator"

    def prepare(self, gan: Gan, game: Game, group: Group) -> None:
        """Also find out whether one batch of G serves all steps: larger products, fewer calls."""
        super().prepare(gan, game, group)
        z = np.random.default_rng(0).standard_normal((4, gan.latent_dim))
        labels = paddle.arange(4) % gan.num_classes if gan.num_classes else None
        self._one_batch_for_generator = (
            self.steps > 1
            and self.accumulate_steps == 1
            and acts_row_by_row(gan.generator, paddle.to_tensor(z, "float32"), labels)
        )

    @property
    def own_batches(self) -> int:
        """One for each step."""
        return self.steps

    def _batches(self, real: Sequence[Batch]) -> Sequence[Batch]:
        return real[: self.steps]

    def _losses(
        self, gan: Gan, game: Game, codes: Sequence[Code], moment: Moment
    ) -> Sequence[Sequence[LossOf]]:
        if not self._one_batch_for_generator:
            return [self._of_one_step(gan, game, moment, None)] * self.steps
        fakes = self._fakes_at_once(gan, codes)
        return [self._of_one_step(gan, game, moment, fake) for fake in fakes]

    def _of_one_step(
        self, gan: Gan, game: Game, moment: Moment, made: Batch | None
    ) -> Sequence[LossOf]:
        """Return the losses of a step whose fake images are `made`, or are to be made."""

        def loss_of(real: Batch, code: Code) -> Loss:
            fake = self._fakes(gan, code) if made is None else made
            return game.discriminator_loss(gan, real, fake, moment)

        return [loss_of]

    @paddle.no_grad()
    def _fakes(self, gan: Gan, code: Code) -> Batch:
        """Return G's images of a code without a graph."""
        return Batch(gan.generate(code), code.labels, code)

    def _fakes_at_once(self, gan: Gan, codes: Sequence[Code]) -> list[Batch]:
        labels = None
        if codes[0].labels is not None:
            labels = paddle.concat([code.labels for code in codes])
        together = Code(paddle.concat([code.z for code in codes]), labels)
        return self._fakes(gan, together).split(len(codes))


class AlternatingUpdate(DiscriminatorUpdate):
    """D learns from the real images in one step, then from the fake ones in another.

    As Keras's ``train_on_batch``, called once on each. D's terms are in the second step.
    """

    steps_each = 2

    def prepare(self, gan: Gan, game: Game, group: Group) -> None:
        """Also refuse a loss that is no sum of two halves.

        Raises:
            ConfigError: It is none.
        """
        super().prepare(gan, game, group)
        what = None
        if game.objective.halves is None:
            what = f"objective {game.objective.name} compares real and fake images in one loss"
        elif type(game).discriminator_loss is not Game.discriminator_loss:
            what = f"{type(game).__name__} has a discriminator_loss of its own"
        if what is not None:
            raise ConfigError(
                "training.discriminator_batch: alternating takes D's losses of real and of fake "
                f"images apart, and {what}; set it to separate or concatenated"
            )

    def _of_one_step(
        self, gan: Gan, game: Game, moment: Moment, made: Batch | None
    ) -> Sequence[LossOf]:
        def of_real(real: Batch, code: Code) -> Loss:
            return game.loss_of_real(gan, real, moment)

        def of_fake(real: Batch, code: Code) -> Loss:
            fake = self._fakes(gan, code) if made is None else made
            return game.loss_of_fake(gan, real, fake, moment)

        return [of_real, of_fake]
