"""Residual blocks of generators and discriminators, which several models share.

WGAN-GP (Gulrajani et al. 2017) and SNGAN (Miyato et al. 2018) have them, and from there SAGAN
and BigGAN. The skip of a block sees what the block sees, before its ReLU. A 1x1 convolution
stands where there are fewest pixels, before doubling and after pooling: either order is the
same function.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.layers import check_grid
from ppgan_zoo.models.resampling import doubled, halved
from ppgan_zoo.ops import relu

Norm = Callable[[int], nn.Layer]
"""Makes the norm of so many feature maps."""


class GeneratorBlock(nn.Layer):
    """Norm, ReLU, doubled size, 3x3 convolution, norm, ReLU, 3x3 convolution; learned skip.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out, and between the convolutions.
        norm: Makes both norms.
        first_bias: Whether the convolution before the second norm has a bias.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm, *, first_bias: bool = True) -> None:
        super().__init__()
        self.norm1 = norm(inputs)
        self.conv1 = conv3x3(inputs, outputs, gain=math.sqrt(2.0), bias=first_bias)
        self.norm2 = norm(outputs)
        self.conv2 = conv3x3(outputs, outputs, gain=math.sqrt(2.0))
        self.skip = conv1x1(inputs, outputs)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map ``[N, inputs, H, W]`` to ``[N, outputs, 2 H, 2 W]``.

        Args:
            x: The maps.
            condition: What conditional norms take beside them; None for plain ones.
        """
        inside = self.conv1(doubled(relu(normalised(self.norm1, x, condition))))
        inside = self.conv2(relu(normalised(self.norm2, inside, condition)))
        return inside + doubled(self.skip(x))


class FirstBlock(nn.Layer):
    """The block that sees the image: 3x3 convolution, ReLU, 3x3 convolution, pooling by 2.

    Args:
        inputs: Channels of the image.
        outputs: Feature maps that go out, and between the convolutions.
        down: Whether it halves the size.
    """

    def __init__(self, inputs: int, outputs: int, *, down: bool = True) -> None:
        super().__init__()
        self.down = down
        self.conv1 = conv3x3(inputs, outputs, gain=math.sqrt(2.0))
        self.conv2 = conv3x3(outputs, outputs, gain=math.sqrt(2.0))
        self.skip = conv1x1(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, inputs, H, W]`` to ``[N, outputs, H / 2, W / 2]``."""
        inside = self.conv2(relu(self.conv1(x)))
        if not self.down:
            return inside + self.skip(x)
        return halved(inside) + self.skip(halved(x))


class DiscriminatorBlock(nn.Layer):
    """ReLU, 3x3 convolution, ReLU, 3x3 convolution and, if it is to, pooling by 2.

    The skip is the identity where neither size nor width changes.

    Args:
        inputs: Feature maps that come in.
        outputs: Feature maps that go out.
        down: Whether it halves the size.
        hidden: Feature maps between the convolutions; None: as many as come in.
        norm: Makes a norm before each ReLU; None for none.
        first_bias: Whether the first convolution has a bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        down: bool,
        hidden: int | None = None,
        norm: Norm | None = None,
        first_bias: bool = True,
    ) -> None:
        super().__init__()
        hidden = hidden or inputs
        self.down = down
        self.norm1 = norm(inputs) if norm else nn.Identity()
        self.conv1 = conv3x3(inputs, hidden, gain=math.sqrt(2.0), bias=first_bias)
        self.norm2 = norm(hidden) if norm else nn.Identity()
        self.conv2 = conv3x3(hidden, outputs, gain=math.sqrt(2.0))
        learned = down or inputs != outputs
        self.skip = conv1x1(inputs, outputs) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, inputs, H, W]`` to ``[N, outputs, H, W]``, or half of H and W."""
        inside = self.conv1(relu(self.norm1(x)))
        inside = self.conv2(relu(self.norm2(inside)))
        if not self.down:
            return inside + self.skip(x)
        return halved(inside) + self.skip(halved(x))


def conv3x3(inputs: int, outputs: int, *, gain: float = 1.0, bias: bool = True) -> nn.Conv2D:
    """Return a 3x3 convolution that keeps the size, Glorot-uniform times `gain`, bias 0."""
    return _conv(inputs, outputs, 3, gain, bias)


def conv1x1(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2D:
    """Return a 1x1 convolution, Glorot-uniform, bias 0."""
    return _conv(inputs, outputs, 1, 1.0, bias)


def dense(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """Return a dense layer, Glorot-uniform, bias 0."""
    glorot = nn.initializer.XavierUniform()
    zeros = nn.initializer.Constant(0.0) if bias else False
    return nn.Linear(inputs, outputs, weight_attr=glorot, bias_attr=zeros)


def check_channels(where: str, channels: tuple[int, ...]) -> None:
    """Refuse a list of widths that makes no block.

    Raises:
        ConfigError: It has fewer than two, or one below 1.
    """
    if len(channels) < 2 or min(channels) < 1:
        raise ConfigError(f"{where}: channels {list(channels)}: give two widths or more, each >= 1")


def check_halvings(where: str, halvings: int, blocks: int) -> None:
    """Refuse to halve more often than there are blocks.

    Raises:
        ConfigError: `halvings` is below 0 or above `blocks`.
    """
    if not 0 <= halvings <= blocks:
        raise ConfigError(
            f"{where}: halvings is {halvings}; give 0 to {blocks}, the number of blocks"
        )


def grid_of(where: str, image_shape: tuple[int, int, int], halvings: int) -> tuple[int, int]:
    """Return height and width of an image after so many halvings.

    Raises:
        ConfigError: `halvings` is below 0, or a side is not a multiple of ``2 ** halvings`` or is
            too long for so few.
    """
    if halvings < 0:
        raise ConfigError(f"{where}: halvings is {halvings}; give 0 or more")
    _, height, width = image_shape
    multiple = 2**halvings
    if height % multiple or width % multiple:
        raise ConfigError(
            f"{where}: image_shape {tuple(image_shape)}: height and width must be multiples of "
            f"{multiple}, as they are halved {halvings} times; change data.image_size, or give "
            "channels and halvings for images of this size"
        )
    grid = height // multiple, width // multiple
    check_grid(where, image_shape, grid)
    return grid


def _conv(inputs: int, outputs: int, side: int, gain: float, bias: bool) -> nn.Conv2D:
    limit = gain * math.sqrt(6.0 / (side * side * (inputs + outputs)))
    return nn.Conv2D(
        inputs,
        outputs,
        side,
        padding=side // 2,
        weight_attr=nn.initializer.Uniform(-limit, limit),
        bias_attr=nn.initializer.Constant(0.0) if bias else False,
    )


def normalised(norm: nn.Layer, x: Tensor, condition: Tensor | None) -> Tensor:
    """Return maps after a norm, which takes a condition beside them if there is one."""
    return norm(x) if condition is None else norm(x, condition)
