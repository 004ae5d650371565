"""The kind of data ``prepared``: mapped, checked, in batches, and on to evaluation."""

import gc
import hashlib
import json
import mmap

import numpy as np
import pytest

from ppgan_zoo.data import Batches, load_image_set
from ppgan_zoo.data import prepared as prepared_module
from ppgan_zoo.data.mapped import fetch, forget, is_mapped, map_npy
from ppgan_zoo.data.npy import HEADER_BYTES, header
from ppgan_zoo.data.prepare.layout import is_prepared
from ppgan_zoo.data.prepare.prepare import prepare
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.errors import DataError

PIXELS = np.random.default_rng(3).integers(0, 256, (60, 8, 12, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    np.savez(
        tmp_path / "in.npz", x_train=PIXELS[:50], y_train=np.arange(50) % 5,
        x_test=PIXELS[50:], y_test=np.arange(10) % 5,
    )  # fmt: skip
    prepare(tmp_path / "in.npz", tmp_path / "set", Settings((8, 12)), jobs=1)
    return tmp_path / "set"


def base_of(array):
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array


def test_images_stay_in_their_file(folder):
    images = load_image_set("prepared", directory=folder)
    assert is_mapped(images.images) and is_mapped(images.images[3:7])
    assert not is_mapped(images.images.copy()) and not is_mapped(images.images[[1, 2]])
    assert not images.images.flags.writeable
    np.testing.assert_array_equal(images.images, PIXELS[:50].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(images.images, np.load(folder / "train_images.npy"))
    assert images.image_shape == (3, 8, 12)
    assert images.describe()["source"] == "prepared"
    assert images.sha256 == hashlib.sha256(images.images.tobytes()).hexdigest()
    assert len(load_image_set("prepared", directory=folder, split="test")) == 10


def test_a_file_larger_than_memory_is_mapped(tmp_path):
    """A sparse terabyte: nothing of it is there, and nothing is read but what is looked at."""
    shape = (1 << 28, 3, 36, 36)
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(header(shape, "|u1"))
        file.truncate(HEADER_BYTES + int(np.prod(shape)))
    rows = map_npy(tmp_path / "a.npy")
    assert rows.shape == shape and rows[[5, 1 << 27, -1]].sum() == 0
    forget(rows)
    assert rows[-1].sum() == 0


def test_the_header_is_one_that_numpy_reads(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a.npy").write_bytes(header(values.shape, "|u1") + values.tobytes())
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)
    np.testing.assert_array_equal(map_npy(tmp_path / "a.npy"), values)
    np.save(tmp_path / "b.npy", values)
    np.testing.assert_array_equal(map_npy(tmp_path / "b.npy"), values)


def test_forgetting_changes_no_value_and_other_arrays_not_at_all(folder):
    images = load_image_set("prepared", directory=folder).images
    before = images.copy()
    forget(images[3:])
    forget(before)
    fetch(images, np.array([0, 49, 3]))
    fetch(images[3:], np.array([0, 46]))
    fetch(before, np.array([0]))
    np.testing.assert_array_equal(images, before)


def test_batches_are_those_of_the_same_images_in_memory(folder):
    mapped = load_image_set("prepared", directory=folder)
    held = mapped.replaced(mapped.images.copy(), mapped.labels)
    for labels in (False, True):
        one, two = (Batches(images, 16, seed=4, labels=labels) for images in (mapped, held))
        for step in (0, 2, 3, 100):
            a, b = one[step], two[step]
            if labels:
                np.testing.assert_array_equal(a.labels, b.labels)
                a, b = a.images, b.images
            np.testing.assert_array_equal(a, b)


def test_the_hash_is_compared_unless_that_is_left_out(folder):
    path = folder / "train_images.npy"
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="another SHA-256 than the manifest says"):
        load_image_set("prepared", directory=folder)
    load_image_set("prepared", directory=folder, options={"verify": False})


def test_the_hash_of_a_file_is_worked_out_once(folder, monkeypatch):
    load_image_set("prepared", directory=folder)
    monkeypatch.setattr(prepared_module, "open_regular", None)
    load_image_set("prepared", directory=folder)


def test_another_size_is_made_in_memory(folder):
    images = load_image_set("prepared", directory=folder, image_size=(4, 6), channels=1)
    assert images.image_shape == (1, 4, 6)
    assert load_image_set("prepared", directory=folder, image_size=4).image_shape == (3, 4, 4)


def test_a_prepared_set_is_not_taken_for_a_folder_of_pictures(folder, tmp_path):
    with pytest.raises(DataError, match="is a prepared set; use data.name prepared"):
        load_image_set("folder", directory=folder)
    with pytest.raises(DataError, match="is a prepared set already"):
        prepare(folder, tmp_path / "again", Settings((8, 8)))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"manifest.json"}, "set: a damaged prepared set, for it has no manifest.json; make"),
        ({"train_images.npy"}, "train_images.npy: cannot be read .*; make the set again"),
        ({"manifest.json", "report.json"}, "damaged prepared set, for it has no manifest.json"),
        ({"manifest.json", "train_images.npy"}, "damaged prepared set, for it has no manifest"),
    ],
)
def test_a_set_that_lacks_a_file_is_named_as_damaged(folder, tmp_path, missing, said):
    """Its contact sheet is a picture, and must not be taken for what to train on."""
    for name in missing:
        (folder / name).unlink()
    with pytest.raises(DataError, match="is a prepared set already"):
        prepare(folder, tmp_path / "again", Settings((8, 8)))
    with pytest.raises(DataError, match=said):
        load_image_set("prepared", directory=folder)


def test_pictures_beside_some_json_are_no_prepared_set(tmp_path):
    for name in ("manifest.json", "report.json"):
        (tmp_path / name).write_text("{}")
    assert not is_prepared(tmp_path)


def test_the_manifest_says_what_the_set_is(folder):
    told = json.loads((folder / "manifest.json").read_text())
    assert told["image_shape"] == [3, 8, 12]
    assert told["classes"] == ["0", "1", "2", "3", "4"]
    assert told["splits"]["train"]["classes"] == [10] * 5
    assert told["splits"]["test"]["count"] == 10
    assert told["settings"]["filter"] == "Pillow LANCZOS"


def test_a_map_that_nobody_holds_is_closed(folder):
    images = load_image_set("prepared", directory=folder)
    mapped = base_of(images.images)
    import weakref

    gone = weakref.ref(mapped)
    del images, mapped
    gc.collect()
    assert gone() is None
