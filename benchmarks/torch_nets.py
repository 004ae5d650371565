"""The zoo's classic nets in plain PyTorch, as its tutorials write them, and where the others are.

``build`` makes a model's two nets. Their defaults are those of the zoo's models, and the numbers
of learnt parameters must come out equal.
"""

import itertools
import math

import torch
from torch import nn
from torch_fastgan import FastDiscriminator, FastGenerator
from torch_residual import (
    R3GANDiscriminator,
    R3GANGenerator,
    SNGANDiscriminator,
    SNGANGenerator,
)
from torch_stylegan2 import StyleDiscriminator, StyleGenerator

CHANNELS, SIDE = 1, 28  # MNIST and Fashion-MNIST


def activation_layer(name):
    return nn.LeakyReLU(0.2, inplace=True) if name == "leaky_relu" else nn.ReLU(inplace=True)


def dense_stack(widths, activation):
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths):
        if layers:
            layers.append(activation_layer(activation))
        layers.append(nn.Linear(fan_in, fan_out))
    return layers


class MLPGenerator(nn.Module):
    def __init__(self, latent_dim, hidden_units=(128, 256, 512, 1024), activation="leaky_relu"):
        super().__init__()
        widths = [latent_dim, *hidden_units, CHANNELS * SIDE * SIDE]
        self.model = nn.Sequential(*dense_stack(widths, activation), nn.Tanh())

    def forward(self, z):
        return self.model(z).view(z.size(0), CHANNELS, SIDE, SIDE)


class NormalizedMLPGenerator(nn.Module):
    def __init__(self, latent_dim, hidden_units=(256, 512, 1024)):
        super().__init__()
        layers = []
        for fan_in, fan_out in itertools.pairwise([latent_dim, *hidden_units]):
            layers += [
                nn.Linear(fan_in, fan_out),
                nn.LeakyReLU(0.2, inplace=True),
                nn.BatchNorm1d(fan_out, eps=1e-3, momentum=0.2),
            ]
        layers += [nn.Linear(hidden_units[-1], CHANNELS * SIDE * SIDE), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, z):
        return self.model(z).view(z.size(0), CHANNELS, SIDE, SIDE)


class MLPDiscriminator(nn.Module):
    def __init__(self, hidden_units=(512, 256), activation="leaky_relu"):
        super().__init__()
        widths = [CHANNELS * SIDE * SIDE, *hidden_units, 1]
        self.model = nn.Sequential(*dense_stack(widths, activation))

    def forward(self, images):
        return self.model(images.flatten(1))


class BookGenerator(nn.Module):
    def __init__(self, latent_dim, hidden_units=2048, channels=128, kernel_size=5):
        super().__init__()
        self.channels, self.side = channels, SIDE // 4
        units = channels * self.side**2
        self.dense = nn.Sequential(
            nn.Linear(latent_dim, hidden_units),
            nn.BatchNorm1d(hidden_units),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_units, units),
            nn.BatchNorm1d(units),
            nn.ReLU(inplace=True),
        )
        double = {
            "kernel_size": kernel_size, "stride": 2, "padding": (kernel_size - 1) // 2,
            "output_padding": kernel_size % 2,
        }  # fmt: skip
        self.upsample = nn.Sequential(
            nn.ConvTranspose2d(channels, channels, **double),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels, CHANNELS, **double),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.upsample(self.dense(z).view(-1, self.channels, self.side, self.side))


