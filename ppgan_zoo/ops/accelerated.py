"""Paddle's dense and convolution layers with another way to compute them while they train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ppgan_zoo.ops import batch_norm, differentiation
from ppgan_zoo.ops.dense import Compute, Dense, fits, through
from ppgan_zoo.ops.geometry import Geometry

Convolve = Callable[[Geometry, Tensor, Tensor, Any], Tensor]


def accelerated_classes(
    chosen: Callable[[], Convolve | None],
    chosen_dense: Callable[[], Compute | None],
) -> dict[type[nn.Layer], type[nn.Layer]]:
    """Return, for each of Paddle's layers that can be accelerated, its accelerated class.

    The classes add no state, so that a layer may change between the two at any time.

    Args:
        chosen: Says how to compute convolutions at the moment; None as Paddle does.
        chosen_dense: Says the same of dense layers.
    """

    # Each forward is as plain as can be: Paddle 2 exports by rewriting its source.
    class Conv2D(nn.Conv2D):  # type: ignore[misc]
        """``nn.Conv2D``, faster in train mode."""

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return in_training(self, x)
            return nn.Conv2D.forward(self, x)

    class Conv2DTranspose(nn.Conv2DTranspose):  # type: ignore[misc]
        """``nn.Conv2DTranspose``, faster in train mode."""

        def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
            if self.training and output_size is None:
                return transposed_in_training(self, x)
            return nn.Conv2DTranspose.forward(self, x, output_size)

    class BatchNorm1D(nn.BatchNorm1D):  # type: ignore[misc]
        """``nn.BatchNorm1D``, faster where its gradient is differentiated."""

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return normalised_in_training(self, x, nn.BatchNorm1D.forward)
            return nn.BatchNorm1D.forward(self, x)

    class BatchNorm2D(nn.BatchNorm2D):  # type: ignore[misc]
        """``nn.BatchNorm2D``, faster where its gradient is differentiated."""

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return normalised_in_training(self, x, nn.BatchNorm2D.forward)
            return nn.BatchNorm2D.forward(self, x)

    class DenseLayer(nn.Linear):  # type: ignore[misc]
        """``nn.Linear``, faster in train mode."""

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return dense_in_training(self, x)
            return nn.Linear.forward(self, x)

    class Sequential(nn.Sequential):  # type: ignore[misc]
        """``nn.Sequential``, with dense layers and their activations at once in train mode."""

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return sequence_in_training(self, x)
            return nn.Sequential.forward(self, x)

    def normalised_in_training(
        layer: Any, x: Tensor, plain: Callable[[Any, Tensor], Tensor]
    ) -> Tensor:
        if differentiation.is_of_input_alone() and batch_norm.fits(layer, x):
            return batch_norm.normalised(layer, x)
        return plain(layer, x)

    def dense_in_training(layer: nn.Linear, x: Tensor) -> Tensor:
        alone = [Dense(layer.weight, layer.bias)]
        if (compute := chosen_dense()) and fits(x, alone):
            return compute(x, alone)
        return nn.Linear.forward(layer, x)

    def sequence_in_training(sequence: nn.Sequential, x: Tensor) -> Tensor:
        if compute := chosen_dense():
            return through(list(sequence._sub_layers.values()), x, DenseLayer, compute)
        return nn.Sequential.forward(sequence, x)

    def in_training(layer: nn.Conv2D, x: Tensor) -> Tensor:
        if (convolve := chosen()) and (geometry := _geometry(layer, x)):
            return convolve(geometry, x, layer.weight, layer.bias)
        return nn.Conv2D.forward(layer, x)

    def transposed_in_training(layer: nn.Conv2DTranspose, x: Tensor) -> Tensor:
        if (convolve := chosen()) and (geometry := transposed_geometry(layer, x)):
            return convolve(geometry, x, layer.weight, layer.bias)
        return nn.Conv2DTranspose.forward(layer, x)

    return {
        nn.BatchNorm1D: BatchNorm1D,
        nn.BatchNorm2D: BatchNorm2D,
        nn.Conv2D: Conv2D,
        nn.Conv2DTranspose: Conv2DTranspose,
        nn.Linear: DenseLayer,
        nn.Sequential: Sequential,
    }


def convolve_with(
    convolve: Convolve | None, layer: nn.Conv2D, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Return what `layer` makes of `x` with these weights, by `convolve` where it can."""
    if convolve and (geometry := _geometry(layer, x)):
        return convolve(geometry, x, weight, bias)
    return F.conv2d(
        x, weight, bias, stride=layer._stride, padding=layer._padding, groups=layer._groups
    )


