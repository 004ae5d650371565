"""Winograd's convolutions: the algorithm itself, where it is used, and its exactness there.

``test_ops.py`` compares them with Paddle's, on every shape there.
"""

import math

import numpy as np
import paddle
import pytest

from ppgan_zoo.ops import convolution, paddle_convolution, winograd
from ppgan_zoo.ops.geometry import Geometry
from ppgan_zoo.ops.paddle_convolution import plain_convolve

# The zoo's convolutions with many channels, at the batch size of their recipe.
BOOKS_UP1 = Geometry(True, (128, 128, 7, 7), (128, 128, 5, 5), False, (2, 2), (2, 1, 2, 1))
BOOKS_CONV2 = Geometry(False, (128, 64, 12, 12), (128, 64, 5, 5), False, (1, 1), (0, 0, 0, 0))
DROPOUTS_UP1 = Geometry(True, (64, 512, 4, 4), (512, 256, 4, 4), False, (1, 1), (0, 0, 0, 0))
KERAS_CONV4 = Geometry(False, (64, 128, 4, 4), (256, 128, 5, 5), False, (1, 1), (2, 2, 2, 2))
FASHIONS_CONV2 = Geometry(False, (128, 64, 14, 14), (128, 64, 4, 4), False, (2, 2), (1, 1, 1, 1))


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tensor(array):
    return paddle.to_tensor(array, stop_gradient=False)


@pytest.mark.parametrize("points", winograd.FINITE_POINTS)
def test_products_of_values_at_points_are_a_filtered_signal(points):
    for taps in range(1, points + 1):
        outputs = points + 1 - taps
        signal, weights = np.random.default_rng(0).standard_normal((2, points))
        a, g, b = winograd._by_points(outputs, taps)
        found = a.T @ ((g @ weights[:taps]) * (b @ signal))
        wanted = np.correlate(signal, weights[:taps], "valid")
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_rounding_errors_grow_as_estimated():
    a, g, b = (matrix.astype(np.float32) for matrix in winograd._by_points(4, 5))
    signals, weights = draw((8, 2000)), draw((5, 2000), 1)
    found = a.T @ ((g @ weights) * (b @ signals))
    windows = np.lib.stride_tricks.sliding_window_view(signals.astype(np.float64), 5, axis=0)
    wanted = np.einsum("isk,ks->is", windows, weights)
    # Each of the n values is rounded a few times, to 24 bits, before they are summed.
    error = np.sqrt(((found - wanted) ** 2).mean(axis=1)).max() / math.sqrt(5)
    growth = winograd._growth(a, g, b)
    assert 0.3 < error / (growth * 2.0**-24) < 3


def test_few_channels_small_batches_and_long_filters_stay_direct(monkeypatch):
    monkeypatch.setattr(winograd, "convolve", None)
    to_an_image = Geometry(True, (128, 128, 14, 14), (128, 1, 5, 5), False, (2, 2), (2, 1, 2, 1))
    single = Geometry(False, (1, 64, 12, 12), (128, 64, 5, 5), False, (1, 1), (0, 0, 0, 0))
    long = Geometry(False, (1, 2, 30, 30), (2, 2, 9, 9), False, (1, 1), (0, 0, 0, 0))
    assert winograd.cost(long) == math.inf
    for geometry in (to_an_image, single, long):
        x, weight = paddle.zeros(geometry.source), paddle.zeros(geometry.weight)
        assert paddle_convolution.convolve(geometry, x, weight, None).shape == [*geometry.target]


def test_without_a_trial_it_takes_what_it_usually_makes_faster():
    for product in (convolution.OUTPUT, convolution.INPUT, convolution.FILTERS):
        for geometry in (BOOKS_UP1, BOOKS_CONV2, DROPOUTS_UP1, KERAS_CONV4):
            assert convolution.forms_of(product, geometry)[0] == "winograd"
        assert convolution.forms_of(product, FASHIONS_CONV2)[0] == "onednn"


@pytest.mark.parametrize(
    "geometry",
    [BOOKS_UP1, BOOKS_CONV2, DROPOUTS_UP1, KERAS_CONV4, FASHIONS_CONV2],
    ids=["up1", "conv2", "dropout", "keras", "fashion"],
)
def test_a_whole_batch_is_equal(geometry):
    assert winograd.cost(geometry) < paddle_convolution.HIGHEST_COST
    arrays = draw(geometry.source), draw(geometry.weight, 1)
    gradient = paddle.to_tensor(draw(geometry.target, 2))
    results = []
    for convolve in (winograd.convolve, plain_convolve):
        x, weight = map(tensor, arrays)
        y = convolve(geometry, x, weight, None)
        results.append([t.numpy() for t in (y, *paddle.grad(y, [x, weight], gradient))])
    for found, wanted in zip(*results, strict=True):
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("transposed", [False, True])
def test_second_gradients_of_both_kinds_are_equal(transposed):
    source, weight = ((2, 4, 4, 5), (4, 3, 3, 3)) if transposed else ((2, 4, 8, 9), (3, 4, 3, 3))
    geometry = Geometry(transposed, source, weight, False, (2, 2), (1, 0, 0, 0))
    # The gradient of |T x|^2 / 2 is T'T x, and each of T and T' is a convolution of Paddle's.
    arrays = draw(geometry.source), draw(geometry.weight, 1)

    def second(first):
        x, weight = map(tensor, arrays)
        grads = paddle.grad((first(x, weight) ** 2).sum(), [x, weight])
        return [grad.numpy() for grad in grads]

    def differentiated(x, weight):
        y = winograd.convolve(geometry, x, weight, None)
        return paddle.grad((y * y).sum() / 2, [x], create_graph=True)[0]

    def composed(x, weight):
        y = plain_convolve(geometry, x, weight, None)
        return plain_convolve(geometry.reversed(), y, weight, None)

    for found, wanted in zip(second(differentiated), second(composed), strict=True):
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
