"""Conditional GAN: both nets are told the class of an image.

The nets of the paper's experiment on MNIST (section 4.1). In each, the label goes through a
hidden layer of its own and is then concatenated with what the net made of z or of the image.
G is of ReLU layers and ends in a sigmoid, D is of maxout layers; both have dropout. The paper
draws z from the unit hypercube, here it is uniform in [-1, 1]: the first layer makes up for
the difference.

Of a one-hot vector one input in ten is at work, so that the usual initial weights make a label
ten times weaker than z or an image, and D took thousands of iterations to notice it. The layers
of labels begin larger, by the constants below.
"""

from __future__ import annotations

import math

import paddle
from paddle import ParamAttr, Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.models.labels import one_hot
from ppgan_zoo.models.layers import Dropout, normal_weights
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.ops import relu

# Standard deviations: a label then weighs about as much as z, and as an image.
LABELS_OF_G, LABELS_OF_D = 0.2, 1.0


class ConditionalGenerator(nn.Layer):
    """A hidden layer of z and one of the label, concatenated; one more; then pixels.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        z_units: Width of z's hidden layer.
        label_units: Width of the label's hidden layer.
        hidden_units: Width of the layer after both.
        dropout: Share of hidden values that dropout zeroes in training, in [0, 1).
        num_classes: Classes that it takes labels of.

    Raises:
        ConfigError: `dropout` is out of range.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        z_units: int = 200,
        label_units: int = 1000,
        hidden_units: int = 1200,
        dropout: float = 0.5,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.of_z = nn.Linear(latent_dim, z_units)
        self.of_label = nn.Linear(num_classes, label_units, weight_attr=normal_weights(LABELS_OF_G))
        self.joint = nn.Linear(z_units + label_units, hidden_units)
        self.pixels = nn.Linear(hidden_units, math.prod(image_shape))
        self.dropout = Dropout(dropout, "cgan: generator: dropout")

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [0, 1]."""
        y = self.of_label(one_hot(labels, self.num_classes, z.dtype))
        x = self.dropout(relu(paddle.concat([self.of_z(z), y], axis=1)))
        x = self.dropout(relu(self.joint(x)))
        return F.sigmoid(self.pixels(x)).reshape([-1, *self.image_shape])


class ConditionalDiscriminator(nn.Layer):
    """A maxout layer of the image and one of the label, concatenated; one more; a logit.

    Args:
        image_shape: Channels, height and width of an image.
        image_units: Width of the image's maxout layer, of 5 pieces.
        label_units: Width of the label's, of 5 pieces.
        hidden_units: Width of the maxout layer after both, of 4 pieces.
        dropout: Share of hidden values that dropout zeroes in training, in [0, 1).
        num_classes: Classes that it takes labels of.

    Raises:
        ConfigError: `dropout` is out of range.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        image_units: int = 240,
        label_units: int = 50,
        hidden_units: int = 240,
        dropout: float = 0.5,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.of_image = Maxout(math.prod(image_shape), image_units, pieces=5)
        labels = normal_weights(LABELS_OF_D)
        self.of_label = Maxout(num_classes, label_units, pieces=5, weight_attr=labels)
        self.joint = Maxout(image_units + label_units, hidden_units, pieces=4)
        self.logit = nn.Linear(hidden_units, 1)
        self.dropout = Dropout(dropout, "cgan: discriminator: dropout")

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        x = self.of_image(images.reshape([images.shape[0], -1]))
        y = self.of_label(one_hot(labels, self.num_classes, images.dtype))
        x = self.joint(self.dropout(paddle.concat([x, y], axis=1)))
        return self.logit(self.dropout(x))


class Maxout(nn.Layer):
    """Dense layer whose units are each the largest of some linear ones (Goodfellow et al. 2013).

    Paddle has no double gradient of a maximum. So the largest is picked by a mask that counts as
    a constant: the same values and gradients, and a gradient penalty can differentiate twice.

    Args:
        inputs: Values that go in.
        units: Values that come out.
        pieces: Linear units for each of them.
        weight_attr: How its weights begin; None for Glorot-uniform.
    """

    def __init__(
        self, inputs: int, units: int, *, pieces: int, weight_attr: ParamAttr | None = None
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces, weight_attr=weight_attr)
        self.shape = [units, pieces]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, inputs]`` to ``[N, units]``."""
        pieces = self.linear(x).reshape([x.shape[0], *self.shape])
        largest = F.one_hot(pieces.argmax(axis=2), pieces.shape[2]).detach()
        return (pieces * largest).sum(axis=2)


SPEC = GanSpec(
    name="cgan",
    family="labels",
    sizes="any",
    generator=ConditionalGenerator,
    discriminator=ConditionalDiscriminator,
    paper="Mirza and Osindero 2014, Conditional Generative Adversarial Nets",
    labels="needs",
    image_range=(0.0, 1.0),
    latent_prior="uniform",
)
