"""GAN of dense layers with batch norm, as in the Keras tutorials.

G normalises each hidden layer **after** its LeakyReLU (dense, activation, norm). D is
the plain dense D of ``gan_mlp``. Initial weights are Glorot uniform, biases zero: the
defaults of Keras and of Paddle's ``Linear`` alike.
"""

from __future__ import annotations

import itertools
import math

from paddle import Tensor, nn

from ppgan_zoo.models.gan_mlp import MLPDiscriminator
from ppgan_zoo.models.labels import with_one_hot
from ppgan_zoo.models.spec import GanSpec


class NormalizedMLPGenerator(nn.Layer):
    """Dense layers from z to an image, each hidden one with LeakyReLU(0.2), then BatchNorm.

    Args:
        latent_dim: Size of z.
        image_shape: Channels, height and width of an image.
        hidden_units: Width of each hidden layer, input side first.
        num_classes: Classes that it takes labels of; 0 for a net without labels.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: tuple[int, ...] = (256, 512, 1024),
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        widths = [latent_dim + num_classes, *hidden_units]
        layers: list[nn.Layer] = []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [
                nn.Linear(fan_in, fan_out),
                nn.LeakyReLU(0.2),
                nn.BatchNorm1D(fan_out, momentum=0.8, epsilon=1e-3),
            ]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(image_shape)))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map z ``[N, latent_dim]`` and labels ``[N]`` to images ``[N, C, H, W]`` in [-1, 1]."""
        if labels is not None:
            z = with_one_hot(z, labels, self.num_classes)
        return self.layers(z).tanh().reshape([-1, *self.image_shape])


SPEC = GanSpec(
    name="gan_mlp_bn",
    family="classic",
    sizes="any",
    generator=NormalizedMLPGenerator,
    discriminator=MLPDiscriminator,
    paper="Goodfellow et al. 2014, Generative Adversarial Nets, "
    "as in the Keras tutorials (batch norm in G)",
    latent_prior="normal",
    labels="takes",
)
