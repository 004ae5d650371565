"""WGAN-GP: the small net for MNIST, three transposed convolutions and no norm.

Of the authors' code for Gulrajani et al. 2017. Images are in [0, 1].
"""

from __future__ import annotations

import math

from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.models.layers import check_quarters, same_crop, same_size
from ppgan_zoo.models.residual import dense
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu, relu

KERNEL, STRIDE, LEAKY_SLOPE = 5, 2, 0.2


class WGANGPGenerator(nn.Layer):
    """A dense layer and three transposed convolutions of 5x5 and stride 2.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        channels: Feature maps at half of the image's size; two and four times as many before.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
    ) -> None:
        super().__init__()
        image_channels, height, width = check_quarters("wgan_gp", image_shape)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.quarter = (height // 4, width // 4)
        self.grid_shape = (4 * channels, -(-height // 8), -(-width // 8))
        self.project = dense(latent_dim, math.prod(self.grid_shape))
        self.up1 = _transposed(4 * channels, 2 * channels)
        self.up2 = _transposed(2 * channels, channels)
        self.up3 = _transposed(channels, image_channels)

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]`` in [0, 1]."""
        height, width = self.quarter
        x = relu(self.project(z)).reshape([-1, *self.grid_shape])
        x = relu(self.up1(x))[:, :, :height, :width]  # of 8x8 for 28x28 images, 7x7
        return F.sigmoid(self.up3(relu(self.up2(x))))


class WGANGPDiscriminator(nn.Layer):
    """Three convolutions of 5x5 and stride 2, LeakyReLU, and a dense layer to a score.

    Args:
        image_shape: Channels, height and width of an image.
        channels: Feature maps of the first convolution; two and four times as many after it.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
    ) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        self.conv1 = _strided(image_channels, channels)
        self.conv2 = _strided(channels, 2 * channels)
        self.conv3 = _strided(2 * channels, 4 * channels)
        rows, columns = (same_size(side, (STRIDE,) * 3) for side in (height, width))
        self.score = dense(4 * channels * rows * columns, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` to scores ``[N, 1]``, real above."""
        x = images
        for convolution in (self.conv1, self.conv2, self.conv3):
            x = leaky_relu(convolution(x), LEAKY_SLOPE)
        return self.score(x.reshape([x.shape[0], -1]))


def _strided(inputs: int, outputs: int) -> nn.Conv2D:
    return nn.Conv2D(
        inputs, outputs, KERNEL, STRIDE, padding="SAME", weight_attr=_initial(inputs, outputs)
    )


def _transposed(inputs: int, outputs: int) -> nn.Conv2DTranspose:
    return nn.Conv2DTranspose(
        inputs,
        outputs,
        KERNEL,
        STRIDE,
        padding=same_crop(KERNEL, STRIDE),
        weight_attr=_initial(outputs, inputs),
    )


def _initial(of_fine: int, of_coarse: int) -> nn.initializer.Initializer:
    """Uniform with the deviation ``sqrt(4 / (fan in + fan out))``, less the stride on one side."""
    fans = KERNEL * KERNEL * (of_fine + of_coarse / STRIDE**2)
    limit = math.sqrt(3.0 * 4.0 / fans)
    return nn.initializer.Uniform(-limit, limit)


SPEC = GanSpec(
    name="wgan_gp",
    family="resnets",
    sizes="28 to 64",
    generator=WGANGPGenerator,
    discriminator=WGANGPDiscriminator,
    paper="Gulrajani et al. 2017, Improved Training of Wasserstein GANs, the net for MNIST",
    objective="wasserstein",
    terms=("wgan_gp",),
    image_range=(0.0, 1.0),
)
