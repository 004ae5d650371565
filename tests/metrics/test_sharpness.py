"""Sharpness: by hand, and what raises and lowers it."""

import numpy as np
import pytest

from ppgan_zoo.metrics.damage import DAMAGES, Pool
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.laplacian import modified_laplacian
from ppgan_zoo.metrics.metric import RealFeatures, take_metrics


def test_the_modified_laplacian_by_hand():
    dot = np.zeros((3, 3), np.uint8)
    dot[1, 1] = 9
    # The dot counts 18 along each axis, and each of its four neighbours 9.
    assert modified_laplacian(dot[None, None]).tolist() == [pytest.approx((2 * 18 + 4 * 9) / 9)]
    ramp = np.tile(np.arange(5, dtype=np.uint8) * 10, (4, 1))
    # A straight ramp bends at its two ends alone, beyond which it goes on flat.
    assert modified_laplacian(ramp[None, None]).tolist() == [pytest.approx(2 * 10 / 5)]
    both = np.stack([dot, np.zeros_like(dot)])[None]  # two channels of one image
    assert modified_laplacian(both)[0] == pytest.approx((2 * 18 + 4 * 9) / 18)


def test_it_is_of_any_size_and_the_same_in_parts():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (601, 1, 5, 7), dtype=np.uint8)
    whole = modified_laplacian(images)
    assert whole.shape == (601,) and whole.dtype == np.float32
    assert np.array_equal(whole[590:], modified_laplacian(images[590:]))
    assert modified_laplacian(np.full((2, 3, 1, 1), 7, np.uint8)).tolist() == [0, 0]
    board = np.indices((8, 8)).sum(axis=0) % 2 * 255
    assert modified_laplacian(board[None, None].astype(np.uint8))[0] <= 1020


def of(images):
    return FeatureSet(np.zeros((len(images), 2), np.float32), None,
                      sharpness=modified_laplacian(images))  # fmt: skip


def sharpness(samples, real):
    return take_metrics(of(samples), RealFeatures(of(real)), ["sharpness"])["sharpness"]


def test_real_images_have_one_and_damage_moves_it_as_it_should():
    from ppgan_zoo.data import load_image_set

    digits = load_image_set("mnist", offline=True, limit=400)
    pool = Pool(digits.images[:200], digits.labels[:200], digits.images[:200], digits.labels[:200])
    real = digits.images[200:]
    assert sharpness(pool.images, real) == pytest.approx(1, abs=0.05)
    for name, rising in (("blur", False), ("noise", True), ("grey specks", True)):
        damage = next(damage for damage in DAMAGES if damage.name == name)
        found = [
            sharpness(damage(pool, 200, strength).images, real) for strength in damage.strengths
        ]
        assert found == sorted(found, reverse=not rising)
        assert found[-1] > 1.5 if rising else found[-1] < 0.5
    assert np.isnan(sharpness(pool.images, np.zeros_like(real)))


def test_features_without_their_images_are_refused():
    bare = FeatureSet(np.zeros((2, 2), np.float32), None)
    with pytest.raises(ValueError, match="without their images"):
        take_metrics(bare, RealFeatures(bare), ["sharpness"])
