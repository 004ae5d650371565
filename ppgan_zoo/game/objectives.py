"""The games: what D and G minimise, as pure functions of logits.

Every function takes logits ``[N, P]`` (any real number, real above 0; P is 1 but for a D that
judges patches of an image) and returns a scalar tensor to be minimised. D's loss is the
**sum** of its mean over the real and its mean over the fake batch (relativistic pairing: the
mean over the pairs). Sigmoids live here, in the numerically stable softplus form (which also
has the double gradient that Paddle's cross-entropy lacks), never in D.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.registry import OBJECTIVES


@dataclass(frozen=True)
class LabelSmoothing:
    """How far each target is moved off 0 or 1; all zero means hard labels.

    Attributes:
        real: D's target for real images is ``1 - real``.
        fake: D's target for fake images is ``fake``.
        generator: G's target for its own images is ``1 - generator``; in the minimax game,
            where G moves away from a target, that target is `generator`.
    """

    real: float = 0.0
    fake: float = 0.0
    generator: float = 0.0

    def __bool__(self) -> bool:
        """Tell whether any target is moved."""
        return bool(self.real or self.fake or self.generator)

    @property
    def middle(self) -> float:
        """The target between those of real and of fake images."""
        return (1.0 - self.real + self.fake) / 2.0


Half = Callable[[Tensor, LabelSmoothing], Tensor]


@dataclass(frozen=True)
class Objective:
    """A pair of losses.

    Attributes:
        name: Name in a recipe.
        source: Paper that it comes from.
        discriminator_loss: ``(real_logits, fake_logits, smoothing) -> loss``.
        halves: ``(logits, smoothing) -> loss`` of real and of fake images, where D's loss is
            their sum; None where it is none.
        generator_loss: ``(fake_logits, real_logits, smoothing) -> loss``; `real_logits`
            is None unless `relativistic`.
        smoothable: Whether it has targets that label smoothing can move.
        relativistic: Whether G's loss needs D's logits of real images too.
        paired: Whether it compares each real image with the fake one in the same place, which
            then has the same label.
        probability: Whether ``sigmoid(logit)`` is D's probability of "real"; if not, the
            logit itself is D's score.
        of_critic: Whether D is a critic, of bounded slope and trained to its best: nothing
            is wrong with one that is far ahead of G.
        takes_bounded_output: Whether it can live with a D whose output is bounded.
        undecided: The logit of a D that cannot tell real from fake, by the target in the middle
            between theirs; without meaning where `relativistic` or `of_critic`.
    """

    name: str
    source: str
    discriminator_loss: Callable[[Tensor, Tensor, LabelSmoothing], Tensor]
    generator_loss: Callable[[Tensor, Tensor | None, LabelSmoothing], Tensor]
    halves: tuple[Half, Half] | None = None
    smoothable: bool = False
    relativistic: bool = False
    paired: bool = False
    probability: bool = False
    of_critic: bool = False
    takes_bounded_output: bool = False
    undecided: Callable[[float], float] = lambda middle: 0.0

    def score(self, logits: Tensor) -> Tensor:
        """Return the mean of D's score of a batch, in [0, 1] for a probability."""
        return F.sigmoid(logits).mean() if self.probability else logits.mean()


def get_objective(name: str, smoothing: LabelSmoothing | None = None) -> Objective:
    """Return the objective called `name`.

    Raises:
        UnknownNameError: No such objective.
        ConfigError: `smoothing` is asked of an objective that has no targets.
    """
    objective = OBJECTIVES.get(name)
    if smoothing and not objective.smoothable:
        able = [other.name for other in OBJECTIVES.all() if other.smoothable]
        raise ConfigError(
            f"objective.label_smoothing: {name} has no labels to smooth; set it to 0 or use "
            f"one of {', '.join(able)}"
        )
    return objective


def cross_entropy(logits: Tensor, target: float) -> Tensor:
    """Mean binary cross-entropy of ``sigmoid(logits)`` against one target in [0, 1]."""
    # softplus(x) - t x = -t log s(x) - (1 - t) log(1 - s(x)), exact for any x.
    return (F.softplus(logits) - target * logits).mean()


def _sum_of(halves: tuple[Half, Half]) -> Callable[[Tensor, Tensor, LabelSmoothing], Tensor]:
    def discriminator_loss(real: Tensor, fake: Tensor, smoothing: LabelSmoothing) -> Tensor:
        return halves[0](real, smoothing) + halves[1](fake, smoothing)

    return discriminator_loss


