"""BiGAN: an encoder beside G, and a D that judges pairs of an image and its z.

The dense nets of the paper's experiment on MNIST, also known as ALI. D sees (x, E(x)) and
(G(z), z) and tells which is which; the encoder learns together with G to make that hard, by the
term ``bidirectional``. Where D cannot tell, the encoder is G's inverse. z is of the paper's size
if ``latent.dim`` is 50.
"""

from __future__ import annotations

import math

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.models.layers import normal_weights
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu


class BiGenerator(nn.Layer):
    """Two hidden layers with ReLU, the second normalised, then pixels in [0, 1].

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        hidden_units: Width of both hidden layers.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 50,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: int = 1024,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.layers = _Stack(latent_dim, hidden_units, math.prod(image_shape), slope=0.0)

    def forward(self, z: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` to images ``[N, C, H, W]`` in [0, 1]."""
        return F.sigmoid(self.layers(z)).reshape([-1, *self.image_shape])


class BiEncoder(nn.Layer):
    """The same the other way round, with LeakyReLU(0.2).

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        hidden_units: Width of both hidden layers.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 50,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: int = 1024,
    ) -> None:
        super().__init__()
        self.layers = _Stack(math.prod(image_shape), hidden_units, latent_dim, slope=0.2)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` to z ``[N, latent_dim]``."""
        return self.layers(images.reshape([images.shape[0], -1]))


class BiDiscriminator(nn.Layer):
    """Two hidden layers with LeakyReLU(0.2) of an image and its z, the second normalised.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        hidden_units: Width of both hidden layers.
        batch_norm: Whether the second is normalised, as in the paper. A norm takes real and
            fake images in batches of their own, and hides what sets one batch as a whole apart.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 50,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: int = 1024,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        inputs = math.prod(image_shape) + latent_dim
        self.layers = _Stack(inputs, hidden_units, 1, slope=0.2, batch_norm=batch_norm)

    def forward(self, images: Tensor, z: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` and z ``[N, latent_dim]`` to logits ``[N, 1]``.

        A logit is above 0 for a real image with the encoder's z.
        """
        return self.layers(paddle.concat([images.reshape([images.shape[0], -1]), z], axis=1))


class _Stack(nn.Layer):
    """Dense, LeakyReLU, dense, batch norm, LeakyReLU, dense."""

    def __init__(
        self, inputs: int, hidden_units: int, outputs: int, *, slope: float, batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.slope = slope
        self.dense1 = nn.Linear(inputs, hidden_units, weight_attr=normal_weights())
        self.dense2 = nn.Linear(hidden_units, hidden_units, weight_attr=normal_weights())
        self.norm2 = nn.BatchNorm1D(hidden_units) if batch_norm else nn.Identity()
        self.dense3 = nn.Linear(hidden_units, outputs, weight_attr=normal_weights())

    def forward(self, x: Tensor) -> Tensor:
        x = leaky_relu(self.dense1(x), self.slope)
        return self.dense3(leaky_relu(self.norm2(self.dense2(x)), self.slope))


SPEC = GanSpec(
    name="bigan",
    family="autoencoders",
    sizes="any",
    generator=BiGenerator,
    discriminator=BiDiscriminator,
    other_nets={"encoder": BiEncoder},
    encoder="encoder",
    paper="Donahue et al. 2017, Adversarial Feature Learning",
    terms=("bidirectional",),
    image_range=(0.0, 1.0),
    latent_prior="uniform",
)
