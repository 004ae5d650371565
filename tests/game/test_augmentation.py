"""DiffAugment: each policy against its formula in numpy, and gradients to the images."""

import numpy as np
import paddle
import pytest

from ppgan_zoo.errors import ConfigError, UnknownNameError
from ppgan_zoo.game.augmentation import Augmentation, augment, color, cutout, translation
from ppgan_zoo.registry import AUGMENTATIONS

SHAPE = (6, 3, 16, 24)


def images(shape=SHAPE):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def rng():
    return np.random.default_rng(7)


def test_color_follows_the_formula():
    x = images().astype(np.float64)
    brightness, saturation, contrast = rng().random((6, 3, 1, 1, 1)).swapaxes(0, 1)
    x = x + brightness - 0.5
    mean = x.mean(axis=1, keepdims=True)
    x = (x - mean) * saturation * 2 + mean
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    x = (x - mean) * (contrast + 0.5) + mean
    np.testing.assert_allclose(color(paddle.to_tensor(images()), rng()).numpy(), x, atol=1e-5)


def test_translation_moves_each_image_by_its_own_whole_steps():
    moved = translation(paddle.to_tensor(images()), rng()).numpy()
    draws = rng()
    rows, columns = draws.integers(-2, 3, 6), draws.integers(-3, 4, 6)
    assert len(set(zip(rows, columns, strict=True))) > 3
    for image, got, down, right in zip(images(), moved, rows, columns, strict=True):
        padded = np.pad(image, ((0, 0), (3, 3), (3, 3)))
        wanted = padded[:, 3 - down : 19 - down, 3 - right : 27 - right]
        np.testing.assert_array_equal(got, wanted)


def test_translation_may_fill_up_with_the_mirror_image():
    moved = translation(paddle.to_tensor(images()), rng(), mirror=True).numpy()
    draws = rng()
    rows, columns = draws.integers(-2, 3, 6), draws.integers(-3, 4, 6)
    for image, got, down, right in zip(images(), moved, rows, columns, strict=True):
        padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), mode="reflect")
        wanted = padded[:, 3 - down : 19 - down, 3 - right : 27 - right]
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("shape", [(50, 2, 8, 8), (50, 1, 7, 9)])
def test_cutout_blanks_one_rectangle_of_half_the_sides(shape):
    kept = cutout(paddle.ones(shape), rng()).numpy()
    height, width = (shape[2] + 1) // 2, (shape[3] + 1) // 2
    assert set(np.unique(kept)) == {0.0, 1.0}
    for image in kept:
        assert (image == image[0]).all()  # all channels alike
        rows, columns = np.nonzero(image[0] == 0)
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert area == len(rows) and np.ptp(rows) < height and np.ptp(columns) < width
    sizes = (kept[:, 0] == 0).sum((1, 2))
    assert sizes.max() == height * width and sizes.min() < height * width  # some over the edge


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_gradients_flow_to_the_images(name):
    # Each policy is affine in the images: a difference quotient is exact but for rounding.
    x = paddle.to_tensor(images(), stop_gradient=False)
    weights = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    (augment(x, [name], rng(), 0.9) * paddle.to_tensor(weights)).sum().backward()
    direction = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    ends = [
        augment(paddle.to_tensor(images() + sign * direction), [name], rng(), 0.9).numpy()
        for sign in (1, -1)
    ]
    wanted = ((ends[0].astype(np.float64) - ends[1]) / 2 * weights).sum()
    assert (x.grad.numpy() * direction).sum() == pytest.approx(wanted, rel=1e-3)


def test_an_augmentation_of_ones_own_takes_arguments():
    def shade(images, rng, *, by: float = 0.1):
        return images - by

    x, shading = paddle.to_tensor(images()), Augmentation("shade", shade)
    for one, by in ((shading, 0.1), (shading.having(by=0.25), 0.25)):
        np.testing.assert_allclose(augment(x, [one], rng()).numpy(), images() - by, atol=1e-6)
    half = augment(x, [shading.having(by=0.25)], rng(), 0.5).numpy() - images()
    by_image = half.reshape(len(half), -1)
    assert set(by_image[:, 0].round(4)) == {0.0, -0.25} and np.ptp(by_image, axis=1).max() < 1e-6
    with pytest.raises(
        ConfigError, match="augment: shade: by: found 'much'; input should be a val"
    ):
        shading.having(by="much")


def test_policies_are_applied_in_order_and_draw_one_after_the_other():
    x, draws = paddle.to_tensor(images()), rng()
    wanted = cutout(color(x, draws), draws).numpy()
    got = augment(x, ["color", "cutout"], rng()).numpy()
    assert got.tobytes() == wanted.tobytes()
    assert augment(x, [], rng()) is x
    with pytest.raises(UnknownNameError, match="did you mean 'color'"):
        augment(x, ["colour"], rng())


def test_a_probability_augments_some_of_the_images():
    x = paddle.to_tensor(np.ones((400, 1, 8, 8), np.float32))
    changed = augment(x, ["cutout"], np.random.default_rng(0), probability=0.25).numpy()
    share = (changed != 1.0).any(axis=(1, 2, 3)).mean()
    assert 0.17 < share < 0.33  # five standard deviations
    for probability, wanted in ((0.0, 0.0), (1.0, 1.0)):
        same = augment(x, ["cutout"], np.random.default_rng(0), probability=probability).numpy()
        assert (same != 1.0).any(axis=(1, 2, 3)).mean() == wanted
