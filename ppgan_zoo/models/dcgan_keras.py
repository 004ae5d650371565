"""DCGAN whose images lie in [0, 1], as in the Keras tutorials.

G applies BatchNorm and ReLU **before** each transposed convolution and ends in a
sigmoid; D applies LeakyReLU(0.2) before each convolution, the image's own included, and
has no norm. All convolutions are TensorFlow's "same" ones, which pad (or cut) the odd
row and column at the end. Batch norm keeps Keras's momentum 0.99 and epsilon 1e-3,
weights start Glorot uniform and biases at zero.
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.models.layers import check_quarters, same_crop, same_size, tensorflow_batch_norm
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu, relu

LEAKY_SLOPE = 0.2


class SigmoidGenerator(nn.Layer):
    """Projects z to a quarter-size map, then four 5x5 transposed convolutions to the image.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        channels: Feature maps of the first three transposed convolutions; the dense
            layer makes as many as the first.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, int, int] = (128, 64, 32),
    ) -> None:
        super().__init__()
        image_channels, height, width = check_quarters("dcgan_keras", image_shape)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.grid_shape = (channels[0], height // 4, width // 4)
        self.project = nn.Linear(latent_dim, channels[0] * (height // 4) * (width // 4))
        self.norm1 = tensorflow_batch_norm(channels[0])
        self.up1 = _transposed(channels[0], channels[0], stride=2)
        self.norm2 = tensorflow_batch_norm(channels[0])
        self.up2 = _transposed(channels[0], channels[1], stride=2)
        self.norm3 = tensorflow_batch_norm(channels[1])
        self.up3 = _transposed(channels[1], channels[2], stride=1)
        self.norm4 = tensorflow_batch_norm(channels[2])
        self.up4 = _transposed(channels[2], image_channels, stride=1)

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]`` in [0, 1]."""
        x = self.project(z).reshape([-1, *self.grid_shape])
        x = self.up1(relu(self.norm1(x)))
        x = self.up2(relu(self.norm2(x)))
        x = self.up3(relu(self.norm3(x)))
        x = self.up4(relu(self.norm4(x)))
        return F.sigmoid(x)


class PreactivatedDiscriminator(nn.Layer):
    """Four 5x5 convolutions, each after a LeakyReLU, then one dense layer to a logit.

    Args:
        image_shape: Channels, height and width of an image.
        channels: Feature maps of the four convolutions, image side first; the first
            three halve the image.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, int, int, int] = (32, 64, 128, 256),
    ) -> None:
        super().__init__()
        image_channels, height, width = image_shape
        rows, columns = (same_size(side, (2, 2, 2)) for side in (height, width))
        self.conv1 = _convolution(image_channels, channels[0], stride=2)
        self.conv2 = _convolution(channels[0], channels[1], stride=2)
        self.conv3 = _convolution(channels[1], channels[2], stride=2)
        self.conv4 = _convolution(channels[2], channels[3], stride=1)
        self.score = nn.Linear(channels[3] * rows * columns, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` to logits ``[N, 1]``, real above 0."""
        x = images
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = convolution(leaky_relu(x, LEAKY_SLOPE))
        return self.score(x.reshape([x.shape[0], -1]))


def _transposed(fan_in: int, fan_out: int, *, stride: int) -> nn.Conv2DTranspose:
    return nn.Conv2DTranspose(
        fan_in, fan_out, 5, stride=stride, padding=same_crop(5, stride), weight_attr=_glorot()
    )


def _convolution(fan_in: int, fan_out: int, *, stride: int) -> nn.Conv2D:
    return nn.Conv2D(fan_in, fan_out, 5, stride=stride, padding="SAME", weight_attr=_glorot())


def _glorot() -> nn.initializer.Initializer:
    return nn.initializer.XavierUniform()


SPEC = GanSpec(
    name="dcgan_keras",
    family="classic",
    sizes="28 to 64",
    generator=SigmoidGenerator,
    discriminator=PreactivatedDiscriminator,
    paper="Radford et al. 2016, Unsupervised Representation Learning with DCGANs, "
    "as in the Keras tutorials (images in [0, 1])",
    image_range=(0.0, 1.0),
    latent_prior="uniform",
)
