"""ACGAN: D is not told the class of an image, it has to say it.

The nets of the paper's experiment on CIFAR-10 (appendix A, table 2), for images of any size:
a layer of stride 2 makes ceil(n / 2) of n rows, and a transposed one goes back. G gets the
label as a one-hot vector after z, so that the paper's 110 inputs are 100 and 10. D answers
with a logit and with class logits, which the term ``auxiliary_classifier`` is of. The paper
tried noise on D's activations and found none as good in some runs: here there is none.
"""

from __future__ import annotations

import itertools
import math

from paddle import Tensor, nn

from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.labels import with_one_hot
from ppgan_zoo.models.layers import Dropout, check_grid, normal_weights, same_size
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import leaky_relu, relu


class ACGenerator(nn.Layer):
    """A dense layer to the smallest maps, then 5x5 transposed convolutions of stride 2.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        channels: Feature maps of each size, smallest size first; a size more than there are
            numbers is the image's own.
        num_classes: Classes that it takes labels of.

    Raises:
        ConfigError: The image is too large for so few sizes.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (384, 192, 96),
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        image_channels, *image_sides = image_shape
        halvings = range(len(channels), -1, -1)
        sizes = [[same_size(side, (2,) * n) for side in image_sides] for n in halvings]
        check_grid("acgan: generator", image_shape, (sizes[0][0], sizes[0][1]))
        self.grid_shape = (channels[0], *sizes[0])
        units = math.prod(self.grid_shape)
        self.dense = nn.Linear(latent_dim + num_classes, units, weight_attr=normal_weights())
        maps = itertools.pairwise([*channels, image_channels])
        self.ups = nn.LayerList(
            nn.Conv2DTranspose(
                *widths,
                kernel_size=5,
                stride=2,
                padding=2,  # of a, 2 a - 1 rows, or 2 a with one of output padding
                output_padding=[b - 2 * a + 1 for a, b in zip(small, large, strict=True)],
                weight_attr=normal_weights(),
            )
            for widths, (small, large) in zip(maps, itertools.pairwise(sizes), strict=True)
        )
        self.norms = nn.LayerList(nn.BatchNorm2D(width) for width in channels[1:])

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        x = relu(self.dense(with_one_hot(z, labels, self.num_classes)))
        x = x.reshape([-1, *self.grid_shape])
        for index, norm in enumerate(self.norms):
            x = relu(norm(self.ups[index](x)))
        return self.ups[-1](x).tanh()


class ACDiscriminator(nn.Layer):
    """3x3 convolutions, of stride 2 and 1 in turn, then a logit and class logits.

    Args:
        image_shape: Channels, height and width of an image.
        channels: Feature maps of each convolution; all but the first are normalised.
        dropout: Share of each convolution's values that dropout zeroes in training, in [0, 1).
        num_classes: Classes that it tells apart.

    Raises:
        ConfigError: The image is too large for so few convolutions, or `dropout` is out of range.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        image_channels, height, width = image_shape
        strides = tuple(1 + (index + 1) % 2 for index in range(len(channels)))  # 2, 1, 2, ...
        self.convolutions = nn.LayerList(
            nn.Conv2D(fan_in, fan_out, 3, stride=stride, padding=1, weight_attr=normal_weights())
            for (fan_in, fan_out), stride in zip(
                itertools.pairwise([image_channels, *channels]), strides, strict=True
            )
        )
        self.norms = nn.LayerList(nn.BatchNorm2D(width) for width in channels[1:])
        self.dropout = Dropout(dropout, "acgan: discriminator: dropout")
        grid = same_size(height, strides), same_size(width, strides)
        check_grid("acgan: discriminator", image_shape, grid)
        features = channels[-1] * math.prod(grid)
        self.logit = nn.Linear(features, 1, weight_attr=normal_weights())
        self.classes = nn.Linear(features, num_classes, weight_attr=normal_weights())

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images ``[N, C, H, W]``, whatever their labels are said to be.

        Returns:
            Logits ``[N, 1]``, real above 0, and ``class_logits`` ``[N, num_classes]``.
        """
        x = self.dropout(leaky_relu(self.convolutions[0](images), 0.2))
        for index, norm in enumerate(self.norms, start=1):
            x = self.dropout(leaky_relu(norm(self.convolutions[index](x)), 0.2))
        x = x.reshape([x.shape[0], -1])
        return Judgement(self.logit(x), {"class_logits": self.classes(x)})


SPEC = GanSpec(
    name="acgan",
    family="labels",
    sizes="28 to 256",
    generator=ACGenerator,
    discriminator=ACDiscriminator,
    paper="Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs",
    labels="needs",
    terms=("auxiliary_classifier",),
)
