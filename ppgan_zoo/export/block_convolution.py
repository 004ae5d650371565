"""Transposed convolutions in forms that Paddle Inference computes faster on a CPU.

A processor of 16 lanes computes 16 feature maps at a time, so that one map costs as much
as 16. The same function as an ordinary convolution has its work for all lanes: it makes
blocks of b x b pixels, c b^2 <= 16 maps of them, on a grid that is b times coarser.

Along one axis, with kernel size k, stride s and `cut` pixels cut at the start, pixel o of
a transposed convolution is the sum of ``x[i] w[t]`` over all ``s i + t - cut = o``. With
``o = b j + p`` and ``i = (b / s) j + first + u`` the tap is ``t = p + cut - s (first + u)``:
it depends on the place p in the block and on u alone, as in an ordinary convolution of
stride b / s. Where t is no tap, the weight is zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from paddle import nn

from ppgan_zoo.ops.geometry import Geometry

LANES = 16


def as_convolution(layer: nn.Conv2DTranspose, geometry: Geometry) -> nn.Layer | None:
    """Return an ordinary convolution that equals `layer`, or None where that does not pay.

    Args:
        layer: A transposed convolution; it is left as it is.
        geometry: What it computes. The batch may be another one later, the image may not.
    """
    block = _block_size(geometry)
    if block is None or geometry.groups > 1:
        return None
    weight = layer.weight.numpy()
    down, across = (_taps(geometry, axis, block) for axis in (0, 1))
    padding = [*_padding(geometry, 0, block), *_padding(geometry, 1, block)]
    if min(padding) < 0:
        return None
    convolution = nn.Conv2D(
        geometry.source[1],
        geometry.target[1] * block**2,
        [down.shape[1], across.shape[1]],
        stride=[block // step for step in geometry.stride],
        padding=padding,
        bias_attr=None if geometry.bias else False,
    )
    convolution.weight.set_value(_block_weight(weight, down, across))
    if geometry.bias:
        convolution.bias.set_value(np.repeat(layer.bias.numpy(), block**2))
    return nn.Sequential(convolution, nn.PixelShuffle(block))


def with_norm_as_bias(layer: nn.Conv2DTranspose) -> nn.Layer:
    """Return `layer` with its bias added by a batch norm that does nothing else.

    Paddle Inference fuses the norm into the transposed convolution, but not the bias,
    whose addition takes half as long as the convolution itself.
    """
    bare = nn.Conv2DTranspose(
        layer._in_channels,
        layer._out_channels,
        layer._kernel_size,
        stride=layer._stride,
        padding=layer._padding,
        output_padding=layer.output_padding,
        bias_attr=False,
    )
    bare.weight.set_value(layer.weight)
    norm = nn.BatchNorm2D(layer._out_channels)
    norm._variance.set_value(np.full(norm._variance.shape, 1.0 - norm._epsilon, np.float32))
    norm.bias.set_value(layer.bias)
    return nn.Sequential(bare, norm)


def _block_size(geometry: Geometry) -> int | None:
    """Return the largest side of a block whose maps fit the lanes and that tiles the image."""
    step, across = geometry.stride
    if step != across:
        return None
    channels, sides = geometry.target[1], geometry.target[2:]
    sizes = [
        block
        for block in range(max(step, 2), LANES + 1, step)
        if channels * block**2 <= LANES and not any(side % block for side in sides)
    ]
    # Blocks of one pixel would do for stride 1 (the kernel turned round), a little faster. But
    # Paddle 3.3.1 ends in a segmentation fault where it fuses a convolution with LeakyReLU.
    return max(sizes, default=None)


def _taps(geometry: Geometry, axis: int, block: int) -> NDArray[np.int64]:
    """Return the tap at each ``[p, u]``, or the kernel's size where there is none."""
    kernel, stride = geometry.weight[2 + axis], geometry.stride[axis]
    first, last = _reach(geometry, axis, block)
    place, u = np.arange(block)[:, None], np.arange(last - first + 1)[None]
    tap = place + geometry.padding[2 * axis] - stride * (first + u)
    return np.where((tap >= 0) & (tap < kernel), tap, kernel)


def _padding(geometry: Geometry, axis: int, block: int) -> tuple[int, int]:
    """Return the padding before and after, for as many blocks as the image has."""
    blocks, stride = geometry.target[2 + axis] // block, block // geometry.stride[axis]
    first, last = _reach(geometry, axis, block)
    return -first, (blocks - 1) * stride + last + 1 - geometry.source[2 + axis]


def _reach(geometry: Geometry, axis: int, block: int) -> tuple[int, int]:
    """Return the first and the last input of block 0."""
    kernel, stride = geometry.weight[2 + axis], geometry.stride[axis]
    cut = geometry.padding[2 * axis]
    return -((kernel - 1 - cut) // stride), (block - 1 + cut) // stride


def _block_weight(
    weight: NDArray[np.float32], down: NDArray[np.int64], across: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the convolution's weight: each tap of ``[in, out, h, w]`` moved to its place."""
    with_none = np.pad(weight, ((0, 0), (0, 0), (0, 1), (0, 1)))
    # [in, out, p down, u down, p across, u across]
    moved = with_none[:, :, down[:, :, None, None], across[None, None]]
    fan_in, fan_out, block = weight.shape[0], weight.shape[1], len(down)
    moved = moved.transpose(1, 2, 4, 0, 3, 5)
    shape = (fan_out * block**2, fan_in, down.shape[1], across.shape[1])
    return np.ascontiguousarray(moved.reshape(shape), np.float32)
