"""Malformed IDX files and the folders that hold them."""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import Case, Stock
from recipe_cases import SOUND

COMMAND = ("train", "-c", "recipe.yml", "--offline", "--dry-run", "--data-dir", "data")
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
COUNT, SIDE = 128, 28


def header(*shape: int, code: int = 8) -> bytes:
    """Return an IDX header."""
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)


PIXELS = np.random.default_rng(0).integers(0, 256, COUNT * SIDE * SIDE, np.uint8).tobytes()
SOUND_IMAGES = header(COUNT, SIDE, SIDE) + PIXELS
SOUND_LABELS = header(COUNT) + bytes(COUNT)
ZIPPED = gzip.compress(SOUND_IMAGES, 1)


def write_small_mnist(folder: Path) -> None:
    """Write a sound set of 128 images of noise."""
    folder.mkdir()
    (folder / IMAGES).write_bytes(SOUND_IMAGES)
    (folder / LABELS).write_bytes(SOUND_LABELS)


def _build(images: bytes | None, labels: bytes | None) -> Callable[[Path, Stock], None]:
    def build(folder: Path, stock: Stock) -> None:
        (folder / "recipe.yml").write_text(SOUND)
        (folder / "data").mkdir()
        for name, content in ((IMAGES, images), (LABELS, labels)):
            if content is not None:
                (folder / "data" / name).write_bytes(content)

    return build


def _images(name: str, content: bytes, *says: str) -> Case:
    return Case(name, COMMAND, (IMAGES, *says), _build(content, SOUND_LABELS))


def _labels(name: str, content: bytes, *says: str) -> Case:
    return Case(name, COMMAND, (LABELS, *says), _build(SOUND_IMAGES, content))


def _bomb() -> bytes:
    """Return a gigabyte of zeros in a megabyte, behind a header that declares little."""
    return gzip.compress(header(COUNT, SIDE, SIDE) + bytes(1 << 28), 1)


