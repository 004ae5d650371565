"""Batch norm of a batch that several processes share.

Paddle has none on the CPU. Here the moments are averaged over the processes, in a way whose
gradients are right, and the second ones too.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
import paddle
from paddle import Tensor, nn

from ppgan_zoo.distributed.collectives import average, whole
from ppgan_zoo.distributed.group import active

Statistics = Literal["synchronised", "local"]
KINDS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)
LOCAL = "of_own_images"


def share_batch_norms(*nets: nn.Layer, statistics: Statistics) -> None:
    """Let the batch norms of nets be those of a group, in train mode inside a step.

    A layer is changed if its class is Paddle's own; a subclass may compute something else.

    Args:
        *nets: The nets.
        statistics: ``"synchronised"``: of the images of all processes; ``"local"``: of those of
            each process, as if one process took the whole batch in as many parts. The running
            statistics are the same in all processes either way.
    """
    classes = _classes()
    for net in nets:
        for layer in net.sublayers(include_self=True):
            if type(layer) in classes:
                layer.__class__ = classes[type(layer)]
            if type(layer) in classes.values():
                setattr(layer, LOCAL, statistics == "local")


@functools.cache
def _classes() -> dict[Any, Any]:
    def shared(kind: Any) -> Any:
        def forward(self: Any, x: Tensor) -> Tensor:
            if active().size > 1 and self.training and not self._use_global_stats:
                return _normalised(self, x)
            return kind.forward(self, x)

        return type(kind.__name__, (kind,), {"forward": forward, "__doc__": kind.__doc__})

    return {kind: shared(kind) for kind in KINDS}


def _normalised(layer: Any, x: Tensor) -> Tensor:
    """Return a batch with mean 0 and variance 1 in each channel, scaled and shifted."""
    channel = 1 if layer._data_format.startswith("NC") else x.ndim - 1
    axes = [axis for axis in range(x.ndim) if axis != channel]
    across = [-1 if axis == channel else 1 for axis in range(x.ndim)]
    local = getattr(layer, LOCAL)
    over = (lambda value: value) if local else average
    mean = over(x.mean(axis=axes))
    centred = x - mean.reshape(across)
    variance = over(centred.square().mean(axis=axes))
    _follow(layer, mean, variance, local)
    scale = (variance + _float32(layer._epsilon)).rsqrt()
    if layer.weight is not None:
        scale = scale * layer.weight
    normalised = centred * scale.reshape(across)
    return normalised if layer.bias is None else normalised + layer.bias.reshape(across)


@paddle.no_grad()
def _follow(layer: Any, mean: Tensor, variance: Tensor, local: bool) -> None:
    """Take a batch into the running statistics; of local ones, process after process."""
    seen = paddle.stack([mean.detach(), variance.detach()]).unsqueeze(0)
    for one in whole(seen) if local else seen:
        for running, value in zip((layer._mean, layer._variance), one, strict=True):
            momentum = _float32(layer._momentum)
            paddle.assign(momentum * running + (1.0 - momentum) * value, running)


def _float32(number: float) -> float:
    """Return a number as Paddle's own batch norm takes it, in float64 too."""
    return float(np.float32(number))
