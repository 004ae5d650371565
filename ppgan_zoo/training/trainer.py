"""The training loop: D once, then G twice, or any other order and counts.

Everything random in an iteration is a function of (seed, iteration): z, dropout, the
order of the data, the learning rates. A run that is stopped and resumed therefore does
what it would have done, and its state is weights and optimizer moments alone.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.optimizer import Optimizer

from ppgan_zoo import ops
from ppgan_zoo.callbacks.base import Callback
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.game.constraints import View, check_combination, clip_weights
from ppgan_zoo.game.objectives import LabelSmoothing, Objective, get_objective
from ppgan_zoo.game.penalties import Penalties, Penalty, Shown
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.models.nets import (
    acts_row_by_row,
    frozen_copy,
    generate,
    layer_arrays,
    load_arrays,
    set_stop_gradient,
    take_statistics,
)
from ppgan_zoo.training.optimizers import (
    Arrays,
    Schedule,
    constant,
    load_optimizer_arrays,
    make_optimizer,
    optimizer_arrays,
    trainable_parameters,
)

Net = Literal["generator", "discriminator"]
Learn = Literal["both", "real", "fake"]
Scalars = dict[str, Tensor]

# Told apart in the key of a draw, so that no two purposes share random numbers.
TRAINING_DRAW, DISPLAY_DRAW, CONSTRAINT_DRAW, COURSE_DRAW, STATISTICS_DRAW = 1, 2, 3, 4, 5


class BatchSource(Protocol):
    """What :meth:`Trainer.fit` reads: a batch for every iteration, as a pure function."""

    @property
    def steps_per_epoch(self) -> int:
        """Iterations in one pass over the data."""

    def __getitem__(self, iteration: int) -> NDArray[np.float32]:
        """Return the images ``[N, C, H, W]`` of one iteration, in the model's range."""


@dataclass(frozen=True)
class Update:
    """One kind of step in an iteration: which net, how often, by which optimizer."""

    net: Net
    steps: int
    optimizer: Optimizer
    schedule: Schedule


