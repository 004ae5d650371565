"""ImageSet and the scaling of pixels."""

import hashlib
import json

import numpy as np
import pytest

from ppgan_zoo.data import ImageSet, scale_to_range, to_uint8
from ppgan_zoo.errors import ConfigError, DataError

PIXELS = np.arange(256, dtype=np.uint8)


def image_set(count=5, shape=(1, 2, 3), labels=True, classes=None):
    images = np.arange(count * np.prod(shape), dtype=np.uint8).reshape(count, *shape)
    numbers = np.arange(count, dtype=np.int64) if labels else None
    return ImageSet.of(
        "tiny", images, numbers, source="directory", location="/somewhere", classes=classes
    )


def test_scaling_is_the_correctly_rounded_formula():
    scaled = scale_to_range(PIXELS, (-1.0, 1.0))
    assert scaled.dtype == np.float32
    expected = np.array([np.float32(p / 127.5 - 1) for p in range(256)])
    np.testing.assert_array_equal(scaled, expected)
    assert scaled[[0, 255]].tolist() == [-1.0, 1.0]
    np.testing.assert_array_equal(
        scale_to_range(PIXELS, (0.0, 1.0)), np.array([np.float32(p / 255) for p in range(256)])
    )


@pytest.mark.parametrize("image_range", [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-0.5, 3.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_to_uint8_is_the_exact_inverse(image_range, dtype):
    scaled = scale_to_range(PIXELS, image_range).astype(dtype)
    np.testing.assert_array_equal(to_uint8(scaled, image_range), PIXELS)


def test_to_uint8_rounds_to_nearest_and_clips():
    values = np.array([-9, -1, -0.997, -0.995, 0.995, 0.997, 1, 9, np.inf, -np.inf], np.float32)
    # -0.997 is pixel 0.38, -0.995 is pixel 0.64.
    assert to_uint8(values, (-1.0, 1.0)).tolist() == [0, 0, 0, 1, 254, 255, 255, 255, 255, 0]


def test_to_uint8_refuses_nan():
    with pytest.raises(DataError, match="1 of 2 values are NaN"):
        to_uint8(np.array([0.0, np.nan], np.float32), (-1.0, 1.0))


@pytest.mark.parametrize("image_range", [(1.0, -1.0), (0.0, 0.0), (0.0, np.inf), (np.nan, 1.0)])
def test_ranges_that_are_none(image_range):
    with pytest.raises(ConfigError, match="image range"):
        scale_to_range(PIXELS, image_range)
    with pytest.raises(ConfigError, match="image range"):
        to_uint8(np.zeros(3, np.float32), image_range)


def test_describe_is_plain_json():
    described = image_set(labels=False).describe()
    assert json.loads(json.dumps(described)) == {
        "name": "tiny",
        "source": "directory",
        "location": "/somewhere",
        "count": 5,
        "image_shape": [1, 2, 3],
        "sha256": hashlib.sha256(bytes(range(30))).hexdigest(),
    }
    assert image_set().describe() == {**described, "classes": 5}


def test_the_number_of_classes():
    assert image_set(labels=False).num_classes == 0
    assert image_set().num_classes == 5  # labels 0 to 4, of no names
    named = image_set(classes=tuple("abcdef"))
    assert (named.num_classes, named.describe()["classes"]) == (6, 6)


def test_classes_are_carried_along():
    named = image_set(shape=(1, 2, 2), classes=tuple("abcde"))
    for other in (named.limit(2), named.resized(4, 3), named.limit(3).resized(8, 1)):
        assert other.classes == named.classes
        assert set(other.labels.tolist()) <= set(range(5)) and len(other.labels) == len(other)
    assert named.replaced(named.images).classes is None


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (None, ("a", "b"), "classes without labels"),
        ([0, -1], None, "labels from -1 to 0; give 0 and up"),
        ([0, 2], ("a", "b"), "labels from 0 to 2; give 0 to 1"),
        ([0, 1], ("a", "a"), "two classes have one name"),
    ],
)
def test_labels_and_classes_that_do_not_fit(labels, classes, words):
    labels = None if labels is None else np.array(labels)
    pixels = np.zeros((2, 1, 1, 1), np.uint8)
    with pytest.raises(DataError, match=f"^x: {words}"):
        ImageSet.of("bad", pixels, labels, source="directory", location="x", classes=classes)


def test_limit():
    limited = image_set().limit(2)
    assert len(limited) == 2
    at = limited.labels.tolist()
    assert at == sorted(at) and len(set(at)) == 2
    np.testing.assert_array_equal(limited.images, image_set().images[at])
    assert limited.sha256 == hashlib.sha256(limited.images.tobytes()).hexdigest()
    assert image_set(labels=False).limit(2).labels is None
    whole = image_set()
    assert whole.limit(5) is whole
    assert whole.limit(99) is whole
    with pytest.raises(ConfigError):
        whole.limit(0)


def test_resized_keeps_flat_images_flat_and_repeats_grey():
    images = np.full((2, 1, 28, 28), 7, np.uint8)
    images[1] = 200
    resized = ImageSet.of("flat", images, source="directory", location="x").resized(32, 3)
    assert resized.image_shape == (3, 32, 32)
    assert (resized.images[0] == 7).all()
    assert (resized.images[1] == 200).all()


def test_resized_to_grey_is_the_luma_of_itu_r_601():
    images = np.zeros((3, 3, 4, 4), np.uint8)
    for colour in range(3):
        images[colour, colour] = 255
    grey = ImageSet.of("rgb", images, source="folder", location="x").resized(4, 1).images
    # 0.299, 0.587 and 0.114 of 255.
    assert grey[:, 0, 0, 0].tolist() == [76, 150, 29]


def test_resized_to_the_same_form_changes_nothing():
    same = ImageSet.of("s", np.zeros((1, 1, 4, 4), np.uint8), source="folder", location="x")
    assert same.resized(4, 1) is same
    with pytest.raises(ConfigError):
        same.resized(0, 1)
    with pytest.raises(ConfigError):
        same.resized(4, 2)
    with pytest.raises(DataError, match="at most 8 GiB"):
        same.resized(100_000, 1)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 3, 3), np.uint8), None),
        (np.zeros((2, 1, 3, 3), np.float32), None),
        (np.zeros((0, 1, 3, 3), np.uint8), None),
        (np.zeros((2, 1, 3, 3), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((2, 1, 3, 3), np.uint8), np.zeros(2, np.uint8)),
    ],
)
def test_arrays_of_another_form_are_refused(images, labels):
    with pytest.raises(DataError, match=r"^x: "):
        ImageSet.of("bad", images, labels, source="directory", location="x")
