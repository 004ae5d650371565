"""Resampling by FIR filters against numbers worked out by hand, NumPy and finite differences."""

import numpy as np
import paddle
import pytest

from ppgan_zoo.models.fir import downsample, fir, upsample


def oracle(images, up, down, padding, gain, taps):
    """The definition, pixel by pixel: zeros between, zeros around, convolve, pick."""
    n, c, h, w = images.shape
    between = np.zeros((n, c, h * up, w * up))
    between[:, :, ::up, ::up] = images
    around = np.pad(between, ((0, 0), (0, 0), padding, padding))
    kernel = np.outer(taps, taps)[::-1, ::-1] * gain / np.sum(taps) ** 2
    size = len(taps)
    rows, columns = around.shape[2] - size + 1, around.shape[3] - size + 1
    out = np.empty((n, c, rows, columns))
    for i in range(rows):
        for j in range(columns):
            out[:, :, i, j] = (around[:, :, i : i + size, j : j + size] * kernel).sum((2, 3))
    return out[:, :, ::down, ::down]


def impulse(side, at):
    image = np.zeros((1, 1, side, side), np.float32)
    image[0, 0, at, at] = 1.0
    return paddle.to_tensor(image)


def test_the_filter_is_the_one_of_the_papers():
    kernel = fir(impulse(7, 3)).numpy()[0, 0]
    assert kernel.shape == (4, 4)
    np.testing.assert_allclose(kernel[0], np.array([1, 3, 3, 1]) / 64, rtol=1e-6)
    np.testing.assert_allclose(kernel[1], np.array([3, 9, 9, 3]) / 64, rtol=1e-6)


def test_an_impulse_doubled_sums_to_four():
    np.testing.assert_allclose(upsample(impulse(6, 3)).sum().item(), 4.0, rtol=1e-6)


@pytest.mark.parametrize(("resample", "edge"), [(downsample, 7 / 8), (upsample, 3 / 4)])
def test_a_map_of_ones_fades_at_the_border_alone(resample, edge):
    out = resample(paddle.ones([2, 3, 8, 8])).numpy()
    assert out.shape == ((2, 3, 4, 4) if resample is downsample else (2, 3, 16, 16))
    np.testing.assert_allclose(out[:, :, 1:-1, 1:-1], 1.0, rtol=1e-6)
    for border in (out[:, :, 0, 1:-1], out[:, :, -1, 1:-1], out[:, :, 1:-1, 0]):
        np.testing.assert_allclose(border, edge, rtol=1e-6)
    np.testing.assert_allclose(out[:, :, [0, 0, -1, -1], [0, -1, 0, -1]], edge**2, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 7, 7), (1, 2, 5, 9)])
@pytest.mark.parametrize(
    "options",
    [
        {"up": 2, "padding": (2, 1), "gain": 4.0},
        {"down": 2, "padding": (1, 1)},
        {"up": 2, "padding": (3, 2), "gain": 4.0},  # before a 3x3 convolution, in StyleGAN2
        {"padding": (2, 2)},
        {"up": 3, "down": 2, "padding": (0, 4), "gain": 0.5, "taps": (1.0, 2.0, 4.0)},
    ],
)
def test_it_is_what_the_definition_says(shape, options):
    images = np.random.default_rng(0).standard_normal(shape)
    expected = oracle(
        images,
        options.get("up", 1),
        options.get("down", 1),
        options["padding"],
        options.get("gain", 1.0),
        options.get("taps", (1, 3, 3, 1)),
    )
    np.testing.assert_allclose(
        fir(paddle.to_tensor(images), **options).numpy(), expected, atol=1e-12
    )


@pytest.mark.parametrize("resample", [upsample, downsample])
def test_a_penalty_on_the_gradient_has_the_gradient_that_finite_differences_find(resample):
    def penalty(x):
        value = resample(x).pow(3).sum()
        (gradient,) = paddle.grad(value, x, create_graph=True)
        return gradient.square().sum()

    start = np.random.default_rng(1).standard_normal((1, 2, 4, 4))
    x = paddle.to_tensor(start, stop_gradient=False)
    penalty(x).backward()
    found = x.grad.numpy()
    step = 1e-5
    for place in [(0, 0, 0, 0), (0, 1, 2, 3), (0, 0, 3, 1)]:
        sides = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * step
            sides.append(penalty(paddle.to_tensor(moved, stop_gradient=False)).item())
        np.testing.assert_allclose(found[place], (sides[0] - sides[1]) / (2 * step), rtol=1e-6)


def test_an_image_smaller_than_the_filter_is_refused():
    with pytest.raises(ValueError, match="a side of 3 pixels, padded, is shorter than 4 taps"):
        fir(paddle.ones([1, 1, 3, 3]))


def test_it_is_exported(tmp_path):
    class Net(paddle.nn.Layer):
        def forward(self, x):
            return downsample(upsample(x).tanh())

    net = Net()
    net.eval()
    shape = paddle.static.InputSpec([None, 2, 4, 6], "float32", "x")
    paddle.jit.save(net, str(tmp_path / "net"), input_spec=[shape])
    x = paddle.to_tensor(np.random.default_rng(2).standard_normal((3, 2, 4, 6)).astype(np.float32))
    found = paddle.jit.load(str(tmp_path / "net"))(x)
    np.testing.assert_allclose(found.numpy(), net(x).numpy(), atol=1e-6)
