"""The two nets of residual blocks that SNGAN, WGAN-GP, SAGAN and BigGAN are kinds of.

A model's own file says what is its paper's: widths, norms, initial weights, spectral norm.
"""

from __future__ import annotations

import math
from itertools import pairwise

from paddle import Tensor, nn

from ppgan_zoo.models.attention import attention_layers, check_attention
from ppgan_zoo.models.labels import Projection
from ppgan_zoo.models.residual import (
    DiscriminatorBlock,
    FirstBlock,
    GeneratorBlock,
    Norm,
    check_channels,
    check_halvings,
    conv3x3,
    dense,
    grid_of,
    normalised,
)
from ppgan_zoo.ops import relu


class ResidualGenerator(nn.Layer):
    """A dense layer, blocks that each double the size, norm, ReLU, convolution, tanh.

    Args:
        where: Whose it is, for messages.
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        channels: Feature maps of the smallest size, then those that each block puts out.
        norm: Makes the norms of the blocks.
        last_norm: Makes the norm before the pixels.
        num_classes: Classes that it takes labels of; 0 for a net without labels.
        first_dim: Numbers of z, from its first, that go into the dense layer; None for all.
        first_bias: Whether the first convolution of a block has a bias.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.

    Raises:
        ConfigError: The sides of the image do not fit the number of blocks, or there is no
            such block.
    """

    def __init__(
        self,
        where: str,
        latent_dim: int,
        image_shape: tuple[int, int, int],
        channels: tuple[int, ...],
        *,
        norm: Norm,
        last_norm: Norm,
        num_classes: int,
        first_dim: int | None = None,
        first_bias: bool = True,
        attention_after: int = 0,
    ) -> None:
        super().__init__()
        check_channels(where, channels)
        check_attention(where, attention_after, len(channels) - 1)
        height, width = grid_of(where, image_shape, len(channels) - 1)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.grid_shape = (channels[0], height, width)
        self.first_dim = latent_dim if first_dim is None else first_dim
        self.project = dense(self.first_dim, math.prod(self.grid_shape))
        self.blocks = nn.LayerList(
            [
                GeneratorBlock(inputs, outputs, norm, first_bias=first_bias)
                for inputs, outputs in pairwise(channels)
            ]
        )
        self.attention = attention_layers(channels[1:], attention_after)
        self.norm = last_norm(channels[-1])
        self.pixels = conv3x3(channels[-1], image_shape[0])

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        x = self.project(z[:, : self.first_dim]).reshape([-1, *self.grid_shape])
        for place, block in enumerate(self.blocks):
            x = self.attention[place](block(x, self.condition(z, labels, place)))
        x = normalised(self.norm, x, self.last_condition(z))
        return self.pixels(relu(x)).tanh()

    def condition(self, z: Tensor, labels: Tensor | None, place: int) -> Tensor | None:
        """Return what the norms of a block take beside their maps: the labels, if there are any."""
        return labels

    def last_condition(self, z: Tensor) -> Tensor | None:
        """Return what the norm before the pixels takes beside its maps: nothing."""
        return None


class ResidualDiscriminator(nn.Layer):
    """Blocks, ReLU, the sum over all places, a dense layer to a logit; labels by projection.

    Args:
        where: Whose it is, for messages.
        image_shape: Channels, height and width of an image.
        channels: Feature maps that each block puts out.
        halvings: How many of the blocks, from the first, halve the size.
        num_classes: Classes that it takes labels of; 0 for a net without labels.
        wide: Whether a block has as many maps between its convolutions as it puts out, and
            not as many as come in.
        head_bias: Whether the last layer has a bias.
        attention_after: The number of the block, from 1, that attention comes after; 0 for
            none.

    Raises:
        ConfigError: The sides of the image cannot be halved so often, or there is no such
            block.
    """

    def __init__(
        self,
        where: str,
        image_shape: tuple[int, int, int],
        channels: tuple[int, ...],
        halvings: int,
        *,
        num_classes: int,
        wide: bool = False,
        head_bias: bool = True,
        attention_after: int = 0,
    ) -> None:
        super().__init__()
        check_channels(where, channels)
        check_halvings(where, halvings, len(channels))
        check_attention(where, attention_after, len(channels))
        grid_of(where, image_shape, halvings)
        self.num_classes = num_classes
        blocks: list[nn.Layer] = [FirstBlock(image_shape[0], channels[0], down=halvings > 0)]
        for place, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            hidden = outputs if wide else inputs
            down = place < halvings
            blocks.append(DiscriminatorBlock(inputs, outputs, down=down, hidden=hidden))
        self.blocks = nn.LayerList(blocks)
        self.attention = attention_layers(channels, attention_after)
        self.score = dense(channels[-1], 1, bias=head_bias)
        if num_classes:
            self.projection = Projection(num_classes, channels[-1])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        x = images
        for place, block in enumerate(self.blocks):
            x = self.attention[place](block(x))
        features = relu(x).sum(axis=[2, 3])
        logits = self.score(features)
        return logits if labels is None else logits + self.projection(features, labels)
