"""What several models share: layers as TensorFlow has them, and checks of image sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import paddle
from paddle import ParamAttr, Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.distributed.collectives import drawn
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.ops.arrays import from_array


class Dropout(nn.Layer):
    """Zeroes each value with probability `rate` and scales the others by ``1 / (1 - rate)``.

    ``tf.nn.dropout(keep_prob=1 - rate)``: off in eval mode. Written as a product with a
    mask, because Paddle's own dropout has no double gradient, which penalties need.

    Args:
        rate: Probability of a zero, in [0, 1).
        where: Whose it is, for the message.

    Raises:
        ConfigError: Another rate.
    """

    def __init__(self, rate: float, where: str = "dropout") -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:  # NaN is refused too
            raise ConfigError(f"{where}: {rate}; give 0 or more, and less than 1")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with the mask applied, or `x` itself in eval mode."""
        if not self.training or self.rate == 0.0:
            return x
        return x * dropout_mask(x.shape, self.rate, x.dtype)


def dropout_mask(shape: list[int], rate: float, dtype: Any = "float32") -> Tensor:
    """Return zeros with probability `rate` and ``1 / (1 - rate)`` elsewhere.

    On the CPU the mask is drawn by NumPy, of 16 bits a value (so that the probability is
    exact to 1/131072), from a seed by Paddle's generator: Paddle draws each value on one
    thread and takes five times as long, a third of a training step.
    """
    if not paddle.get_device().startswith("cpu"):
        return drawn(lambda whole: F.dropout(paddle.ones(whole, dtype), rate), shape)
    seed = int(paddle.randint(0, 2**31 - 1, [1]).item())
    rng = np.random.Generator(np.random.SFC64(seed))
    draws = drawn(lambda whole: rng.integers(0, 2**16, whole, np.uint16), shape)
    kept = (draws >= round(rate * 2**16)).astype(np.float32)
    mask = from_array(kept) * (1.0 / (1.0 - rate))
    return mask if mask.dtype == dtype else mask.astype(dtype)


def normal_weights(std: float = 0.02) -> ParamAttr:
    """Return the ``weight_attr`` of weights that begin at N(0, std), as in DCGAN."""
    return ParamAttr(initializer=nn.initializer.Normal(0.0, std))


def tensorflow_batch_norm(channels: int) -> nn.BatchNorm2D:
    """Return batch norm over `channels` maps with the defaults of TensorFlow and Keras."""
    return nn.BatchNorm2D(channels, momentum=0.99, epsilon=1e-3)


LARGEST_GRID = 16
"""The longest side of a net's smallest maps: a larger one is for layers that see little of it."""


def check_grid(where: str, image_shape: tuple[int, int, int], grid: tuple[int, int]) -> None:
    """Refuse a net whose smallest maps are too large, since it halves the image too rarely.

    Args:
        where: Whose they are, for the message.
        image_shape: Channels, height and width of an image.
        grid: Height and width of the smallest maps.

    Raises:
        ConfigError: A side is longer than `LARGEST_GRID`.
    """
    if max(grid) > LARGEST_GRID:
        more = math.ceil(math.log2(max(grid) / LARGEST_GRID))
        raise ConfigError(
            f"{where}: image_shape {tuple(image_shape)} is large for this net: its smallest maps "
            f"would be {grid[0]}x{grid[1]}, and at most {LARGEST_GRID}x{LARGEST_GRID} are allowed; "
            f"give both nets widths of {more} size{'s' if more > 1 else ''} more (info shows the "
            "arguments), or a smaller data.image_size"
        )


def check_quarters(model: str, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return channels, height and width of an image for a net that halves it twice, always.

    Raises:
        ConfigError: A side is not a multiple of 4, or above four times `LARGEST_GRID`.
    """
    channels, height, width = image_shape
    if max(height, width) > 4 * LARGEST_GRID:
        raise ConfigError(
            f"{model}: image_shape {tuple(image_shape)}: its nets are those of 28x28 images and "
            f"halve them twice, which suits sides of at most {4 * LARGEST_GRID}; take a model that "
            "is built for the size, such as dcgan_fashion, sngan, r3gan, stylegan2 or fastgan, or "
            "a smaller data.image_size"
        )
    if height % 4 or width % 4:
        raise ConfigError(
            f"{model}: image_shape {tuple(image_shape)}: height and width must be multiples of 4; "
            "set data.image_size to one"
        )
    return channels, height, width


def same_crop(kernel_size: int, stride: int) -> list[int]:
    """Return the padding by which a transposed convolution multiplies a side by `stride`.

    TensorFlow's "same": ``kernel_size - stride`` rows and columns are cut from the full
    output, the odd one at the end. Paddle's own ``padding="SAME"`` gives another shape.

    Args:
        kernel_size: Side of the kernel, at least `stride`.
        stride: Stride, at least 1.

    Returns:
        Rows cut at the top and the bottom, columns cut at the left and the right.
    """
    cut = kernel_size - stride
    return [cut // 2, cut - cut // 2] * 2


def same_size(side: int, strides: tuple[int, ...]) -> int:
    """Return the side of an image after "same" convolutions of these strides."""
    for stride in strides:
        side = -(-side // stride)
    return side
