"""WGAN-GP: residual nets for a critic under a gradient penalty.

The nets of Gulrajani et al. 2017 as in the authors' code. The defaults are reduced nets for
28x28. Those of CIFAR-10 (32x32), whose D has no norm at all, have channels: [128, 128, 128, 128]
in both nets. Those of 64x64 images ("Good"), where layer norm takes the place of batch norm in
D, since the penalty is of single images, are

- ``generator``: channels: [512, 512, 256, 128, 64], first_bias: false
- ``discriminator``: channels: [64, 128, 256, 512, 512], halvings: 4, norm: layer

With labels G has class-conditional batch norm; D projects
the label on its features or, as in the paper, classifies the image for the term
``auxiliary_classifier``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from paddle import Tensor, nn

from ppgan_zoo.models.attention import attention_layers, check_attention
from ppgan_zoo.models.conditional_norm import ConditionalBatchNorm
from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.labels import Projection
from ppgan_zoo.models.residual import (
    DiscriminatorBlock,
    FirstBlock,
    check_channels,
    check_halvings,
    conv3x3,
    dense,
    grid_of,
)
from ppgan_zoo.models.resnet import ResidualGenerator
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import relu

EPSILON = 1e-5  # of batch norm and of layer norm


class WGANGPGenerator(ResidualGenerator):
    """A dense layer, then blocks that each double the size.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            number of blocks.
        channels: Feature maps of the smallest size, then those that each block puts out.
        first_bias: Whether the first convolution of a block has a bias.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image do not fit the number of blocks, or there is no such
            block.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (32, 32, 32),
        first_bias: bool = True,
        attention_after: int = 0,
        num_classes: int = 0,
    ) -> None:

        def plain(maps: int) -> nn.Layer:
            return nn.BatchNorm2D(maps, epsilon=EPSILON)

        def by_label(maps: int) -> nn.Layer:
            return ConditionalBatchNorm(maps, num_classes, epsilon=EPSILON)

        super().__init__(
            "wgan_gp_resnet: generator",
            latent_dim,
            image_shape,
            channels,
            norm=by_label if num_classes else plain,
            last_norm=plain,
            num_classes=num_classes,
            first_bias=first_bias,
            attention_after=attention_after,
        )


class WGANGPDiscriminator(nn.Layer):
    """Blocks and a dense layer to a score, each image apart from the others of its batch.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 2 to the
            power of `halvings`.
        channels: Feature maps that each block puts out; with layer norm the first is that of
            a convolution before the blocks.
        halvings: How many of the blocks, from the first, halve the size.
        norm: ``"none"``, with the mean over all places at the end, or ``"layer"``, with a
            dense layer on all of the last map.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.
        num_classes: Classes that it takes labels of; 0 for a net without labels.
        labels_by: ``"projection"``, which adds to the score, or ``"classifier"``, which
            answers with ``class_logits`` ``[N, num_classes]``.

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
        norm: Literal["none", "layer"] = "none",
        attention_after: int = 0,
        num_classes: int = 0,
        labels_by: Literal["projection", "classifier"] = "projection",
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.labels_by = labels_by
        self.layer_norm = norm == "layer"
        before = 0 if self.layer_norm else 1  # blocks before those in the list
        blocks = before + len(channels) - 1
        check_channels("wgan_gp_resnet: discriminator", channels)
        check_halvings("wgan_gp_resnet: discriminator", halvings, blocks)
        check_attention("wgan_gp_resnet: discriminator", attention_after, blocks)
        height, width = grid_of("wgan_gp_resnet: discriminator", image_shape, halvings)
        self.first: nn.Layer
        if self.layer_norm:
            self.first = conv3x3(image_shape[0], channels[0])
            features = channels[-1] * height * width
        else:
            self.first = FirstBlock(image_shape[0], channels[0], down=halvings > 0)
            features = channels[-1]
        self.blocks = nn.LayerList(
            [
                DiscriminatorBlock(
                    inputs,
                    outputs,
                    down=number + before < halvings,
                    norm=LayerNorm if self.layer_norm else None,
                    first_bias=not self.layer_norm,
                )
                for number, (inputs, outputs) in enumerate(pairwise(channels))
            ]
        )
        # Of each map in turn: the first, which with layer norm no block made, and the blocks'.
        place = attention_after + 1 - before if attention_after else 0
        self.attention = attention_layers(channels, place)
        self.score = dense(features, 1)
        if num_classes and labels_by == "projection":
            self.projection = Projection(num_classes, features)
        elif num_classes:
            self.classify = dense(features, num_classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | Judgement:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to scores ``[N, 1]``, real above."""
        x = self.attention[0](self.first(images))
        for place, block in enumerate(self.blocks, start=1):
            x = self.attention[place](block(x))
        x = x.reshape([x.shape[0], -1]) if self.layer_norm else relu(x).mean(axis=[2, 3])
        scores = self.score(x)
        if labels is None:
            return scores
        if self.labels_by == "projection":
            return scores + self.projection(x, labels)
        return Judgement(scores, {"class_logits": self.classify(x)})


class LayerNorm(nn.Layer):
    """Normalises each image over all maps and places; scale and shift are of each map.

    Written out, for Paddle's own has no double gradient, which the penalty needs.

    Args:
        channels: Feature maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        shape = [1, channels, 1, 1]
        self.weight = self.create_parameter(shape, default_initializer=nn.initializer.Constant(1.0))
        self.bias = self.create_parameter(shape, is_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, C, H, W]`` of maps of that shape."""
        away = x - x.mean(axis=[1, 2, 3], keepdim=True)
        variance = away.square().mean(axis=[1, 2, 3], keepdim=True)
        return away / (variance + EPSILON).sqrt() * self.weight + self.bias


SPEC = GanSpec(
    name="wgan_gp_resnet",
    family="resnets",
    sizes="28 to 256",
    generator=WGANGPGenerator,
    discriminator=WGANGPDiscriminator,
    paper="Gulrajani et al. 2017, Improved Training of Wasserstein GANs, the residual nets",
    objective="wasserstein",
    terms=("wgan_gp",),
    labels="takes",
)
