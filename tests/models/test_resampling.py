"""Doubling and halving: Paddle's own numbers, gradients and gradients of gradients."""

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from ppgan_zoo.models import resampling
from ppgan_zoo.models.resampling import doubled, halved, max_pooled

RNG = np.random.default_rng(0)
SHAPES = [(2, 3, 4, 6), (1, 2, 7, 5), (3, 1, 2, 66), (2, 2, 3, 64)]


def plainly_doubled(x):
    count, channels, height, width = x.shape
    x = x.reshape([count, channels, height, 1, width, 1]).expand([-1, -1, -1, 2, -1, 2])
    return x.reshape([count, channels, 2 * height, 2 * width])


WAYS = {
    "doubled": (doubled, plainly_doubled),
    "halved": (halved, lambda x: F.avg_pool2d(x, 2)),
    "max_pooled": (max_pooled, lambda x: F.max_pool2d(x, 2)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WAYS)
def test_values_and_gradients_are_paddles_own(name, shape):
    results = []
    for way in WAYS[name]:
        x = paddle.to_tensor(RNG.normal(size=shape).astype(np.float32), stop_gradient=False)
        x.set_value(np.arange(x.size, dtype=np.float32).reshape(shape) * 7 % 31 / 31)
        y = way(x)
        weights = np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape)
        (y * paddle.to_tensor(weights)).sum().backward()
        results.append((y.numpy(), x.grad.numpy()))
    for found, wanted in zip(*results, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_each_pixel_is_repeated():
    x = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    got = doubled(paddle.to_tensor(x)).numpy()
    np.testing.assert_array_equal(got, x.repeat(2, axis=2).repeat(2, axis=3))


def test_halved_undoes_doubled():
    x = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(halved(doubled(paddle.to_tensor(x))).numpy(), x)


@pytest.mark.parametrize("name", WAYS)
def test_a_penalty_of_the_gradient_has_a_gradient(name):
    """Of ``sum(gradient ** 2)``, against differences of it, in float64."""
    way, _ = WAYS[name]
    given = RNG.normal(size=(2, 2, 4, 6))

    def penalty(values):
        x = paddle.to_tensor(values, stop_gradient=False)
        # The cube makes the gradient depend on the pooled values, and so on x.
        (slope,) = paddle.grad([(way(x) ** 3).sum()], [x], create_graph=True)
        return x, slope.square().sum()

    x, value = penalty(given)
    value.backward()
    direction, step = RNG.normal(size=given.shape), 1e-6
    ahead, behind = (float(penalty(given + s * direction)[1]) for s in (step, -step))
    assert (ahead - behind) / (2 * step) == pytest.approx(
        float((x.grad.numpy() * direction).sum()), rel=1e-6
    )


def test_a_product_is_used_up_to_a_width(monkeypatch):
    used = []
    product = paddle.matmul
    monkeypatch.setattr(resampling.paddle, "matmul", lambda *a: used.append(1) or product(*a))
    for width in (resampling.WIDEST_PRODUCT, resampling.WIDEST_PRODUCT + 2):
        doubled(paddle.ones([1, 1, 2, width]))
        halved(paddle.ones([1, 1, 2, width]))
    assert len(used) == 2
