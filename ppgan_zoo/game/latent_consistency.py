"""Latent consistency (zCR, Zhao et al. 2021): what a small step of z may change, and what not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.augmentation import tensor_like
from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.recipe.bounds import check_weight

MOST_STD = 100.0
"""Of a step: beyond it nothing is left of a z of some standard deviations."""


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
        ConfigError: A step that is not above 0 or is above 100, or a weight below 0 or above
            1,000,000.
    """

    def __init__(
        self, *, std: float = 0.03, discriminator: float = 5.0, generator: float = 0.5
    ) -> None:
        if not 0.0 < std <= MOST_STD:
            raise ConfigError(
                f"terms: latent_consistency: std is {std}; give more than 0, up to {MOST_STD:g}"
            )
        for name, weight in (("discriminator", discriminator), ("generator", generator)):
            check_weight(f"terms: latent_consistency: {name}", weight)
        self.std, self.discriminator, self.generator = std, discriminator, generator

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term of the net whose loss it is in."""
        assert inputs.gan is not None and inputs.code is not None
        code = inputs.code
        codes = code, Code(code.z + self._step(inputs.gan, code.z, inputs.rng), code.labels)
        if inputs.net == "generator":
            here, there = _images(inputs.gan, codes)
            return -self.generator * (here - there).square().mean()
        with paddle.no_grad():
            images = paddle.concat(_images(inputs.gan, codes))
        # Packed as D was shown images: neighbours, stacked along the channels.
        channels, *sides = inputs.fake.images.shape[1:]
        images = images.reshape([-1, channels, *sides])
        labels = inputs.fake.labels
        both = None if labels is None else paddle.concat([labels, labels])
        here, there = inputs.logits(images, both, paddle.concat([code.z for code in codes])).split(
            2
        )
        return self.discriminator * (here - there).square().mean()

    def _step(self, gan: Gan, z: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw e: of the noise in z, for the other codes in it have meanings of their own."""
        count, numbers = z.shape
        step = np.zeros((count, numbers))
        noise = gan.latent().noise_dim
        step[:, :noise] = self.std * rng.standard_normal((count, noise))
        return tensor_like(step, z)


def _images(gan: Gan, codes: Sequence[Code]) -> list[Tensor]:
    """Return G's images of each code, all with the same chance (noise, dropout) inside G."""
    state = paddle.get_rng_state()
    images = []
    for code in codes:
        paddle.set_rng_state(state)
        images.append(gan.generate(code))
    return images


LATENT_CONSISTENCY = Term(
    "latent_consistency",
    "Zhao et al. 2021 (zCR)",
    LatentConsistency,
    1.0,
    net="both",
    compares=True,
)
