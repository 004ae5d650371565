"""SNGAN: residual nets, and a D whose layers are divided by their spectral norm.

The nets of Miyato et al. 2018; with labels those of Miyato and Koyama 2018: class-conditional
batch norm in G, and a D that projects the label on its features. The defaults are reduced nets
for 28x28; the published ones, with z of 128:

=====  ===============================  ====================================================
size   ``generator``                    ``discriminator``
=====  ===============================  ====================================================
32     channels: [256, 256, 256, 256]   channels: [128, 128, 128, 128]
48     channels: [512, 256, 128, 64]    channels: [64, 128, 256, 512, 1024], halvings: 4,
                                        head_bias: true
64     channels: [1024, 512, 256, 128,  channels: [64, 128, 256, 512, 1024], halvings: 5,
       64]                              head_bias: true
=====  ===============================  ====================================================
"""

from __future__ import annotations

from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.conditional_norm import ConditionalBatchNorm, SelfModulatedBatchNorm
from ppgan_zoo.models.resnet import ResidualDiscriminator, ResidualGenerator
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.models.weights import spectral_norm

EPSILON = 2e-5  # of batch norm, Chainer's default


class SNGANGenerator(ResidualGenerator):
    """A dense layer, then blocks that each double the size.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            number of blocks.
        channels: Feature maps of the smallest size, then those that each block puts out.
        self_modulation: Hidden units of the net with which each norm makes its scale and shift
            of z (Chen et al. 2019, who have 32); 0 for norms with scales and shifts of their own.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image do not fit the number of blocks, there is no such
            block, or norms would have both labels and z.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 64,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (32, 32, 32),
        self_modulation: int = 0,
        attention_after: int = 0,
        num_classes: int = 0,
    ) -> None:
        _check(self_modulation, num_classes)

        def plain(maps: int) -> nn.Layer:
            return nn.BatchNorm2D(maps, epsilon=EPSILON)

        def by_label(maps: int) -> nn.Layer:
            return ConditionalBatchNorm(maps, num_classes, epsilon=EPSILON)

        def by_z(maps: int) -> nn.Layer:
            return SelfModulatedBatchNorm(maps, latent_dim, self_modulation, epsilon=EPSILON)

        unlabelled = by_z if self_modulation else plain
        super().__init__(
            "sngan: generator",
            latent_dim,
            image_shape,
            channels,
            norm=by_label if num_classes else unlabelled,
            last_norm=unlabelled,
            num_classes=num_classes,
            attention_after=attention_after,
        )
        self.self_modulation = self_modulation

    def condition(self, z: Tensor, labels: Tensor | None, place: int) -> Tensor | None:
        """Return what the norms of a block take beside their maps: z, the labels or nothing."""
        return z if self.self_modulation else labels

    def last_condition(self, z: Tensor) -> Tensor | None:
        """Return what the norm before the pixels takes: z where it modulates the net."""
        return z if self.self_modulation else None


class SNGANDiscriminator(ResidualDiscriminator):
    """Blocks, the sum over all places, a dense layer to a logit; spectral norm everywhere.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            power of `halvings`.
        channels: Feature maps that each block puts out.
        halvings: How many of the blocks, from the first, halve the size.
        head_bias: Whether the last layer has a bias; the published nets do, but for 32x32.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
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
        head_bias: bool = False,
        attention_after: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__(
            "sngan: discriminator",
            image_shape,
            channels,
            halvings,
            num_classes=num_classes,
            head_bias=head_bias,
            attention_after=attention_after,
        )
        spectral_norm(self, power_iterations=15)


def _check(self_modulation: int, num_classes: int) -> None:
    if self_modulation < 0:
        raise ConfigError(
            f"sngan: generator: self_modulation is {self_modulation}; give 0 or more hidden units"
        )
    if self_modulation and num_classes:
        raise ConfigError(
            f"sngan: generator: self_modulation is {self_modulation} and the net takes labels: a "
            "norm is told either z or the label; set self_modulation to 0, or model.conditional to "
            "false"
        )


SPEC = GanSpec(
    name="sngan",
    family="resnets",
    sizes="28 to 256",
    generator=SNGANGenerator,
    discriminator=SNGANDiscriminator,
    paper="Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks",
    objective="hinge",
    labels="takes",
)
