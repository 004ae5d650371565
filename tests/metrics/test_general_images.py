"""What the general network is trained on: sources, labels and factors."""

import numpy as np
import pytest

from ppgan_zoo.data import load_image_set
from ppgan_zoo.data.avatars import load_factors
from ppgan_zoo.metrics import general_images
from ppgan_zoo.metrics.factor_training import NO_VALUE
from ppgan_zoo.metrics.general_images import CLASSES, COUNTS, GROUPS, SOURCES, load_general_images


@pytest.fixture(scope="module")
def test():
    return load_general_images("test")


def rows_of(split, source):
    counts = list(split.counts.values())
    place = SOURCES.index(source)
    return slice(sum(counts[:place]), sum(counts[: place + 1]))


def test_each_source_has_its_own_classes_side_by_side(test):
    assert test.images.images.shape == (4000, 3, 32, 32)
    assert test.images.num_classes == CLASSES == len(GROUPS) == 46
    start = 0
    for source in SOURCES:
        labels = test.images.labels[rows_of(test, source)]
        assert len(labels) == 1000
        assert set(labels) == set(range(start, start + COUNTS[source]))
        start += COUNTS[source]


def test_it_is_the_same_every_time(test):
    assert load_general_images("test").images.sha256 == test.images.sha256


def test_avatars_keep_their_factors_and_others_have_colours(test):
    avatars = test.factors[rows_of(test, "avatars")]
    np.testing.assert_array_equal(avatars, load_factors("test"))
    for source, known in (("mnist", 2), ("fashion_mnist", 2), ("textures", 4)):
        factors = test.factors[rows_of(test, source)]
        assert (factors[:, :known] < 8).all() and (factors[:, known:] == NO_VALUE).all()


def test_digits_are_those_at_the_end_of_the_embedded_set_and_one_in_four_is_white(test):
    digits = test.images.images[rows_of(test, "mnist")]
    labels = test.images.labels[rows_of(test, "mnist")] - 10
    embedded = load_image_set("mnist", offline=True, notify=lambda _line: None)
    np.testing.assert_array_equal(labels, embedded.labels[9000:10000])
    grey = (digits == digits[:, :1]).all(axis=(1, 2, 3))
    assert np.mean(grey) == pytest.approx(0.25, abs=0.05)
    corners = digits[grey][:, :, 0, 0]
    assert not corners.any()


def test_training_images_are_others_than_test_images(monkeypatch, test):
    monkeypatch.setattr(general_images, "_TEXTURES", {"train": 200})
    monkeypatch.setattr(general_images, "_TIMES", {"train": 1})
    train = load_general_images("train")
    assert train.counts == {
        "avatars": 5000, "mnist": 9000, "fashion_mnist": 9000, "textures": 200
    }  # fmt: skip
    shared = {image.tobytes() for image in train.images.images}
    assert not any(image.tobytes() in shared for image in test.images.images)