class BookDiscriminator(nn.Module):
    def __init__(self, channels=(64, 128), hidden_units=1024, padding=0):
        super().__init__()
        shrinks = 4 - 2 * padding
        side = ((SIDE - shrinks) // 2 - shrinks) // 2
        self.features = nn.Sequential(
            nn.Conv2d(CHANNELS, channels[0], 5, padding=padding),
            nn.MaxPool2d(2),
            nn.LeakyReLU(0.02, inplace=True),
            nn.Conv2d(channels[0], channels[1], 5, padding=padding),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(channels[1]),
            nn.LeakyReLU(0.02, inplace=True),
        )
        self.dense = nn.Sequential(
            nn.Linear(channels[1] * side * side, hidden_units),
            nn.BatchNorm1d(hidden_units),
            nn.LeakyReLU(0.02, inplace=True),
            nn.Linear(hidden_units, 1),
        )

    def forward(self, images):
        return self.dense(self.features(images).flatten(1))


class StridedGenerator(nn.Module):
    def __init__(self, latent_dim, channels=64):
        super().__init__()
        self.channels, self.side = 2 * channels, SIDE // 4
        self.project = nn.Linear(latent_dim, 2 * channels * self.side**2, bias=False)
        self.model = nn.Sequential(
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels, CHANNELS, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.model(self.project(z).view(-1, self.channels, self.side, self.side))


class StridedDiscriminator(nn.Module):
    def __init__(self, channels=64):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(CHANNELS, channels, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.score = nn.Linear(2 * channels * (SIDE // 4) ** 2, 1)

    def forward(self, images):
        return self.score(self.model(images).flatten(1))


class DropoutGenerator(nn.Module):
    def __init__(self, latent_dim, channels=(512, 256, 128), dropout=0.2):
        super().__init__()
        self.channels, self.side = channels[0], SIDE // 4 - 3
        self.project = nn.Linear(latent_dim, channels[0] * self.side**2)

        def block(width):
            return (
                nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
                nn.LeakyReLU(0.01, inplace=True),
                nn.Dropout(dropout),
            )

        self.model = nn.Sequential(
            *block(channels[0]),
            nn.ConvTranspose2d(channels[0], channels[1], 4),
            *block(channels[1]),
            nn.ConvTranspose2d(channels[1], channels[2], 3, 2, 1, output_padding=1),
            *block(channels[2]),
            nn.ConvTranspose2d(channels[2], CHANNELS, 3, 2, 1, output_padding=1),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.model(self.project(z).view(-1, self.channels, self.side, self.side))


class DropoutDiscriminator(nn.Module):
    def __init__(self, channels=(128, 256, 512), dropout=0.2):
        super().__init__()
        layers = []
        for index, (fan_in, fan_out) in enumerate(itertools.pairwise([CHANNELS, *channels])):
            layers.append(nn.Conv2d(fan_in, fan_out, 3, 2, 1))
            if index:
                layers.append(nn.BatchNorm2d(fan_out, eps=1e-3, momentum=0.01))
            layers += [nn.LeakyReLU(0.01, inplace=True), nn.Dropout(dropout)]
        self.model = nn.Sequential(*layers)
        self.score = nn.Linear(channels[-1] * math.ceil(SIDE / 8) ** 2, 1)

    def forward(self, images):
        return self.score(self.model(images).flatten(1))


class SigmoidGenerator(nn.Module):
    def __init__(self, latent_dim, channels=(128, 64, 32)):
        super().__init__()
        self.channels, self.side = channels[0], SIDE // 4
        self.project = nn.Linear(latent_dim, channels[0] * self.side**2)
        layers = []
        widths = [channels[0], *channels, CHANNELS]
        for index, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            stride = 2 if index < 2 else 1
            layers += [
                nn.BatchNorm2d(fan_in, eps=1e-3, momentum=0.01),
                nn.ReLU(inplace=True),
                nn.ConvTranspose2d(fan_in, fan_out, 5, stride, 2, output_padding=stride - 1),
            ]
        self.model = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, z):
        return self.model(self.project(z).view(-1, self.channels, self.side, self.side))


class PreactivatedDiscriminator(nn.Module):
    def __init__(self, channels=(32, 64, 128, 256)):
        super().__init__()
        layers = []
        for index, (fan_in, fan_out) in enumerate(itertools.pairwise([CHANNELS, *channels])):
            layers += [nn.LeakyReLU(0.2), nn.Conv2d(fan_in, fan_out, 5, 2 if index < 3 else 1, 2)]
        self.model = nn.Sequential(*layers)
        self.score = nn.Linear(channels[-1] * math.ceil(SIDE / 8) ** 2, 1)

    def forward(self, images):
        return self.score(self.model(images).flatten(1))


CLASSIC = {  # for 28x28 grey images without labels
    "gan_mlp": (MLPGenerator, MLPDiscriminator),
    "gan_mlp_bn": (NormalizedMLPGenerator, MLPDiscriminator),
    "dcgan": (BookGenerator, BookDiscriminator),
    "dcgan_fashion": (StridedGenerator, StridedDiscriminator),
    "dcgan_dropout": (DropoutGenerator, DropoutDiscriminator),
    "dcgan_keras": (SigmoidGenerator, PreactivatedDiscriminator),
}
MODERN = {  # told the images' shape and the number of classes
    "sngan": (SNGANGenerator, SNGANDiscriminator),
    "r3gan": (R3GANGenerator, R3GANDiscriminator),
    "stylegan2": (StyleGenerator, StyleDiscriminator),
    "fastgan": (FastGenerator, FastDiscriminator),
}


def build(model, latent_dim, image_shape, classes, generator, discriminator):
    """Return G and D of the zoo's model, with the recipe's arguments for each."""
    if model in CLASSIC:
        generator_class, discriminator_class = CLASSIC[model]
        return generator_class(latent_dim, **generator), discriminator_class(**discriminator)
    generator_class, discriminator_class = MODERN[model]
    return (
        generator_class(latent_dim, image_shape, classes, **generator),
        discriminator_class(image_shape, classes, **discriminator),
    )


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def fixed_z(count, dim):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(0))
