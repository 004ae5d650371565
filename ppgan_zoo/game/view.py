"""How D sees images: augmented, noisy, packed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from paddle import Tensor

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.ada import AdaptiveProbability
from ppgan_zoo.game.augmentation import Augmentation, augment, tensor_like
from ppgan_zoo.game.schedules import Value, at
from ppgan_zoo.recipe.bounds import check_count, check_share


@dataclass(frozen=True)
class View:
    """How D sees a batch of images, real and fake alike: augmented, then noisy, then packed.

    Attributes:
        augment_probability: Of each image that it is augmented; an
            :class:`ppgan_zoo.game.ada.AdaptiveProbability` remembers, and checkpoints carry it.
        augment: What changes the images, in this order: names of
            :data:`ppgan_zoo.registry.AUGMENTATIONS`, or what
            :func:`ppgan_zoo.game.augmentation.get_augmentation` returns.
        noise_std: Standard deviation of Gaussian instance noise at the first iteration
            (Sonderby et al. 2017).
        noise_until: Iteration at which the noise, which falls in a straight line, is
            gone; None keeps it as it is.
        packing: How many images D judges together, stacked along the channels (PacGAN,
            Lin et al. 2018); D must be built for that many times the channels.
    """

    augment: tuple[str | Augmentation, ...] = ()
    augment_probability: Value = 1.0
    noise_std: float = 0.0
    noise_until: int | None = None
    packing: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that are no such thing.

        Raises:
            ConfigError: There is one.
        """
        if not callable(self.augment_probability):
            check_share("constraints.augment_probability", self.augment_probability)
        if not 0.0 <= self.noise_std < math.inf:
            raise ConfigError(f"constraints.instance_noise.std is {self.noise_std}; give 0 or more")
        if self.noise_until is not None:
            check_count("constraints.instance_noise.until_step", self.noise_until)
        check_count("constraints.packing", self.packing)

    def __call__(self, images: Tensor, iteration: int, rng: np.random.Generator) -> Tensor:
        """Return what D is shown of images ``[N, C, H, W]``: ``[N / m, m C, H, W]``.

        Raises:
            ConfigError: The batch cannot be packed.
        """
        probability = at(self.augment_probability, iteration)
        images = augment(images, self.augment, rng, probability)
        std = self.noise_std_at(iteration)
        if std:
            noise = rng.standard_normal(images.shape, dtype=np.float32)
            images = images + std * tensor_like(noise, images)
        if self.packing == 1:
            return images
        count, channels, height, width = images.shape
        if count % self.packing:
            raise ConfigError(
                f"constraints.packing: a batch of {count} images is not a multiple of "
                f"{self.packing}; change data.batch_size"
            )
        return images.reshape([count // self.packing, self.packing * channels, height, width])

    @property
    def controller(self) -> AdaptiveProbability | None:
        """What adapts the probability to D; None where nothing does."""
        probability = self.augment_probability
        return probability if isinstance(probability, AdaptiveProbability) else None

    def noise_std_at(self, iteration: int) -> float:
        """Return the noise's standard deviation in an iteration."""
        if self.noise_until is None:
            return self.noise_std
        return self.noise_std * max(0.0, 1.0 - iteration / self.noise_until)
