"""Penalties: terms added to D's loss, as pure functions of D and images.

A penalty looks at D alone, at the images that D was shown (augmented, with noise and
packed, if a recipe asks for these). The norm of a gradient is over all dimensions of an
image; only the batch is averaged over. Any penalty goes with any objective.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo import ops
from ppgan_zoo.errors import CheckpointError, ConfigError, UnknownNameError
from ppgan_zoo.game.augmentation import constant, translation
from ppgan_zoo.training.optimizers import Arrays

# The gradient of a norm has none at 0: this keeps it finite, far below float32's steps at 1.
TINY = 1e-12
LECAM_DECAY = 0.99


@dataclass(frozen=True)
class Shown:
    """What D was shown in one update and what it said.

    Attributes:
        discriminator: D: images to logits ``[N, 1]``.
        real: Real images ``[N, C, H, W]``.
        fake: G's images, likewise, without a graph back to G.
        real_logits: D's logits of `real`, with their graph.
        fake_logits: D's logits of `fake`, with their graph.
        rng: For whatever is random.
        averages: LeCam's moving averages of the mean logits: ``real`` and ``fake``.
    """

    discriminator: Callable[[Tensor], Tensor]
    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    rng: np.random.Generator
    averages: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Penalty:
    """A term of D's loss.

    Attributes:
        name: Name in a recipe.
        source: Paper that it comes from.
        function: ``Shown -> scalar``, without the weight.
        weight: Factor in the loss; in the table, the paper's.
        every_steps: It is applied in iterations divisible by this, as many times
            its weight, so that it pulls as hard as if applied in each (lazy
            regularisation, Karras et al. 2020).
        of_gradient: Whether it is of D's gradient, and so needs D's double gradient.
        of_single_images: Whether its paper rules out a D with batch norm, in which the
            gradient at one image depends on the whole batch.
    """

    name: str
    source: str
    function: Callable[[Shown], Tensor]
    weight: float
    every_steps: int = 1
    of_gradient: bool = True
    of_single_images: bool = False


def get_penalty(name: str, weight: float | None = None, every_steps: int = 1) -> Penalty:
    """Return the penalty called `name`.

    Args:
        name: A key of :data:`PENALTIES`.
        weight: Factor in the loss; None takes the paper's.
        every_steps: Apply it in every so many iterations only.

    Raises:
        UnknownNameError: No such penalty.
    """
    if name not in PENALTIES:
        raise UnknownNameError("penalty", name, PENALTIES)
    penalty = PENALTIES[name]
    return replace(
        penalty, weight=penalty.weight if weight is None else weight, every_steps=every_steps
    )


def squared_gradient_norms(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return ``||grad_x D(x)||^2`` of each image ``[N]``, over all dimensions but the batch."""
    images = images.detach()
    images.stop_gradient = False
    with ops.input_gradients():
        logits = discriminator(images)
        (gradient,) = paddle.grad(logits.sum(), images, create_graph=True)
    return gradient.square().reshape([images.shape[0], -1]).sum(axis=1)


def _norms(shown: Shown, images: Tensor) -> Tensor:
    return (squared_gradient_norms(shown.discriminator, images) + TINY).sqrt()


def _between(shown: Shown) -> Tensor:
    """Draw one point on each straight line from a real to a fake image."""
    u = constant(shown.rng.random((shown.real.shape[0], 1, 1, 1)), shown.real)
    return shown.real + u * (shown.fake - shown.real)


def wgan_gp(shown: Shown) -> Tensor:
    """``E (||grad D(x)|| - 1)^2`` at x between real and fake."""
    return (_norms(shown, _between(shown)) - 1.0).square().mean()


def one_sided_gp(shown: Shown) -> Tensor:
    """``E max(0, ||grad D(x)|| - 1)^2`` at x between real and fake."""
    return F.relu(_norms(shown, _between(shown)) - 1.0).square().mean()


def zero_centered_gp(shown: Shown) -> Tensor:
    """``E ||grad D(x)||^2`` at x between real and fake."""
    return squared_gradient_norms(shown.discriminator, _between(shown)).mean()


def dragan(shown: Shown) -> Tensor:
    """``E (||grad D(x)|| - 1)^2`` at x near real images: ``real + u std(real) / 2 * noise``.

    As in the authors' code: noise is U(0, 1) for each pixel, u is U(0, 1) for each image,
    the standard deviation is of the whole batch.
    """
    real = shown.real
    u, noise = shown.rng.random((real.shape[0], 1, 1, 1)), shown.rng.random(real.shape)
    near = real + 0.5 * real.std() * constant(u * noise, real)
    return (_norms(shown, near) - 1.0).square().mean()


def r1(shown: Shown) -> Tensor:
    """``E ||grad D(real)||^2 / 2``."""
    return 0.5 * squared_gradient_norms(shown.discriminator, shown.real).mean()


