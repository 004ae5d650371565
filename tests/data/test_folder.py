"""Folders of pictures."""

import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppgan_zoo.data import images as images_module
from ppgan_zoo.data import load_folder, load_image_set
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.storage.ownership import sealed_json


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
    assert found.images[:, :, 3, 3].tolist() == [[10, 10, 10], [1, 2, 3], [255, 255, 255]]
    assert load_folder(tmp_path, channels=1).images.shape == (3, 1, 32, 32)
    assert len(load_folder(tmp_path, limit=1)) == 1


def test_sub_folders_are_classes_if_every_picture_lies_in_one(tmp_path):
    for name in ("cats/9.png", "dogs/1.png", "cats/more/2.png", "ants/x.png"):
        save(tmp_path / name, 7, "L")
    (tmp_path / "empty").mkdir()
    found = load_folder(tmp_path)
    assert found.classes == ("ants", "cats", "dogs")
    assert found.labels.tolist() == [0, 1, 1, 2]
    assert found.labels.dtype == np.int64
    assert found.describe()["classes"] == 3
    # Even over the classes, which stay those of the whole folder.
    few = load_folder(tmp_path, limit=3)
    assert (few.labels.tolist(), few.num_classes) == ([0, 1, 2], 3)
    assert load_folder(tmp_path, limit=2, limit_seed=1).num_classes == 3
    by_name = load_image_set("folder", directory=tmp_path, image_size=32, limit=2, limit_seed=1)
    whole = load_folder(tmp_path)
    assert by_name.sha256 == whole.limit(2, 1).sha256


def test_what_the_zoo_made_is_no_picture_and_no_class(tmp_path):
    said = []
    for name in ("cats/9.png", "dogs/1.png"):
        save(tmp_path / name, 7, "L")
    for files in (
        ("run/recipe.yml", "run/manifest.json", "run/samples/step-00000002.png"),
        ("set/manifest.json", "set/train_images.npy", "set/contact_sheet.png"),
        ("set.partial/preparing.json", "set.partial/journal.jsonl", "set.partial/a.png"),
        ("dogs/hub/checkpoint.json", "dogs/hub/samples.png"),
    ):
        for name in files:
            save(tmp_path / name, 7, "L", format="PNG")
    save(tmp_path / "drawn" / "3" / "000000.png", 7, "L")
    (tmp_path / "drawn" / "samples.json").write_text(sealed_json({"count": 1}))
    found = load_folder(tmp_path, notify=said.append)
    assert (found.classes, len(found)) == (("cats", "dogs"), 2)
    assert said == [
        f"{tmp_path}: skipped 5 folders of ppgan-zoo (a run, a prepared set or samples)"
    ]
    assert len(load_folder(tmp_path / "run")) == 1  # if it is asked for


@pytest.mark.parametrize(
    "name", ["recipe.yml", "manifest.json", "samples.json", "samples.png", "report.json"]
)
def test_a_name_alone_makes_no_folder_the_zoos(tmp_path, name):
    save(tmp_path / "cakes" / "1.png", 7, "L")
    save(tmp_path / "cakes" / name, 7, "L", format="PNG")
    assert len(load_folder(tmp_path)) == 1 + (name == "samples.png")


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


def test_sixteen_bit_colour_is_refused_too(tmp_path):
    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    for colour, channels in ((2, 3), (4, 2), (6, 4)):
        header = struct.pack(">IIBBBBB", 4, 4, 16, colour, 0, 0, 0)
        rows = zlib.compress((b"\0" + b"\xea\x60" * 4 * channels) * 4)
        (tmp_path / "deep.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
            + chunk(b"IEND", b"")
        )  # fmt: skip
        assert Image.open(tmp_path / "deep.png").size == (4, 4)  # Pillow reads it without a word
        with pytest.raises(DataError, match=r"deep\.png: .*more than 8 bits"):
            load_folder(tmp_path)


HALF_RED = (200, 0, 0, 128)


@pytest.mark.parametrize(
    ("mode", "colour", "options", "seen"),
    [
        ("RGBA", HALF_RED, {}, (227, 127, 127)),  # 128/255 of it over white
        ("RGBA", (9, 9, 9, 0), {}, (255, 255, 255)),
        ("RGBA", (9, 8, 7, 255), {}, (9, 8, 7)),
        ("LA", (50, 0), {}, (255, 255, 255)),
        ("L", 50, {"transparency": 50}, (255, 255, 255)),
        ("RGB", (5, 6, 7), {"transparency": (5, 6, 7)}, (255, 255, 255)),
        ("RGB", (5, 6, 7), {"transparency": (5, 6, 8)}, (5, 6, 7)),
        ("P", 1, {"transparency": 1}, (255, 255, 255)),
        ("P", 1, {"transparency": b"\xff\x80"}, (227, 127, 127)),
    ],
)
def test_what_is_transparent_shows_the_background(tmp_path, mode, colour, options, seen):
    picture = Image.new(mode, (8, 8), colour)
    if mode == "P":
        picture.putpalette([0, 0, 0, *HALF_RED[:3]])
    picture.save(tmp_path / "a.png", **options)
    said = []
    found = load_folder(tmp_path, 8, 3, notify=said.append)
    assert np.abs(found.images[0, :, 4, 4].astype(int) - seen).max() <= 1
    transparent = seen not in ((9, 8, 7), (5, 6, 7))
    assert len(said) == transparent
    if transparent:
        assert "1 of 1 pictures are transparent in places" in said[0]
        dark = load_folder(tmp_path, 8, 3, notify=said.append, background=(0, 0, 0))
        assert dark.images.max() <= 101  # half of the red over black, and nothing else
        assert dark.sha256 != found.sha256


