"""StyleGAN2 in plain PyTorch, without the official code's compiled operations.

Its convolutions are in the official code's form for training: maps are scaled, not weights. The
filter is a depthwise convolution, as in that code's slow path, and on a CPU twenty times as fast as
a convolution of images of one channel.
"""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F


def lrelu(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class EqualLinear(nn.Module):
    def __init__(self, inputs, outputs, rate=1.0, bias=0.0, activated=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.rate, self.activated = rate / math.sqrt(inputs), rate, activated

    def forward(self, x):
        x = F.linear(x, self.weight * self.scale, self.bias * self.rate)
        return lrelu(x) if self.activated else x


class EqualConv2d(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, bias=True, activated=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.stride, self.padding, self.activated = stride, padding, activated

    def forward(self, x):
        x = F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)
        return lrelu(x) if self.activated else x


class Blur(nn.Module):
    """The filter [1, 3, 3, 1] on both axes, as a depthwise convolution; up: between zeros."""

    def __init__(self, pad, up=False, down=False, gain=1.0):
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        taps = gain * torch.outer(taps, taps) / 64
        self.register_buffer("taps", taps[None, None])
        self.pad, self.up, self.down = (*pad, *pad), up, down

    def forward(self, x):
        n, c, height, width = x.shape
        if self.up:
            x = F.pad(x.reshape(n, c, height, 1, width, 1), (0, 1, 0, 0, 0, 1))
            x = x.reshape(n, c, 2 * height, 2 * width)
        taps = self.taps.repeat(c, 1, 1, 1)
        return F.conv2d(F.pad(x, self.pad), taps, stride=2 if self.down else 1, groups=c)


class Mapping(nn.Module):
    def __init__(self, latent_dim, width, depth, classes):
        super().__init__()
        self.embedding = EqualLinear(classes, width) if classes else None
        self.classes = classes
        sizes = [latent_dim + (width if classes else 0)] + [width] * (depth - 1)
        layers = (EqualLinear(size, width, rate=0.01, activated=True) for size in sizes)
        self.layers = nn.Sequential(*layers)

    def forward(self, z, labels):
        parts = [] if z is None else [self.normalised(z)]
        if labels is not None:
            one_hot = F.one_hot(labels, self.classes).float()
            parts.append(self.normalised(self.embedding(one_hot)))
        return self.layers(torch.cat(parts, 1))

    @staticmethod
    def normalised(x):
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class ModulatedConv2d(nn.Module):
    def __init__(self, inputs, outputs, kernel, w_dim, demodulate=True, up=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.affine = EqualLinear(w_dim, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.kernel, self.demodulate = kernel, demodulate
        self.blur = Blur(pad=(1, 1), gain=4.0) if up else None

    def forward(self, x, w):
        styles, weight = self.affine(w), self.weight * self.scale
        x = x * styles[:, :, None, None]
        if self.blur is None:
            x = F.conv2d(x, weight, padding=self.kernel // 2)
        else:
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        if self.demodulate:
            squares = (weight * styles[:, None, :, None, None]).square().sum((2, 3, 4))
            x = x * torch.rsqrt(squares + 1e-8)[:, :, None, None]
        return x


class StyledConv(nn.Module):
    def __init__(self, inputs, outputs, w_dim, up=False):
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, w_dim, up=up)
        self.strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x, w):
        x = self.conv(x, w)
        noise = torch.randn(x.shape[0], 1, *x.shape[2:])
        return lrelu(x + self.strength * noise + self.bias[:, None, None])


class ToRGB(nn.Module):
    def __init__(self, inputs, outputs, w_dim):
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.up = Blur(pad=(2, 1), up=True, gain=4.0)

    def forward(self, x, w, image):
        rgb = self.conv(x, w) + self.bias[:, None, None]
        return rgb if image is None else rgb + self.up(image)


class StyleGenerator(nn.Module):
    def __init__(self, latent_dim, image_shape, classes, channels, w_dim=64, mapping_layers=2,
                 style_mixing=0.9):  # fmt: skip
        super().__init__()
        self.mapping = Mapping(latent_dim, w_dim, mapping_layers, classes)
        self.style_mixing, self.styles_needed = style_mixing, 2 * len(channels)
        sides = (side >> (len(channels) - 1) for side in image_shape[1:])
        self.start = nn.Parameter(torch.randn(1, channels[0], *sides))
        convs = [StyledConv(channels[0], channels[0], w_dim)]
        for below, maps in pairwise(channels):
            convs += [StyledConv(below, maps, w_dim, up=True), StyledConv(maps, maps, w_dim)]
        self.convs = nn.ModuleList(convs)
        self.to_rgb = nn.ModuleList(ToRGB(maps, image_shape[0], w_dim) for maps in channels)
        self.register_buffer("average", torch.zeros(w_dim))

    def forward(self, z, labels=None):
        return self.synthesis(self.styles(z, labels))

    def styles(self, z, labels=None):
        w = self.mapping(z, labels)
        count = self.styles_needed
        if self.training:
            self.average.lerp_(w.detach().mean(0), 0.005)
            if torch.rand(1).item() < self.style_mixing:
                place = int(torch.randint(1, count, (1,)))
                other = self.mapping(torch.randn_like(z), labels)
                return torch.stack([w] * place + [other] * (count - place), 1)
        return w[:, None].repeat(1, count, 1)

    def synthesis(self, styles):
        x, image = self.start.repeat(len(styles), 1, 1, 1), None
        x = self.convs[0](x, styles[:, 0])
        for level, to_rgb in enumerate(self.to_rgb):
            if level:
                x = self.convs[2 * level - 1](x, styles[:, 2 * level - 1])
                x = self.convs[2 * level](x, styles[:, 2 * level])
            image = to_rgb(x, styles[:, 2 * level + 1], image)
        return image


class ResBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = EqualConv2d(inputs, inputs, 3, padding=1)
        self.blur, self.down = Blur(pad=(2, 2)), EqualConv2d(inputs, outputs, 3, stride=2)
        self.halve = Blur(pad=(1, 1), down=True)
        self.skip = EqualConv2d(inputs, outputs, 1, bias=False, activated=False)

    def forward(self, x):
        y = self.down(self.blur(self.conv(x)))
        return (y + self.skip(self.halve(x))) / math.sqrt(2)


class StyleDiscriminator(nn.Module):
    def __init__(self, image_shape, classes, channels, group_size=4, mapping_layers=8):
        super().__init__()
        last, group = channels[0], reversed(list(pairwise(channels)))
        self.body = nn.Sequential(
            EqualConv2d(image_shape[0], channels[-1], 1),
            *(ResBlock(above, below) for below, above in group),
        )
        area = math.prod(side >> (len(channels) - 1) for side in image_shape[1:])
        self.group_size, self.width = group_size, last
        self.conv = EqualConv2d(last + 1, last, 3, padding=1)
        self.dense = EqualLinear(last * area, last, activated=True)
        self.logit = EqualLinear(last, last if classes else 1)
        self.mapping = Mapping(0, last, mapping_layers, classes) if classes else None

    def forward(self, images, labels=None):
        x = self.body(images)
        x = self.conv(torch.cat([x, self.deviation(x)], 1))
        answers = self.logit(self.dense(x.flatten(1)))
        if labels is None:
            return answers
        of_label = self.mapping(None, labels)
        return (answers * of_label).sum(1, keepdim=True) / math.sqrt(self.width)

    def deviation(self, x):
        n, group = len(x), self.group_size
        y = x.reshape(group, n // group, -1)
        y = (y.var(0, unbiased=False) + 1e-8).sqrt().mean(1)
        return y.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