def r2(shown: Shown) -> Tensor:
    """``E ||grad D(fake)||^2 / 2``."""
    return 0.5 * squared_gradient_norms(shown.discriminator, shown.fake).mean()


def consistency(shown: Shown) -> Tensor:
    """``E (D(real) - D(T(real)))^2 + E (D(fake) - D(T(fake)))^2``, T a random translation.

    Of the paper's T, flip and shift, only the shift is used: a flipped digit is another.
    """
    pairs = ((shown.real, shown.real_logits), (shown.fake, shown.fake_logits))
    terms = [
        (logits - shown.discriminator(translation(images, shown.rng))).square().mean()
        for images, logits in pairs
    ]
    return terms[0] + terms[1]


def lecam(shown: Shown) -> Tensor:
    """``E (D(real) - a_fake)^2 + E (D(fake) - a_real)^2``, a_... the moving averages."""
    return (shown.real_logits - shown.averages["fake"]).square().mean() + (
        shown.fake_logits - shown.averages["real"]
    ).square().mean()


PENALTIES = {
    penalty.name: penalty
    for penalty in (
        Penalty("wgan_gp", "Gulrajani et al. 2017, equation 3", wgan_gp, 10.0,
                of_single_images=True),
        Penalty("one_sided_gp", "Petzka et al. 2018", one_sided_gp, 10.0,
                of_single_images=True),
        Penalty("zero_centered_gp", "Thanh-Tung et al. 2019", zero_centered_gp, 10.0,
                of_single_images=True),
        Penalty("dragan", "Kodali et al. 2017", dragan, 10.0),
        Penalty("r1", "Mescheder et al. 2018, equation 9", r1, 10.0),
        Penalty("r2", "Mescheder et al. 2018, equation 10", r2, 10.0),
        Penalty("consistency", "Zhao et al. 2021 (bCR)", consistency, 10.0, of_gradient=False),
        Penalty("lecam", "Tseng et al. 2021", lecam, 0.01, of_gradient=False),
    )
}  # fmt: skip


class Penalties:
    """The penalties of one run, with what they remember.

    Args:
        penalties: Penalties, or names of those with their paper's weight.

    Raises:
        UnknownNameError: No such penalty.
        ConfigError: One is there twice, or is applied less than never.
    """

    def __init__(self, penalties: Sequence[Penalty | str] = ()) -> None:
        self.terms = tuple(get_penalty(p) if isinstance(p, str) else p for p in penalties)
        names = [term.name for term in self.terms]
        for term in self.terms:
            if names.count(term.name) > 1:
                raise ConfigError(
                    f"constraints.penalties: {term.name} is there twice; keep one of them"
                )
            if term.every_steps < 1:
                raise ConfigError(
                    f"constraints.penalties: {term.name}: every_steps must be at least 1, "
                    f"found {term.every_steps}"
                )
        # Sums of mean logits, and of the weights that they came with.
        self.sums: dict[str, Tensor] = {}
        if "lecam" in names:
            self.sums = {key: paddle.zeros([1]) for key in ("real", "fake", "weight")}

    def add_to(
        self, loss: Tensor, shown: Shown, iteration: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return D's loss with the terms due in this iteration, and these without weights."""
        if self.sums:
            shown = replace(shown, averages=self._update_averages(shown))
        scalars = {}
        for term in self.terms:
            if iteration % term.every_steps == 0:
                # A term of somebody else's may differentiate in ways of its own.
                with ops.native() if term.of_gradient else contextlib.nullcontext():
                    value = term.function(shown)
                loss = loss + term.weight * term.every_steps * value
                scalars[f"penalty/{term.name}"] = value.detach()
        return loss, scalars

    def state(self) -> dict[str, Arrays]:
        """Return what a checkpoint must hold: nothing, unless LeCam is used."""
        if not self.sums:
            return {}
        return {"penalties": {f"lecam.{key}": value.numpy() for key, value in self.sums.items()}}

    def load_state(self, arrays: Arrays) -> None:
        """Put back what :meth:`state` returned under ``penalties``.

        Raises:
            CheckpointError: It is something else.
        """
        if set(arrays) != {f"lecam.{key}" for key in self.sums}:
            raise CheckpointError(
                f"checkpoint holds the penalty state {', '.join(sorted(arrays))}, which this "
                "run does not have"
            )
        self.sums = {key: paddle.to_tensor(arrays[f"lecam.{key}"]) for key in self.sums}

    @paddle.no_grad()
    def _update_averages(self, shown: Shown) -> dict[str, Tensor]:
        means = {
            "real": shown.real_logits.mean(),
            "fake": shown.fake_logits.mean(),
            "weight": paddle.ones([1]),
        }
        self.sums = {
            key: LECAM_DECAY * total + (1.0 - LECAM_DECAY) * means[key].reshape([1])
            for key, total in self.sums.items()
        }
        # Divided by the weights, as in Adam, so that the first averages are not near 0.
        return {key: self.sums[key] / self.sums["weight"] for key in ("real", "fake")}
