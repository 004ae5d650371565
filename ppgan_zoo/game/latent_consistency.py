"""Latent consistency (zCR, Zhao et al. 2021): what a small step of z may change, and what not."""

from __future__ import annotations

import paddle
from paddle import Tensor

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.augmentation import tensor_like
from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.models.latent import Code


class LatentConsistency:
    """D must say the same of ``G(z)`` and of ``G(z + e)``, and G must draw them differently.

    With e from N(0, std²): in D's loss ``discriminator * E (D(G(z)) - D(G(z + e)))^2``, in G's
    ``-generator * E (G(z) - G(z + e))^2``, the latter a mean over pixels too. D judges these
    images as G makes them, without augmentation.

    Args:
        std: Standard deviation of each number of e.
        discriminator: Weight in D's loss.
        generator: Weight in G's loss.

    Raises:
        ConfigError: A step that is not above 0, or a weight below 0.
    """

    def __init__(
        self, *, std: float = 0.03, discriminator: float = 5.0, generator: float = 0.5
    ) -> None:
        if not std > 0.0:
            raise ConfigError(f"terms: latent_consistency: std is {std}; give more than 0")
        for name, weight in (("discriminator", discriminator), ("generator", generator)):
            if not weight >= 0.0:
                raise ConfigError(f"terms: latent_consistency: {name} is {weight}; give 0 or more")
        self.std, self.discriminator, self.generator = std, discriminator, generator

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term of the net whose loss it is in."""
        if inputs.net == "generator":
            here, there = self._images(inputs).split(2)
            return -self.generator * (here - there).square().mean()
        with paddle.no_grad():
            images = self._images(inputs)
        # Packed as D was shown images: neighbours, stacked along the channels.
        channels, *sides = inputs.fake.images.shape[1:]
        images = images.reshape([-1, channels, *sides])
        labels = inputs.fake.labels
        both = None if labels is None else paddle.concat([labels, labels])
        here, there = inputs.logits(images, both).split(2)
        return self.discriminator * (here - there).square().mean()

    def _images(self, inputs: TermInputs) -> Tensor:
        """Return G's images of z, then those of z + e, made as one batch."""
        assert inputs.gan is not None and inputs.code is not None
        z, labels = inputs.code.z, inputs.code.labels
        step = tensor_like(self.std * inputs.rng.standard_normal(z.shape), z)
        both = None if labels is None else paddle.concat([labels, labels])
        return inputs.gan.generate(Code(paddle.concat([z, z + step]), both))


LATENT_CONSISTENCY = Term(
    "latent_consistency", "Zhao et al. 2021 (zCR)", LatentConsistency, 1.0, net="both"
)