def _built(name: str, make: Callable[[Path], object], *says: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        (folder / "recipe.yml").write_text(SOUND)
        make(folder)

    return Case(name, COMMAND, says, build)


def _sparse(folder: Path) -> None:
    (folder / "data").mkdir()
    with (folder / "data" / IMAGES).open("wb") as file:
        file.write(header(1 << 21, 1 << 10, 1 << 10))
        file.truncate(1 << 41)


def _circle(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / IMAGES).symlink_to(IMAGES)


def _only(entry: Callable[[Path], object]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / "data").mkdir()
        entry(folder / "data" / IMAGES)

    return make


_PLACES = {  # every boundary of the format, and one byte before it
    "nothing": 0, "one byte": 1, "half the magic": 2, "three bytes of magic": 3,
    "the magic alone": 4, "part of a dimension": 7, "one dimension": 8, "two dimensions": 12,
    "all but a byte of the header": 15, "the header alone": 16, "one value": 17,
    "one image": 16 + SIDE * SIDE, "all but a byte": len(SOUND_IMAGES) - 1,
}  # fmt: skip
_ZIPPED_PLACES = {
    "of gzip's magic a byte": 1, "gzip's magic": 2, "part of gzip's header": 5,
    "gzip's header": 10, "a block's beginning": 11, "the middle": len(ZIPPED) // 2,
    "the checksum": len(ZIPPED) - 8, "the length": len(ZIPPED) - 4,
    "all but a byte of gzip": len(ZIPPED) - 1,
}  # fmt: skip

TRUNCATED = [
    *(_images(f"ends after {name}", SOUND_IMAGES[:at], "truncated", "replace the file")
      for name, at in _PLACES.items()),
    *(_images(f"gzip ends after {name}", ZIPPED[:at], "replace the file")
      for name, at in _ZIPPED_PLACES.items()),
    *(_labels(f"labels end after {at} bytes", SOUND_LABELS[:at], "truncated", "replace the file")
      for at in (0, 3, 4, 7, 8, len(SOUND_LABELS) - 1)),
]  # fmt: skip

WRONG_HEADERS = [
    _images("floats", header(2, 28, 28, code=0x0D) + bytes(6272), "type code 0x0d", "0x08"),
    _images("signed bytes", header(2, 28, 28, code=9) + bytes(1568), "type code 0x09", "0x08"),
    _images("little endian", struct.pack("<IIII", 2051, 2, 28, 28) + bytes(1568), "not an IDX"),
    _images("no dimension", b"\0\0\x08\0", "0 IDX dimensions", "1 to 4"),
    _images("five dimensions", header(1, 1, 1, 1, 1) + b"\0", "5 IDX dimensions", "1 to 4"),
    _images("255 dimensions", b"\0\0\x08\xff" + bytes(1020), "255 IDX dimensions", "1 to 4"),
    _images("a dimension of 2^31", header(1 << 31, 28, 28), "2147483648", "at most"),
    _images("dimensions of 2^31", header(1 << 31, 1 << 31, 1 << 31), "2147483648", "at most"),
    _images("dimensions of 2^32 - 1", header(*(3 * [2**32 - 1])), "4294967295", "at most"),
    _images("2 GiB declared, nothing there", header(1 << 31), "truncated", "0 found"),
    _images("no images", header(0, 28, 28), "0 x 28 x 28", "at least 1"),
    _images("images of no width", header(2, 28, 0), "2 x 28 x 0", "at least 1"),
    _images("images of 32 pixels", header(2, 32, 32) + bytes(2048), "2 x 32 x 32", "28"),
    _images("one dimension only", SOUND_LABELS, "shape 128", "28"),
    _images("colour", header(2, 28, 28, 3) + bytes(4704), "2 x 28 x 28 x 3", "28"),
    _images("more values than declared", SOUND_IMAGES + b"\0", "trailing bytes"),
    _labels("fewer labels than images", header(127) + bytes(127), "127", "128"),
    _labels("more labels than images", header(129) + bytes(129), "129", "128"),
    _labels("images for labels", SOUND_IMAGES, "128 x 28 x 28", "128"),
    _labels("labels of no number", header(0), "at least 1"),
    _labels("2^31 labels", header((1 << 31) + 1), "2147483649", "at most"),
]  # fmt: skip

OTHER_FILES = [
    _images("text", b"these are no images\n", "not an IDX file", "0x000008NN"),
    _images("a page of HTML", b"<!DOCTYPE html><html>404</html>", "not an IDX file"),
    _images("a zip archive", b"PK\x03\x04" + bytes(60), "not an IDX file"),
    _images("a numpy array", b"\x93NUMPY\x01\0" + bytes(60), "not an IDX file"),
    _images("a pickle that runs", b"cos\nsystem\n(S'touch canary'\ntR.", "not an IDX file"),
    _images("a gzip of text", gzip.compress(b"no images here"), "not an IDX file"),
    _images("a gzip of nothing", gzip.compress(b""), "truncated"),
    _images("gzip twice", gzip.compress(ZIPPED), "not an IDX file"),
    _images("a gzip bomb", _bomb(), "trailing bytes"),
    _images("a gzip with a flipped byte", ZIPPED[:5000] + bytes([ZIPPED[5000] ^ 255])
            + ZIPPED[5001:], "replace the file"),
    _images("a gzip with a wrong checksum", ZIPPED[:-8] + bytes(4) + ZIPPED[-4:], "damaged gzip"),
    _images("a gzip of another method", b"\x1f\x8b\x07" + ZIPPED[3:], "damaged gzip"),
    _images("garbage after a gzip", ZIPPED + b"garbage", "replace the file"),
    _built("two terabytes, sparse", _sparse, IMAGES, "at most"),
    _built("a folder for a file", _only(lambda path: path.mkdir()), IMAGES, "not a regular file"),
    _built("a pipe for a file", _only(os.mkfifo), IMAGES, "not a regular file"),
    _built("a device for a file", _only(lambda path: path.symlink_to("/dev/zero")), IMAGES,
           "not a regular file"),
    _built("a file that links to itself", _circle, "data", "does not hold mnist"),
    _built("an empty folder", lambda folder: (folder / "data").mkdir(), "does not hold mnist",
           IMAGES),
    _built("a file for a folder", lambda folder: (folder / "data").touch(), "data", "no folder"),
    Case("labels alone", COMMAND, ("does not hold mnist", IMAGES), _build(None, SOUND_LABELS)),
]  # fmt: skip


def _special_labels(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def build(folder: Path) -> None:
        (folder / "data").mkdir()
        (folder / "data" / IMAGES).write_bytes(SOUND_IMAGES)
        make(folder / "data" / LABELS)

    return build


def _nested(*files: tuple[str, bytes | None]) -> Callable[[Path], object]:
    """Return what writes files below ``data``; of None a folder is made."""

    def build(folder: Path) -> None:
        (folder / "data").mkdir()
        for name, content in files:
            path = folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir()
            else:
                path.write_bytes(content)

    return build


DOTTED = IMAGES.replace("-idx", ".idx")
PLACES = [
    _built("a pipe for labels", _special_labels(os.mkfifo), LABELS, "not a regular file"),
    _built("a folder for labels", _special_labels(lambda path: path.mkdir()), LABELS,
           "not a regular file"),
    _built("a device for labels", _special_labels(lambda path: path.symlink_to("/dev/zero")),
           LABELS, "not a regular file"),
    _built("a folder of the file's name with nothing in it", _nested((IMAGES, None)), IMAGES,
           "not a regular file"),
    _built("a folder of the file's name with text in it", _nested((f"{IMAGES}/{IMAGES}", b"text")),
           f"{IMAGES}/{IMAGES}", "not an IDX file"),
    _built("text with a dot in its name", _nested((DOTTED, b"text")), DOTTED, "not an IDX file"),
    _built("a file of another split", _nested((IMAGES.replace("train", "t10k"), SOUND_IMAGES)),
           "does not hold mnist", IMAGES),
    _built("a file of nearly the name", _nested((IMAGES.upper(), SOUND_IMAGES)),
           "does not hold mnist", IMAGES),
    _built("a set that lies too deep", _nested((f"a/b/{IMAGES}", SOUND_IMAGES)),
           "does not hold mnist", IMAGES),
    _built("a set in a file of its name", _nested(("mnist", SOUND_IMAGES)), "does not hold mnist"),
]  # fmt: skip

CASES = [*TRUNCATED, *WRONG_HEADERS, *OTHER_FILES, *PLACES]
