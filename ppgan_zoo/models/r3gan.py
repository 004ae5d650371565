"""R3GAN: residual nets without norms or tricks, for relativistic pairing with R1 and R2.

Both nets are stacks of one block: out to twice the width by a 1x1 convolution, a grouped 3x3
convolution, back by a 1x1 convolution, added to what came in. The last convolution begins at
zero, so that a new block changes nothing; the deeper a net is, the smaller the weights of the
others begin. Images are resampled by a smoothing filter. G ends without tanh: pixels are
clipped where they are shown or saved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import paddle
from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.fir import downsample, upsample
from ppgan_zoo.models.labels import row_products
from ppgan_zoo.models.layers import check_grid
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu

LEAKY_SLOPE = 0.2
EXPANSION = 2  # of the channels, inside a block


class R3GANGenerator(nn.Layer):
    """A learned map scaled by z, then stages of blocks, each at twice the resolution.

    Args:
        latent_dim: Size of z; 64 in the paper.
        image_shape: Channels, height and width of an image; both sides are halved once for
            each stage but one.
        widths: Feature maps of each stage, the lowest resolution first.
        blocks: Blocks in a stage; 2 in the paper.
        group_channels: Channels in a group of the 3x3 convolutions, which have twice the
            stage's width.
        label_dim: Size of the label's embedding, which is joined to z.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: Sides that cannot be halved so often, or widths that groups do not divide.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 64,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        widths: tuple[int, ...] = (96, 64, 32),
        blocks: int = 1,
        group_channels: int = 16,
        label_dim: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        lowest = _lowest_resolution(image_shape, widths, group_channels)
        self.basis = self.create_parameter(
            [widths[0], *lowest],
            default_initializer=nn.initializer.Normal(0.0, 1.0),
        )
        if num_classes:
            self.embedding = nn.Embedding(num_classes, label_dim, weight_attr=_normal(num_classes))
        inputs = latent_dim + (label_dim if num_classes else 0)
        self.mapping = _dense(inputs, widths[0])
        scale = _scale(len(widths) * blocks)
        layers = [_Block(widths[0], group_channels, scale) for _ in range(blocks)]
        for before, width in pairwise(widths):
            layers += [] if width == before else [_pointwise(before, width)]
            layers += [_Resampling(upsample)]
            layers += [_Block(width, group_channels, scale) for _ in range(blocks)]
        self.body = nn.Sequential(*layers)
        self.pixels = _pointwise(widths[-1], image_shape[0])

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]``, not bounded."""
        if labels is not None:
            z = paddle.concat([z, self.embedding(labels)], axis=1)
        scales = self.mapping(z).reshape([-1, self.basis.shape[0], 1, 1])
        return self.pixels(self.body(scales * self.basis))


class R3GANDiscriminator(nn.Layer):
    """The generator's stages the other way round, then a weighted sum of each map.

    Args:
        image_shape: Channels, height and width of an image; both sides are halved once for
            each stage but one.
        widths: Feature maps of each stage, the lowest resolution first, as for G.
        blocks: Blocks in a stage; 2 in the paper.
        group_channels: Channels in a group of the 3x3 convolutions, which have twice the
            stage's width.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: Sides that cannot be halved so often, or widths that groups do not divide.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        widths: tuple[int, ...] = (96, 64, 32),
        blocks: int = 1,
        group_channels: int = 16,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        lowest = _lowest_resolution(image_shape, widths, group_channels)
        downwards = widths[::-1]
        scale = _scale(len(widths) * blocks)
        self.pixels = _pointwise(image_shape[0], downwards[0])
        layers = [_Block(downwards[0], group_channels, scale) for _ in range(blocks)]
        for before, width in pairwise(downwards):
            layers += [_Resampling(downsample)]
            layers += [] if width == before else [_pointwise(before, width)]
            layers += [_Block(width, group_channels, scale) for _ in range(blocks)]
        self.body = nn.Sequential(*layers)
        # A depthwise convolution as large as its map, which in Paddle has no double gradient.
        self.window = self.create_parameter(
            [widths[0], *lowest],
            default_initializer=nn.initializer.Normal(0.0, 1.0 / math.sqrt(math.prod(lowest))),
        )
        self.features = _dense(widths[0], widths[0] if num_classes else 1)
        if num_classes:
            self.embedding = nn.Embedding(
                num_classes, widths[0], weight_attr=_normal(num_classes * widths[0])
            )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        x = self.body(self.pixels(images))
        maps = x.reshape([x.shape[0], x.shape[1], -1]).transpose([1, 0, 2])
        sums = paddle.matmul(maps, self.window.reshape([x.shape[1], -1, 1]))  # [C, N, 1]
        features = self.features(sums.squeeze(2).t())
        return features if labels is None else row_products(features, self.embedding(labels))


