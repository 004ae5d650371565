"""Schedules against closed forms; optimizer state, put back bit by bit."""

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from ppgan_zoo.errors import CheckpointError, UnknownNameError
from ppgan_zoo.game.schedules import constant, cosine, inverse_time, linear, warmed_up
from ppgan_zoo.models.weights import trainable_parameters
from ppgan_zoo.training.optimizers import (
    OPTIMIZERS,
    load_optimizer_arrays,
    make_optimizer,
    optimizer_arrays,
)

# Schedules.


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (constant(0.3), {0: 0.3, 10**9: 0.3}),
        (linear(0.4, 100), {0: 0.4, 25: 0.3, 50: 0.2, 100: 0.0, 1000: 0.0}),
        (linear(0.4, 100, start=50), {0: 0.4, 50: 0.4, 75: 0.2, 100: 0.0}),
        (linear(0.4, 100, start=50, final=0.5), {49: 0.4, 75: 0.3, 100: 0.2, 200: 0.2}),
        (linear(0.4, 100, start=100, final=0.5), {99: 0.4, 100: 0.4, 101: 0.2}),
        (cosine(0.4, 100), {0: 0.4, 25: 0.2 + 0.2 * math.sqrt(0.5), 50: 0.2, 100: 0.0, 101: 0.0}),
        (cosine(0.4, 100, final=0.5), {0: 0.4, 50: 0.3, 100: 0.2}),
        (cosine(0.4, 0), {0: 0.4, 1: 0.0}),
        (inverse_time(0.4, 0.01), {0: 0.4, 100: 0.2, 300: 0.1}),
        (warmed_up(constant(0.3), 4), {0: 0.075, 1: 0.15, 3: 0.3, 4: 0.3, 99: 0.3}),
        (warmed_up(linear(0.4, 100), 50), {0: 0.008, 24: 0.152, 49: 0.204, 75: 0.1, 100: 0.0}),
    ],
)
def test_schedules(schedule, rates):
    for iteration, rate in rates.items():
        assert schedule(iteration) == pytest.approx(rate, abs=1e-12)


# Steps by hand: one parameter at 1, gradient 0.5, rate 0.1.


@pytest.mark.parametrize(
    ("name", "options", "after_one", "after_two"),
    [
        ("sgd", {}, 0.95, 0.90),
        ("momentum", {"momentum": 0.9}, 0.95, 0.95 - 0.1 * (0.9 * 0.5 + 0.5)),
        ("adam", {"beta1": 0.5, "beta2": 0.999}, 0.9, 0.8),  # bias-corrected: g over |g|
        ("adamw", {"weight_decay": 0.1}, 0.99 - 0.1, (0.99 - 0.1) * 0.99 - 0.1),
        ("rmsprop", {"rho": 0.9}, 1 - 0.05 / math.sqrt(0.1 * 0.25 + 1e-6),
         1 - 0.05 / math.sqrt(0.025 + 1e-6) - 0.05 / math.sqrt(0.0475 + 1e-6)),
    ],
)  # fmt: skip
def test_steps_by_hand(name, options, after_one, after_two):
    layer = nn.Linear(1, 1, bias_attr=False)
    layer.weight.set_value(np.ones((1, 1), np.float32))
    optimizer = make_optimizer(layer, name, learning_rate=0.1, **options)
    for wanted in (after_one, after_two):
        (layer.weight * 0.5).sum().backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
        assert layer.weight.item() == pytest.approx(wanted, rel=1e-5)


# State.

OPTIONS = {
    "adam": {"beta1": 0.5, "beta2": 0.9},
    "adamw": {"beta1": 0.5, "weight_decay": 0.1},
    "rmsprop": {"rho": 0.9, "momentum": 0.5},
    "momentum": {"momentum": 0.9, "weight_decay": 0.01},
    "sgd": {},
}