_CROSS_ENTROPY: tuple[Half, Half] = (
    lambda real, smoothing: cross_entropy(real, 1.0 - smoothing.real),
    lambda fake, smoothing: cross_entropy(fake, smoothing.fake),
)
_LEAST_SQUARES: tuple[Half, Half] = (
    lambda real, smoothing: 0.5 * (real - (1.0 - smoothing.real)).square().mean(),
    lambda fake, smoothing: 0.5 * (fake - smoothing.fake).square().mean(),
)
_HINGE: tuple[Half, Half] = (
    lambda real, _: F.relu(1.0 - real).mean(),
    lambda fake, _: F.relu(1.0 + fake).mean(),
)
_HINGE_RANDOM_MARGINS: tuple[Half, Half] = (
    lambda real, _: F.relu(_random_margins(real) - real).mean(),
    lambda fake, _: F.relu(_random_margins(fake) + fake).mean(),
)
_WASSERSTEIN: tuple[Half, Half] = (lambda real, _: -real.mean(), lambda fake, _: fake.mean())


def _random_margins(logits: Tensor) -> Tensor:
    """Draw a margin for each logit, U(0.8, 1), from Paddle's seed of the iteration."""
    return 1.0 - 0.2 * paddle.rand(logits.shape, logits.dtype)


def _non_saturating_g(fake: Tensor, real: Tensor | None, smoothing: LabelSmoothing) -> Tensor:
    return cross_entropy(fake, 1.0 - smoothing.generator)


def _minimax_g(fake: Tensor, real: Tensor | None, smoothing: LabelSmoothing) -> Tensor:
    # E log(1 - D(G(z))): what the paper writes, and what vanishes when D is sure.
    return -cross_entropy(fake, smoothing.generator)


def _least_squares_g(fake: Tensor, real: Tensor | None, smoothing: LabelSmoothing) -> Tensor:
    return 0.5 * (fake - (1.0 - smoothing.generator)).square().mean()


def _raise_fake_g(fake: Tensor, real: Tensor | None, smoothing: LabelSmoothing) -> Tensor:
    return -fake.mean()


def _relativistic_average_d(real: Tensor, fake: Tensor, smoothing: LabelSmoothing) -> Tensor:
    # softplus(-x) = -log sigmoid(x): real above the mean fake, fake below the mean real.
    return F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()


def _relativistic_average_g(fake: Tensor, real: Tensor | None, smoothing: LabelSmoothing) -> Tensor:
    assert real is not None
    return F.softplus(real.mean() - fake).mean() + F.softplus(real - fake.mean()).mean()


def _relativistic_pairing_d(real: Tensor, fake: Tensor, smoothing: LabelSmoothing) -> Tensor:
    return F.softplus(fake - real).mean()


def _relativistic_pairing_g(fake: Tensor, real: Tensor | None, smoothing: LabelSmoothing) -> Tensor:
    assert real is not None
    return F.softplus(real - fake).mean()


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


NON_SATURATING = Objective(
    name="non_saturating",
    source="Goodfellow et al. 2014, section 3",
    discriminator_loss=_sum_of(_CROSS_ENTROPY),
    halves=_CROSS_ENTROPY,
    generator_loss=_non_saturating_g,
    smoothable=True,
    probability=True,
    undecided=_logit,
)

MINIMAX = Objective(
    name="minimax",
    source="Goodfellow et al. 2014, equation 1",
    discriminator_loss=_sum_of(_CROSS_ENTROPY),
    halves=_CROSS_ENTROPY,
    generator_loss=_minimax_g,
    smoothable=True,
    probability=True,
    undecided=_logit,
)

LEAST_SQUARES = Objective(
    name="least_squares",
    source="Mao et al. 2017, equation 9",
    discriminator_loss=_sum_of(_LEAST_SQUARES),
    halves=_LEAST_SQUARES,
    generator_loss=_least_squares_g,
    smoothable=True,
    takes_bounded_output=True,
    undecided=lambda middle: middle,
)

HINGE = Objective(
    name="hinge",
    source="Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17",
    discriminator_loss=_sum_of(_HINGE),
    halves=_HINGE,
    generator_loss=_raise_fake_g,
)

HINGE_RANDOM_MARGINS = Objective(
    name="hinge_random_margins",
    source="Liu et al. 2021 (FastGAN), as in its code",
    discriminator_loss=_sum_of(_HINGE_RANDOM_MARGINS),
    halves=_HINGE_RANDOM_MARGINS,
    generator_loss=_raise_fake_g,
)

WASSERSTEIN = Objective(
    name="wasserstein",
    source="Arjovsky et al. 2017, algorithm 1",
    discriminator_loss=_sum_of(_WASSERSTEIN),
    halves=_WASSERSTEIN,
    generator_loss=_raise_fake_g,
    of_critic=True,
)

RELATIVISTIC_AVERAGE = Objective(
    name="relativistic_average",
    source="Jolicoeur-Martineau 2019 (RaSGAN)",
    discriminator_loss=_relativistic_average_d,
    generator_loss=_relativistic_average_g,
    relativistic=True,
)

RELATIVISTIC_PAIRING = Objective(
    name="relativistic_pairing",
    source="Jolicoeur-Martineau 2019; Huang et al. 2024 (R3GAN)",
    discriminator_loss=_relativistic_pairing_d,
    generator_loss=_relativistic_pairing_g,
    relativistic=True,
    paired=True,
)
