"""Compares functions of a whole batch in each process with those of all rows in one.

Each process leaves ``OUTPUT-RANK.npz`` of values and gradients, of its rows and of all of them.
"""

import sys
import time

import numpy as np

from ppgan_zoo import runtime

runtime.start("cpu", 1)

import paddle  # noqa: E402
from paddle import nn  # noqa: E402

from ppgan_zoo.distributed import pulse  # noqa: E402
from ppgan_zoo.distributed.batch_norm import share_batch_norms  # noqa: E402
from ppgan_zoo.distributed.collectives import average, drawn, own, whole  # noqa: E402
from ppgan_zoo.distributed.group import Group  # noqa: E402
from ppgan_zoo.models.stylegan2 import with_deviation  # noqa: E402

ROWS = np.random.default_rng(0).standard_normal((8, 3, 2, 2))


def penalty(function, rows, group):
    """Return a loss with a double gradient, and its gradient by what `function` learns."""
    weight = paddle.to_tensor(np.linspace(0.5, 1.5, 3).reshape(1, 3, 1, 1))
    weight.stop_gradient = False
    images = paddle.to_tensor(rows)
    images.stop_gradient = False
    with group.together():
        answer = function(images * weight)
        (slope,) = paddle.grad((answer**3).sum(), images, create_graph=True)
        loss = slope.square().mean() + answer.square().mean()
        loss.backward()
    return group.total(loss).item() / group.size, group.total(weight.grad).numpy() / group.size


def batch_norm():
    norm = nn.BatchNorm2D(3)
    norm.weight.set_value(paddle.to_tensor([0.5, 1.0, 2.0]))
    return norm


FUNCTIONS = {
    "average": lambda: lambda x: x * average(x.square().mean(axis=0, keepdim=True)),
    "whole": lambda: lambda x: x * whole(x).tanh().sum(axis=0, keepdim=True),
    "own": lambda: lambda x: own(whole(x) * whole(x).mean(axis=0, keepdim=True)),
    "deviation": lambda: lambda x: with_deviation(x, 4),
    "batch_norm": batch_norm,
}


def count_reductions():
    """Return a list that grows with each all-reduce from here on."""
    calls, reduce = [], paddle.distributed.all_reduce

    def counted(tensor):
        calls.append(tensor)
        reduce(tensor)

    paddle.distributed.all_reduce = counted
    return calls


def main(output):
    pulse.EVERY = 0.3
    group = Group.current()
    paddle.set_default_dtype("float64")
    found = {}
    for name, make in FUNCTIONS.items():
        for size, rows, of in ((1, ROWS, Group()), (group.size, group.own(ROWS), group)):
            function = make()
            if isinstance(function, nn.Layer):
                share_batch_norms(function, statistics="synchronised")
            found[f"{name} {size} loss"], found[f"{name} {size} gradient"] = penalty(
                function, rows, of
            )
            if isinstance(function, nn.Layer):
                found[f"{name} {size} statistics"] = function._variance.numpy()
    paddle.seed(4)
    found["drawn 1"] = paddle.randn([8, 2]).numpy()
    paddle.seed(4)
    with group.together():
        found["drawn mine"] = drawn(paddle.randn, [4, 2]).numpy()
    group_state = {"net": {"weight": np.arange(3.0), "count": np.array(5)}}
    if group.leads:
        group.send(group_state, {"number": 7})
        group.send(None, {})
    else:
        state, facts = group.receive()
        found["received"] = state["net"]["weight"]
        found["count"], found["number"] = state["net"]["count"], facts["number"]
        found["over"] = group.receive() is None
    reductions = count_reductions()
    with group.waited_for():
        time.sleep(2.0 if group.leads else 0.0)
    found["stop"] = group.agree(group.rank == 1)
    found["reductions"] = len(reductions)
    np.savez(f"{output}-{group.rank}.npz", **found)


if __name__ == "__main__":
    main(sys.argv[1])
