"""A GAN that doubles its maps by nearest-neighbour resizing, then convolves.

Resizing before a convolution leaves no checkerboard, which a strided transposed
convolution can (Odena et al. 2016, Deconvolution and Checkerboard Artifacts).
"""

from __future__ import annotations

from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.spec import GanSpec


class ResizeGenerator(nn.Layer):
    """Projects z to a quarter-size map, then resizes and convolves twice.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        channels: Feature maps at the image's size; two and four times as many before.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 64,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 8,
    ) -> None:
        super().__init__()
        image_channels, height, width = _check_image_shape(image_shape)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.grid_shape = (4 * channels, height // 4, width // 4)
        self.project = nn.Linear(latent_dim, 4 * channels * (height // 4) * (width // 4))
        self.norm1 = nn.BatchNorm2D(4 * channels)
        self.conv2 = nn.Conv2D(4 * channels, 2 * channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2D(2 * channels)
        self.conv3 = nn.Conv2D(2 * channels, channels, 3, padding=1)
        self.norm3 = nn.BatchNorm2D(channels)
        self.conv4 = nn.Conv2D(channels, image_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        x = F.relu(self.norm1(self.project(z).reshape([-1, *self.grid_shape])))
        x = F.relu(self.norm2(self.conv2(_double(x))))
        x = F.relu(self.norm3(self.conv3(_double(x))))
        return self.conv4(x).tanh()


class ResizeDiscriminator(nn.Layer):
    """Two convolutions of stride 2 without norms, then one dense layer to a logit.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        channels: Feature maps of the first convolution; the second has twice as many.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 16,
    ) -> None:
        super().__init__()
        image_channels, height, width = _check_image_shape(image_shape)
        self.conv1 = nn.Conv2D(image_channels, channels, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2D(channels, 2 * channels, 4, stride=2, padding=1)
        self.score = nn.Linear(2 * channels * (height // 4) * (width // 4), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` to logits ``[N, 1]``, real above 0."""
        x = F.leaky_relu(self.conv1(images), 0.2)
        x = F.leaky_relu(self.conv2(x), 0.2)
        return self.score(x.reshape([x.shape[0], -1]))


def _double(x: Tensor) -> Tensor:
    # Not nn.Upsample: it has no double gradient and exports badly.
    channels, height, width = x.shape[1:]
    x = x.reshape([-1, channels, height, 1, width, 1]).expand([-1, -1, -1, 2, -1, 2])
    return x.reshape([-1, channels, 2 * height, 2 * width])


def _check_image_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    channels, height, width = image_shape
    if height % 4 or width % 4:
        raise ConfigError(
            f"example_resize_gan: image_shape {tuple(image_shape)}: height and width must be "
            "multiples of 4; set data.image_size to one"
        )
    return channels, height, width


SPEC = GanSpec(
    name="example_resize_gan",
    generator=ResizeGenerator,
    discriminator=ResizeDiscriminator,
    paper="Odena et al. 2016, Deconvolution and Checkerboard Artifacts",
)
