"""Sources of pictures that are none, and prepared sets that are damaged."""

import gzip
import io
import json
import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from data_cases import header as idx_header
from harness import Case, Stock
from picture_cases import BMP, JPEG, PNG, POSTSCRIPT, png
from PIL import Image
from recipe_cases import SOUND

OUTPUT = ("--size", "16", "--output", "out", "--jobs", "1", "--max-unreadable", "0")


def _command(source: str) -> tuple[str, ...]:
    return ("data", "prepare", source, *OUTPUT)


def _file(name: str, content: bytes, *says: str, file: str = "in") -> Case:
    def build(folder: Path, stock: Stock) -> None:
        (folder / file).write_bytes(content)

    return Case(name, _command(file), (file, *says), build)


def _built(name: str, make: Callable[[Path], object], *says: str) -> Case:
    return Case(name, _command("in"), says, lambda folder, stock: make(folder / "in"))


def _picture(name: str, content: bytes, *says: str, file: str = "a.png") -> Case:
    def build(folder: Path, stock: Stock) -> None:
        (folder / "in").mkdir()
        (folder / "in" / file).write_bytes(content)

    return Case(
        name, _command("in"), ("1 of the first 1 pictures cannot be read", file, *says), build
    )


def _saved(form: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((40, 40), 90).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content), kind
            info.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _long_name(size: int) -> bytes:
    """Return a tar whose next name has so many bytes, of which none is there."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(10240)


def _npy(array: np.ndarray, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def _told(text: str) -> bytes:
    """Return an .npy whose header is a text."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


IMAGES = np.zeros((4, 6, 6), np.uint8)
GIF, TIFF, WEBP = _saved("GIF", "P"), _saved("TIFF"), _saved("WEBP")
ZIP, TAR = _zip({"a.png": PNG, "b.png": PNG}), _tar({"a.png": PNG, "b.png": PNG})
CANARY = b"cos\nsystem\n(S'touch canary'\ntR."

