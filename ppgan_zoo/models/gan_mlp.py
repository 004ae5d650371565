"""GAN of dense layers.

The network of the first GAN tutorials: five dense layers from z to pixels, three from
pixels to a logit. The published twins differ in the hidden activation (LeakyReLU in
PyTorch, ReLU in TensorFlow); here it is an argument. The PyTorch twin left out the
generator's tanh, without which its images have no range; it is here. Labels, where it is
built for them, are appended as one-hot vectors to z and to the image.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

from paddle import Tensor, nn

from ppgan_zoo.models.labels import with_one_hot
from ppgan_zoo.models.spec import GanSpec

Activation = Literal["leaky_relu", "relu"]


class MLPGenerator(nn.Layer):
    """Dense layers from z to an image, tanh at the end.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        hidden_units: Width of each hidden layer, input side first.
        activation: Hidden activation; the LeakyReLU has slope 0.2.
        num_classes: Classes that it takes labels of; 0 for a net without labels.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: tuple[int, ...] = (128, 256, 512, 1024),
        activation: Activation = "leaky_relu",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        widths = [latent_dim + num_classes, *hidden_units, math.prod(image_shape)]
        self.layers = _dense_stack(widths, activation)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        if labels is not None:
            z = with_one_hot(z, labels, self.num_classes)
        return self.layers(z).tanh().reshape([-1, *self.image_shape])


class MLPDiscriminator(nn.Layer):
    """Dense layers from an image to a logit.

    Args:
        image_shape: Channels, height and width of an image.
        hidden_units: Width of each hidden layer, image side first.
        activation: Hidden activation; the LeakyReLU has slope 0.2.
        num_classes: Classes that it takes labels of; 0 for a net without labels.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: tuple[int, ...] = (512, 256),
        activation: Activation = "leaky_relu",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        widths = [math.prod(image_shape) + num_classes, *hidden_units, 1]
        self.layers = _dense_stack(widths, activation)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``[N, C, H, W]`` and labels ``[N]`` to logits ``[N, 1]``, real above 0."""
        # reshape, not flatten: Paddle's flatten has no double gradient.
        x = images.reshape([images.shape[0], -1])
        if labels is not None:
            x = with_one_hot(x, labels, self.num_classes)
        return self.layers(x)


def _dense_stack(widths: list[int], activation: Activation) -> nn.Sequential:
    layers: list[nn.Layer] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        if layers:
            layers.append(nn.LeakyReLU(0.2) if activation == "leaky_relu" else nn.ReLU())
        layers.append(nn.Linear(fan_in, fan_out))
    return nn.Sequential(*layers)


SPEC = GanSpec(
    name="gan_mlp",
    family="classic",
    sizes="any",
    generator=MLPGenerator,
    discriminator=MLPDiscriminator,
    paper="Goodfellow et al. 2014, Generative Adversarial Nets",
    labels="takes",
    latent_prior="normal",
)
