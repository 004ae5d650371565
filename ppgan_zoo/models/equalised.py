"""Layers with an equalised learning rate (Karras et al. 2018, section 4.1).

Weights are drawn from N(0, 1) and scaled by ``1 / sqrt(fan_in)`` each time they are used. Adam
moves every weight by about its rate, whatever the scale of its gradient, so that all layers
then learn at one relative speed. A factor `rate` makes a layer slower: its weights begin that
many times larger, and they and its bias are multiplied by it in use.
"""

from __future__ import annotations

import math
from typing import Any

import paddle
from paddle import ParamAttr, Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo import ops
from ppgan_zoo.ops import leaky_relu

SLOPE = 0.2
"""Of every LeakyReLU here."""

GAIN = math.sqrt(2.0)
"""Of an activation: a LeakyReLU halves the mean square of what it gets, or nearly so."""


def normal(std: float = 1.0) -> ParamAttr:
    """Return the attribute of a weight that is drawn from N(0, `std`)."""
    return ParamAttr(initializer=nn.initializer.Normal(0.0, std))


def constant(value: float) -> ParamAttr:
    """Return the attribute of a bias that begins at `value`."""
    return ParamAttr(initializer=nn.initializer.Constant(value))


class EqualisedLinear(nn.Linear):  # type: ignore[misc]
    """A dense layer, and a LeakyReLU if it is asked for.

    Args:
        fan_in: Features in.
        fan_out: Features out.
        rate: Factor of the learning rate.
        bias: What the bias begins at.
        activated: Whether a LeakyReLU times :data:`GAIN` follows.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        *,
        rate: float = 1.0,
        bias: float = 0.0,
        activated: bool = False,
    ) -> None:
        super().__init__(fan_in, fan_out, normal(1.0 / rate), constant(bias))
        # LeakyReLU(g x) is g LeakyReLU(x) for any g above 0: the gain is free among the weights.
        gain = GAIN if activated else 1.0
        self.weight_scale = gain * rate / math.sqrt(fan_in)
        self.bias_scale = gain * rate
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, fan_out]`` of ``[N, fan_in]``."""
        x = F.linear(x, self.weight * self.weight_scale, self.bias * self.bias_scale)
        return leaky_relu(x, SLOPE) if self.activated else x


class EqualisedConv2D(nn.Conv2D):  # type: ignore[misc]
    """A convolution, and a LeakyReLU if it is asked for.

    Args:
        channels_in: Maps in.
        channels_out: Maps out.
        kernel_size: Side of the kernel.
        stride: 1, with padding that keeps the size, or more, without padding.
        bias: Whether there is one; it begins at 0.
        activated: Whether a LeakyReLU times :data:`GAIN` follows.
        gain: Factor of the output.

    Attributes:
        accelerated: Set by :func:`ppgan_zoo.ops.accelerate`.
    """

    accelerated = False

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int,
        *,
        stride: int = 1,
        bias: bool = True,
        activated: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__(
            channels_in,
            channels_out,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2 if stride == 1 else 0,
            weight_attr=normal(),
            bias_attr=constant(0.0) if bias else False,
        )
        self.bias_scale = gain * (GAIN if activated else 1.0)
        self.weight_scale = self.bias_scale / math.sqrt(channels_in * kernel_size**2)
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, channels_out, H', W']`` of ``[N, channels_in, H, W]``."""
        bias = None if self.bias is None else self.bias * self.bias_scale
        x = ops.conv2d(self, x, self.weight * self.weight_scale, bias)
        return leaky_relu(x, SLOPE) if self.activated else x


def unit_mean_square(x: Tensor) -> Tensor:
    """Return rows ``[N, D]`` scaled to a mean square of 1."""
    # Not x.square(): exported, Paddle Inference with oneDNN squares a sum in its own memory.
    return x * inverse_root((x * x).mean(axis=1, keepdim=True))


def inverse_root(squares: Tensor) -> Any:
    """Return ``1 / sqrt(squares + 1e-8)``."""
    return paddle.rsqrt(squares + 1e-8)