def _geometry(layer: nn.Conv2D, x: Tensor) -> Geometry | None:
    """Return what to compute, or None where only Paddle's own code will do."""
    if not _is_plain(layer, x) or layer._padding_mode != "zeros":
        return None
    stride = tuple(layer._stride)
    padding = []
    for axis in (0, 1):
        side, kernel, step = x.shape[2 + axis], layer.weight.shape[2 + axis], stride[axis]
        ends = _ends(layer, axis, side, kernel, step)
        if ends is None or side + sum(ends) < kernel:
            return None
        # Without the rows that no window reaches, so that the reverse gives back `side`.
        unused = (side + sum(ends) - kernel) % step
        padding += [ends[0], ends[1] - unused]
    return _checked(layer, x, transposed=False, stride=stride, padding=padding)


def transposed_geometry(layer: nn.Conv2DTranspose, x: Tensor) -> Geometry | None:
    """Return what `layer` computes of `x`, or None for what a :class:`Geometry` cannot say."""
    if not _is_plain(layer, x) or isinstance(layer._padding, str):
        return None
    extra = layer.output_padding
    extras = [extra, extra] if isinstance(extra, int) else list(extra)
    stride = tuple(layer._stride)
    padding = []
    for axis in (0, 1):
        ends = _ends(layer, axis, 0, 0, 1)
        if ends is None:
            return None
        padding += [ends[0], ends[1] - extras[axis]]
    return _checked(layer, x, transposed=True, stride=stride, padding=padding)


def _checked(
    layer: Any, x: Tensor, *, transposed: bool, stride: tuple[int, ...], padding: list[int]
) -> Geometry | None:
    down, across = stride
    top, bottom, left, right = padding
    # What oneDNN takes: the end of an image may be cut, by less than a stride.
    if min(top, left) < 0 or bottom <= -down or right <= -across:
        return None
    geometry = Geometry(
        transposed=transposed,
        source=tuple(x.shape),
        weight=tuple(layer.weight.shape),
        bias=layer.bias is not None,
        stride=(down, across),
        padding=(top, bottom, left, right),
        groups=layer._groups,
    )
    return geometry if min(geometry.target) > 0 else None


def _is_plain(layer: Any, x: Tensor) -> bool:
    return bool(
        x.ndim == 4
        and x.shape[1] == layer._in_channels
        and min(x.shape) > 0
        and list(layer._dilation) == [1, 1]
        and layer._data_format == "NCHW"
        and x.dtype == layer.weight.dtype == paddle.float32
        and x.place.is_cpu_place()
    )


def _ends(layer: Any, axis: int, side: int, kernel: int, stride: int) -> tuple[int, int] | None:
    """Return the padding before and after an image along one axis, as Paddle reads it."""
    padding = layer._padding
    if isinstance(padding, str):
        if padding.upper() == "VALID":
            return 0, 0
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        return total // 2, total - total // 2
    if isinstance(padding, int):
        return padding, padding
    if all(isinstance(value, int) for value in padding):
        if len(padding) == 2:
            return padding[axis], padding[axis]
        if len(padding) == 4:
            return padding[2 * axis], padding[2 * axis + 1]
    return None
