"""DCGAN with dropout in both nets, as in the TensorFlow 1 tutorials.

All convolutions but G's first are TensorFlow's "same" ones, which pad (or cut) the odd
row and column at the end. The tutorial left dropout on while sampling; here eval mode
turns it off. Its batch norm keeps TensorFlow's momentum 0.99 and epsilon 1e-3, its
weights start Glorot uniform and its biases at zero.
"""

from __future__ import annotations

from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.layers import (
    Dropout,
    check_quarters,
    same_crop,
    same_size,
    tensorflow_batch_norm,
)
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu

LEAKY_SLOPE = 0.01


class DropoutGenerator(nn.Layer):
    """Projects z to a small map, then three transposed convolutions up to the image.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 4,
            at least 16.
        channels: Feature maps of the three hidden layers, input side first.
        dropout: Probability that a hidden value is zeroed in train mode, in [0, 1).

    Raises:
        ConfigError: A side of the image is not such a multiple of 4, or `dropout` is out of range.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, int, int] = (512, 256, 128),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        image_channels, height, width = check_quarters("dcgan_dropout", image_shape)
        if min(height, width) < 16:
            raise ConfigError(
                f"dcgan_dropout: image_shape {tuple(image_shape)}: height and width must be "
                "multiples of 4 and at least 16; set data.image_size to such a number"
            )
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        # The unpadded 4x4 convolution adds 3, the other two double: (side + 3) * 4.
        self.grid_shape = (channels[0], height // 4 - 3, width // 4 - 3)
        self.project = nn.Linear(latent_dim, channels[0] * self.grid_shape[1] * self.grid_shape[2])
        self.norm1 = tensorflow_batch_norm(channels[0])
        self.up1 = nn.Conv2DTranspose(channels[0], channels[1], 4, weight_attr=_glorot())
        self.norm2 = tensorflow_batch_norm(channels[1])
        self.up2 = _double(channels[1], channels[2])
        self.norm3 = tensorflow_batch_norm(channels[2])
        self.up3 = _double(channels[2], image_channels)
        self.dropout = Dropout(dropout, "dcgan_dropout: generator: dropout")

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        x = self.project(z).reshape([-1, *self.grid_shape])
        x = self.up1(self.dropout(leaky_relu(self.norm1(x), LEAKY_SLOPE)))
        x = self.up2(self.dropout(leaky_relu(self.norm2(x), LEAKY_SLOPE)))
        x = self.up3(self.dropout(leaky_relu(self.norm3(x), LEAKY_SLOPE)))
        return x.tanh()


class DropoutDiscriminator(nn.Layer):
    """Three 3x3 convolutions of stride 2, then one dense layer to a logit.

    Args:
        image_shape: Channels, height and width of an image.
        channels: Feature maps of the three convolutions, image side first.
        dropout: Probability that a hidden value is zeroed in train mode, in [0, 1).

    Raises:
        ConfigError: `dropout` is out of range.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, int, int] = (128, 256, 512),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        rows, columns = (same_size(side, (2, 2, 2)) for side in (height, width))
        self.conv1 = _halve(image_channels, channels[0])
        self.conv2 = _halve(channels[0], channels[1])
        self.norm2 = tensorflow_batch_norm(channels[1])
        self.conv3 = _halve(channels[1], channels[2])
        self.norm3 = tensorflow_batch_norm(channels[2])
        self.score = nn.Linear(channels[2] * rows * columns, 1)
        self.dropout = Dropout(dropout, "dcgan_dropout: discriminator: dropout")

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` to logits ``[N, 1]``, real above 0."""
        x = self.dropout(leaky_relu(self.conv1(images), LEAKY_SLOPE))
        x = self.dropout(leaky_relu(self.norm2(self.conv2(x)), LEAKY_SLOPE))
        x = self.dropout(leaky_relu(self.norm3(self.conv3(x)), LEAKY_SLOPE))
        return self.score(x.reshape([x.shape[0], -1]))


def _double(fan_in: int, fan_out: int) -> nn.Conv2DTranspose:
    return nn.Conv2DTranspose(
        fan_in, fan_out, 3, stride=2, padding=same_crop(3, 2), weight_attr=_glorot()
    )


def _halve(fan_in: int, fan_out: int) -> nn.Conv2D:
    return nn.Conv2D(fan_in, fan_out, 3, stride=2, padding="SAME", weight_attr=_glorot())


def _glorot() -> nn.initializer.Initializer:
    return nn.initializer.XavierUniform()


SPEC = GanSpec(
    name="dcgan_dropout",
    family="classic",
    sizes="28 to 64",
    generator=DropoutGenerator,
    discriminator=DropoutDiscriminator,
    paper="Radford et al. 2016, Unsupervised Representation Learning with DCGANs, "
    "as in the TensorFlow 1 tutorials (dropout)",
    latent_prior="uniform",
)