class _Block(nn.Layer):
    """``x + project(mix(expand(x)))``, with a LeakyReLU after the first two convolutions.

    Weights begin at N(0, scale / sqrt(fan in)), the last convolution's at zero.
    """

    def __init__(self, width: int, group_channels: int, scale: float) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.expand = nn.Conv2D(width, inner, 1, weight_attr=_normal(width, scale))
        self.mix = nn.Conv2D(
            inner,
            inner,
            3,
            padding=1,
            groups=inner // group_channels,
            weight_attr=_normal(9 * group_channels, scale),
        )
        self.project = nn.Conv2D(
            inner, width, 1, weight_attr=nn.initializer.Constant(0.0), bias_attr=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to the same shape."""
        y = leaky_relu(self.expand(x), LEAKY_SLOPE)
        y = leaky_relu(self.mix(y), LEAKY_SLOPE)
        return x + self.project(y)


class _Resampling(nn.Layer):
    """A function of :mod:`ppgan_zoo.models.fir` as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, C, H, W]`` at twice or half the resolution."""
        return self.function(x)


def _scale(blocks: int) -> float:
    """Return the scale of the weights in a net of so many blocks: smaller, the deeper it is.

    He's gain for LeakyReLU, times L^(-1/(2m - 2)) of Fixup (Zhang et al. 2019) for blocks of
    m = 3 convolutions.
    """
    return math.sqrt(2.0 / (1.0 + LEAKY_SLOPE**2)) * blocks**-0.25


def _normal(fan_in: int, scale: float = 1.0) -> nn.initializer.Initializer:
    return nn.initializer.Normal(0.0, scale / math.sqrt(fan_in))


def _dense(fan_in: int, fan_out: int) -> nn.Linear:
    return nn.Linear(fan_in, fan_out, weight_attr=_normal(fan_in), bias_attr=False)


def _pointwise(fan_in: int, fan_out: int) -> nn.Conv2D:
    return nn.Conv2D(fan_in, fan_out, 1, weight_attr=_normal(fan_in), bias_attr=False)


def _lowest_resolution(
    image_shape: tuple[int, int, int], widths: tuple[int, ...], group_channels: int
) -> tuple[int, int]:
    """Return height and width of the smallest maps.

    Raises:
        ConfigError: Sides that cannot be halved so often, or widths that groups do not divide.
    """
    if not widths:
        raise ConfigError("r3gan: widths is empty; give one for each stage")
    factor = 2 ** (len(widths) - 1)
    _, height, width = image_shape
    if height % factor or width % factor:
        raise ConfigError(
            f"r3gan: image_shape {tuple(image_shape)}: height and width must be multiples of "
            f"{factor} for the {len(widths)} stages of widths; set data.image_size to one, or give "
            "fewer widths"
        )
    for maps in widths:
        if EXPANSION * maps % group_channels:
            raise ConfigError(
                f"r3gan: a width of {maps} makes {EXPANSION * maps} channels, which groups of "
                f"{group_channels} do not divide; change widths or group_channels"
            )
    grid = height // factor, width // factor
    check_grid("r3gan", image_shape, grid)
    return grid


SPEC = GanSpec(
    name="r3gan",
    family="r3gan",
    sizes="28 to 256",
    generator=R3GANGenerator,
    discriminator=R3GANDiscriminator,
    paper="Huang et al. 2024, The GAN is dead; long live the GAN! A Modern Baseline GAN",
    labels="takes",
    objective="relativistic_pairing",
    terms=("r1", "r2"),
    unbounded=True,
)
