"""DCGAN with strided convolutions, by the paper's rules, built for the size of the images.

Radford et al. 2016: no pooling, no hidden dense layer, batch norm in both nets except
G's output and D's input, ReLU in G, LeakyReLU(0.2) in D, weights from N(0, 0.02). The
paper's 64x64 nets halve or double the image four times, between 64 and 4; at 28x28 two times
do, between 28 and 7. Maps double in number at each halving, up to eight times the first, as
the paper's do. Labels, where it is built for them, are appended to z as one-hot vectors, and D
projects them on its last features (Miyato and Koyama 2018).
"""

from __future__ import annotations

from typing import Any

from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.labels import Projection, with_one_hot
from ppgan_zoo.models.layers import LARGEST_GRID
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu, relu

FEWEST_HALVINGS = 2
SMALL_GRID = 7  # a side of this many pixels is halved no more
MOST_TIMES_CHANNELS = 8


class StridedGenerator(nn.Layer):
    """Projects z to a small map, then doubles it by 4x4 transposed convolutions.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image; both sides multiples of 4, and of
            more where they are above 60.
        channels: Feature maps at half of the image's size; twice as many at each half of that.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image cannot be halved so often.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.halvings, *grid = halvings_of(image_shape)
        widths = [image_shape[0], *_widths(channels, self.halvings)][::-1]
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.grid_shape = (widths[0], *grid)
        # The map that z is projected to: a dense layer is the paper's first "convolution".
        inputs, units = latent_dim + num_classes, widths[0] * grid[0] * grid[1]
        self.project = nn.Linear(inputs, units, **_initial(bias=False))
        self.norm1 = _batch_norm(widths[0])
        double: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}
        for place in range(1, self.halvings + 1):
            last = place == self.halvings
            up = nn.Conv2DTranspose(*widths[place - 1 : place + 1], **double, **_initial(bias=last))
            setattr(self, f"up{place}", up)
            if not last:
                setattr(self, f"norm{place + 1}", _batch_norm(widths[place]))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        if labels is not None:
            z = with_one_hot(z, labels, self.num_classes)
        x = self.project(z).reshape([-1, *self.grid_shape])
        for place in range(1, self.halvings + 1):
            x = relu(getattr(self, f"norm{place}")(x))
            x = getattr(self, f"up{place}")(x)
        return x.tanh()


class StridedDiscriminator(nn.Layer):
    """4x4 convolutions of stride 2, then one dense layer to a logit.

    Args:
        image_shape: Channels, height and width of an image; both sides multiples of 4, and of
            more where they are above 60.
        channels: Feature maps of the first convolution; each further one has twice as many.
        batch_norm: False leaves out the batch norm, which mixes the images of a batch: for
            penalties of D's gradient at single images, such as ``wgan_gp`` and ``r1``.
        num_classes: Classes that it takes labels of; 0 for a net without labels.

    Raises:
        ConfigError: The sides of the image cannot be halved so often.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: int = 64,
        batch_norm: bool = True,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.halvings, height, width = halvings_of(image_shape)
        widths = [image_shape[0], *_widths(channels, self.halvings)]
        halve: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}
        self.conv1 = nn.Conv2D(*widths[:2], **halve, **_initial(bias=True))
        for place in range(2, self.halvings + 1):
            bias = _initial(bias=not batch_norm)
            convolution = nn.Conv2D(*widths[place - 1 : place + 1], **halve, **bias)
            setattr(self, f"conv{place}", convolution)
            norm = _batch_norm(widths[place]) if batch_norm else nn.Identity()
            setattr(self, f"norm{place}", norm)
        features = widths[-1] * height * width
        self.score = nn.Linear(features, 1, **_initial(bias=True))
        if num_classes:
            self.projection = Projection(num_classes, features)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        x = leaky_relu(self.conv1(images), 0.2)
        for place in range(2, self.halvings + 1):
            x = getattr(self, f"norm{place}")(getattr(self, f"conv{place}")(x))
            x = leaky_relu(x, 0.2)
        x = x.reshape([x.shape[0], -1])
        logits = self.score(x)
        return logits if labels is None else logits + self.projection(x, labels)


def halvings_of(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return how often an image is halved, and height and width of its smallest maps.

    Raises:
        ConfigError: A side is not a multiple of 4, or leaves too large a map that is odd.
    """
    _, height, width = image_shape
    halvings = 0
    while halvings < FEWEST_HALVINGS or min(height, width) > SMALL_GRID:
        if height % 2 or width % 2:
            break
        halvings, height, width = halvings + 1, height // 2, width // 2
    if halvings < FEWEST_HALVINGS:
        raise ConfigError(
            f"dcgan_fashion: image_shape {tuple(image_shape)}: height and width must be multiples "
            "of 4; set data.image_size to one"
        )
    if max(height, width) > LARGEST_GRID:
        raise ConfigError(
            f"dcgan_fashion: image_shape {tuple(image_shape)}: its sides halve to {height}x{width} "
            f"and no further, and at most {LARGEST_GRID}x{LARGEST_GRID} are allowed; set "
            "data.image_size to 4 to 7 times a power of 2, such as 64, 96 or 128"
        )
    return halvings, height, width


def _widths(channels: int, halvings: int) -> list[int]:
    """Return the feature maps at each halving of the image, its own half first."""
    return [channels * min(2**place, MOST_TIMES_CHANNELS) for place in range(halvings)]


def _initial(*, bias: bool) -> dict[str, Any]:
    weight = nn.initializer.Normal(0.0, 0.02)
    return {"weight_attr": weight, "bias_attr": None if bias else False}


def _batch_norm(channels: int) -> nn.BatchNorm2D:
    return nn.BatchNorm2D(channels, weight_attr=nn.initializer.Normal(1.0, 0.02))


SPEC = GanSpec(
    name="dcgan_fashion",
    family="classic",
    sizes="28 to 256",
    generator=StridedGenerator,
    discriminator=StridedDiscriminator,
    paper="Radford et al. 2016, Unsupervised Representation Learning with DCGANs",
    latent_prior="normal",
    labels="takes",
)
