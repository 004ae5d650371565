"""EfficientNet-Lite0, a small network that knows photographs, without weights.

EfficientNet (Tan and Le 2019) without squeeze and excitation and with ReLU6, as its authors made
it for phones; trained on the 1,000 classes of ImageNet, of which it names 75 of 100 rightly.
Layers pad as TensorFlow does: where a stride of 2 leaves an odd pixel, it is added below and to
the right. Batch norms are folded into the convolutions when weights are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from paddle import nn
from paddle.nn import functional as F

from ppgan_zoo.metrics.classifier import Standardise
from ppgan_zoo.metrics.reference_weights import ReferenceWeights

NAME = "efficientnet-lite0"
IMAGE_SIZE = 224
FEATURES = 1280
CLASSES = 1000
MEAN, SCALE = 127.0, 128.0
"""A pixel p, 0 to 255, enters as (p - MEAN) / SCALE."""

_STEM = 32


class _Stage(NamedTuple):
    """Blocks in a row: count, side of depthwise kernels, first stride, widening, channels."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def _convolution(before: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
    both = kernel - stride  # of maps whose sides are multiples of the stride
    padding = [both // 2, both - both // 2] * 2
    return nn.Conv2D(before, channels, kernel, stride=stride, padding=padding, groups=groups)


class _Block(nn.Layer):
    """An inverted residual: widen, filter each channel by itself, narrow."""

    def __init__(self, before: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        wide = before * stage.expansion
        if stage.expansion > 1:
            self.expand = _convolution(before, wide, 1)
        self.filter = _convolution(wide, wide, stage.kernel, stride, groups=wide)
        self.project = _convolution(wide, stage.channels, 1)
        self._widens = stage.expansion > 1
        self._adds = stride == 1 and before == stage.channels

    def forward(self, x: Any) -> Any:
        """Map ``[N, C, H, W]`` to ``[N, channels, H / stride, W / stride]``."""
        y = F.relu6(self.expand(x)) if self._widens else x
        y = self.project(F.relu6(self.filter(y)))
        return x + y if self._adds else y


class _Trunk(nn.Layer):
    """The stem and some stages of blocks."""

    def __init__(self, stages: tuple[_Stage, ...]) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM, 3, 2)
        blocks, before = [], _STEM
        for stage in stages:
            for place in range(stage.repeats):
                blocks.append(_Block(before, stage, 1 if place else stage.stride))
                before = stage.channels
        self.blocks = nn.LayerList(blocks)

    def _maps(self, images: Any) -> Any:
        """Return the maps at the end of the last stage of images ``[N, 3, H, W]``, 0 to 255."""
        x = F.relu6(self.stem((images - MEAN) / SCALE))
        for block in self.blocks:
            x = block(x)
        return x


class EfficientNet(_Trunk):
    """Images to 1280 features and logits."""

    def __init__(self) -> None:
        super().__init__(_STAGES)
        self.head = _convolution(_STAGES[-1].channels, FEATURES, 1)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Any) -> tuple[Any, Any]:
        """Return features ``[N, 1280]``, means over all positions, and logits ``[N, 1000]``.

        Args:
            images: Float ``[N, 3, 224, 224]``, 0 to 255.
        """
        features = F.relu6(self.head(self._maps(images))).mean(axis=[2, 3])
        return features, self.fc(features)


class Photos(_Trunk):
    """The first five stages: images to 112 features, and no logits.

    Each feature has mean 0 and variance 1 over some photographs, so that none outweighs the others
    and the scale suits KID's kernel.
    """

    features = _STAGES[4].channels

    def __init__(self) -> None:
        super().__init__(_STAGES[:5])
        self.standardise = Standardise(self.features)

    def forward(self, images: Any) -> tuple[Any, None]:
        """Return features ``[N, 112]``, standardised means over all positions, and None.

        Args:
            images: Float ``[N, 3, H, W]``, 0 to 255, both sides multiples of 16.
        """
        return self.standardise(self._maps(images).mean(axis=[2, 3])), None


def state_from_reference(
    arrays: Mapping[str, NDArray[np.floating]], network: EfficientNet, where: str
) -> dict[str, NDArray[np.float64]]:
    """Return the state of `network` from the weights of the PyTorch package.

    Args:
        arrays: By the names of ``efficientnet_lite_pytorch``: ``_conv_stem.weight``,
            ``_blocks.N._depthwise_conv.weight``, ``_blocks.N._bn1.running_mean``, ...
        network: Says which shapes are wanted.
        where: The file, for errors.

    Raises:
        ConfigError: An array is missing, of another shape, not finite, or unknown.
    """
    left = ReferenceWeights(arrays, NAME, where)
    state: dict[str, NDArray[np.float64]] = {}
    for name, layer, convolution, norm in _named(network):
        state[f"{name}.weight"], state[f"{name}.bias"] = left.take_folded(
            convolution, norm, list(layer.weight.shape)
        )
    state["fc.weight"] = left.take("_fc.weight", [CLASSES, FEATURES]).T
    state["fc.bias"] = left.take("_fc.bias", [CLASSES])
    left.check_all_taken()
    return state


def _named(network: EfficientNet) -> Iterator[tuple[str, Any, str, str]]:
    """Yield each convolution with its name, and with the package's for it and for its norm."""
    yield "stem", network.stem, "_conv_stem", "_bn0"
    for place, block in enumerate(network.blocks):
        theirs = {"expand": ("_expand_conv", "_bn0"), "filter": ("_depthwise_conv", "_bn1"),
                  "project": ("_project_conv", "_bn2")}  # fmt: skip
        for part, (convolution, norm) in theirs.items():
            if hasattr(block, part):
                own, there = f"blocks.{place}", f"_blocks.{place}"
                yield (
                    f"{own}.{part}",
                    getattr(block, part),
                    f"{there}.{convolution}",
                    f"{there}.{norm}",
                )
    yield "head", network.head, "_conv_head", "_bn1"
