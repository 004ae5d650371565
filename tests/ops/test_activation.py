"""LeakyReLU whose gradient is oneDNN's: Paddle's own numbers, to the bit."""

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from ppgan_zoo import ops
from ppgan_zoo.ops import activation

SHAPE = [3, 5, 7, 2]


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(activation, "LEAST_NUMBERS", 1)


@pytest.fixture
def used(monkeypatch):
    calls, plain = [], activation.relu_gradient
    monkeypatch.setattr(
        activation, "relu_gradient", lambda *a, **k: calls.append(1) or plain(*a, **k)
    )
    return calls


def drawn(seed=0):
    values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    values.flat[:3] = 0.0, -np.inf, np.inf
    return paddle.to_tensor(values, stop_gradient=False)


@pytest.mark.skipif(ops.library() is None, reason="needs oneDNN")
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_values_and_gradients_are_paddles_to_the_bit(slope, used):
    results = []
    for function in (ops.leaky_relu, F.leaky_relu if slope else lambda x, slope: F.relu(x)):
        x = drawn()
        y = function(x, slope)
        (gradient,) = paddle.grad([y], [x], [drawn(1).detach()])
        results.append((y.numpy(), gradient.numpy()))
    assert len(used) == 1
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.skipif(ops.library() is None, reason="needs oneDNN")
@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_the_gradient_of_a_gradient_is_paddles(slope, used):
    results = []
    for function in (ops.leaky_relu, F.leaky_relu):
        x = paddle.to_tensor(drawn(3).numpy()[1:], stop_gradient=False)
        loss = (function(x * x.tanh(), slope) ** 2).sum()
        (first,) = paddle.grad([loss], [x], create_graph=True)
        first.square().sum().backward()
        results.append((first.numpy(), x.grad.numpy()))
    assert used
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_paddles_own_is_used_where_nothing_is_gained(used, monkeypatch):
    def gradient_of(x):
        y = ops.relu(x)
        return paddle.grad([y.sum()], [x])

    with ops.native():
        gradient_of(drawn())
    monkeypatch.setenv("PPGAN_ZOO_OPS", "off")
    gradient_of(drawn())
    monkeypatch.delenv("PPGAN_ZOO_OPS")
    gradient_of(paddle.to_tensor(drawn().numpy(), dtype="float64", stop_gradient=False))
    monkeypatch.setattr(activation, "LEAST_NUMBERS", 1000)
    gradient_of(drawn())
    assert not used


def test_without_gradients_nothing_is_kept(used):
    x = drawn()
    with paddle.no_grad():
        assert ops.leaky_relu(x, 0.1).stop_gradient
    assert ops.relu(x.detach()).stop_gradient
