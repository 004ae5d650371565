"""DCGAN with strided convolutions, by the paper's rules, sized for Fashion-MNIST.

Radford et al. 2016: no pooling, no hidden dense layer, batch norm in both nets except
G's output and D's input, ReLU in G, LeakyReLU(0.2) in D, weights from N(0, 0.02). The
paper's 64x64 nets halve or double the image four times; at 28x28 two times do.
"""

from __future__ import annotations

from typing import Any

from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.models.layers import check_quarters
from ppgan_zoo.models.spec import GanSpec


class StridedGenerator(nn.Layer):
    """Projects z to a quarter-size map, then doubles it twice by 4x4 transposed convolutions.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        channels: Feature maps at half of the image's size; twice as many at a quarter.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
    ) -> None:
        super().__init__()
        image_channels, height, width = check_quarters("dcgan_fashion", image_shape)
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.grid_shape = (2 * channels, height // 4, width // 4)
        # The map that z is projected to: a dense layer is the paper's first "convolution".
        self.project = nn.Linear(
            latent_dim, 2 * channels * (height // 4) * (width // 4), **_initial(bias=False)
        )
        self.norm1 = _batch_norm(2 * channels)
        double: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}
        self.up1 = nn.Conv2DTranspose(2 * channels, channels, **double, **_initial(bias=False))
        self.norm2 = _batch_norm(channels)
        self.up2 = nn.Conv2DTranspose(channels, image_channels, **double, **_initial(bias=True))

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        x = self.project(z).reshape([-1, *self.grid_shape])
        x = F.relu(self.norm1(x))
        x = F.relu(self.norm2(self.up1(x)))
        return self.up2(x).tanh()


class StridedDiscriminator(nn.Layer):
    """Two 4x4 convolutions of stride 2, then one dense layer to a logit.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        channels: Feature maps of the first convolution; the second has twice as many.
        batch_norm: False leaves out the batch norm, which mixes the images of a batch: for
            penalties of D's gradient at single images, such as ``wgan_gp`` and ``r1``.

    Raises:
        ConfigError: A side of the image is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        image_channels, height, width = check_quarters("dcgan_fashion", image_shape)
        halve: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}
        self.conv1 = nn.Conv2D(image_channels, channels, **halve, **_initial(bias=True))
        self.conv2 = nn.Conv2D(channels, 2 * channels, **halve, **_initial(bias=not batch_norm))
        self.norm2 = _batch_norm(2 * channels) if batch_norm else nn.Identity()
        self.score = nn.Linear(
            2 * channels * (height // 4) * (width // 4), 1, **_initial(bias=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` to logits ``[N, 1]``, real above 0."""
        x = F.leaky_relu(self.conv1(images), 0.2)
        x = F.leaky_relu(self.norm2(self.conv2(x)), 0.2)
        return self.score(x.reshape([x.shape[0], -1]))


def _initial(*, bias: bool) -> dict[str, Any]:
    weight = nn.initializer.Normal(0.0, 0.02)
    return {"weight_attr": weight, "bias_attr": None if bias else False}


def _batch_norm(channels: int) -> nn.BatchNorm2D:
    return nn.BatchNorm2D(channels, weight_attr=nn.initializer.Normal(1.0, 0.02))


SPEC = GanSpec(
    name="dcgan_fashion",
    family="classic",
    generator=StridedGenerator,
    discriminator=StridedDiscriminator,
    paper="Radford et al. 2016, Unsupervised Representation Learning with DCGANs",
    latent_prior="normal",
)
