"""Preparing pictures: sources, pixels, splits, duplicates, what cannot be read, going on."""

import bz2
import csv
import gzip
import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import is_alive, tree_bytes
from PIL import Image

from ppgan_zoo.data import load_image_set, write_idx
from ppgan_zoo.data.prepare import partial as partial_module
from ppgan_zoo.data.prepare import prepare as prepare_module
from ppgan_zoo.data.prepare.idx_files import image_files
from ppgan_zoo.data.prepare.open_source import open_source
from ppgan_zoo.data.prepare.prepare import prepare
from ppgan_zoo.data.prepare.settings import Settings, parse_colour, parse_size
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.storage import files as files_module
from ppgan_zoo.storage.journal import partial_folder

NOISE = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
GREY = np.random.default_rng(1).integers(0, 256, (12, 6, 6), np.uint8)


def encoded(pixels, form="PNG", **options):
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(
        buffer, form, **options
    )
    return buffer.getvalue()


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def made(source, output, size=(8, 8), notify=lambda line: None, max_unreadable=0.05, **options):
    jobs = options.pop("jobs", 1)
    settings = Settings(size, **options)
    return prepare(
        source, output, settings, max_unreadable=max_unreadable, jobs=jobs, notify=notify
    )


def loaded(folder, split="train"):
    return load_image_set("prepared", directory=folder, split=split)


def one(tmp_path, content, size=(8, 8), name="a.png", **options):
    """Prepare one picture and return its pixels."""
    write(tmp_path / "in", {name: content})
    made(tmp_path / "in", tmp_path / "out", size, **options)
    return loaded(tmp_path / "out").images[0]


CLASSES = {f"{'ab'[n % 2]}/{n:02}.png": encoded(NOISE[n]) for n in range(6)}
IN_ORDER = [0, 2, 4, 1, 3, 5]


