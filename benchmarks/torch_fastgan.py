"""FastGAN for 64x64 in plain PyTorch: excitation across scales, a D that redraws what it sees."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

G_WIDTHS = (16, 8, 4, 2, 2)  # in units of ngf, at 4, 8, 16, 32 and 64
SIDE = 64


def conv(inputs, outputs, kernel, stride=1, padding=None):
    padding = kernel // 2 if padding is None else padding
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False))


class Noise(nn.Module):
    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        if not self.training:
            return x
        return x + self.strength * torch.randn(len(x), 1, *x.shape[2:])


def up_block(inputs, outputs):
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        conv(inputs, 2 * outputs, 3), nn.BatchNorm2d(2 * outputs), nn.GLU(1),
    )  # fmt: skip


def noisy_up_block(inputs, outputs):
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        conv(inputs, 2 * outputs, 3), Noise(), nn.BatchNorm2d(2 * outputs), nn.GLU(1),
        conv(outputs, 2 * outputs, 3), Noise(), nn.BatchNorm2d(2 * outputs), nn.GLU(1),
    )  # fmt: skip


def excitation(inputs, outputs):
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4), conv(inputs, outputs, 4, padding=0), nn.SiLU(),
        conv(outputs, outputs, 1), nn.Sigmoid(),
    )  # fmt: skip


class FastGenerator(nn.Module):
    def __init__(self, latent_dim, image_shape, classes, ngf=16):
        super().__init__()
        w4, w8, w16, w32, w64 = (ngf * width for width in G_WIDTHS)
        self.first = nn.Sequential(
            spectral_norm(nn.ConvTranspose2d(latent_dim, 2 * w4, 4, bias=False)),
            nn.BatchNorm2d(2 * w4), nn.GLU(1),
        )  # fmt: skip
        self.to8, self.to16 = noisy_up_block(w4, w8), up_block(w8, w16)
        self.to32, self.to64 = noisy_up_block(w16, w32), up_block(w32, w64)
        self.excite32, self.excite64 = excitation(w8, w32), excitation(w4, w64)
        self.pixels = conv(w64, image_shape[0], 3)

    def forward(self, z, labels=None):
        x4 = self.first(z[:, :, None, None])
        x8 = self.to8(x4)
        x32 = self.to32(self.to16(x8)) * self.excite32(x8)
        return self.pixels(self.to64(x32) * self.excite64(x4))


class DownBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.main = nn.Sequential(
            conv(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2),
            conv(outputs, outputs, 3), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.direct = nn.Sequential(
            nn.AvgPool2d(2), conv(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
        )

    def forward(self, x):
        return (self.main(x) + self.direct(x)) / 2


def decoder(inputs, unit, channels):
    """From 8x8 maps to a picture of 32x32."""
    widths = (inputs, 4 * unit, 2 * unit)
    blocks = (up_block(a, b) for a, b in pairwise(widths))
    return nn.Sequential(*blocks, conv(widths[-1], channels, 3), nn.Tanh())


class FastDiscriminator(nn.Module):
    def __init__(self, image_shape, classes, ndf=16):
        super().__init__()
        channels, widths = image_shape[0], [ndf, 2 * ndf, 4 * ndf, 8 * ndf]  # 64, 32, 16, 8
        self.entry = nn.Sequential(conv(channels, ndf, 3), nn.LeakyReLU(0.2))
        self.down = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(widths))
        self.excite = excitation(widths[0], widths[3])
        self.head = nn.Sequential(
            conv(widths[3], 16 * ndf, 1), nn.BatchNorm2d(16 * ndf), nn.LeakyReLU(0.2),
            conv(16 * ndf, 1, 4, padding=0),
        )  # fmt: skip
        self.small = nn.Sequential(
            conv(channels, 2 * ndf, 4, 2, 1), nn.LeakyReLU(0.2),
            conv(2 * ndf, 4 * ndf, 4, 2, 1), nn.BatchNorm2d(4 * ndf), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.small_head = conv(4 * ndf, 1, 4, padding=0)
        self.decoders = nn.ModuleList(
            decoder(width, ndf // 2, channels) for width in (8 * ndf, 4 * ndf, 4 * ndf)
        )

    def forward(self, images, labels=None):
        return self.seen(images)[0]

    def seen(self, images):
        """Logits of 50 patches, and the maps that it redraws from."""
        x64 = self.entry(images)
        x32 = self.down[0](x64)
        x16 = self.down[1](x32)
        x8 = self.down[2](x16) * self.excite(x64)
        small = self.small(F.avg_pool2d(images, 2))
        logits = [self.head(x8).flatten(1), self.small_head(small).flatten(1)]
        return torch.cat(logits, 1), (x8, small, x16)

    def reconstruction(self, maps, images):
        """The error of two pictures of the images and of one of a quadrant."""
        x8, small, x16 = maps
        row, column = torch.randint(0, 2, (2,)).tolist()
        part = x16[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        half = SIDE // 2
        target = images[:, :, half * row : half * row + half, half * column : half * column + half]
        whole = F.avg_pool2d(images, 2)
        pairs = zip(self.decoders, (x8, small, part), (whole, whole, target), strict=True)
        return sum(F.mse_loss(redraw(x), wanted) for redraw, x, wanted in pairs)
