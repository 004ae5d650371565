"""LSGAN with the targets of Pearson's chi-square, and a term that keeps G's images as bright."""

from __future__ import annotations

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

from ppgan_zoo.distributed.collectives import whole
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.objectives import LabelSmoothing, Objective
from ppgan_zoo.game.terms import Term, TermInputs


def loss_of_real(logits: Tensor, smoothing: LabelSmoothing) -> Tensor:
    """``E (D(x) - 1)^2 / 2``."""
    return 0.5 * (logits - 1.0).square().mean()


def loss_of_fake(logits: Tensor, smoothing: LabelSmoothing) -> Tensor:
    """``E (D(y) + 1)^2 / 2``."""
    return 0.5 * (logits + 1.0).square().mean()


def discriminator_loss(real: Tensor, fake: Tensor, smoothing: LabelSmoothing) -> Tensor:
    """Return the sum of the two, of logits ``[N, 1]``."""
    return loss_of_real(real, smoothing) + loss_of_fake(fake, smoothing)


def generator_loss(fake: Tensor, real: Tensor | None, smoothing: LabelSmoothing) -> Tensor:
    """``E D(y)^2 / 2``: G brings D's logits to the middle of the two targets."""
    return 0.5 * fake.square().mean()


PEARSON = Objective(
    name="example_pearson",
    source="Mao et al. 2017, equation 8",
    discriminator_loss=discriminator_loss,
    generator_loss=generator_loss,
    halves=(loss_of_real, loss_of_fake),
    takes_bounded_output=True,
)


class Brightness:
    """``(m(y) - a)^2 + (s(y) - b)^2``, a and b the moving averages of m(x) and s(x).

    m is the mean of all pixels of a batch, s their standard deviation.

    Args:
        decay: Of the moving averages, per update: 0 or more, below 1.

    Raises:
        ConfigError: `decay` is not allowed.
    """

    def __init__(self, *, decay: float = 0.99) -> None:
        if not 0.0 <= decay < 1.0:
            raise ConfigError(
                f"terms: example_brightness: decay {decay}; give 0 or more, and less than 1"
            )
        self.decay = decay
        # The third sums up the weights of the other two, so that the first averages are right.
        self.sums = paddle.zeros([3])

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Take the real images into the averages, then return the term."""
        # Means of the whole batch: of several processes that train together, each has a part.
        real, fake = whole(inputs.real.images), whole(inputs.fake.images)
        with paddle.no_grad():
            found = paddle.stack([real.mean(), real.std(), paddle.ones([])])
            self.sums = self.decay * self.sums + (1.0 - self.decay) * found
            mean, deviation = self.sums[0] / self.sums[2], self.sums[1] / self.sums[2]
        return (fake.mean() - mean).square() + (fake.std() - deviation).square()

    def state(self) -> dict[str, NDArray[np.float32]]:
        """Return what a checkpoint must hold; the same keys from the first iteration on."""
        return {"sums": self.sums.numpy()}

    def load_state(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Put it back."""
        self.sums = paddle.to_tensor(arrays["sums"])


BRIGHTNESS = Term(
    name="example_brightness",
    source="an example",
    function=Brightness,
    weight=1.0,
    net="generator",
)