def test_the_background_is_a_key_of_the_recipe(tmp_path):
    save(tmp_path / "a.png", (1, 2, 3, 0), "RGBA")
    found = load_image_set("folder", directory=tmp_path, options={"background": (7, 8, 9)})
    assert found.images[0, :, 0, 0].tolist() == [7, 8, 9]
    for wrong in ("white", (1, 2), (0, 0, 256), (0, 0, -1), (0.0, 0.0, 0.0), (True, 0, 0), 7):
        with pytest.raises(ConfigError, match=r"data\.options\.background: found .*red, green"):
            load_image_set("folder", directory=tmp_path, options={"background": wrong})


def test_what_is_passed_over_is_counted_with_the_reason(tmp_path):
    save(tmp_path / "a.png", 7, "L")
    for name in ("x.txt", "y.txt", "z.GIF", "none", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    said = []
    assert len(load_folder(tmp_path, notify=said.append)) == 1
    assert said == [
        f"{tmp_path}: skipped 1 link to a folder, 1 link to nothing, 2 hidden names (they begin "
        "with a dot), 4 other files (2 .txt, 1 .gif, 1 without an ending)"
    ]
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"no pictures found \(skipped: 1 link to a folder"):
        load_folder(tmp_path)


def test_links_out_of_the_folder_are_counted_and_not_followed(tmp_path):
    inside, secret = tmp_path / "in", tmp_path / "secret.png"
    inside.mkdir()
    save(secret, 200, "L")
    save(inside / "a.png", 7, "L")
    (inside / "again.png").symlink_to("a.png")
    (inside / "b.png").symlink_to(secret)
    (inside / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "by_link").symlink_to(inside)
    for folder in (inside, tmp_path / "by_link"):
        said = []
        found = load_folder(folder, notify=said.append)
        assert found.images.max() == 7 and len(found) == 2
        assert said == [
            f"{folder}: skipped 2 links out of the folder (to take what they lead to, copy the "
            "folder by cp -RL)"
        ]
    copy = tmp_path / "copy"
    (inside / "zero.png").unlink()
    shutil.copytree(inside, copy)  # as cp -RL does
    assert len(load_folder(copy)) == 3


def test_pictures_beside_classes_are_named_since_they_take_the_labels_away(tmp_path):
    for name in ("a/1.png", "b/2.png", "3.png"):
        save(tmp_path / name, 7, "L")
    said = []
    assert load_folder(tmp_path, notify=said.append).labels is None
    (line,) = said
    assert "1 of 3 pictures lie beside its sub-folders, so these are not classes" in line


def test_an_animation_gives_its_first_image_and_says_so(tmp_path):
    first, second = Image.new("L", (8, 8), 10), Image.new("L", (8, 8), 200)
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    said = []
    assert load_folder(tmp_path, 8, notify=said.append).images[0, 0, 0, 0] == 10
    assert said == [f"{tmp_path}: 1 of 1 pictures are animated; their first image is used"]


@pytest.mark.parametrize("form", ["EPS", "GIF", "TIFF", "PPM", "ICO", "WEBP", "PDF", "FITS"])
def test_pillow_tries_no_format_but_three(tmp_path, monkeypatch, form):
    """PostScript would start another program, Ghostscript."""
    head = {
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "PDF": b"%PDF-1.4\n",
        "FITS": b"SIMPLE  =                    T" + bytes(2850),
    }.get(form)
    if head is None:
        Image.new("L", (8, 8)).save(tmp_path / "x", form)
        head = (tmp_path / "x").read_bytes()
        (tmp_path / "x").unlink()
    (tmp_path / "cat.png").write_bytes(head)
    monkeypatch.setattr("subprocess.Popen", None)
    with pytest.raises(DataError, match=r"cat\.png: not a picture .*PNG, JPEG or BMP"):
        load_folder(tmp_path)


def test_a_picture_s_file_is_bounded_before_it_is_read(tmp_path):
    save(tmp_path / "a.png", 0, "L")
    with (tmp_path / "a.png").open("ab") as file:
        file.truncate((512 << 20) + 1)
    with pytest.raises(DataError, match=r"a\.png: 536870913 bytes; .*at most 536870912"):
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
