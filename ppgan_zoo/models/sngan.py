"""SNGAN: residual nets, and a D whose layers are divided by their spectral norm.

The nets of Miyato et al. 2018; with labels those of Miyato and Koyama 2018: class-conditional
batch norm in G, and a D that projects the label on its features. The defaults are the 32x32
nets of CIFAR-10; other published sizes:

=====  ===============================  ====================================================
size   ``generator``                    ``discriminator``
=====  ===============================  ====================================================
48     channels: [512, 256, 128, 64]    channels: [64, 128, 256, 512, 1024], halvings: 4,
                                        head_bias: true
64     channels: [1024, 512, 256, 128,  channels: [64, 128, 256, 512, 1024], halvings: 5,
       64]                              head_bias: true
=====  ===============================  ====================================================
"""

from __future__ import annotations

from itertools import pairwise

from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.models.conditional_norm import ConditionalBatchNorm
from ppgan_zoo.models.labels import Projection
from ppgan_zoo.models.residual import (
    DiscriminatorBlock,
    FirstBlock,
    GeneratorBlock,
    check_channels,
    check_halvings,
    conv3x3,
    dense,
    grid_of,
)
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.models.weights import spectral_norm

EPSILON = 2e-5  # of batch norm, Chainer's default


class SNGANGenerator(nn.Layer):
    """A dense layer, then blocks that each double the size.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            number of blocks.
        channels: Feature maps of the smallest size, then those that each block puts out.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image do not fit the number of blocks.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        channels: tuple[int, ...] = (256, 256, 256, 256),
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        check_channels("sngan: generator", channels)
        height, width = grid_of("sngan: generator", image_shape, len(channels) - 1)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.grid_shape = (channels[0], height, width)

        def norm(maps: int) -> nn.Layer:
            if num_classes:
                return ConditionalBatchNorm(maps, num_classes, epsilon=EPSILON)
            return nn.BatchNorm2D(maps, epsilon=EPSILON)

        self.project = dense(latent_dim, channels[0] * height * width)
        self.blocks = nn.LayerList(
            [GeneratorBlock(inputs, outputs, norm) for inputs, outputs in pairwise(channels)]
        )
        self.norm = nn.BatchNorm2D(channels[-1], epsilon=EPSILON)
        self.pixels = conv3x3(channels[-1], image_shape[0])

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        x = self.project(z).reshape([-1, *self.grid_shape])
        for block in self.blocks:
            x = block(x, labels)
        return self.pixels(F.relu(self.norm(x))).tanh()


class SNGANDiscriminator(nn.Layer):
    """Blocks, the sum over all places, a dense layer to a logit; spectral norm everywhere.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            power of `halvings`.
        channels: Feature maps that each block puts out.
        halvings: How many of the blocks, from the first, halve the size.
        head_bias: Whether the last layer has a bias; the published nets do, but for 32x32.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image cannot be halved so often.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        channels: tuple[int, ...] = (128, 128, 128, 128),
        halvings: int = 2,
        head_bias: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        check_channels("sngan: discriminator", channels)
        check_halvings("sngan: discriminator", halvings, len(channels))
        grid_of("sngan: discriminator", image_shape, halvings)
        self.num_classes = num_classes
        self.first = FirstBlock(image_shape[0], channels[0], down=halvings > 0)
        self.blocks = nn.LayerList(
            [
                DiscriminatorBlock(channels[i - 1], channels[i], down=i < halvings)
                for i in range(1, len(channels))
            ]
        )
        self.score = dense(channels[-1], 1, bias=head_bias)
        if num_classes:
            self.projection = Projection(num_classes, channels[-1])
        spectral_norm(self, power_iterations=15)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        x = self.first(images)
        for block in self.blocks:
            x = block(x)
        features = F.relu(x).sum(axis=[2, 3])
        logits = self.score(features)
        return logits if labels is None else logits + self.projection(features, labels)


SPEC = GanSpec(
    name="sngan",
    generator=SNGANGenerator,
    discriminator=SNGANDiscriminator,
    paper="Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks",
    objective="hinge",
    labels="takes",
)