PICTURES = [
    *(_picture(f"{name} of {size} bytes", content[:size], "not a picture", file=f"a.{name}")
      for name, content in (("gif", GIF), ("tiff", TIFF), ("webp", WEBP))
      for size in (0, 4, 12, 20, len(content) // 2)),
    _picture("PNG of half its bytes", PNG[: len(PNG) // 2], "not a picture"),
    _picture("JPEG of half its bytes", JPEG[:300], "not a picture", file="a.jpg"),
    _picture("BMP of half its bytes", BMP[:400], "not a picture", file="a.bmp"),
    _picture("a bomb of 20000 x 20000", png(20_000, 20_000, b"\0"), "too many pixels"),
    _picture("GIF of 65535 x 65535", GIF[:6] + b"\xff\xff\xff\xff" + GIF[10:], "too many pixels",
             file="a.gif"),
    _picture("PostScript called TIFF", POSTSCRIPT, "of no known format", file="a.tif"),
    _picture("a pickle called WebP", CANARY, "of no known format", file="a.webp"),
    _picture("an SVG called GIF", b"<svg/>", "of no known format", file="a.gif"),
    _picture("an ICO called PNG", _saved("ICO"), "of no known format"),
    _picture("TIFF of fractions", _saved("TIFF", "F"), "32 bits", file="a.tiff"),
    _picture("TIFF of 32 bits", _saved("TIFF", "I"), "32 bits", file="a.tiff"),
    _picture("an escape in its name", b"no", "of no known format", file="\\x1b[31m.png"),
]  # fmt: skip


def _with(entry: Callable[[Path], object]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        folder.mkdir()
        entry(folder)

    return make


def _sparse(path: Path, start: bytes) -> None:
    with path.open("wb") as file:
        file.write(start)
        file.truncate(1 << 40)


FOLDERS = [
    _built("nothing", lambda path: None, "in", "no such file or folder"),
    _built("an empty folder", _with(lambda path: None), "no pictures found"),
    _built("a pipe for a source", os.mkfifo, "in", "not a regular file"),
    _built("a device for a source", lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    _built("a source that links to itself", lambda path: path.symlink_to("in"), "in"),
    _built("a pipe called WebP", _with(lambda path: os.mkfifo(path / "a.webp")), "not a regular"),
    _built("a device called TIFF", _with(lambda path: (path / "a.tiff").symlink_to("/dev/zero")),
           "link out of the folder", "cp -RL"),
    _built("a sparse terabyte called GIF", _with(lambda path: _sparse(path / "a.gif", GIF)),
           "a.gif", "at most"),
    _built("labels that are a pipe", _with(lambda path: (
        (path / "a.png").write_bytes(PNG), os.mkfifo(path / "dataset.json"))), "dataset.json"),
]  # fmt: skip


def _labels(name: str, text: str, *says: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        (folder / "in").mkdir()
        (folder / "in" / "a.png").write_bytes(PNG)
        (folder / "in" / "dataset.json").write_text(text)

    return Case(name, _command("in"), ("dataset.json", *says), build)


LABELS = [
    _labels("labels that are text", "no labels", "not the labels"),
    _labels("labels that are nothing", "", "not the labels"),
    _labels("labels that are a list", "[1, 2]", "not the labels"),
    _labels("labels that are a number", '{"labels": 3}', "not the labels"),
    _labels("labels of triples", '{"labels": [["a.png", 1, 2]]}', "not the labels"),
    _labels("labels that are nested", "[" * 100_000, "not the labels"),
    _labels("a label below 0", '{"labels": [["a.png", -1]]}', "-1", "number of a class"),
    _labels("a label that is text", '{"labels": [["a.png", "cat"]]}', "cat", "number of a class"),
    _labels("a label that is true", '{"labels": [["a.png", true]]}', "True", "number of a class"),
    _labels("a label of many numbers", '{"labels": [["a.png", [0, 1]]]}', "number of a class"),
    _labels("a label of 2^40", '{"labels": [["a.png", 1099511627776]]}', "number of a class"),
    _labels("labels that leave the picture out", '{"labels": [["a.jpg", 0], ["a.png", 1.5]]}',
            "1.5", "number of a class"),
]  # fmt: skip

ARCHIVES = [
    *(_file(f"a zip of {size} bytes", ZIP[:size], "in")
      for size in (4, 30, 100, len(ZIP) - 60, len(ZIP) - 1)),
    *(_file(f"a tar of {size} bytes", TAR[:size], "in")
      for size in (300, 512, 600, 512 + len(PNG) // 2)),
    _file("a zip of nothing", _zip({}), "no pictures found"),
    _file("a zip of text", _zip({"notes.txt": b"x"}), "no pictures found"),
    _file("a zip of names that leave", _zip({"../a.png": PNG, "/x/../b.png": PNG}),
          "no pictures found"),
    _file("a zip with a wrong checksum", ZIP.replace(PNG[100:140], bytes(40)), "cannot be unpacked"),
    _file("a zip that is encrypted", ZIP.replace(b"PK\3\4\x14\0\0\0", b"PK\3\4\x14\0\1\0").replace(
        b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"), "cannot be unpacked", "encrypted"),
    _file("a zip of another compression", ZIP.replace(b"PK\1\2\x14\3\x14\0\0\0\0\0",
          b"PK\1\2\x14\3\x14\0\0\0\x61\0"), "cannot be unpacked"),
    _file("a zip bomb", _zip({"a.png": bytes(200 << 20)}, zipfile.ZIP_DEFLATED), "larger than"),
    _file("a zip whose labels are a bomb", _zip(
        {"a.png": PNG, "dataset.json": bytes(100 << 20)}, zipfile.ZIP_DEFLATED), "larger than"),
    _file("a tar of links called PNG", _tar({"a.png": b""}, tarfile.SYMTYPE), "no pictures found"),
    _file("a tar of hard links called PNG", _tar({"a.png": b""}, tarfile.LNKTYPE),
          "no pictures found"),
    _file("a tar of devices called PNG", _tar({"a.png": b""}, tarfile.CHRTYPE),
          "no pictures found"),
    _file("a tar with a name of 4 GiB", _long_name(1 << 32), "at most"),
    _file("a packed tar with a name of 4 GiB", gzip.compress(_long_name(1 << 32)), "at most"),
    _file("a tar that is packed and cut", gzip.compress(TAR)[:-200], "in"),
    _file("a gzip of zeros", gzip.compress(bytes(1 << 20)), "not a known source"),
    _file("a gzip bomb", gzip.compress(bytes(1 << 28), 1), "not a known source"),
    _file("a pickle", CANARY, "not a known source of pictures"),
    _file("text", b"no pictures here\n", "not a known source of pictures"),
    _file("an HDF5", b"\x89HDF\r\n\x1a\n" + bytes(600), "not a known source of pictures"),
]  # fmt: skip

ARRAYS = [
    _file("an array of objects", _npy(np.array([{}], object), pickled=True), "only plain numbers"),
    _file("an npz of objects", _zip({"images.npy": _npy(np.array([{}] * 3, object), pickled=True)}),
          "only plain numbers"),
    _file("an npz of other names", _zip({"weights.npy": _npy(IMAGES)}), "name them"),
    _file("an npz of fractions", _zip({"images.npy": _npy(IMAGES / 255)}), "uint8 from 0 to 255"),
    _file("an npz of two dimensions", _zip({"images.npy": _npy(IMAGES[0])}), "[N, H, W]"),
    _file("an npz of five channels", _zip({"images.npy": _npy(np.zeros((4, 6, 6, 5), np.uint8))}),
          "channels"),
    _file("an npz in Fortran's order", _zip({"images.npy": _npy(np.asfortranarray(
        np.ones((4, 6, 6), np.uint8)))}), "Fortran"),
    _file("an npz with too few labels", _zip({"images.npy": _npy(IMAGES), "labels.npy": _npy(
        np.zeros(3, np.int64))}), "labels", "4 images"),
    _file("an npz with labels below 0", _zip({"images.npy": _npy(IMAGES), "labels.npy": _npy(
        np.array([0, -1, 2, 3]))}), "-1"),
    _file("an npz with labels of text", _zip({"images.npy": _npy(IMAGES), "labels.npy": _npy(
        np.array(list("abcd")))}), "only plain numbers"),
    _file("an npz that ends early", _zip({"images.npy": _npy(IMAGES)[:-1]}), "ends at row 3"),
    _file("an array that ends early", _npy(IMAGES)[:-1], "ends at row 3"),
    _file("an array of nothing", _npy(IMAGES[:0]), "at least 1"),
    *(_file(f"an array whose header {what}", _told(text), says) for what, text, says in (
        ("is text", "hello", "damaged header"),
        ("is code", "__import__('os').system('touch canary')", "damaged header"),
        ("lacks a key", "{'descr': '|u1'}", "damaged header"),
        ("has a huge shape", "{'descr': '|u1', 'fortran_order': False, 'shape': (9, 2**9, 9)}",
         "damaged header"),
        ("declares an exabyte", "{'descr': '|u1', 'fortran_order': False, 'shape': "
         "(1000000, 1000000, 1000000)}", "dimensions"),
        ("declares a huge image", "{'descr': '|u1', 'fortran_order': False, 'shape': "
         "(1, 100000, 100000)}", "make them smaller"),
        ("has a shape below 0", "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 4, 4)}",
         "dimensions"),
        ("has a type that is none", "{'descr': 'x9', 'fortran_order': False, 'shape': (1, 4, 4)}",
         "damaged header"),
        ("is nested", "(" * 3000, "damaged header"))),
    _file("an array of half a header", _npy(IMAGES)[:40], "damaged header"),
]  # fmt: skip

TABLES = [
    _file("a table of seven pixels", b"1,2,3,4,5,6,7\n", "7 pixels"),
    _file("a table of names alone", b"label,pixel0,pixel1,pixel2,pixel3\n", "of 0 rows"),
    _file("a table of words", b"label,a,b,c,d\n1,x,x,x,x\n", "row 1", "cannot be read"),
    _file("a table of 256", b"label,a,b,c,d\n1,256,0,0,0\n", "0 to 255 are allowed"),
    _file("a table of fractions", b"label,a,b,c,d\n1,0.5,0,0,0\n", "row 1"),
    _file("a table of labels below 0", b"label,a,b,c,d\n-1,0,0,0,0\n", "classes count from 0"),
    _file("a table of texts of two pixels", b"label,pixels\n1,1 2\n", "2 pixels"),
    _file("a line that never ends", b"1," * (3 << 20), "pixels"),
]  # fmt: skip

IDX = [
    _file("IDX cut short", idx_header(4, 6, 6) + bytes(100), "truncated"),
    _file("IDX of labels", idx_header(4) + bytes(4), "N x height x width"),
    _file("IDX of two GiB", idx_header(1 << 31, 28, 28), "at most"),
]

OPTIONS = [
    *(Case(f"a size that is {what}", ("data", "prepare", "in", "--size", value, "--output", "out"),
           ("--size",)) for what, value in {"text": "big", "0": "0", "huge": "99999", "cut": "64x",
           "three": "1x2x3", "a fraction": "6.5"}.items()),
    *(Case(f"a share of {value} for {name}", (*_command("in"), f"--{name}={value}"), (f"--{name}",))
      for name in ("held-out", "max-unreadable") for value in ("-0.1", "1.5", "nan", "x")),
    Case("a ground that is a name", (*_command("in"), "--ground", "white"), ("--ground", "red")),
    Case("a mode that is none", (*_command("in"), "--mode", "zoom"), ("--mode", "crop, fit, pad")),
    Case("two channels", (*_command("in"), "--channels", "2"), ("--channels", "1 (grey)")),
    Case("no jobs", (*_command("in")[:-4], "--jobs", "0"), ("--jobs 0",)),
    Case("data of nothing", ("data",), ("required",)),
    Case("data of another kind", ("data", "cook"), ("cook",)),
]  # fmt: skip

TRAINING = SOUND.replace("name: mnist, batch_size: 32, limit: 128", "name: prepared, batch_size: 1")
TRAIN = ("train", "-c", "recipe.yml", "--dry-run", "--data-dir", "set")
PIXELS = np.arange(2 * 16 * 16, dtype=np.uint8).reshape(2, 1, 16, 16)
MANIFEST = {
    "format": "ppgan_zoo prepared set, 1", "image_shape": [1, 16, 16], "classes": ["a", "b"],
    "splits": {"train": {"count": 2, "sha256": "", "labels_sha256": "", "classes": [1, 1]}},
    "settings": {}, "source": {},
}  # fmt: skip


def _set(name: str, change: Callable[[Path, dict], object], *says: str) -> Case:
    """Return a case of a prepared set that was sound before a change to it."""

    def build(folder: Path, stock: Stock) -> None:
        import hashlib

        (folder / "recipe.yml").write_text(TRAINING)
        (folder / "set").mkdir()
        labels = np.array([0, 1], np.int64)
        manifest = json.loads(json.dumps(MANIFEST))
        part = manifest["splits"]["train"]
        part["sha256"] = hashlib.sha256(PIXELS.tobytes()).hexdigest()
        part["labels_sha256"] = hashlib.sha256(labels.tobytes()).hexdigest()
        np.save(folder / "set" / "train_images.npy", PIXELS)
        np.save(folder / "set" / "train_labels.npy", labels)
        written = change(folder / "set", manifest)
        text = written if isinstance(written, str) else json.dumps(manifest)
        if not os.path.lexists(folder / "set" / "manifest.json"):
            (folder / "set" / "manifest.json").write_text(text)

    return Case(name, TRAIN, says, build)


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _images(folder: Path) -> Path:
    return folder / "train_images.npy"


SETS = [
    _set("a flipped bit in the images", lambda f, m: _flip(_images(f), 200), "SHA-256"),
    _set("a flipped bit in the labels", lambda f, m: _flip(f / "train_labels.npy", 130), "SHA-256"),
    _set("images cut short", lambda f, m: os.truncate(_images(f), 300), "300 bytes"),
    _set("images of nothing", lambda f, m: os.truncate(_images(f), 0), "not an array"),
    _set("images too long", lambda f, m: os.truncate(_images(f), 1 << 30), "bytes"),
    _set("no images", lambda f, m: _images(f).unlink(), "train_images.npy"),
    _set("images that are a pipe", lambda f, m: (_images(f).unlink(), os.mkfifo(_images(f))),
         "not a regular file"),
    _set("images that are a device", lambda f, m: (
        _images(f).unlink(), _images(f).symlink_to("/dev/zero")), "not a regular file"),
    _set("images of another type", lambda f, m: np.save(_images(f), PIXELS.astype(np.int16)),
         "int16"),
    _set("images of another shape", lambda f, m: np.save(_images(f), PIXELS[:, :, :8]), "8"),
    _set("no labels", lambda f, m: (f / "train_labels.npy").unlink(), "train_labels.npy"),
    _set("labels for one image", lambda f, m: np.save(f / "train_labels.npy", np.array([0])),
         "train_labels.npy"),
    _set("labels of another class", lambda f, m: m.update(classes=["a"]), "labels from 0 to 1"),
    _set("a manifest of nothing", lambda f, m: " ", "manifest.json: damaged"),
    _set("a manifest of text", lambda f, m: "hello", "manifest.json: damaged"),
    _set("a manifest of a list", lambda f, m: "[]", "manifest.json: damaged"),
    _set("a manifest that is a pipe", lambda f, m: os.mkfifo(f / "manifest.json"),
         "manifest.json"),
    _set("a manifest of another form", lambda f, m: m.update(format="2"), "format"),
    _set("a manifest of five channels", lambda f, m: m.update(image_shape=[5, 16, 16]),
         "image_shape"),
    _set("a manifest of two sides", lambda f, m: m.update(image_shape=[16, 16]), "image_shape"),
    _set("a manifest without splits", lambda f, m: m.update(splits={}), "nothing is held out"),
    _set("a manifest of another split", lambda f, m: m["splits"].update(
        valid=m["splits"]["train"]), "splits"),
    _set("a manifest of no count", lambda f, m: m["splits"]["train"].update(count=0), "count"),
    _set("a manifest of a hash that leaves", lambda f, m: m["splits"]["train"].update(
        sha256="../../etc/passwd"), "sha256"),
    _set("a manifest of an unknown key", lambda f, m: m.update(more=1), "more"),
    _set("a folder for a set", lambda f, m: shutil.rmtree(f) or f.mkdir() or (
        f / "manifest.json").mkdir(), "manifest.json"),
    Case("no set", TRAIN, ("set: no such folder", "prepared set"),
         lambda folder, stock: (folder / "recipe.yml").write_text(TRAINING)),
    _set("a set whose manifest leads nowhere", lambda f, m: (f / "manifest.json").symlink_to("no"),
         "not a prepared set", "data prepare"),
]  # fmt: skip


def _given(name: str, make: Callable[[Path], object], *says: str) -> Case:
    """Return a case of a training on what is no source."""

    def build(folder: Path, stock: Stock) -> None:
        (folder / "recipe.yml").write_text(SOUND)
        make(folder / "in")

    return Case(name, ("train", "-c", "recipe.yml", "--dry-run", "--data", "in"), says, build)


GIVEN = [
    _given("a training on nothing", lambda path: None, "no such file or folder"),
    _given("a training on text", lambda path: path.write_text("no"), "not a known source of pictures"),
    _given("a training on a pipe", os.mkfifo, "not a regular file"),
    _given("a training on an empty folder", lambda path: path.mkdir(), "no pictures found"),
    _given("a training on a damaged set", _with(lambda path: (
        (path / "manifest.json").write_text("no"), (path / "train_images.npy").touch())),
        "manifest.json: damaged"),
    Case("a training on two sets", ("train", "-c", "recipe.yml", "--data", "a", "--data-dir", "b"),
         ("leave out --data-dir",), lambda folder, stock: (folder / "recipe.yml").write_text(SOUND)),
    Case("a resume on another set", ("train", "--resume", "run", "--data", "a"), ("leave out",)),
]  # fmt: skip

CASES = [
    *GIVEN, *PICTURES, *FOLDERS, *LABELS, *ARCHIVES, *ARRAYS, *TABLES, *IDX, *OPTIONS, *SETS,
]  # fmt: skip