class Trainer:
    """Trains one GAN; a new algorithm overrides a loss method, not the loop.

    Convolutions are computed by :mod:`ppgan_zoo.ops` where that is possible; a class that
    overrides a loss, and may differentiate in ways of its own, says so by
    ``accelerated = True``.

    Args:
        gan: The two nets, from :func:`ppgan_zoo.create`.
        objective: Name of an objective; None takes the spec's own.
        smoothing: Label smoothing.
        latent_prior: ``"normal"`` or ``"uniform"``; None takes the spec's own.
        shared_latent: Draw one z an iteration for all its updates, not one for each.
        generator_steps: Updates of G in an iteration.
        discriminator_steps: Updates of D in an iteration, each on its own real images.
        first: The net that is updated first.
        concatenate: Show D real and fake images in one batch (batch norm sees both
            together) and not in two; if it is all the same to D, it gets one anyway.
        alternate: Split each update of D in two optimizer steps: one on the loss of the
            real images, then one on the loss of the fake ones.
        penalties: Terms of D's loss: names of :data:`ppgan_zoo.game.penalties.PENALTIES`, or
            :func:`ppgan_zoo.game.penalties.get_penalty` for other weights and intervals.
        weight_clip: Bound of D's weights, clipped to it after each of its updates.
        view: How D sees images: augmentation, instance noise, packing; None: as they are.
        accumulate_steps: Parts that each update's batch goes through the nets in; their
            gradients are averaged. Less memory, the same update but for batch statistics.
        generator_optimizer: Over G's parameters; None makes Adam(2e-4, 0.5, 0.999).
        discriminator_optimizer: Over D's parameters; likewise.
        generator_schedule: G's learning rate by iteration; None keeps it constant.
        discriminator_schedule: D's, likewise.
        ema_decay: Decay per iteration of the moving average of G's weights; None for none.
        ema_warmup: The decay in iteration t is at most ``(1 + t) / (ema_warmup + t)``: the
            weights of iteration s count in proportion to ``(s / t) ** (ema_warmup - 2)`` as
            long as that holds. 2 makes the mean of all so far; TensorFlow has 10.
        ema_statistics_batches: Batches of z that the statistics of its batch norms are the
            mean of; see :attr:`ema_generator`.
        seed: Of everything random in training.

    Attributes:
        iteration: Iterations done.
        rollbacks: How often the run went back to a checkpoint; each time what is random
            from there on, but for the order of the data, is drawn anew.
        stop_requested: Set it to end :meth:`fit` after the running iteration.
        warnings: A line for each choice that works and is not advised.
        rng: Of this iteration, for all that is random beside z and what Paddle draws.

    Raises:
        ConfigError: Counts below 1, `ema_warmup` below 2, an unknown objective or penalty,
            smoothing without labels, or what makes no sense together.
    """

    accelerated: bool | None = None

    def __init__(
        self,
        gan: Gan,
        *,
        objective: str | None = None,
        smoothing: LabelSmoothing | None = None,
        latent_prior: str | None = None,
        shared_latent: bool = False,
        generator_steps: int = 2,
        discriminator_steps: int = 1,
        first: Net = "discriminator",
        concatenate: bool = False,
        alternate: bool = False,
        penalties: Sequence[Penalty | str] = (),
        weight_clip: float | None = None,
        view: View | None = None,
        accumulate_steps: int = 1,
        generator_optimizer: Optimizer | None = None,
        discriminator_optimizer: Optimizer | None = None,
        generator_schedule: Schedule | None = None,
        discriminator_schedule: Schedule | None = None,
        ema_decay: float | None = None,
        ema_warmup: float = 10.0,
        ema_statistics_batches: int = 16,
        seed: int = 0,
    ) -> None:
        if generator_steps < 1 or discriminator_steps < 1:
            raise ConfigError(
                "training: generator_steps and discriminator_steps must be at least 1, found "
                f"{generator_steps} and {discriminator_steps}"
            )
        if accumulate_steps < 1:
            raise ConfigError(
                f"training: accumulate_steps must be at least 1, found {accumulate_steps}"
            )
        if not ema_warmup >= 2.0:
            raise ConfigError(f"ema: warmup must be at least 2, found {ema_warmup}")
        if ema_statistics_batches < 1:
            raise ConfigError(
                f"ema: statistics_batches must be at least 1, found {ema_statistics_batches}"
            )
        self.gan = gan
        self.generator: nn.Layer = gan.generator
        self.discriminator: nn.Layer = gan.discriminator
        self.smoothing = smoothing or LabelSmoothing()
        self.objective: Objective = get_objective(objective or gan.spec.objective, self.smoothing)
        self.latent = Latent(gan.latent_dim, latent_prior or gan.spec.latent_prior)  # type: ignore[arg-type]
        self.shared_latent = shared_latent
        self.concatenate = concatenate
        self.alternate = alternate
        self.penalties = Penalties(penalties)
        self.weight_clip = weight_clip
        self.view = view or View()
        self.accumulate_steps = accumulate_steps
        self.warnings = check_combination(
            gan,
            self.objective,
            self.penalties.terms,
            weight_clip=weight_clip,
            packing=self.view.packing,
        )
        self.discriminator_steps = discriminator_steps
        self.ema_decay = ema_decay
        self.ema_warmup = ema_warmup
        self.ema_statistics_batches = ema_statistics_batches
        self._ema: nn.Layer | None = None if ema_decay is None else frozen_copy(self.generator)
        self._ema_batch_size = 0  # for statistics that it lacks; 0: it has them
        self.seed = seed
        self.rng = np.random.default_rng((seed, CONSTRAINT_DRAW, 0))
        self.iteration = 0
        self.rollbacks = 0
        self.stop_requested = False
        updates = [
            _update("discriminator", self.discriminator, discriminator_steps,
                    discriminator_optimizer, discriminator_schedule),
            _update("generator", self.generator, generator_steps,
                    generator_optimizer, generator_schedule),
        ]  # fmt: skip
        self.updates: Sequence[Update] = updates if first == "discriminator" else updates[::-1]
        self._find_what_one_batch_serves()
        self._ready: dict[int, Tensor] = {}  # G's images, by the id of their z
        if self.accelerated or (self.accelerated is None and self._has_known_losses()):
            ops.accelerate(self.generator, self.discriminator)

    # The two games. Override these for a new algorithm.

    def discriminator_loss(
        self, real: Tensor, z: Tensor, learn: Learn = "both"
    ) -> tuple[Tensor, Scalars]:
        """Return D's loss and what to log, for real images ``[N, C, H, W]`` and z.

        Gradients flow through the logits of `learn` alone, and what is logged may be of them
        alone. An override need not take it unless it is to work with ``alternate``, whose
        second step has the penalties.
        """
        if learn != "both" and self._halves_stand_alone():
            return self._half_of_discriminator_loss(real, z, learn)
        fake = self._shown(self._images(z))
        real = self._shown(real)
        if self._one_batch_for_discriminator:
            logits = self.discriminator(paddle.concat([real, fake]))
            real_logits, fake_logits = logits.split([real.shape[0], fake.shape[0]])
        else:
            real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        if learn == "real":
            fake_logits = fake_logits.detach()
        elif learn == "fake":
            real_logits = real_logits.detach()
        loss = self.objective.discriminator_loss(real_logits, fake_logits, self.smoothing)
        penalties: Scalars = {}
        if learn != "real":
            shown = Shown(self.discriminator, real, fake, real_logits, fake_logits, self.rng)
            loss, penalties = self.penalties.add_to(loss, shown, self.iteration)
        with paddle.no_grad():
            scores = {
                "score/real": self.objective.score(real_logits),
                "score/fake": self.objective.score(fake_logits),
            }
        return loss, {**scores, **penalties}

    def _halves_stand_alone(self) -> bool:
        """Whether the loss of one half needs nothing of the other: not if a class overrides it."""
        return (
            self._has_known_discriminator_loss()
            and self.objective.halves is not None
            and not self.penalties.terms
        )

    def _half_of_discriminator_loss(
        self, real: Tensor, z: Tensor, learn: Learn
    ) -> tuple[Tensor, Scalars]:
        assert self.objective.halves is not None
        if learn == "real":
            logits = self.discriminator(self._shown(real))
            half = self.objective.halves[0]
        else:
            logits = self.discriminator(self._shown(self._images(z)))
            half = self.objective.halves[1]
        with paddle.no_grad():
            score = self.objective.score(logits)
        return half(logits, self.smoothing), {f"score/{learn}": score}

    def generator_loss(self, real: Tensor, z: Tensor) -> tuple[Tensor, Scalars]:
        """Return G's loss and what to log; only relativistic objectives look at `real`."""
        relativistic = self.objective.relativistic
        real_logits = self.discriminator(self._shown(real)) if relativistic else None
        fake_logits = self.discriminator(self._shown(self.generator(z)))
        return self.objective.generator_loss(fake_logits, real_logits, self.smoothing), {}

    # The loop.

    def step(self, real: NDArray[np.float32] | Tensor) -> Scalars:
        """Do one iteration and return its scalars, still on the device.

        Args:
            real: Images ``[discriminator_steps * N, C, H, W]`` in the model's range; each
                D update takes the next N, G's updates draw N samples each.

        Returns:
            ``loss/discriminator``, ``loss/generator``, ``score/real``, ``score/fake``: of
            the last update of each net; ``penalty/NAME`` of each penalty that was due.
        """
        course = self._course()
        paddle.seed(_paddle_seed(course, self.iteration))
        self.rng = np.random.default_rng((course, CONSTRAINT_DRAW, self.iteration))
        batches = _split(paddle.to_tensor(real), self.discriminator_steps)
        scalars: Scalars = {}
        draws = itertools.repeat(0) if self.shared_latent else itertools.count()
        for update in self.updates:
            update.optimizer.set_lr(update.schedule(self.iteration))
            zs = [self._draw_z(batches[0].shape[0], next(draws)) for _ in range(update.steps)]
            self._ready = self._images_at_once(update, zs)
            for step, z in enumerate(zs):
                batch = batches[step] if update.net == "discriminator" else batches[-1]
                scalars.update(self._apply(update, batch, z))
        if self._ema is not None:
            self._update_ema(self._ema, batches[0].shape[0] // self.accumulate_steps)
        self.iteration += 1
        return scalars

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
        if (iterations is None) == (epochs is None):
            raise ConfigError("fit: give either iterations or epochs")
        total = iterations if iterations is not None else epochs * batches.steps_per_epoch  # type: ignore[operator]
        watchers: list[Callback] = []
        error: BaseException | None = None
        try:
            for callback in callbacks:
                callback.on_train_begin(self)
                watchers.append(callback)
            while self.iteration < total and not self.stop_requested:
                scalars = self.step(batches[self.iteration])
                for callback in watchers:
                    callback.on_step_end(self, scalars)
                if self.iteration % batches.steps_per_epoch == 0:
                    for callback in watchers:
                        callback.on_epoch_end(self)
        except BaseException as raised:
            error = raised
            raise
        finally:
            # Each is called, even if one before it fails.
            with contextlib.ExitStack() as ends:
                for callback in reversed(watchers):
                    ends.callback(callback.on_train_end, self, error)
        return self

    @property
    def ema_generator(self) -> nn.Layer | None:
        """G with the moving average of its weights, in eval mode; None without an average.

        Its batch norms have statistics of its own, of `ema_statistics_batches` constant batches
        of the training's size: those of G do not fit other weights. They are taken when it is
        first asked for after an update.
        """
        if self._ema is not None and self._ema_batch_size:
            count = self.ema_statistics_batches
            z = self.latent.sample(count * self._ema_batch_size, self.seed, STATISTICS_DRAW)
            paddle.seed(_paddle_seed(self.seed, self.iteration))  # for dropout
            take_statistics(self._ema, paddle.to_tensor(z).split(count))
            self._ema_batch_size = 0
        return self._ema

    def samples(self, count: int) -> NDArray[np.float32]:
        """Return images ``[count, C, H, W]`` of a constant z, from the EMA where there is one."""
        z = self.latent.sample(count, self.seed, DISPLAY_DRAW)
        return generate(self.ema_generator or self.generator, z)

    # State.

    def state(self) -> dict[str, Arrays]:
        """Return all that a checkpoint must hold, by file, under structured names."""
        arrays = {
            "generator": layer_arrays(self.generator),
            "discriminator": layer_arrays(self.discriminator),
        }
        if (average := self.ema_generator) is not None:
            arrays["ema"] = layer_arrays(average)
        arrays.update(self.penalties.state())
        for update in self.updates:
            layer = self.discriminator if update.net == "discriminator" else self.generator
            arrays[f"{update.net}_optimizer"] = optimizer_arrays(update.optimizer, layer)
        return arrays

    def load_state(self, arrays: dict[str, Arrays], iteration: int) -> None:
        """Put back what :meth:`state` returned after `iteration` iterations.

        Raises:
            CheckpointError: The state is of another model or configuration.
        """
        expected = {"generator", "discriminator", *(f"{u.net}_optimizer" for u in self.updates)}
        if self._ema is not None:
            expected.add("ema")
        expected.update(self.penalties.state())
        if set(arrays) != expected:
            raise CheckpointError(
                f"checkpoint holds {', '.join(sorted(arrays))}; this run needs "
                f"{', '.join(sorted(expected))}"
            )
        for update in self.updates:
            layer = self.discriminator if update.net == "discriminator" else self.generator
            # An optimizer that has not stepped yet has no state, and needs none.
            if arrays[f"{update.net}_optimizer"]:
                load_optimizer_arrays(update.optimizer, layer, arrays[f"{update.net}_optimizer"])
        load_arrays(self.generator, arrays["generator"])
        load_arrays(self.discriminator, arrays["discriminator"])
        if self._ema is not None:
            load_arrays(self._ema, arrays["ema"])
            self._ema_batch_size = 0
        if "penalties" in expected:
            self.penalties.load_state(arrays["penalties"])
        self.iteration = iteration

    # Parts of a step.

    @classmethod
    def _has_known_discriminator_loss(cls) -> bool:
        return cls.discriminator_loss is Trainer.discriminator_loss

    @classmethod
    def _has_known_losses(cls) -> bool:
        return cls._has_known_discriminator_loss() and cls.generator_loss is Trainer.generator_loss

    def _course(self) -> int:
        """Return the seed of what is random in an iteration: another after each rollback."""
        if not self.rollbacks:
            return self.seed
        sequence = np.random.SeedSequence([self.seed, COURSE_DRAW, self.rollbacks])
        return int(sequence.generate_state(1)[0])

    def _draw_z(self, count: int, draw: int) -> Tensor:
        z = self.latent.sample(count, self._course(), TRAINING_DRAW, self.iteration, draw)
        return paddle.to_tensor(z)

    def _find_what_one_batch_serves(self) -> None:
        """Find out where one batch does for several: larger products, fewer calls."""
        channels, *sides = self.gan.image_shape
        drawn = np.random.default_rng(0)
        images = drawn.uniform(-1.0, 1.0, (4, channels * self.view.packing, *sides))
        self._one_batch_for_discriminator = self.concatenate or acts_row_by_row(
            self.discriminator, paddle.to_tensor(images, "float32")
        )
        z = drawn.standard_normal((4, self.latent.dim))
        self._one_batch_for_generator = (
            self.discriminator_steps > 1
            and self.accumulate_steps == 1
            and self._has_known_discriminator_loss()
            and acts_row_by_row(self.generator, paddle.to_tensor(z, "float32"))
        )

    def _images_at_once(self, update: Update, zs: Sequence[Tensor]) -> dict[int, Tensor]:
        """Return G's images of each z for all updates of D, where one batch does for them."""
        if update.net == "generator" or not self._one_batch_for_generator:
            return {}
        with paddle.no_grad():
            images = self.generator(paddle.concat(zs)).split(len(zs))
        return {id(z): part for z, part in zip(zs, images, strict=True)}

    @paddle.no_grad()
    def _images(self, z: Tensor) -> Tensor:
        """Return G's images of z without a graph."""
        ready = self._ready.get(id(z))
        return self.generator(z) if ready is None else ready

    def _shown(self, images: Tensor) -> Tensor:
        return self.view(images, self.iteration, self.rng)

    def _apply(self, update: Update, real: Tensor, z: Tensor) -> Scalars:
        if update.net == "discriminator":
            if self.alternate:
                first = self._backward(update.net, real, z, learn="real")
                update.optimizer.step()
                update.optimizer.clear_grad(set_to_zero=False)
                second = self._backward(update.net, real, z, learn="fake")
                scalars = {**first, **second}
                if self._halves_stand_alone():
                    scalars["loss/discriminator"] = (
                        first["loss/discriminator"] + second["loss/discriminator"]
                    )
            else:
                scalars = self._backward(update.net, real, z)
        else:
            frozen = trainable_parameters(self.discriminator)
            set_stop_gradient(frozen, True)
            try:
                scalars = self._backward(update.net, real, z)
            finally:
                set_stop_gradient(frozen, False)
        update.optimizer.step()
        # Dropped, not zeroed: a zero gradient would still move parameters by momentum.
        update.optimizer.clear_grad(set_to_zero=False)
        if update.net == "discriminator" and self.weight_clip is not None:
            clip_weights(self.discriminator, self.weight_clip)
        return scalars

    def _backward(self, net: Net, real: Tensor, z: Tensor, **learn: Learn) -> Scalars:
        """Add up the gradients of all parts of the batch; return the parts' mean scalars."""
        parts = self.accumulate_steps
        if real.shape[0] % parts:
            raise ConfigError(
                f"training.accumulate_steps: a batch of {real.shape[0]} images does not divide "
                f"into {parts}; change data.batch_size"
            )
        means: Scalars = {}
        for real_part, z_part in zip(_split(real, parts), _split(z, parts), strict=True):
            if net == "discriminator":
                loss, scalars = self.discriminator_loss(real_part, z_part, **learn)
            else:
                loss, scalars = self.generator_loss(real_part, z_part)
            scalars = {f"loss/{net}": loss.detach(), **scalars}
            if parts == 1:
                loss.backward()
                return scalars
            (loss / parts).backward()
            for key, value in scalars.items():
                means[key] = means[key] + value / parts if key in means else value / parts
        return means

    @paddle.no_grad()
    def _update_ema(self, ema: nn.Layer, batch_size: int) -> None:
        assert self.ema_decay is not None
        # The warm-up of TensorFlow's ExponentialMovingAverage: early weights soon forgotten.
        ramp = (1.0 + self.iteration) / (self.ema_warmup + self.iteration)
        decay = min(self.ema_decay, ramp)
        pairs = zip(ema.parameters(), self.generator.parameters(), strict=True)
        for average, parameter in pairs:
            if parameter.stop_gradient:  # statistics of norms other than batch norm
                paddle.assign(parameter, average)
            else:
                average.scale_(decay)
                average.add_(parameter * (1.0 - decay))
        # Such as the vectors of spectral norm, which follow the weights on their own.
        for average, buffer in zip(ema.buffers(), self.generator.buffers(), strict=True):
            paddle.assign(buffer, average)
        self._ema_batch_size = batch_size


def _split(batch: Tensor, parts: int) -> list[Tensor]:
    return [batch] if parts == 1 else list(batch.split(parts))  # split(1) would copy it


def _update(
    net: Net,
    layer: nn.Layer,
    steps: int,
    optimizer: Optimizer | None,
    schedule: Schedule | None,
) -> Update:
    if optimizer is None:
        optimizer = make_optimizer(layer, "adam", learning_rate=2e-4, beta1=0.5, beta2=0.999)
    return Update(net, steps, optimizer, schedule or constant(float(optimizer.get_lr())))


def _paddle_seed(seed: int, iteration: int) -> int:
    # Paddle mixes its seed badly for neighbouring integers; numpy's sequence does not.
    return int(np.random.SeedSequence([seed, iteration]).generate_state(1)[0])
