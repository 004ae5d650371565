"""Drawn textures: what is promised of kinds, colours, scale and direction."""

import numpy as np
import pytest

from ppgan_zoo.data.textures import TEXTURES, colour_names, draw_textures, mix, two_colours


@pytest.fixture(scope="module")
def drawn():
    return draw_textures(len(TEXTURES) * 40, 32, 3)


def test_a_set_is_a_function_of_its_seed(drawn):
    again = draw_textures(len(TEXTURES) * 40, 32, 3)
    np.testing.assert_array_equal(again.images, drawn.images)
    np.testing.assert_array_equal(again.factors, drawn.factors)
    assert not np.array_equal(draw_textures(32, 32, 4).images, drawn.images[:32])


def test_kinds_take_turns_and_no_two_pictures_are_equal(drawn):
    np.testing.assert_array_equal(drawn.labels[:20], np.arange(20) % len(TEXTURES))
    assert len({image.tobytes() for image in drawn.images}) == len(drawn.images)
    assert drawn.images.shape == (len(TEXTURES) * 40, 3, 32, 32)


def test_all_pixels_lie_between_two_colours_that_differ(drawn):
    """Of a mix of two colours each pixel is first + t (second - first), with one t."""
    pixels = drawn.images.reshape(len(drawn.images), 3, -1).astype(float)
    centred = pixels - pixels.mean(axis=2, keepdims=True)
    strengths = np.linalg.svd(centred, compute_uv=False)
    assert (strengths[:, 1] < 0.06 * strengths[:, 0] + 30).all()  # rounding alone
    # Three of 640 may hardly vary: a soft pattern may be seen at one of its flat places.
    assert np.sort(np.ptp(pixels, axis=2).max(axis=1))[3] > 30


def test_the_scale_and_the_direction_of_waves_are_those_of_the_factors():
    waves = draw_textures(len(TEXTURES) * 60, 32, 0)
    own = waves.labels == list(TEXTURES).index("wave")
    grey = waves.images[own].astype(float).mean(axis=1)
    spectra = np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True)))[:, :, :17]
    places = spectra.reshape(len(grey), -1).argmax(axis=1)
    rows, columns = places // 17, places % 17
    rows = np.where(rows > 16, rows - 32, rows)
    periods = np.hypot(rows, columns)
    # Between 1.5 and 6 periods in four steps of equal ratio: 2.1, 3 and 4.2 divide them.
    bounds = 1.5 * 4 ** (np.arange(5) / 4)
    scale = waves.factors[own, 2].astype(int)
    assert (periods > bounds[scale] - 0.9).all() and (periods < bounds[scale + 1] + 0.9).all()
    angle = np.arctan2(rows, columns) % np.pi * 4 / np.pi
    off = (angle - (waves.factors[own, 3] + 0.5) + 2) % 4 - 2
    fine = scale >= 2  # of few periods a spectrum tells the direction too coarsely
    assert (np.abs(off[fine]) < 0.8).all()


def test_two_colours_differ_and_have_names():
    colours = two_colours(500, np.random.default_rng(0)).astype(int)
    apart = np.abs(colours[:, 0] - colours[:, 1]).sum(axis=1)
    assert np.mean(apart > 150) > 0.99
    named = colour_names(np.array([[[255, 0, 0], [0, 128, 255]]], np.uint8))
    assert named.tolist() == [[4, 3]]


def test_grey_is_mixed_by_hand():
    mixed = mix(np.array([[[0.0, 0.5, 1.0]]]), np.array([[[10, 20, 30], [20, 0, 31]]], np.uint8))
    assert mixed.tolist() == [[[[10, 15, 20]], [[20, 10, 0]], [[30, 30, 31]]]]
