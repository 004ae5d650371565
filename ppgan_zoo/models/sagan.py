"""SAGAN: SNGAN's blocks, self-attention in both nets, spectral norm in both.

Zhang et al. 2019. The defaults are reduced nets for 28x28, with attention at 14x14. Those for
32x32 after SNGAN's have channels: [256, 256, 256, 256], attention_after: 2 in G and channels:
[128, 128, 128, 128] in D. Those of 128x128 images in the authors' code are

- ``generator``: channels: [1024, 1024, 512, 256, 128, 64], attention_after: 3
- ``discriminator``: channels: [64, 128, 256, 512, 1024, 1024], halvings: 5, attention_after: 2,
  wide: true
"""

from __future__ import annotations

from paddle import nn

from ppgan_zoo.models.conditional_norm import ConditionalBatchNorm
from ppgan_zoo.models.resnet import ResidualDiscriminator, ResidualGenerator
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.models.weights import spectral_norm

MOMENTUM, EPSILON = 0.999, 1e-5  # of batch norm


class SAGANGenerator(ResidualGenerator):
    """A dense layer, then blocks that each double the size; attention after one of them.

    All dense layers and convolutions have spectral norm; the tables of the class-conditional
    norms do not.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            number of blocks.
        channels: Feature maps of the smallest size, then those that each block puts out.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image do not fit the number of blocks, or there is no
            such block.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 64,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (32, 32, 32),
        attention_after: int = 1,
        num_classes: int = 0,
    ) -> None:

        def plain(maps: int) -> nn.Layer:
            return nn.BatchNorm2D(maps, momentum=MOMENTUM, epsilon=EPSILON)

        def by_label(maps: int) -> nn.Layer:
            return ConditionalBatchNorm(maps, num_classes, momentum=MOMENTUM, epsilon=EPSILON)

        super().__init__(
            "sagan: generator",
            latent_dim,
            image_shape,
            channels,
            norm=by_label if num_classes else plain,
            last_norm=plain,
            num_classes=num_classes,
            attention_after=attention_after,
        )
        spectral_norm(self, leave_out=(nn.Embedding,), power_iterations=15)


class SAGANDiscriminator(ResidualDiscriminator):
    """Blocks, attention after one of them, the sum over all places, a dense layer to a logit.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            power of `halvings`.
        channels: Feature maps that each block puts out.
        halvings: How many of the blocks, from the first, halve the size.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
        wide: Whether a block has as many maps between its convolutions as it puts out, and
            not as many as come in.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image cannot be halved so often, or there is no such
            block.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (32, 32, 32, 32),
        halvings: int = 2,
        attention_after: int = 1,
        wide: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__(
            "sagan: discriminator",
            image_shape,
            channels,
            halvings,
            num_classes=num_classes,
            wide=wide,
            attention_after=attention_after,
        )
        spectral_norm(self, power_iterations=15)


SPEC = GanSpec(
    name="sagan",
    family="attention",
    sizes="28 to 256",
    generator=SAGANGenerator,
    discriminator=SAGANDiscriminator,
    paper="Zhang et al. 2019, Self-Attention Generative Adversarial Networks",
    objective="hinge",
    labels="takes",
)