def packed_zip(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def packed_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def in_folder_order(files):
    return dict(sorted(files.items(), key=lambda item: item[0].split("/")))


@pytest.mark.parametrize(
    "kind", ["folder", "zip", "rooted.zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]
)
def test_class_folders_are_classes_whatever_holds_them(tmp_path, kind):
    source = tmp_path / f"in.{kind}"
    if kind == "folder":
        write(source, CLASSES)
    elif kind == "zip":
        packed_zip(source, {"a/": b"", **CLASSES, "__MACOSX/a/._00.png": b"no"})
    elif kind == "rooted.zip":
        packed_zip(source, {f"flowers/{name}": content for name, content in CLASSES.items()})
    else:
        packed_tar(source, in_folder_order(CLASSES), f"w:{kind.partition('.')[2]}".rstrip(":"))
    made(source, tmp_path / "out")
    found = loaded(tmp_path / "out")
    np.testing.assert_array_equal(found.images, NOISE[IN_ORDER].transpose(0, 3, 1, 2))
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.classes == ("a", "b")
    assert found.sha256 == hashlib.sha256(found.images.tobytes()).hexdigest()


def test_classes_have_their_names_where_the_encoding_of_files_is_ascii(tmp_path):
    names = ("é", "中")
    packed_zip(tmp_path / "in.zip", {f"{each}/0.png": encoded(NOISE[0]) for each in names})
    command = [sys.executable, "-m", "ppgan_zoo", "data", "prepare", "in.zip", "--size", "8"]
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    subprocess.run([*command, "--output", "out"], cwd=tmp_path, env={**os.environ, **plain},
                   check=True, timeout=120)  # fmt: skip
    assert loaded(tmp_path / "out").classes == names


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_a_name_that_comes_twice_the_last_is_taken_as_by_unpacking(tmp_path, kind):
    first, last = {"a/0.png": encoded(NOISE[0])}, {"a/0.png": encoded(NOISE[2])}
    between = {"b/1.png": encoded(NOISE[1])}
    path, said = tmp_path / "in", []
    if kind == "zip":
        packed_zip(path, first | between)
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a/0.png", last["a/0.png"])
    else:
        packed_tar(path, first | between)
        packed_tar(path, last, "a")
    made(path, tmp_path / "out", notify=said.append)
    order = [2, 1] if kind == "zip" else [1, 2]  # a tar is taken in its own order
    np.testing.assert_array_equal(
        loaded(tmp_path / "out").images, NOISE[order].transpose(0, 3, 1, 2)
    )
    assert any("skipped 1 earlier files of the same name" in line for line in said)


def test_links_in_a_tar_are_counted(tmp_path):
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        for name, kind in {"a.png": tarfile.REGTYPE, "b.png": tarfile.LNKTYPE,
                           "c.png": tarfile.SYMTYPE, "d": tarfile.DIRTYPE}.items():  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.png"
            content = encoded(NOISE[0]) if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    said = []
    made(tmp_path / "in.tar", tmp_path / "out", notify=said.append)
    assert len(loaded(tmp_path / "out")) == 1
    assert any(line.endswith("skipped 2 links or devices") for line in said)


@pytest.mark.parametrize("root", ["", "set\\"])
def test_folders_of_a_zip_that_are_written_with_backslashes(tmp_path, root):
    names = {root + name.replace("/", "\\"): content for name, content in CLASSES.items()}
    packed_zip(tmp_path / "in.zip", {root + "a\\": b"", **names})
    said = []
    made(tmp_path / "in.zip", tmp_path / "out", notify=said.append)
    found = loaded(tmp_path / "out")
    np.testing.assert_array_equal(found.images, NOISE[IN_ORDER].transpose(0, 3, 1, 2))
    assert (found.labels.tolist(), found.classes) == ([0, 0, 0, 1, 1, 1], ("a", "b"))
    assert not any("skipped" in line for line in said)


@pytest.mark.parametrize("root", ["", "set/", "my/set/"])
@pytest.mark.parametrize("packed", ["no", "zip", "tar"])
def test_the_labels_of_stylegans_tool_are_taken(tmp_path, packed, root):
    labels = {"labels": [["00000/img0.png", 3], ["00000/img1.png", 0], ["00001/img2.png", 3]]}
    files = {
        "dataset.json": json.dumps(labels).encode(),
        "00000/img0.png": encoded(NOISE[0]),
        "00000/img1.png": encoded(NOISE[1]),
        "00001/img2.png": encoded(NOISE[2]),
    }
    source, said = tmp_path / "in", []
    files = {root + name: content for name, content in files.items()}
    if packed == "zip":
        packed_zip(source, files, zipfile.ZIP_STORED)
    elif packed == "tar":
        packed_tar(source, files)
    else:
        write(source, files)
    made(source, tmp_path / "out", notify=said.append)
    assert not any("skipped" in line for line in said)
    found = loaded(tmp_path / "out")
    assert found.labels.tolist() == [3, 0, 3]
    assert (found.num_classes, found.classes) == (4, ("0", "1", "2", "3"))
    if packed == "no":  # the file itself means its folder
        labels = source / root / "dataset.json"
        assert made(labels, tmp_path / "again").manifest.classes == found.classes
        write(source / root, {"notes.txt": b"2"})
        made(source, tmp_path / "beside", notify=said.append)
        assert any(line.endswith(": skipped 1 other file (1 .txt)") for line in said)


@pytest.mark.parametrize("packed", [False, True])
def test_labels_that_lie_beside_a_part_of_the_pictures_are_another_file(tmp_path, packed):
    source, said = tmp_path / "in", []
    files = {**CLASSES, "a/dataset.json": b'{"labels": [["00.png", 3]]}'}
    if packed:
        packed_zip(source, files)
    else:
        write(source, files)
    made(source, tmp_path / "out", notify=said.append)
    assert loaded(tmp_path / "out").classes == ("a", "b")
    assert any("skipped 1 " in line for line in said)


def test_a_stylegan_set_without_labels_has_none_though_it_has_folders(tmp_path):
    write(tmp_path / "in", {**CLASSES, "dataset.json": b'{"labels": null}'})
    made(tmp_path / "in", tmp_path / "out")
    assert loaded(tmp_path / "out").labels is None


def test_a_picture_that_the_labels_do_not_name_is_listed(tmp_path):
    labels = {"labels": [[name, 0] for name in CLASSES if name != "b/03.png"] + [["x.png", 1]]}
    write(tmp_path / "in", {**CLASSES, "dataset.json": json.dumps(labels).encode()})
    said = []
    result = made(tmp_path / "in", tmp_path / "out", notify=said.append, max_unreadable=0.5)
    assert result.unreadable == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["unreadable"] == [{"name": "b/03.png", "reason": "has no label in dataset.json"}]
    assert any("names 1 pictures that are not there" in line for line in said)


@pytest.mark.parametrize("first", ["last", "second", "none"])
def test_npz_as_keras_has_it(tmp_path, first):
    images = {"last": NOISE, "second": NOISE.transpose(0, 3, 1, 2), "none": NOISE[..., 0]}[first]
    labels = np.arange(40, dtype=np.uint8) % 4
    np.savez_compressed(
        tmp_path / "in.npz", x_train=np.ascontiguousarray(images[:30]), y_train=labels[:30, None],
        x_test=np.ascontiguousarray(images[30:]), y_test=labels[30:],
    )  # fmt: skip
    made(tmp_path / "in.npz", tmp_path / "out")
    train, test = loaded(tmp_path / "out"), loaded(tmp_path / "out", "test")
    expected = NOISE.transpose(0, 3, 1, 2) if first != "none" else NOISE[..., 0][:, None]
    np.testing.assert_array_equal(train.images, expected[:30])
    np.testing.assert_array_equal(test.images, expected[30:])
    assert train.labels.tolist() == labels[:30].tolist()
    assert test.labels.tolist() == labels[30:].tolist()


def test_images_and_labels_of_npz_and_images_of_npy(tmp_path):
    np.savez(tmp_path / "in.npz", images=GREY, labels=np.zeros(12, np.int64))
    np.save(tmp_path / "in.npy", GREY)
    for name in ("in.npz", "in.npy"):
        made(tmp_path / name, tmp_path / f"out-{name}", (6, 6))
        found = loaded(tmp_path / f"out-{name}")
        np.testing.assert_array_equal(found.images[:, 0], GREY)
        assert (found.labels is None) == (name == "in.npy")


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_a_table_with_a_column_for_each_pixel(tmp_path, names, packed):
    text = io.StringIO()
    table = csv.writer(text)
    if names:
        table.writerow(["label", *(f"pixel{n}" for n in range(36))])
    for label, pixels in enumerate(GREY):
        table.writerow([label, *pixels.ravel()])
    content = text.getvalue().encode()
    (tmp_path / "in.csv").write_bytes(gzip.compress(content) if packed else content)
    made(tmp_path / "in.csv", tmp_path / "out", (6, 6))
    found = loaded(tmp_path / "out")
    np.testing.assert_array_equal(found.images[:, 0], GREY)
    assert found.labels.tolist() == list(range(12))


@pytest.mark.parametrize("ends", ["", "\n", "\r\n\r\n", "\n" * 5])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("names", ["none", "numbers"])
def test_a_table_as_other_programs_write_it(tmp_path, names, mark, ends):
    """A byte order mark, empty lines at the end, and the numbers that pandas names columns by."""
    rows = [",".join(map(str, pixels.ravel())) for pixels in GREY]
    if names == "numbers":
        rows.insert(0, ",".join(map(str, range(36))))
    text = mark + ("\r\n" if "\r" in ends else "\n").join(rows) + ends
    (tmp_path / "in.csv").write_bytes(text.encode())
    result = made(tmp_path / "in.csv", tmp_path / "out", (6, 6))
    np.testing.assert_array_equal(loaded(tmp_path / "out").images[:, 0], GREY)
    assert result.unreadable == 0


def test_the_first_label_follows_a_byte_order_mark(tmp_path):
    rows = [f"{n},{','.join(map(str, pixels.ravel()))}" for n, pixels in enumerate(GREY)]
    (tmp_path / "in.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    made(tmp_path / "in.csv", tmp_path / "out", (6, 6))
    assert loaded(tmp_path / "out").labels.tolist() == list(range(12))


def test_a_table_with_all_pixels_in_one_text(tmp_path):
    lines = ["emotion,pixels,Usage"]
    for n, pixels in enumerate(GREY):
        usage = "Training" if n < 9 else "PrivateTest"
        lines.append(f'{n % 3},"{" ".join(map(str, pixels.ravel()))}",{usage}')
    lines[3] = "0,1 2 3,Training"
    (tmp_path / "in.csv").write_text("\n".join(lines))
    result = made(tmp_path / "in.csv", tmp_path / "out", (6, 6), max_unreadable=0.1)
    train, test = loaded(tmp_path / "out"), loaded(tmp_path / "out", "test")
    np.testing.assert_array_equal(train.images[:, 0], GREY[[0, 1, 3, 4, 5, 6, 7, 8]])
    np.testing.assert_array_equal(test.images[:, 0], GREY[9:])
    assert train.labels.tolist() == [0, 1, 0, 1, 2, 0, 1, 2]
    assert result.unreadable == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["unreadable"] == [
        {"name": "row 3", "reason": "3 pixels, where the first row has 36"}
    ]


def table(usages):
    rows = [f'0,"{" ".join(["7"] * 16)}",{usage}' for usage in usages]
    return "\n".join(["emotion,pixels,Usage", *rows])


def test_a_table_says_train_or_training(tmp_path):
    (tmp_path / "in.csv").write_text(table(["train", "test", "Training", "PublicTest"]))
    splits = made(tmp_path / "in.csv", tmp_path / "out", (4, 4)).manifest.splits
    assert {split: part.count for split, part in splits.items()} == {"train": 2, "test": 2}


def test_what_a_source_holds_out_is_not_for_the_command_to_say(tmp_path):
    (tmp_path / "in.csv").write_text(table(["PublicTest"] * 3))
    with pytest.raises(DataError) as error:
        made(tmp_path / "in.csv", tmp_path / "out", (4, 4))
    assert str(error.value) == (
        f"{tmp_path / 'in.csv'}: no picture for training, for the source says that all are for "
        "testing; give one with others too"
    )
    np.savez(tmp_path / "in.npz", x_train=NOISE[:30], x_test=NOISE[30:])
    for share in (0.0, 0.5):
        with pytest.raises(ConfigError, match=f"--held-out {share:g}: .* leave --held-out out"):
            made(tmp_path / "in.npz", tmp_path / "out", held_out=share)


def test_idx_with_the_labels_that_lie_beside_it(tmp_path):
    (tmp_path / "in").mkdir()
    write_idx(tmp_path / "in" / "train-images-idx3-ubyte", GREY[:8])
    write_idx(tmp_path / "in" / "train-labels-idx1-ubyte", np.arange(8, dtype=np.uint8))
    write_idx(tmp_path / "in" / "t10k-images-idx3-ubyte", GREY[8:])
    write_idx(tmp_path / "in" / "t10k-labels-idx1-ubyte", np.arange(4, dtype=np.uint8))
    made(tmp_path / "in", tmp_path / "out", (6, 6))
    np.testing.assert_array_equal(loaded(tmp_path / "out").images[:, 0], GREY[:8])
    test = loaded(tmp_path / "out", "test")
    np.testing.assert_array_equal(test.images[:, 0], GREY[8:])
    assert (test.labels.tolist(), test.num_classes) == ([0, 1, 2, 3], 8)
    made(tmp_path / "in" / "t10k-images-idx3-ubyte", tmp_path / "few", (6, 6))
    assert loaded(tmp_path / "few").labels.tolist() == [0, 1, 2, 3]  # alone, it is no test split


@pytest.mark.parametrize("whole", [True, False])
def test_idx_of_colours_has_its_labels_as_grey_ones_have(tmp_path, whole):
    colours = NOISE[:12]
    (tmp_path / "in").mkdir()
    write_idx(tmp_path / "in" / "train-images-idx4-ubyte", colours)
    write_idx(tmp_path / "in" / "train-labels-idx1-ubyte", np.arange(12, dtype=np.uint8) % 3)
    write(tmp_path / "in", {"contact-sheet.png": encoded(NOISE[0])})
    source = tmp_path / "in" if whole else tmp_path / "in" / "train-images-idx4-ubyte"
    made(source, tmp_path / "out")
    np.testing.assert_array_equal(loaded(tmp_path / "out").images, colours.transpose(0, 3, 1, 2))
    assert loaded(tmp_path / "out").labels.tolist() == [0, 1, 2] * 4


def written_idx(folder, **files):
    """Write arrays as IDX, each under its name in words: ``train_images_idx3_ubyte_gz``."""
    folder.mkdir()
    for name, values in files.items():
        name = name.replace("_", "-").replace("-gz", ".gz")
        write_idx(folder / name, np.asarray(values, np.uint8))


def test_of_an_idx_file_that_is_raw_and_packed_one_is_read(tmp_path):
    written_idx(tmp_path / "in", train_images_idx3_ubyte=GREY, train_images_idx3_ubyte_gz=GREY,
                train_labels_idx1_ubyte=range(12))  # fmt: skip
    write_idx(tmp_path / "in" / "train-images.idx3-ubyte", GREY)
    (tmp_path / "in" / "train-images-idx3-ubyte.d").mkdir()
    made(tmp_path / "in", tmp_path / "out", (6, 6))
    found = loaded(tmp_path / "out")
    np.testing.assert_array_equal(found.images[:, 0], GREY)
    assert found.labels.tolist() == list(range(12))
    (tmp_path / "in" / "train-images-idx3-ubyte").unlink()  # the raw one is that with a dot now
    assert [path.name for path in image_files(tmp_path / "in")] == ["train-images.idx3-ubyte"]


@pytest.mark.parametrize("name", ["train-images.idx3-ubyte", "train-images-idx3-ubyte.gz"])
@pytest.mark.parametrize("labels", ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte.gz"])
def test_labels_of_idx_are_found_in_either_form(tmp_path, name, labels):
    """A folder of the name of a file, as some unpackers leave it, is passed over."""
    (tmp_path / "in" / "train-images-idx3-ubyte").mkdir(parents=True)
    (tmp_path / "in" / "train-labels-idx1-ubyte.gz").mkdir()
    write_idx(tmp_path / "in" / name, GREY)
    write_idx(tmp_path / "in" / labels, np.arange(12, dtype=np.uint8))
    made(tmp_path / "in", tmp_path / "out", (6, 6))
    np.testing.assert_array_equal(loaded(tmp_path / "out").images[:, 0], GREY)
    assert loaded(tmp_path / "out").labels.tolist() == list(range(12))


@pytest.mark.parametrize("others", ["letters_train", "letters"])
def test_a_word_in_the_name_of_an_idx_file_tells_its_split(tmp_path, others):
    written_idx(tmp_path / "in", **{f"{others}_images_idx3_ubyte_gz": GREY[:8],
                                    "letters_test_images_idx3_ubyte_gz": GREY[8:]})  # fmt: skip
    made(tmp_path / "in", tmp_path / "out", (6, 6))
    for split, images in (("train", GREY[:8]), ("test", GREY[8:])):
        np.testing.assert_array_equal(loaded(tmp_path / "out", split).images[:, 0], images)


@pytest.mark.parametrize("kind", ["idx", "npz"])
def test_labels_that_only_a_part_has_are_left_out_and_that_is_said(tmp_path, kind):
    if kind == "idx":
        written_idx(tmp_path / "in", train_images_idx3_ubyte=GREY[:8], t10k_images_idx3_ubyte=GREY[8:],
                    train_labels_idx1_ubyte=range(8))  # fmt: skip
        with_labels, without = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
    else:
        with open(tmp_path / "in", "wb") as file:
            np.savez(file, x_train=GREY[:8], y_train=np.arange(8), x_test=GREY[8:])
        with_labels, without = "x_train", "x_test"
    said = []
    made(tmp_path / "in", tmp_path / "out", (6, 6), notify=said.append)
    assert loaded(tmp_path / "out").labels is None
    (line,) = (line for line in said if "labels" in line)
    assert f"{without}: has no labels, so those of" in line and with_labels in line


def test_pictures_that_are_named_like_idx_are_pictures(tmp_path):
    write(tmp_path / "in", {f"images_idx{n}.png": encoded(NOISE[n]) for n in range(10)})
    made(tmp_path / "in", tmp_path / "out")
    found = loaded(tmp_path / "out").images
    np.testing.assert_array_equal(found, NOISE[:10].transpose(0, 3, 1, 2))


def test_other_labels_are_another_source(tmp_path):
    images, labels = (tmp_path / f"train-{name}-ubyte" for name in ("images-idx3", "labels-idx1"))
    write_idx(images, GREY)
    identities = {open_source(images, print).identity}
    write_idx(labels, np.zeros(12, np.uint8))
    os.utime(labels, ns=(1, 1))
    identities.add(open_source(images, print).identity)
    write_idx(labels, np.ones(12, np.uint8))
    os.utime(labels, ns=(2, 2))
    identities.add(open_source(images, print).identity)
    assert len(identities) == 3


FORMATS = {
    "PNG": ("RGB", {}), "BMP": ("RGB", {}), "TIFF": ("RGB", {}), "WEBP": ("RGB", {"lossless": True}),
    "GIF": ("P", {}), "JPEG": ("RGB", {"quality": 100, "subsampling": 0}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read(tmp_path, form):
    mode, options = FORMATS[form]
    picture = Image.new(mode, (8, 8), (200, 30, 60) if mode == "RGB" else 1)
    if mode == "P":
        picture.putpalette([0, 0, 0, 200, 30, 60])
    found = one(tmp_path, encoded(picture, form, **options), name=f"a.{form}")
    assert np.abs(found.astype(int) - np.array([200, 30, 60])[:, None, None]).max() <= 2


def test_cmyk_and_ycck_jpeg_are_colours(tmp_path):
    picture = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # red
    found = one(tmp_path, encoded(picture, "JPEG", quality=100), name="a.jpg")
    assert np.abs(found.astype(int) - np.array([255, 0, 0])[:, None, None]).max() <= 3


def test_exif_says_which_side_is_up(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255  # the upper half is white as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: the white half comes to the right
    found = one(tmp_path, encoded(pixels, exif=exif))
    assert found[0, 4].tolist() == [0, 0, 0, 0, 255, 255, 255, 255]


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_of_any_depth_keeps_black_and_white(tmp_path, bits):
    top = 2**bits - 1
    if bits == 16:
        picture = Image.fromarray(np.array([[0, top]] * 2, np.uint16))
        content = encoded(picture)
    elif bits == 8:
        content = encoded(np.array([[0, top]] * 2, np.uint8))
    else:
        content = encoded(Image.fromarray(np.array([[0, 255]] * 2, np.uint8)).convert(
            "1" if bits == 1 else "L"), **({} if bits == 1 else {"bits": bits}))  # fmt: skip
    found = one(tmp_path, content, (4, 4), mode="fit")
    assert found.min() == 0 and found.max() == 255


def test_sixteen_bits_become_eight_to_the_nearest(tmp_path):
    values = np.array([[0, 128, 129, 257], [32768, 32896, 65406, 65407]], np.uint16)
    found = one(tmp_path, encoded(Image.fromarray(np.vstack([values] * 2))), (4, 4), channels=1)
    expected = np.rint(values.astype(float) / 257)
    np.testing.assert_array_equal(found[0, :2], expected)


def test_transparency_is_laid_on_the_ground_and_hidden_colours_do_not_show(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., :3] = (255, 128, 0)  # hidden orange
    pixels[:, 4:, 3] = 255
    found = one(tmp_path, encoded(pixels), ground=(10, 20, 30))
    assert found[:, 0, 0].tolist() == [10, 20, 30]
    assert found[:, 0, 7].tolist() == [255, 128, 0]


def test_transparent_sixteen_bit_grey(tmp_path):
    content = png_of(np.array([[0, 65535]] * 2, ">u2").tobytes(), 2, 16, 0, (65535,))
    found = one(tmp_path, content, (4, 4), mode="fit", ground=(9, 9, 9))
    assert found[0, 0, 0] <= 9 and found[0, 0, 3] <= 20


def png_of(values, width, bits, colour, transparent):
    """Return a PNG of two rows as its specification has it, with a value that is transparent."""
    rows = [values[: len(values) // 2], values[len(values) // 2 :]]
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, 2, bits, colour, 0, 0, 0),
        b"tRNS": struct.pack(f">{len(transparent)}H", *transparent),
        b"IDAT": zlib.compress(b"".join(b"\0" + row for row in rows)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )


@pytest.mark.parametrize(
    ("bits", "row", "transparent"),
    [(1, b"\x10", 1), (2, b"\x1b", 3), (4, b"\x05\xaf", 15), (8, b"\x00\x55\xaa\xff", 255)],
)
def test_white_that_is_transparent_in_grey_of_few_bits(tmp_path, bits, row, transparent):
    content = png_of(row * 2, 4, bits, 0, (transparent,))
    found = one(tmp_path, content, (4, 4), mode="fit", ground=(1, 2, 3))
    assert found[:, 0, 3].tolist() == [1, 2, 3]
    assert found[:, 0, :3].tolist() == [[0, 0, 0] if bits == 1 else [0, 85, 170]] * 3


def test_a_colour_of_sixteen_bits_that_is_transparent(tmp_path):
    red, other = (0xFFFF, 0x1234, 0), (0x8000, 0x1234, 0)
    row = struct.pack(">12H", *(red * 2 + other * 2))
    content = png_of(row * 2, 4, 16, 2, red)
    found = one(tmp_path, content, (4, 4), mode="fit", ground=(1, 2, 3))
    assert found[:, 0, 0].tolist() == [1, 2, 3]
    assert found[:, 0, 3].tolist() == [0x80, 0x12, 0]


def tiff_of(values, white_is_zero):
    """Return a TIFF of grey values as its specification has it, the least significant byte first."""
    data, (height, width) = values.tobytes(), values.shape
    sign = 2 if values.dtype.kind == "i" else 1
    tags = {
        256: width, 257: height, 258: 8 * values.itemsize, 259: 1, 262: 0 if white_is_zero else 1,
        273: 8, 277: 1, 278: height, 279: len(data), 339: sign,
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack(
        "<H", len(tags)) + entries + bytes(4)  # fmt: skip


@pytest.mark.parametrize("kind", ["<u1", "<u2"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_a_tiff_in_which_zero_is_white(tmp_path, kind, white_is_zero):
    grey = np.array([[0, 255, 10, 200]] * 4)
    values = (255 - grey if white_is_zero else grey) * (257 if kind == "<u2" else 1)
    content = tiff_of(values.astype(kind), white_is_zero)
    np.testing.assert_array_equal(one(tmp_path, content, (4, 4), channels=1)[0], grey)


def test_values_with_a_sign_are_refused_as_such(tmp_path):
    with pytest.raises(DataError, match="pixels with a sign; .* 16 bits are allowed: convert"):
        one(tmp_path, tiff_of(np.zeros((4, 4), "<i2"), False), (4, 4))


def test_of_several_images_the_first_is_taken(tmp_path):
    frames = [Image.new("L", (8, 8), value).convert("P") for value in (40, 90)]
    said = []
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    found = one(tmp_path, content, name="a.gif", channels=1, notify=said.append)
    assert (found == 40).all()
    assert any("have several images" in line for line in said)


def stripes():
    """Return a picture of 8 x 16: black, white, white, black, each 4 columns wide."""
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, 4:12] = 255
    return encoded(pixels)


def test_crop_takes_the_middle(tmp_path):
    assert (one(tmp_path, stripes(), channels=1) == 255).all()


def test_pad_keeps_all_of_it_on_the_ground(tmp_path):
    found = one(tmp_path, stripes(), (16, 16), mode="pad", channels=1, ground=(7, 7, 7))[0]
    assert (found[:4] == 7).all() and (found[12:] == 7).all()
    np.testing.assert_array_equal(found[4:12], np.array(Image.open(io.BytesIO(stripes()))))


@pytest.mark.parametrize(
    ("mode", "size", "is_enlarged"),
    [
        ("pad", (16, 16), False),
        ("pad", (9, 17), True),
        ("pad", (32, 15), False),
        ("crop", (16, 16), True),
        ("fit", (16, 16), True),
        ("fit", (8, 16), False),
    ],
)
def test_a_picture_is_enlarged_if_its_scale_is_above_one(tmp_path, mode, size, is_enlarged):
    said = []
    one(tmp_path, stripes(), size, mode=mode, notify=said.append)  # 8 x 16
    assert any("were enlarged" in line for line in said) is is_enlarged


def test_fit_stretches_all_of_it(tmp_path):
    found = one(tmp_path, stripes(), (16, 16), mode="fit", channels=1)[0]
    assert found[8].tolist() == [0] * 4 + [255] * 8 + [0] * 4


def test_sizes_need_not_be_square(tmp_path):
    found = one(tmp_path, encoded(NOISE[0].repeat(4, 0).repeat(4, 1)), (4, 16))
    assert found.shape == (3, 4, 16)


def test_what_is_made_smaller_is_filtered(tmp_path):
    """A checkerboard of single pixels is grey from afar; taking some pixels would not show it."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = one(tmp_path, encoded(board), channels=1)[0, 1:-1, 1:-1]
    assert np.abs(found.astype(int) - 127.5).max() < 3


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_same_source_gives_the_same_bytes(tmp_path, jobs):
    write(tmp_path / "in", {f"{n:03}.png": encoded(NOISE[n % 40]) for n in range(150)})
    write(tmp_path / "moved", {f"{n:03}.png": encoded(NOISE[n % 40]) for n in range(150)})
    for source, output in (("in", "a"), ("moved", "b")):
        made(tmp_path / source, tmp_path / output, held_out=0.3, jobs=jobs)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [
        "contact_sheet.png", "manifest.json", "report.json", "test_images.npy", "train_images.npy",
    ]  # fmt: skip
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_equal_pictures_are_found_and_are_on_one_side_of_the_split(tmp_path):
    copies = {f"{n:03}.png": encoded(NOISE[n % 20]) for n in range(60)}
    copies["zz.bmp"] = encoded(NOISE[0], "BMP")  # other bytes, the same pixels
    write(tmp_path / "in", copies)
    kept = made(tmp_path / "in", tmp_path / "kept", held_out=0.4)
    assert kept.duplicates == 41
    train, test = loaded(tmp_path / "kept"), loaded(tmp_path / "kept", "test")
    assert len(train) + len(test) == 61
    sides = [{row.tobytes() for row in part.images} for part in (train, test)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 20
    report = json.loads((tmp_path / "kept" / "report.json").read_text())
    assert {"name": "zz.bmp", "of": "000.png"} in report["duplicates"]
    made(tmp_path / "in", tmp_path / "dropped", held_out=0.4, drop_duplicates=True)
    few, held = loaded(tmp_path / "dropped"), loaded(tmp_path / "dropped", "test")
    assert (len(few), len(held)) == (len(sides[0]), len(sides[1]))


def test_the_share_that_is_held_out_is_by_seed_and_from_a_thousand_on(tmp_path):
    pictures = np.random.default_rng(5).integers(0, 256, (1000, 4, 4), np.uint8)
    np.save(tmp_path / "in.npy", pictures)
    made(tmp_path / "in.npy", tmp_path / "out", (4, 4))
    held = loaded(tmp_path / "out", "test")
    assert 70 <= len(held) <= 130  # 100 expected, standard deviation 9.5
    made(tmp_path / "in.npy", tmp_path / "other", (4, 4), seed=1)
    assert loaded(tmp_path / "other", "test").sha256 != held.sha256
    np.save(tmp_path / "few.npy", pictures[:999])
    made(tmp_path / "few.npy", tmp_path / "whole", (4, 4))
    with pytest.raises(DataError, match="nothing is held out for split 'test'.*--held-out"):
        loaded(tmp_path / "whole", "test")


def test_what_cannot_be_read_is_listed_and_the_rest_is_used(tmp_path):
    bad = {
        "b\x1b[31m\n.png": b"no picture", "cut.jpg": encoded(NOISE[0], "JPEG")[:200], "none.bmp": b"",
        "ps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }  # fmt: skip
    write(tmp_path / "in", {**CLASSES, **{f"a/{name}": content for name, content in bad.items()}})
    os.mkfifo(tmp_path / "in" / "a" / "pipe.png")
    (tmp_path / "in" / "a" / "gone.png").symlink_to(tmp_path / "in" / "nothing.png")
    raw = os.fsencode(tmp_path / "in" / "a") + b"/\xff.png"
    with open(raw, "wb") as file:
        file.write(b"no")
    said = []
    result = made(tmp_path / "in", tmp_path / "out", max_unreadable=0.6, notify=said.append)
    assert (result.unreadable, len(loaded(tmp_path / "out"))) == (7, 6)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    reasons = {item["name"]: item["reason"] for item in report["unreadable"]}
    assert set(reasons) == {
        *(f"a/{name}" for name in bad),
        "a/pipe.png",
        "a/gone.png",
        "a/\udcff.png",
    }
    assert "not a regular file" in reasons["a/pipe.png"]
    assert "of no known format" in reasons["a/ps.png"]
    assert str(tmp_path) not in json.dumps(report)
    assert any("7 of 13 pictures cannot be read" in line for line in said)


def test_more_that_cannot_be_read_than_allowed_is_an_error_that_loses_nothing(tmp_path):
    write(tmp_path / "in", {**CLASSES, "a/bad.png": b"no"})
    with pytest.raises(DataError, match="1 of the first 7 .*a/bad.png: .*--max-unreadable"):
        made(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.partial").is_dir()
    said = []
    made(tmp_path / "in", tmp_path / "out", max_unreadable=0.2, notify=said.append)
    assert any("continuing after 7 of 7" in line for line in said)
    assert len(loaded(tmp_path / "out")) == 6
    assert not (tmp_path / "out.partial").exists()


def test_pictures_that_could_not_be_read_are_tried_again(tmp_path):
    """As when permissions were mended: a file that is read now has the size and the date it had."""
    write(tmp_path / "in", CLASSES)
    repaired = [tmp_path / "in" / name for name in ("a/04.png", "b/01.png")]
    for path in repaired:
        path.write_bytes(bytes(path.stat().st_size))
        os.utime(path, ns=(1, 1))
    write(tmp_path / "in", {"a/01-bad.png": b"no"})
    with pytest.raises(DataError, match="3 of the first 7 .*repair"):
        made(tmp_path / "in", tmp_path / "out", max_unreadable=0.2)
    for path in repaired:
        path.write_bytes(CLASSES[str(path.relative_to(tmp_path / "in"))])
        os.utime(path, ns=(1, 1))
    said = []
    made(tmp_path / "in", tmp_path / "out", max_unreadable=0.2, notify=said.append)
    assert any("continuing after 3 of 7" in line for line in said)
    made(tmp_path / "in", tmp_path / "at-once", max_unreadable=0.2)
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "at-once")


def test_nothing_stays_of_a_set_without_a_picture(tmp_path):
    write(tmp_path / "in", {"a.png": b"no"})
    for share in (0.0, 1.0):
        with pytest.raises(DataError, match="1 of the first 1 pictures cannot be read") as error:
            made(tmp_path / "in", tmp_path / "new" / "deep" / "out", max_unreadable=share)
        assert str(error.value).endswith("; repair them, or give other pictures")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("damage", ["none", "a row", "half a row", "a line", "the journal"])
def test_a_second_run_goes_on_where_the_first_stopped(tmp_path, monkeypatch, damage):
    write(tmp_path / "in", {f"{n:03}.png": encoded(NOISE[n % 40]) for n in range(120)})
    write(tmp_path / "in", {"050.png": b"no"})
    made(tmp_path / "in", tmp_path / "whole", held_out=0.2)
    append = partial_module.PartialSet.append

    def stops(self, done):
        if self.done >= 64:
            raise Stopped
        append(self, done)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(partial_module.PartialSet, "append", stops)
        made(tmp_path / "in", tmp_path / "out", held_out=0.2)
    assert not (tmp_path / "out").exists()
    rows = tmp_path / "out.partial" / "train_images.npy"
    journal = tmp_path / "out.partial" / "journal.jsonl"
    content = rows.read_bytes()
    if damage == "a row":
        rows.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    elif damage == "half a row":
        rows.write_bytes(content[:-100])
    elif damage == "a line":
        journal.write_bytes(journal.read_bytes()[:-20])
    elif damage == "the journal":
        journal.unlink()
    said = []
    made(tmp_path / "in", tmp_path / "out", held_out=0.2, notify=said.append)
    done = {"none": 64, "a line": 63}.get(damage)
    if done:
        assert any(f"continuing after {done} of 120" in line for line in said)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


INTERRUPTED = KeyboardInterrupt()


@pytest.mark.parametrize("error", [INTERRUPTED, OSError(5, "Input/output error")], ids=repr)
def test_what_was_done_stays_if_reading_it_back_is_stopped(tmp_path, monkeypatch, error):
    write(tmp_path / "in", {f"{n:03}.png": encoded(NOISE[n % 40]) for n in range(120)})
    append = partial_module.PartialSet.append

    def stops(self, done):
        if self.done >= 64:
            raise Stopped
        append(self, done)

    def fails(*arguments, **options):
        raise error

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(partial_module.PartialSet, "append", stops)
        made(tmp_path / "in", tmp_path / "out")
    before = tree_bytes(tmp_path / "out.partial")
    said = []
    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, OSError)):
        patch.setattr(prepare_module, "PartialSet", fails)
        made(tmp_path / "in", tmp_path / "out", notify=said.append)
    assert tree_bytes(tmp_path / "out.partial") == before
    assert any("the same command continues" in line for line in said) is (error is INTERRUPTED)
    made(tmp_path / "in", tmp_path / "out", notify=said.append)
    assert any("continuing after 64 of 120" in line for line in said)


def test_an_output_that_is_a_link_means_the_folder_that_it_leads_to(tmp_path):
    write(tmp_path / "in", CLASSES)
    (tmp_path / "disk" / "set").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "set")
    made(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert len(loaded(tmp_path / "disk" / "set")) == 6
    assert os.listdir(tmp_path / "disk") == ["set"]
    with pytest.raises(DataError, match="exists already; give another --output, or delete"):
        made(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("error", [INTERRUPTED, OSError(5, "Input/output error")], ids=repr)
def test_a_set_that_is_stopped_when_it_appears_loses_no_row(tmp_path, monkeypatch, error):
    write(tmp_path / "in", {f"{n:03}.png": encoded(NOISE[n]) for n in range(40)})

    def fails(*arguments):
        raise error

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, OSError)):
        patch.setattr(files_module, "_sync_below", fails)  # when the rows have been moved
        made(tmp_path / "in", tmp_path / "out", held_out=0.3)
    assert not (tmp_path / "out").exists()
    said = []
    made(tmp_path / "in", tmp_path / "out", held_out=0.3, notify=said.append)
    assert said == [f"{tmp_path / 'out'}: continuing after 40 of 40"]
    assert sum(len(loaded(tmp_path / "out", split)) for split in ("train", "test")) == 40


def test_a_beginning_with_other_settings_or_pictures_is_begun_anew(tmp_path):
    write(tmp_path / "in", {**CLASSES, "a/bad.png": b"no"})
    with pytest.raises(DataError):
        made(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "a" / "bad.png").unlink()
    said = []
    made(tmp_path / "in", tmp_path / "out", notify=said.append)
    assert any("holds the beginning of another set (other source), which" in line for line in said)
    assert len(loaded(tmp_path / "out")) == 6


def test_nothing_that_is_there_is_replaced(tmp_path):
    write(tmp_path, {f"in/{name}": content for name, content in CLASSES.items()})
    write(tmp_path, {"out/mine": b"1", "new.partial/mine": b"2"})
    with pytest.raises(DataError, match="out: exists already"):
        made(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="new.partial: holds 'mine'"):
        made(tmp_path / "in", tmp_path / "new")
    assert (tmp_path / "out" / "mine").read_bytes() == b"1"
    assert (tmp_path / "new.partial" / "mine").read_bytes() == b"2"


def test_one_process_makes_a_set(tmp_path):
    write(tmp_path / "in", CLASSES)
    folder = tmp_path / "out.partial"
    with partial_folder(folder, {}, partial_module.FILES, print):
        write(folder, {"journal.jsonl": b"of the first", "train_images.npy": b"rows"})
        with pytest.raises(DataError, match="another process is making this set"):
            made(tmp_path / "in", tmp_path / "out")
        assert (folder / "journal.jsonl").read_bytes() == b"of the first"
        assert (folder / "train_images.npy").read_bytes() == b"rows"


def many(folder, count=3000):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for n in range(count):
        (folder / f"{n:05}.bmp").write_bytes(
            encoded(rng.integers(0, 256, (64, 64, 3), np.uint8), "BMP")
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_one_that_started_them(tmp_path, number):
    many(tmp_path / "in")
    command = [
        sys.executable,
        "-m",
        "ppgan_zoo",
        "data",
        "prepare",
        tmp_path / "in",
        "--size",
        "64",
    ]
    command += ["--output", tmp_path / "out", "--jobs", "2"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / "out.partial" / "journal.jsonl"
    until = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < until:
        time.sleep(0.005)
    workers = children(running.pid)
    assert workers
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == (130 if number == signal.SIGINT else -9), said
    until = time.monotonic() + 30
    while any(map(is_alive, workers)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(is_alive, workers))
    assert not (tmp_path / "out").exists()
    if number == signal.SIGINT:
        assert "the same command continues" in said
    lines = []
    made(tmp_path / "in", tmp_path / "out", (64, 64), notify=lines.append)
    assert any("continuing after" in line for line in lines)
    assert sum(len(loaded(tmp_path / "out", split)) for split in ("train", "test")) == 3000


def children(pid):
    """Return the processes that any thread of a process has started."""
    return [
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
    ]


def test_a_decoder_that_dies_loses_one_picture(tmp_path, monkeypatch):
    from ppgan_zoo.data.prepare import pool

    dying = tmp_path / "dying.py"
    dying.write_text(
        "import os, sys\n"
        "from ppgan_zoo.data.prepare import worker\n"
        "prepare = worker.prepare_picture\n"
        "def dies(content, name, *rest):\n"
        "    if name == 'a/02.png':\n"
        "        os.abort()\n"
        "    return prepare(content, name, *rest)\n"
        "worker.prepare_picture = dies\n"
        "sys.exit(worker.main())\n"
    )
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, str(dying)))
    write(tmp_path / "in", CLASSES)
    result = made(tmp_path / "in", tmp_path / "out", max_unreadable=0.2)
    assert result.unreadable == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["unreadable"][0]["name"] == "a/02.png"
    assert "ended the process" in report["unreadable"][0]["reason"]


def test_the_sheet_shows_a_row_of_each_class(tmp_path):
    write(tmp_path / "in", {f"{c}/{n}.png": encoded(np.full((8, 8, 3), 60 * c, np.uint8))
                            for c in range(3) for n in range(4)})  # fmt: skip
    made(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert [pixels[2 + 58 * row + 20, 20, 0] for row in range(3)] == [0, 60, 120]


@pytest.mark.parametrize("text", ["", "x", "64x", "0", "3", "64x2000", "-1", "64 x 64", "1e2"])
def test_sizes_that_are_none(text):
    with pytest.raises(ConfigError, match="--size"):
        Settings(parse_size(text))


@pytest.mark.parametrize("text", ["", "white", "1,2", "1,2,256", "1,2,3,4", "-1,0,0"])
def test_colours_that_are_none(text):
    with pytest.raises(ConfigError, match="--ground"):
        parse_colour(text)


def test_what_is_no_source_is_said(tmp_path):
    files = {
        "text": b"hello", "bomb.bz2": bz2.compress(bytes(1 << 20)), "half.gz": gzip.compress(b"x" * 9)[:-9],
        "cut.zip": b"PK\x03\x04" + bytes(50), "empty": b"",
    }  # fmt: skip
    write(tmp_path, files)
    for name in files:
        with pytest.raises(DataError, match=name):
            open_source(tmp_path / name, lambda line: None)
    with pytest.raises(DataError, match="no such file or folder"):
        open_source(tmp_path / "none", lambda line: None)
