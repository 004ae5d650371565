"""SNGAN and R3GAN in plain PyTorch, as their users write them."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch_stylegan2 import Blur


class ConditionalBatchNorm2d(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=2e-5, affine=False)
        self.gamma = nn.Embedding(classes, channels)
        self.beta = nn.Embedding(classes, channels)
        nn.init.ones_(self.gamma.weight)
        nn.init.zeros_(self.beta.weight)

    def forward(self, x, labels):
        gamma, beta = self.gamma(labels), self.beta(labels)
        return self.norm(x) * gamma[:, :, None, None] + beta[:, :, None, None]


class PlainBatchNorm2d(nn.BatchNorm2d):
    def __init__(self, channels, classes):
        super().__init__(channels, eps=2e-5)

    def forward(self, x, labels):
        return super().forward(x)


class SNGANBlock(nn.Module):
    def __init__(self, inputs, outputs, classes):
        super().__init__()
        norm = ConditionalBatchNorm2d if classes else PlainBatchNorm2d
        self.norm1, self.norm2 = norm(inputs, classes), norm(outputs, classes)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, labels):
        h = F.relu(self.norm1(x, labels))
        h = self.conv1(F.interpolate(h, scale_factor=2))
        h = self.conv2(F.relu(self.norm2(h, labels)))
        return h + self.skip(F.interpolate(x, scale_factor=2))


class SNGANGenerator(nn.Module):
    def __init__(self, latent_dim, image_shape, classes, channels):
        super().__init__()
        sides = (side >> (len(channels) - 1) for side in image_shape[1:])
        self.grid = (channels[0], *sides)
        self.project = nn.Linear(latent_dim, channels[0] * self.grid[1] * self.grid[2])
        self.blocks = nn.ModuleList(SNGANBlock(a, b, classes) for a, b in pairwise(channels))
        self.norm = nn.BatchNorm2d(channels[-1], eps=2e-5)
        self.pixels = nn.Conv2d(channels[-1], image_shape[0], 3, padding=1)

    def forward(self, z, labels=None):
        x = self.project(z).view(-1, *self.grid)
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.pixels(F.relu(self.norm(x))))


class SNGANDownBlock(nn.Module):
    def __init__(self, inputs, outputs, down, first=False):
        super().__init__()
        hidden = outputs if first else inputs
        self.down, self.first = down, first
        self.conv1 = spectral_norm(nn.Conv2d(inputs, hidden, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(hidden, outputs, 3, padding=1))
        learned = down or first or inputs != outputs
        self.skip = spectral_norm(nn.Conv2d(inputs, outputs, 1)) if learned else nn.Identity()

    def forward(self, x):
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if not self.down:
            return h + self.skip(x)
        return F.avg_pool2d(h, 2) + self.skip(F.avg_pool2d(x, 2))


class SNGANDiscriminator(nn.Module):
    def __init__(self, image_shape, classes, channels, halvings=2):
        super().__init__()
        widths = enumerate(pairwise([image_shape[0], *channels]))
        self.blocks = nn.Sequential(
            *(SNGANDownBlock(a, b, place < halvings, place == 0) for place, (a, b) in widths)
        )
        self.score = spectral_norm(nn.Linear(channels[-1], 1, bias=False))
        if classes:
            self.embedding = spectral_norm(nn.Embedding(classes, channels[-1]))

    def forward(self, images, labels=None):
        h = F.relu(self.blocks(images)).sum((2, 3))
        logits = self.score(h)
        if labels is None:
            return logits
        return logits + (self.embedding(labels) * h).sum(1, keepdim=True)


class R3GANBlock(nn.Module):
    def __init__(self, width, group_channels):
        super().__init__()
        inner = 2 * width
        self.body = nn.Sequential(
            nn.Conv2d(width, inner, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner // group_channels),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(inner, width, 1, bias=False),
        )

    def forward(self, x):
        return x + self.body(x)


class R3GANGenerator(nn.Module):
    def __init__(self, latent_dim, image_shape, classes, widths, blocks=1, group_channels=16,
                 label_dim=64):  # fmt: skip
        super().__init__()
        sides = (side >> (len(widths) - 1) for side in image_shape[1:])
        self.basis = nn.Parameter(torch.randn(widths[0], *sides))
        self.embedding = nn.Embedding(classes, label_dim) if classes else None
        inputs = latent_dim + (label_dim if classes else 0)
        self.mapping = nn.Linear(inputs, widths[0], bias=False)
        layers = [R3GANBlock(widths[0], group_channels) for _ in range(blocks)]
        for before, width in pairwise(widths):
            layers += [nn.Conv2d(before, width, 1, bias=False)] if width != before else []
            layers += [Blur(pad=(2, 1), up=True, gain=4.0)]
            layers += [R3GANBlock(width, group_channels) for _ in range(blocks)]
        self.body = nn.Sequential(*layers)
        self.pixels = nn.Conv2d(widths[-1], image_shape[0], 1, bias=False)

    def forward(self, z, labels=None):
        if labels is not None:
            z = torch.cat([z, self.embedding(labels)], 1)
        return self.pixels(self.body(self.mapping(z)[:, :, None, None] * self.basis))


class R3GANDiscriminator(nn.Module):
    def __init__(self, image_shape, classes, widths, blocks=1, group_channels=16):
        super().__init__()
        downwards = widths[::-1]
        layers = [nn.Conv2d(image_shape[0], downwards[0], 1, bias=False)]
        layers += [R3GANBlock(downwards[0], group_channels) for _ in range(blocks)]
        for before, width in pairwise(downwards):
            layers += [Blur(pad=(1, 1), down=True)]
            layers += [nn.Conv2d(before, width, 1, bias=False)] if width != before else []
            layers += [R3GANBlock(width, group_channels) for _ in range(blocks)]
        sides = tuple(side >> (len(widths) - 1) for side in image_shape[1:])
        layers += [nn.Conv2d(widths[0], widths[0], sides, groups=widths[0], bias=False)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.features = nn.Linear(widths[0], widths[0] if classes else 1, bias=False)
        self.embedding = nn.Embedding(classes, widths[0]) if classes else None

    def forward(self, images, labels=None):
        features = self.features(self.body(images))
        if labels is None:
            return features
        return (features * self.embedding(labels)).sum(1, keepdim=True)
