"""Folders of pictures."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppgan_zoo.data import images as images_module
from ppgan_zoo.data import load_folder, load_image_set
from ppgan_zoo.errors import ConfigError, DataError


def save(path, colour, mode="RGB", size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def png(width, height):
    """An uncompressed-looking PNG header of any size, with almost no data."""

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_grey_pictures_make_a_grey_set_in_the_order_of_paths(tmp_path):
    for name, value in {"b/2.PNG": 20, "a.png": 10, "b/10.bmp": 30, "b/c/x.png": 40}.items():
        save(tmp_path / name, value, "L")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.png").write_text("not a picture either")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.png").write_text("nor this")
    found = load_folder(tmp_path)
    assert found.images.shape == (4, 1, 32, 32)
    assert found.images[:, 0, 0, 0].tolist() == [10, 30, 20, 40]
    assert (found.images == found.images[:, :, :1, :1]).all()
    assert (found.name, found.source, found.location) == ("folder", "folder", str(tmp_path))
    assert found.labels is None


def test_one_colour_picture_makes_a_colour_set(tmp_path):
    save(tmp_path / "a.png", 10, "L")
    save(tmp_path / "b.png", (1, 2, 3))
    save(tmp_path / "c.png", (4, 5, 6, 0), "RGBA")
    found = load_image_set("folder", directory=tmp_path, image_size=16)
    assert found.images.shape == (3, 3, 16, 16)
    assert found.images[:, :, 3, 3].tolist() == [[10, 10, 10], [1, 2, 3], [4, 5, 6]]
    assert load_folder(tmp_path, channels=1).images.shape == (3, 1, 32, 32)
    assert load_folder(tmp_path, limit=1).images.shape == (1, 1, 32, 32)


def test_sub_folders_are_classes_if_every_picture_lies_in_one(tmp_path):
    for name in ("cats/9.png", "dogs/1.png", "cats/more/2.png", "ants/x.png"):
        save(tmp_path / name, 7, "L")
    (tmp_path / "empty").mkdir()
    found = load_folder(tmp_path)
    assert found.classes == ("ants", "cats", "dogs")
    assert found.labels.tolist() == [0, 1, 1, 2]
    assert found.labels.dtype == np.int64
    assert found.describe()["classes"] == 3
    # The first of the paths; the classes stay those of the whole folder.
    few = load_folder(tmp_path, limit=2)
    assert (few.labels.tolist(), few.num_classes) == ([0, 1], 3)


@pytest.mark.parametrize("names", [("a/1.png", "a/b/2.png"), ("1.png", "a/1.png", "b/1.png")])
def test_other_folders_have_no_labels(tmp_path, names):
    for name in names:
        save(tmp_path / name, 7, "L")
    found = load_folder(tmp_path)
    assert (found.labels, found.classes, found.num_classes) == (None, None, 0)
    assert "classes" not in found.describe()


def test_labels_change_neither_the_pictures_nor_their_order(tmp_path):
    for value, name in enumerate(("a/1.png", "a/2.png", "b/1.png"), start=1):
        save(tmp_path / "classes" / name, value, "L")
        save(tmp_path / "plain" / name.replace("/", "-"), value, "L")
    labelled, plain = load_folder(tmp_path / "classes"), load_folder(tmp_path / "plain")
    assert (labelled.num_classes, plain.num_classes) == (2, 0)
    assert labelled.sha256 == plain.sha256


def test_a_class_whose_name_is_not_utf8_can_be_printed(tmp_path):
    for name in (b"a", b"\xff"):
        folder = os.fsencode(tmp_path) + b"/" + name
        try:
            os.mkdir(folder)
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
        save(Path(os.fsdecode(folder)) / "1.png", 7, "L")
    assert load_folder(tmp_path).classes == ("a", r"\xff")


def test_jpeg_is_read(tmp_path):
    save(tmp_path / "a.jpg", (200, 200, 200), quality=95)
    save(tmp_path / "b.jpeg", (200, 200, 200), quality=95)
    assert np.abs(load_folder(tmp_path).images.astype(int) - 200).max() <= 1


def test_the_central_square_is_cropped(tmp_path):
    pixels = np.zeros((4, 10, 3), np.uint8)
    pixels[:, 3:7] = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = load_folder(tmp_path, image_size=4)
    np.testing.assert_array_equal(found.images[0, 1], np.arange(16).reshape(4, 4))


def test_exif_orientation_is_obeyed(tmp_path):
    picture = Image.new("L", (4, 4), 0)
    picture.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    picture.save(tmp_path / "turned.png", exif=exif)
    found = load_folder(tmp_path, image_size=4)
    assert np.argwhere(found.images[0, 0] == 255).tolist() == [[3, 3]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_truncated_pictures_are_named(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for length in (0, 1, 10, 40, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(DataError) as caught:
            load_folder(tmp_path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_text_called_png_is_named(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(DataError, match=r"a\.png: not a picture"):
        load_folder(tmp_path)


@pytest.mark.parametrize("side", [10_000, 20_000])  # Pillow warns of one, refuses the other
def test_decompression_bombs_are_named(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side))
    with pytest.raises(DataError, match=r"bomb\.png: too many pixels"):
        load_folder(tmp_path)


def test_sixteen_bit_grey_is_refused_rather_than_clipped(tmp_path):
    Image.fromarray(np.full((4, 4), 60_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png: .*more than 8 bits"):
        load_folder(tmp_path)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="no pictures found"):
        load_folder(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="not a folder"):
        load_folder(tmp_path / "file")


def test_memory_is_bounded_before_anything_is_allocated(tmp_path, monkeypatch):
    save(tmp_path / "a.png", 0, "L")
    save(tmp_path / "b.png", 0, "L")
    monkeypatch.setattr(images_module, "MAX_BYTES", 100)
    with pytest.raises(DataError, match=r"set data\.limit"):
        load_folder(tmp_path, image_size=8)
    assert len(load_folder(tmp_path, image_size=8, limit=1)) == 1


def test_arguments_that_are_not_allowed(tmp_path):
    save(tmp_path / "a.png", 0, "L")
    for arguments in ({"image_size": 0}, {"channels": 2}, {"limit": 0}):
        with pytest.raises(ConfigError):
            load_folder(tmp_path, **arguments)
    with pytest.raises(ConfigError, match=r"data\.directory"):
        load_image_set("folder")
    with pytest.raises(ConfigError, match="no splits"):
        load_image_set("folder", directory=tmp_path, split="test")
