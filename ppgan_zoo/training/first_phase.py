"""Whether G has begun to learn: what a picture of its samples shows after a few hundred iterations.

Some runs never begin. G stays at grey, at noise or at a checkerboard while D tells every sample
apart, and nothing that follows helps. Losses do not show it: D wins in good runs, too. The
samples do, and neither labels nor a feature network are needed to see it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.data.images import ImageSet, scale_to_range
from ppgan_zoo.metrics.sliced_wasserstein import sliced_wasserstein
from ppgan_zoo.recipe.bounds import LOOKS_AT_A_START
from ppgan_zoo.training.signals import take_signals
from ppgan_zoo.training.trainer import Trainer

Fate = Literal["begun", "failed"]

BEGUN = 0.7
"""Samples nearer than this have begun to look like the data; docs/stability.md says on what it
was measured."""


LEAST_DETAIL = 0.1
"""The least that counts as the detail of real images, as a share of the distance of their mean.

Those of digits and clothes have four to five times as much, drawings more than twice. Smooth images
and pictures of large pixels have less, or none: there, noise that nobody sees would be far away.
"""

LOOKED_AT = 128  # real images, and as many samples


class Look:
    """Looks at samples of a trainer beside real images from all over a set.

    Args:
        images: The set.
        trainer: Any trainer of the run; its model says range and labels.
    """

    def __init__(self, images: ImageSet, trainer: Trainer) -> None:
        chosen = np.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).astype(int)
        labels = images.labels if trainer.gan.num_classes else None
        self.real = Batch(
            scale_to_range(images.images[chosen], trainer.gan.image_range),
            None if labels is None else labels[chosen],
        )

    def __call__(self, trainer: Trainer) -> tuple[float, NDArray[np.floating]]:
        """Return the :func:`start_distance` and the samples ``[N, C, H, W]`` that have it.

        They are a function of weights and iteration; nothing that training depends on changes.
        """
        samples = take_signals(trainer, self.real, len(self.real)).samples
        samples = np.clip(samples, *trainer.gan.image_range)
        return start_distance(samples, self.real.images[: len(samples)]), samples


def start_distance(samples: NDArray[np.floating], real: NDArray[np.floating]) -> float:
    """Return how far samples are from real images, where one flat picture for all is at 1.

    The larger of two sliced Wasserstein distances, each over that of the simplest answer
    that G could give: of the pixels, over that of the mean image again and again; and of
    what is left of each pixel when the mean of its 2x2 block is taken away, over that of nothing at
    all, or :data:`LEAST_DETAIL` if that is more. The second sees checkerboards and noise, which
    the first hardly does.

    Args:
        samples: ``[N, C, H, W]``, in any range, N at least 2.
        real: As many real images in the same range.

    Returns:
        0 for the same images; about 0.3 for 64 other real digits; 1 for a G that has learned
        nothing but the mean; 1.5 and more for noise and checkerboards.
    """
    mean = np.broadcast_to(real.mean(axis=0, keepdims=True), real.shape)
    flat = sliced_wasserstein(mean, real)
    pixels = _share(sliced_wasserstein(samples, real), flat)
    fine, fine_real = _fine(samples), _fine(real)
    nothing = sliced_wasserstein(np.zeros_like(fine_real), fine_real)
    detail = max(nothing, LEAST_DETAIL * flat)
    return max(pixels, _share(sliced_wasserstein(fine, fine_real), detail))


@dataclass
class FirstPhase:
    """Follows a run until it is clear whether it has begun to learn.

    Attributes:
        iterations: A run that has not begun by then has failed.
        seen: Iteration and distance of every check.
    """

    iterations: int
    seen: list[tuple[int, float]] = field(default_factory=list)

    def see(self, iteration: int, distance: float) -> Fate | None:
        """Take one check into account.

        Args:
            iteration: Iterations done.
            distance: The :func:`start_distance` of then; NaN is as good as a failure.

        Returns:
            What has become of the run, or None while that is open.
        """
        self.seen.append((iteration, distance))
        latest = [value for _, value in self.seen[-LOOKS_AT_A_START:]]
        if len(latest) == LOOKS_AT_A_START and all(value < BEGUN for value in latest):
            return "begun"
        return "failed" if iteration >= self.iterations or not np.isfinite(distance) else None


def _fine(images: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return each pixel less the mean of its block of 2x2; odd last rows and columns go."""
    n, c, h, w = images.shape
    blocks = images[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2)
    return blocks - blocks.mean(axis=(3, 5), keepdims=True)


def _share(part: float, whole: float) -> float:
    """Return a ratio; where all real images are the same, any difference is infinitely far."""
    if whole > 0.0:
        return part / whole
    return float("inf") if part > 0.0 else 0.0
