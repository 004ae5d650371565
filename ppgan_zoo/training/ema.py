"""The moving average of G's weights."""

from __future__ import annotations

import paddle
from paddle import nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.schedules import Value, at
from ppgan_zoo.models.nets import take_statistics
from ppgan_zoo.models.weights import frozen_copy
from ppgan_zoo.recipe.bounds import LEAST_WARMUP, check_count, check_least, check_share
from ppgan_zoo.training.chance import Chance

TENSORFLOWS_WARMUP = 10.0
"""Of its ExponentialMovingAverage: early weights are soon forgotten."""


class Ema:
    """Follows G's weights, and has batch norm statistics of its own.

    Args:
        generator: G as it is before the first iteration.
        chance: Draws the codes that its statistics are of.
        decay: Per iteration.
        half_life: Images after which the weights of now count half, or a schedule of it; in
            place of `decay`.
        warmup: The decay in iteration t is at most ``(1 + t) / (warmup + t)``: the weights of
            iteration s count in proportion to ``(s / t) ** (warmup - 2)`` as long as that
            holds. 2 makes the mean of all so far; TensorFlow has 10. None: that with `decay`, and
            no such bound with `half_life`, as in the papers that have one.
        statistics_batches: Batches that the statistics of its batch norms are the mean of.

    Raises:
        ConfigError: Not exactly one of `decay` (from 0 to below 1) and `half_life` (above 0),
            `warmup` below 2, or no batch.
    """

    def __init__(
        self,
        generator: nn.Layer,
        chance: Chance,
        *,
        decay: float | None = None,
        half_life: Value | None = None,
        warmup: float | None = None,
        statistics_batches: int = 16,
    ) -> None:
        if (decay is None) == (half_life is None):
            raise ConfigError("ema: give either decay or half_life")
        if warmup is not None:
            check_least("ema: warmup", warmup, LEAST_WARMUP)
        elif decay is not None:
            warmup = TENSORFLOWS_WARMUP
        check_count("ema: statistics_batches", statistics_batches)
        if decay is not None:
            check_share("ema: decay", decay, with_1=False)
        if half_life is not None and not callable(half_life) and not half_life > 0.0:
            raise ConfigError(f"ema: half_life is {half_life}; give images, more than 0")
        self.decay = decay
        self.half_life = half_life
        self.warmup = warmup
        self.statistics_batches = statistics_batches
        self.chance = chance
        self.net = frozen_copy(generator)
        self._iteration = 0
        self._batch_size = 0  # for statistics that it lacks; 0: it has them

    def decay_at(self, iteration: int, images: int) -> float:
        """Return the decay in an iteration that has so many real images."""
        if self.half_life is not None:
            decay = 0.5 ** (images / max(at(self.half_life, iteration), 1e-8))
        else:
            assert self.decay is not None
            decay = self.decay
        if self.warmup is None:
            return decay
        return min(decay, (1.0 + iteration) / (self.warmup + iteration))

    @paddle.no_grad()
    def follow(self, generator: nn.Layer, iteration: int, images: int, batch_size: int) -> None:
        """Take G's weights after an iteration into the average.

        Args:
            generator: G.
            iteration: Iterations done before this one.
            images: Real images that D learns from in the iteration.
            batch_size: Images that go through G at once in training.
        """
        decay = self.decay_at(iteration, images)
        pairs = zip(self.net.parameters(), generator.parameters(), strict=True)
        for average, parameter in pairs:
            if parameter.stop_gradient:  # statistics of norms other than batch norm
                paddle.assign(parameter, average)
            else:
                average.scale_(decay)
                average.add_(parameter * (1.0 - decay))
        # Such as the vectors of spectral norm, which follow the weights on their own.
        for average, buffer in zip(self.net.buffers(), generator.buffers(), strict=True):
            paddle.assign(buffer, average)
        self._iteration = iteration + 1
        self._batch_size = batch_size

    @property
    def generator(self) -> nn.Layer:
        """G with the averaged weights, in eval mode.

        Its batch norms have statistics of `statistics_batches` fixed batches of the
        training's size: those of G do not fit other weights. They are taken when it is first
        asked for after an update.
        """
        if self._batch_size:
            count = self.statistics_batches
            codes = self.chance.statistics(count * self._batch_size).split(count)
            self.chance.seed_paddle(self._iteration)  # for dropout
            take_statistics(
                self.net,
                [(code.z,) if code.labels is None else (code.z, code.labels) for code in codes],
            )
            self._batch_size = 0
        return self.net

    def loaded(self) -> None:
        """Note that weights and statistics were just loaded, as they belong together."""
        self._batch_size = 0
