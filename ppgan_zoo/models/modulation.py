"""Convolutions that are told by a style how strongly to use each map (Karras et al. 2020).

:class:`Mapping` makes the styles, :class:`StyledConv2D` and :class:`ToImage` use them.
"""

from __future__ import annotations

import math

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.distributed.collectives import drawn
from ppgan_zoo.models.equalised import (
    GAIN,
    SLOPE,
    EqualisedLinear,
    constant,
    inverse_root,
    normal,
    unit_mean_square,
)
from ppgan_zoo.models.fir import fir
from ppgan_zoo.ops import leaky_relu


class Mapping(nn.Layer):
    """Dense layers from z, and a label's embedding beside it, to a style.

    Args:
        latent_dim: Size of z; 0 for none, as in D.
        width: Of the embedding, of each layer, and of the style.
        depth: How many layers.
        rate: Factor of their learning rate (not of the embedding's).
        num_classes: 0 for no labels.
    """

    def __init__(
        self, latent_dim: int, width: int, depth: int, rate: float, num_classes: int
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        if num_classes:
            self.embedding = EqualisedLinear(num_classes, width)
        first = latent_dim + (width if num_classes else 0)
        self.layers = nn.LayerList(
            [EqualisedLinear(size, width, rate=rate, activated=True)
             for size in [first] + [width] * (depth - 1)]
        )  # fmt: skip

    def forward(self, z: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """Return ``[N, width]`` of z ``[N, latent_dim]`` and labels ``[N]``."""
        parts = [] if z is None else [unit_mean_square(z)]
        if labels is not None:
            one_hot = F.one_hot(labels, self.num_classes)
            one_hot = one_hot.astype(self.embedding.weight.dtype)
            parts.append(unit_mean_square(self.embedding(one_hot)))
        x = parts[0] if len(parts) == 1 else paddle.concat(parts, axis=1)
        for layer in self.layers:
            x = layer(x)
        return x


class ModulatedConv2D(nn.Layer):
    """A convolution whose weights are scaled for each image by its style.

    With s the affine map of the style, image n is convolved by ``s[n, i] W[o, i]``, each output
    map then divided by the norm of its weights (demodulation): it keeps the variance of what it
    gets. Computed as a convolution by W alone, of maps scaled by s, scaled after it: the same
    product, without weights of its own for each image.

    Args:
        channels_in: Maps in.
        channels_out: Maps out.
        kernel_size: Side of the kernel.
        w_dim: Size of a style.
        up: Whether to double the sides.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel_size: int, w_dim: int, *, up: bool = False
    ) -> None:
        super().__init__()
        self.is_up = up
        self.affine = EqualisedLinear(w_dim, channels_in, bias=1.0)
        if up:
            self.conv = nn.Conv2DTranspose(
                channels_in, channels_out, kernel_size, stride=2,
                weight_attr=normal(), bias_attr=False,
            )  # fmt: skip
        else:
            self.conv = nn.Conv2D(
                channels_in, channels_out, kernel_size, padding=kernel_size // 2,
                weight_attr=normal(), bias_attr=False,
            )  # fmt: skip

    def convolved(self, x: Tensor, scales: Tensor, twice: bool = False) -> Tensor:
        """Return ``[N, O, H', W']``, not demodulated, of maps and their scales ``[N, I]``."""
        x = x * _of_maps(scales)
        if not self.is_up:
            return self.conv(x)
        # Zeros between the pixels, the kernel, then the filter: the kernel first, as it is of
        # four times fewer pixels. It is all linear.
        x = self._up_twice(x) if twice else self.conv(x)
        return fir(x, padding=(1, 1), gain=4.0)

    def demodulation(self, scales: Tensor) -> Tensor:
        """Return what makes the weights' norm 1 for each image and output map: ``[N, O]``."""
        squares = self.conv.weight.square().sum(axis=[2, 3])
        return inverse_root(paddle.matmul(scales * scales, squares, transpose_y=not self.is_up))

    def _up_twice(self, x: Tensor) -> Tensor:
        """Return the transposed convolution as a convolution, which has a double gradient."""
        spread = fir(x, up=2, padding=(2, 1), taps=(1.0,))
        kernel = self.conv.weight.transpose([1, 0, 2, 3]).flip([2, 3])
        return F.conv2d(spread, kernel)


class StyledConv2D(ModulatedConv2D):
    """A demodulated 3x3 convolution with noise, bias and LeakyReLU.

    Args:
        channels_in: Maps in.
        channels_out: Maps out.
        w_dim: Size of a style.
        sides: Height and width of the output.
        up: Whether they are twice those of the input.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        w_dim: int,
        sides: tuple[int, int],
        *,
        up: bool = False,
    ) -> None:
        super().__init__(channels_in, channels_out, 3, w_dim, up=up)
        self.sides = sides
        self.register_buffer("noise", paddle.randn([1, 1, *sides]))
        self.noise_strength = self.create_parameter([1], attr=constant(0.0))
        self.bias = self.create_parameter([channels_out], attr=constant(0.0))

    def forward(self, x: Tensor, w: Tensor, twice: bool = False) -> Tensor:
        """Return ``[N, O, H', W']`` of maps and styles ``[N, w_dim]``."""
        scales = self.affine(w)
        x = self.convolved(x, scales, twice)
        noise = self.noise
        if self.training:
            maps = [x.shape[0], 1, *self.sides]
            noise = drawn(lambda shape: paddle.randn(shape, x.dtype), maps)
        # LeakyReLU(g x) is g LeakyReLU(x): the gain goes where numbers are few.
        x = x * _of_maps(GAIN * self.demodulation(scales))
        return leaky_relu(x + GAIN * self._noise_and_bias(noise), SLOPE)

    def _noise_and_bias(self, noise: Tensor) -> Tensor:
        """Return ``[N, O, H, W]``: each map's bias, and noise ``[N, 1, H, W]`` on all of them.

        As a product, ``[O, 2]`` times ``[N, 2, H W]``: on CPUs a sum of two such shapes, and the
        gradient of it, takes three times as long.
        """
        count, pixels = noise.shape[0], self.sides[0] * self.sides[1]
        strength = self.noise_strength.expand(self.bias.shape)
        maps = paddle.stack([strength, self.bias], axis=1)
        planes = [noise.reshape([count, 1, pixels]), paddle.ones([count, 1, pixels], noise.dtype)]
        return paddle.matmul(maps, paddle.concat(planes, 1)).reshape([count, -1, *self.sides])


class ToImage(ModulatedConv2D):
    """A modulated 1x1 convolution to the image's channels, with a bias; not demodulated."""

    def __init__(self, channels_in: int, image_channels: int, w_dim: int) -> None:
        super().__init__(channels_in, image_channels, 1, w_dim)
        self.scale = 1.0 / math.sqrt(channels_in)
        self.bias = self.create_parameter([image_channels], attr=constant(0.0))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return ``[N, C, H, W]`` of maps and styles ``[N, w_dim]``."""
        return self.convolved(x, self.affine(w) * self.scale) + self.bias.reshape([1, -1, 1, 1])


def _of_maps(scales: Tensor) -> Tensor:
    """Return ``[N, C]`` in the form of maps, ``[N, C, 1, 1]``."""
    return scales.unsqueeze([2, 3])
