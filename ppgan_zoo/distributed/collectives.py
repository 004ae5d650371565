"""What a net, a loss or a term asks of the whole batch, of which a process has its rows.

Inside a step of several processes (:meth:`ppgan_zoo.distributed.group.Group.together`) these
functions look at all of it; elsewhere the rows at hand are all. Whatever is a mean over
images needs none of them: the loss of the group is the mean of its processes' losses, and the mean
of the means of equal shares is the mean.

Gradients are those of that mean, as often as they are taken: the gradient of a sum over the
processes is the sum of their gradients, and a row's is the sum of what all processes make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import Tensor, distributed
from paddle.autograd import PyLayer

from ppgan_zoo.distributed.group import Group, active


def average(value: Tensor) -> Tensor:
    """Return the mean over the processes of a tensor that is a mean over a process's images."""
    group = active()
    return value if group.size == 1 else _Sum.apply(value) / group.size


def whole(rows: Tensor) -> Tensor:
    """Return the rows ``[N, ...]`` of all processes, in the order of the whole batch.

    Each process has as many. Meant for what is small, such as logits.
    """
    group = active()
    return rows if group.size == 1 else _Gather.apply(rows, group)


def own(rows: Tensor) -> Tensor:
    """Return this process's rows of a tensor of the whole batch, such as :func:`whole` returns."""
    mine: Tensor = active().own(rows)
    return mine


def drawn(draw: Callable[[list[int]], Any], shape: Sequence[int]) -> Any:
    """Return what `draw` gives this process of what it draws for the whole batch.

    Paddle's seed is the same in all processes: noise and dropout that are drawn through this are
    those of one process.

    Args:
        draw: From a shape to a tensor or an array.
        shape: Of this process's rows ``[N, ...]``.
    """
    group = active()
    first, *rest = shape
    return group.own(draw([first * group.size, *rest]))


class _Sum(PyLayer):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed: Tensor = _Sum.apply(gradient)
        return summed


class _Gather(PyLayer):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: Group) -> Tensor:
        ctx.group = group
        parts: list[Tensor] = []
        distributed.all_gather(parts, rows.contiguous())
        return paddle.concat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        mine: Tensor = ctx.group.own(_Sum.apply(gradient))
        return mine
