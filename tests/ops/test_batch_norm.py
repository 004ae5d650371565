"""Batch norm that is differentiated twice: Paddle's numbers, in operations that are fast."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppgan_zoo import ops
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.ops import batch_norm

RNG = np.random.default_rng(0)
CASES = {(6, 5): nn.BatchNorm1D, (4, 3, 5, 7): nn.BatchNorm2D}


def drawn(shape, dtype="float64"):
    return RNG.normal(1.0, 2.0, shape).astype(dtype)


class AsRows(nn.Layer):
    """Flattens; Paddle's own layer for that has no double gradient."""

    def forward(self, x):
        return x.reshape([x.shape[0], -1])


@pytest.fixture
def float64():
    paddle.set_default_dtype("float64")
    yield
    paddle.set_default_dtype("float32")


def layer_like(kind, features, other=None):
    layer = kind(features, momentum=0.7)
    if other is None:
        layer.weight.set_value(drawn([features]))
        layer.bias.set_value(drawn([features]))
    else:
        layer.set_state_dict(other.state_dict())
    return layer


@pytest.mark.parametrize("shape", CASES)
def test_values_averages_and_all_gradients_are_paddles(shape, float64):
    paddles = layer_like(CASES[shape], shape[1])
    ours = layer_like(CASES[shape], shape[1], paddles)
    x0, results = drawn(shape), []
    for norm, function in ((paddles, paddles), (ours, lambda x: batch_norm.normalised(ours, x))):
        x = paddle.to_tensor(x0, stop_gradient=False)
        y = function(x * 1.0)
        (slope,) = paddle.grad([y.tanh().sum()], [x], create_graph=True)
        slope.square().sum().backward()
        tensors = (y, slope, x.grad, norm.weight.grad, norm.bias.grad, norm._mean, norm._variance)
        results.append([tensor.numpy() for tensor in tensors])
    for place, (wanted, found) in enumerate(zip(*results, strict=True)):
        # Paddle holds epsilon and momentum in float32.
        close = 1e-9 if place < 5 else 1e-7
        np.testing.assert_allclose(found, wanted, rtol=close, atol=1e-9, err_msg=str(place))


def test_a_penalty_goes_through_it_and_nothing_else_does(monkeypatch):
    used, normalised = [], batch_norm.normalised
    monkeypatch.setattr(batch_norm, "normalised", lambda *a: used.append(1) or normalised(*a))
    paddle.seed(0)
    net = nn.Sequential(
        nn.Conv2D(2, 3, 3), nn.BatchNorm2D(3), nn.Tanh(), AsRows(), nn.Linear(27, 4),
        nn.BatchNorm1D(4), nn.Linear(4, 1),
    )  # fmt: skip
    images = paddle.to_tensor(drawn([6, 2, 5, 5], "float32"))
    results = []
    for accelerated in (False, True):
        (ops.accelerate if accelerated else ops.restore)(net)
        net.clear_gradients()
        squared_gradient_norms(net, images).sum().backward()
        learning = [p for p in net.parameters() if p.grad is not None]
        results.append([p.grad.numpy() for p in learning])
        net(images)
    assert len(used) == 2
    for wanted, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    net.eval()
    with ops.input_gradients():
        net(images)
    assert len(used) == 2


@pytest.mark.parametrize(
    "options", [{"use_global_stats": True}, {"weight_attr": False}, {"data_format": "NHWC"}]
)
def test_others_are_paddles(options):
    layer, x = nn.BatchNorm2D(3, **options), paddle.ones([2, 3, 3, 3])
    assert not batch_norm.fits(layer, x)
