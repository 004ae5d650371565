"""DCGAN of the Paddle book.

The network of the ``fluid`` tutorial, for a Paddle API that no longer exists: two dense
and two transposed-convolution layers against two convolutions with max-pooling. The
tutorial ended D in a sigmoid and let the loss apply another; here D returns logits. Labels,
where it is built for them, are appended to z as one-hot vectors, and D projects them on its
last features (Miyato and Koyama 2018).
"""

from __future__ import annotations

from typing import Any

from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.labels import Projection, with_one_hot
from ppgan_zoo.models.layers import check_quarters
from ppgan_zoo.models.resampling import max_pooled
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu, relu

LEAKY_SLOPE = 0.02  # the default of fluid's leaky_relu


class DCGANGenerator(nn.Layer):
    """Two dense layers, then two transposed convolutions up to the image.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 4.
        hidden_units: Width of the first dense layer.
        channels: Feature maps at a quarter and at half of the image's size.
        num_classes: Classes that it takes labels of; 0 for a net without labels.
        kernel_size: Side of the kernels of the transposed convolutions, 2 to 8. The book has 5,
            which reaches some pixels by 9 weights and others by 4: a checkerboard, from which
            some runs never come back (Odena et al. 2016). An even one reaches all alike.

    Raises:
        ConfigError: A side of the image is not a multiple of 4, or `kernel_size` is none of
            these.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: int = 2048,
        channels: int = 128,
        num_classes: int = 0,
        kernel_size: int = 5,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        image_channels, height, width = check_quarters("dcgan", image_shape)
        if not 2 <= kernel_size <= 8:
            raise ConfigError(f"dcgan: kernel_size of the generator is {kernel_size}; give 2 to 8")
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.grid_shape = (channels, height // 4, width // 4)
        units = channels * (height // 4) * (width // 4)
        self.dense1 = nn.Linear(latent_dim + num_classes, hidden_units)
        self.norm1 = nn.BatchNorm1D(hidden_units)
        self.dense2 = nn.Linear(hidden_units, units)
        self.norm2 = nn.BatchNorm1D(units)
        double: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": 2,
            "padding": (kernel_size - 1) // 2,
            "output_padding": kernel_size % 2,
        }
        self.up1 = nn.Conv2DTranspose(channels, channels, **double)
        self.up2 = nn.Conv2DTranspose(channels, image_channels, **double)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        if labels is not None:
            z = with_one_hot(z, labels, self.num_classes)
        x = relu(self.norm1(self.dense1(z)))
        x = relu(self.norm2(self.dense2(x)))
        x = x.reshape([-1, *self.grid_shape])
        return self.up2(relu(self.up1(x))).tanh()


class DCGANDiscriminator(nn.Layer):
    """Two 5x5 convolutions, each with max-pooling, then two dense layers to a logit.

    Args:
        image_shape: Channels, height and width of an image, each side at least 16 without
            padding and 4 with a padding of 2.
        channels: Feature maps of the two convolutions.
        hidden_units: Width of the dense layer.
        padding: Pixels of zeros on each side before each convolution, 0 to 4. The book has
            none, and its D hardly sees the frame of an image; with 2 it sees all of it.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The image is too small for the two convolutions, or `padding` is none of
            these.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, int] = (64, 128),
        hidden_units: int = 1024,
        padding: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        image_channels, height, width = image_shape
        if not 0 <= padding <= 4:
            raise ConfigError(f"dcgan: padding of the discriminator is {padding}; give 0 to 4")
        rows, columns = (_after_one(_after_one(side, padding), padding) for side in (height, width))
        if rows < 1 or columns < 1:
            raise ConfigError(
                f"dcgan: image_shape {tuple(image_shape)} is too small for two 5x5 convolutions "
                "with pooling; set data.image_size to 16 or more, or the discriminator's padding "
                "to 2"
            )
        self.conv1 = nn.Conv2D(image_channels, channels[0], 5, padding=padding)
        self.conv2 = nn.Conv2D(channels[0], channels[1], 5, padding=padding)
        self.norm2 = nn.BatchNorm2D(channels[1])
        self.dense3 = nn.Linear(channels[1] * rows * columns, hidden_units)
        self.norm3 = nn.BatchNorm1D(hidden_units)
        self.dense4 = nn.Linear(hidden_units, 1)
        if num_classes:
            self.projection = Projection(num_classes, hidden_units)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        x = leaky_relu(max_pooled(self.conv1(images)), LEAKY_SLOPE)
        x = leaky_relu(self.norm2(max_pooled(self.conv2(x))), LEAKY_SLOPE)
        x = x.reshape([x.shape[0], -1])
        x = leaky_relu(self.norm3(self.dense3(x)), LEAKY_SLOPE)
        logits = self.dense4(x)
        return logits if labels is None else logits + self.projection(x, labels)


def _after_one(side: int, padding: int) -> int:
    """Return the side of a map after a 5x5 convolution and pooling."""
    return (side + 2 * padding - 4) // 2


SPEC = GanSpec(
    name="dcgan",
    family="classic",
    sizes="28 to 64",
    generator=DCGANGenerator,
    discriminator=DCGANDiscriminator,
    paper="Radford et al. 2016, Unsupervised Representation Learning with DCGANs, "
    "as in the Paddle book (chapter GAN)",
    latent_prior="uniform",
    labels="takes",
)
