"""The Inception network of the published FID figures and torchvision's, without weights.

This is Inception v3 (Szegedy et al. 2016, Rethinking the Inception Architecture for
Computer Vision) as the frozen TensorFlow graph of 2015-12-05 has it, which Heusel et al.
2017 chose for FID. It differs from the paper, and from torchvision, in three ways: average
pooling leaves the padding out of the mean, the last block pools by maximum, and it tells
1008 classes apart. :data:`FID` and :data:`TORCHVISION` say which is which. Batch norms are
folded into the convolutions when weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.nn import functional as F

from ppgan_zoo.metrics.reference_weights import ReferenceWeights

IMAGE_SIZE = 299
FEATURES = 2048


@dataclass(frozen=True)
class _Unit:
    """A convolution and its ReLU: name, channels out, kernel, stride, whether it is padded."""

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


@dataclass(frozen=True)
class _Branch:
    """A pooling, units in a row, and units side by side at the end; each part may be empty."""

    row: tuple[_Unit, ...] = ()
    pooling: str = ""  # "mean", "maximum", or "halve": maximum at stride 2
    fork: tuple[_Unit, ...] = ()


_Block = tuple[_Branch, ...]


@dataclass(frozen=True)
class Layout:
    """In what the two networks differ.

    Attributes:
        name: Of the feature network.
        classes: How many it tells apart.
        middle: Which pixel value becomes 0; 0 becomes -1.
        leaves_out_padding: Whether a mean at the border is of the pixels inside alone.
        last_pooling: Of the last block.
        has_bias: Whether the logits have the last layer's bias.
        unused: What the names of weights begin with that only training needs.
    """

    name: str
    classes: int
    middle: float
    leaves_out_padding: bool
    last_pooling: str
    has_bias: bool
    unused: tuple[str, ...] = ()


# The Inception Score leaves the bias out.
FID = Layout("inception-v3", 1008, 128.0, True, "maximum", False)
TORCHVISION = Layout("inception-v3-torchvision", 1000, 127.5, False, "mean", True, ("AuxLogits.",))


def _block_a(pooled: int) -> _Block:
    """35 x 35: kernels of 5 and of 3 twice."""
    return (
        _Branch((_Unit("branch1x1", 64),)),
        _Branch((_Unit("branch5x5_1", 48), _Unit("branch5x5_2", 64, (5, 5)))),
        _Branch((
            _Unit("branch3x3dbl_1", 64),
            _Unit("branch3x3dbl_2", 96, (3, 3)),
            _Unit("branch3x3dbl_3", 96, (3, 3)),
        )),
        _Branch((_Unit("branch_pool", pooled),), pooling="mean"),
    )  # fmt: skip


def _block_b() -> _Block:
    """35 x 35 to 17 x 17."""
    return (
        _Branch((_Unit("branch3x3", 384, (3, 3), 2, padded=False),)),
        _Branch((
            _Unit("branch3x3dbl_1", 64),
            _Unit("branch3x3dbl_2", 96, (3, 3)),
            _Unit("branch3x3dbl_3", 96, (3, 3), 2, padded=False),
        )),
        _Branch(pooling="halve"),
    )  # fmt: skip


def _block_c(inner: int) -> _Block:
    """17 x 17: kernels of 7 as rows and columns."""
    return (
        _Branch((_Unit("branch1x1", 192),)),
        _Branch((
            _Unit("branch7x7_1", inner),
            _Unit("branch7x7_2", inner, (1, 7)),
            _Unit("branch7x7_3", 192, (7, 1)),
        )),
        _Branch((
            _Unit("branch7x7dbl_1", inner),
            _Unit("branch7x7dbl_2", inner, (7, 1)),
            _Unit("branch7x7dbl_3", inner, (1, 7)),
            _Unit("branch7x7dbl_4", inner, (7, 1)),
            _Unit("branch7x7dbl_5", 192, (1, 7)),
        )),
        _Branch((_Unit("branch_pool", 192),), pooling="mean"),
    )  # fmt: skip


def _block_d() -> _Block:
    """17 x 17 to 8 x 8."""
    return (
        _Branch((_Unit("branch3x3_1", 192), _Unit("branch3x3_2", 320, (3, 3), 2, padded=False))),
        _Branch((
            _Unit("branch7x7x3_1", 192),
            _Unit("branch7x7x3_2", 192, (1, 7)),
            _Unit("branch7x7x3_3", 192, (7, 1)),
            _Unit("branch7x7x3_4", 192, (3, 3), 2, padded=False),
        )),
        _Branch(pooling="halve"),
    )  # fmt: skip


def _block_e(pooling: str) -> _Block:
    """8 x 8: rows and columns side by side."""
    return (
        _Branch((_Unit("branch1x1", 320),)),
        _Branch(
            (_Unit("branch3x3_1", 384),),
            fork=(_Unit("branch3x3_2a", 384, (1, 3)), _Unit("branch3x3_2b", 384, (3, 1))),
        ),
        _Branch(
            (_Unit("branch3x3dbl_1", 448), _Unit("branch3x3dbl_2", 384, (3, 3))),
            fork=(_Unit("branch3x3dbl_3a", 384, (1, 3)), _Unit("branch3x3dbl_3b", 384, (3, 1))),
        ),
        _Branch((_Unit("branch_pool", 192),), pooling=pooling),
    )


_STEM = (
    _Unit("Conv2d_1a_3x3", 32, (3, 3), 2, padded=False),
    _Unit("Conv2d_2a_3x3", 32, (3, 3), padded=False),
    _Unit("Conv2d_2b_3x3", 64, (3, 3)),
    None,  # halve
    _Unit("Conv2d_3b_1x1", 80),
    _Unit("Conv2d_4a_3x3", 192, (3, 3), padded=False),
    None,
)

_BLOCKS = {  # but for the last one, Mixed_7c
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": _block_b(),
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": _block_d(),
    "Mixed_7b": _block_e("mean"),
}


def _convolution(before: int, unit: _Unit) -> Any:
    padding = [side // 2 if unit.padded else 0 for side in unit.kernel]
    return nn.Conv2D(before, unit.channels, unit.kernel, stride=unit.stride, padding=padding)


def _pool(x: Any, pooling: str, leaves_out_padding: bool = True) -> Any:
    if pooling == "mean":
        return F.avg_pool2d(x, 3, stride=1, padding=1, exclusive=leaves_out_padding)
    if pooling == "maximum":
        return F.max_pool2d(x, 3, stride=1, padding=1)
    return F.max_pool2d(x, 3, stride=2)


class _Inception(nn.Layer):
    """One block: what its branches say, side by side.

    Args:
        before: Channels in.
        block: Its branches.
        leaves_out_padding: As of :class:`Layout`.
    """

    def __init__(self, before: int, block: _Block, leaves_out_padding: bool) -> None:
        super().__init__()
        self._block, self._leaves_out_padding = block, leaves_out_padding
        self.channels = 0
        for branch in block:
            channels = before
            for unit in branch.row:
                self.add_sublayer(unit.name, _convolution(channels, unit))
                channels = unit.channels
            for unit in branch.fork:
                self.add_sublayer(unit.name, _convolution(channels, unit))
            self.channels += sum(unit.channels for unit in branch.fork) or channels

    def forward(self, x: Any) -> Any:
        """Map ``[N, before, H, W]`` to ``[N, channels, H', W']``."""
        parts = []
        for branch in self._block:
            y = _pool(x, branch.pooling, self._leaves_out_padding) if branch.pooling else x
            for unit in branch.row:
                y = F.relu(getattr(self, unit.name)(y))
            forked = [F.relu(getattr(self, unit.name)(y)) for unit in branch.fork]
            parts += forked or [y]
        return paddle.concat(parts, axis=1)


class Inception(nn.Layer):
    """Images to 2048 features and logits.

    Args:
        layout: Which of the two it is.
    """

    def __init__(self, layout: Layout = FID) -> None:
        super().__init__()
        self.layout = layout
        channels = 3
        for unit in _STEM:
            if unit is not None:
                self.add_sublayer(unit.name, _convolution(channels, unit))
                channels = unit.channels
        blocks = {**_BLOCKS, "Mixed_7c": _block_e(layout.last_pooling)}
        for name, block in blocks.items():
            self.add_sublayer(name, _Inception(channels, block, layout.leaves_out_padding))
            channels = getattr(self, name).channels
        self._blocks = tuple(blocks)
        self.fc = nn.Linear(channels, layout.classes)

    def forward(self, images: Any) -> tuple[Any, Any]:
        """Return features ``[N, 2048]`` and logits ``[N, classes]``.

        Args:
            images: Float ``[N, 1 or 3, H, W]``, 0 to 255.
        """
        x = resize(images.expand([-1, 3, -1, -1]), IMAGE_SIZE)
        x = (x - self.layout.middle) / self.layout.middle
        for unit in _STEM:
            x = _pool(x, "halve") if unit is None else F.relu(getattr(self, unit.name)(x))
        for name in self._blocks:
            x = getattr(self, name)(x)
        features = x.mean(axis=[2, 3])
        return features, self.fc(features) if self.layout.has_bias else features @ self.fc.weight


def resize(images: Any, size: int) -> Any:
    """Return images at ``size x size``, as TensorFlow 1 resized them.

    Bilinear, with the upper left corners of the two images' pixels aligned and not their
    centres, and no smoothing where the image shrinks.

    Args:
        images: Float ``[N, C, H, W]``.
        size: Height and width of the result.
    """
    for axis in (3, 2):
        side = images.shape[axis]
        # In float32, as there: a position may fall on the other side of a pixel otherwise.
        position = np.arange(size, dtype=np.float32) * np.float32(side / size)
        low = position.astype(np.int64)
        high = np.minimum(low + 1, side - 1)
        share = paddle.to_tensor(position - low.astype(np.float32)).astype(images.dtype)
        share = share.reshape([size, 1] if axis == 2 else [size])
        first = paddle.index_select(images, paddle.to_tensor(low), axis=axis)
        second = paddle.index_select(images, paddle.to_tensor(high), axis=axis)
        images = first + (second - first) * share
    return images


def state_from_reference(
    arrays: Mapping[str, NDArray[np.floating]], network: Inception, where: str
) -> dict[str, NDArray[np.float64]]:
    """Return the state of `network` from the weights of the reference implementation.

    Args:
        arrays: By PyTorch's names: ``NAME.conv.weight``, ``NAME.bn.weight``, ``.bias``,
            ``.running_mean``, ``.running_var``; ``fc.weight`` and ``fc.bias``.
        network: Says which names and shapes are wanted.
        where: The file, for errors.

    Raises:
        ConfigError: An array is missing, of another shape, not finite, or unknown.
    """
    layout = network.layout
    left = ReferenceWeights(arrays, layout.name, where, layout.unused)
    state: dict[str, NDArray[np.float64]] = {}
    for name, layer in network.named_sublayers():
        if isinstance(layer, nn.Conv2D):
            state[f"{name}.weight"], state[f"{name}.bias"] = left.take_folded(
                f"{name}.conv", f"{name}.bn", list(layer.weight.shape)
            )
    state["fc.weight"] = left.take("fc.weight", [layout.classes, FEATURES]).T
    state["fc.bias"] = left.take("fc.bias", [layout.classes])
    left.check_all_taken()
    return state