class Net(nn.Layer):
    """Convolution, norm and twelve dense layers: names such as w_1 and w_10, and statistics."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(1, 2, 3)
        self.norm = nn.BatchNorm2D(2)
        self.dense = nn.Sequential(*(nn.Linear(8, 8) for _ in range(12)))

    def forward(self, x):
        return self.dense(self.norm(self.conv(x)).reshape([x.shape[0], -1]))


def train(net, optimizer, iterations):
    for iteration in iterations:
        x = np.random.default_rng(iteration).normal(size=(4, 1, 4, 4)).astype(np.float32)
        net(paddle.to_tensor(x)).square().mean().backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)


def arrays_of(net):
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def same(left, right):
    assert set(left) == set(right)
    return all(
        left[k].dtype == right[k].dtype and left[k].tobytes() == right[k].tobytes() for k in left
    )


def trained(name, steps=3):
    paddle.seed(1)
    net = Net()
    optimizer = make_optimizer(net, name, learning_rate=0.01, **OPTIONS[name])
    train(net, optimizer, range(steps))
    return net, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_round_trips_into_a_later_net_and_training_goes_on_bit_by_bit(name):
    net, optimizer = trained(name)
    weights, state = arrays_of(net), optimizer_arrays(optimizer, {"net": net})
    train(net, optimizer, range(3, 7))

    # As in a resumed process that built other layers first: automatic names have shifted.
    [nn.Linear(2, 2) for _ in range(3)], nn.Conv2D(1, 1, 1), nn.BatchNorm2D(1)
    twin = Net()
    assert {p.name for p in twin.parameters()}.isdisjoint(p.name for p in net.parameters())
    fresh = make_optimizer(twin, name, learning_rate=0.01, **OPTIONS[name])
    load_optimizer_arrays(fresh, {"net": twin}, state)
    for key, tensor in twin.state_dict().items():
        tensor.set_value(weights[key])
    assert same(optimizer_arrays(fresh, {"net": twin}), state)

    train(twin, fresh, range(3, 7))
    assert same(arrays_of(twin), arrays_of(net))
    assert same(optimizer_arrays(fresh, {"net": twin}), optimizer_arrays(optimizer, {"net": net}))


@pytest.mark.parametrize(
    ("name", "accumulators"),
    [
        ("adam", {"moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"}),
        ("adamw", {"moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"}),
        ("rmsprop", {"momentum", "mean_square", "mean_grad"}),
        ("momentum", {"velocity"}),
        ("sgd", set()),
    ],
)
def test_every_trainable_parameter_has_its_accumulators(name, accumulators):
    net, optimizer = trained(name)
    trainable = {n for n, p in net.named_parameters() if not p.stop_gradient}
    assert len(trainable) == 28  # conv 2, norm 2, twelve times 2
    assert set(optimizer_arrays(optimizer, {"net": net})) == {
        f"{n}|{a}" for n in trainable for a in accumulators
    }


def test_adams_moments_are_where_they_belong():
    # beta1 0.5, beta2 0.9, one step: moment1 is g / 2, moment2 is g^2 / 10.
    paddle.seed(1)
    net = Net()
    optimizer = make_optimizer(net, "adam", learning_rate=0.01, **OPTIONS["adam"])
    net(paddle.ones([4, 1, 4, 4])).square().mean().backward()
    gradients = {n: p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None}
    optimizer.step()
    state = optimizer_arrays(optimizer, {"net": net})
    for name, gradient in gradients.items():
        np.testing.assert_allclose(state[f"{name}|moment1"], 0.5 * gradient, rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(
            state[f"{name}|moment2"], gradient**2 / 10, rtol=1e-4, atol=1e-12
        )


def test_a_name_that_begins_another_is_told_apart():
    names = ["kernel", "kernel_1", "kernel_1_0"]
    attributes = [paddle.ParamAttr(name=name) for name in names]
    net = nn.Sequential(*(nn.Linear(2, 2, weight_attr=a, bias_attr=False) for a in attributes))
    optimizer = make_optimizer(net, "momentum", learning_rate=0.1, momentum=0.5)
    net(paddle.ones([1, 2])).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in net.named_parameters()}
    optimizer.step()
    state = optimizer_arrays(optimizer, {"net": net})
    assert set(state) == {"0.weight|velocity", "1.weight|velocity", "2.weight|velocity"}
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(state[f"{name}|velocity"], gradient)


def test_the_optimizer_leaves_running_statistics_alone():
    net, optimizer = trained("momentum")
    assert len(net.parameters()) == len(trainable_parameters(net)) + 2
    assert not any(
        "_mean" in key or "_variance" in key for key in optimizer_arrays(optimizer, {"net": net})
    )


# Refusals.


def test_unknown_optimizer():
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'adm' \(did you mean 'adam'"):
        make_optimizer(nn.Linear(1, 1), "adm", learning_rate=1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("conv.weight|moment1"), "'conv.weight|moment1' is missing"),
        (lambda state: state.update(odd=np.zeros(1)), "'odd' is not expected"),
        (lambda state: state.update({"conv.bias|moment2": np.zeros((3,), np.float32)}),
         "conv.bias|moment2 has shape (3,), needed (2,)"),
        (lambda state: state.clear(), "is missing"),
    ],
)  # fmt: skip
def test_state_of_another_net_is_refused(change, words):
    net, optimizer = trained("adam", steps=1)
    state = optimizer_arrays(optimizer, {"net": net})
    change(state)
    with pytest.raises(CheckpointError) as caught:
        load_optimizer_arrays(optimizer, {"net": net}, state)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_state_of_another_optimizer_is_refused():
    net, optimizer = trained("momentum", steps=1)
    state = optimizer_arrays(optimizer, {"net": net})
    with pytest.raises(CheckpointError, match="written with another optimizer or model"):
        load_optimizer_arrays(make_optimizer(net, "adam", learning_rate=0.1), {"net": net}, state)
