"""Malformed pictures, and folders of none."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import Case, Stock
from PIL import Image
from recipe_cases import SOUND

COMMAND = ("train", "-c", "recipe.yml", "--offline", "--dry-run", "--data-dir", "pictures")
RECIPE = SOUND.replace("name: mnist, batch_size: 32, limit: 128", "name: folder, batch_size: 1")


def _encoded(form: str, side: int = 40) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


PNG, JPEG, BMP = _encoded("PNG"), _encoded("JPEG"), _encoded("BMP")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG whose header says what it is told to."""
    size = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + data + chunk(b"IEND", b"")


def _built(name: str, make: Callable[[Path], object], *says: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        (folder / "recipe.yml").write_text(RECIPE)
        make(folder)

    return Case(name, COMMAND, says, build)


def _picture(name: str, content: bytes, *says: str, file: str = "a.png") -> Case:
    def make(folder: Path) -> None:
        (folder / "pictures").mkdir()
        (folder / "pictures" / file).write_bytes(content)

    return _built(name, make, f"pictures/{file}", *says)


def _bomb_text() -> bytes:
    """Return a PNG with 64 MiB of compressed text beside its pixels."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9))
    return PNG[:33] + text + PNG[33:]


TRUNCATED = [
    *(_picture(f"PNG of {size} bytes", PNG[:size], "not a picture", "replace or remove")
      for size in (0, 1, 8, 16, 25, 33, 41, 100, len(PNG) // 2, len(PNG) - 200)),
    *(_picture(f"JPEG of {size} bytes", JPEG[:size], "not a picture", file="a.jpg")
      for size in (0, 2, 20, 100, 300, 620, len(JPEG) // 2)),
    *(_picture(f"BMP of {size} bytes", BMP[:size], "not a picture", file="a.bmp")
      for size in (0, 2, 14, 30, 54, 1000, len(BMP) - 1)),
]  # fmt: skip

BOMBS = [
    _picture("PNG of 20000 x 20000", png(20_000, 20_000, b"\0"), "too many pixels"),
    _picture("PNG of 2^31 pixels a side", png(2**31 - 1, 2**31 - 1, b"\0"), "a.png"),
    _picture("PNG beyond 2^31", png(2**32 - 1, 2**32 - 1, b"\0"), "a.png"),
    _picture("PNG of no width", png(0, 10, b"\0"), "a.png"),
    _picture("PNG of no height", png(10, 0, b"\0"), "a.png"),
    _picture("PNG that stops early", png(9_000, 9_000, b"\0" * 1000), "a.png"),
    _picture("PNG with a text bomb", _bomb_text(), "a.png"),
    _picture("PNG of 16 bits", png(4, 4, b"\0" * 36, depth=16, colour=0), "more than 8 bits"),
    _picture("PNG of 7 bits", png(4, 4, b"\0" * 36, depth=7, colour=0), "not a picture"),
    _picture("PNG of no colour", png(4, 4, b"\0" * 52, colour=5), "not a picture"),
    _picture("PNG with a wrong checksum", PNG[:29] + b"\0\0\0\0" + PNG[33:], "not a picture"),
    _picture("PNG with a huge chunk", PNG[:33] + b"\x7f\xff\xff\xffIDAT", "not a picture"),
    _picture("BMP of 2^31 lines", BMP[:18] + struct.pack("<ii", 2**31 - 1, 2**31 - 1) + BMP[26:],
             "a.bmp", file="a.bmp"),
]  # fmt: skip

OTHER_FILES = [
    _picture("text called PNG", b"no picture\n", "not a picture"),
    _picture("a page of HTML called JPEG", b"<html>404</html>", "not a picture", file="a.jpg"),
    _picture("an SVG called PNG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    _picture(
        "PostScript called PNG",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch canary) run\n",
        "not a picture",
    ),
    _picture("a pickle called PNG", b"cos\nsystem\n(S'touch canary'\ntR.", "not a picture"),
    _picture("a zip called PNG", b"PK\x03\x04" + bytes(40), "not a picture"),
    _built("a pipe called PNG", lambda folder: _special(folder, "pipe"), "a.png"),
    _built("a device called PNG", lambda folder: _special(folder, "/dev/zero"), "link out of"),
    _built("a terminal called PNG", lambda folder: _special(folder, "/dev/tty"), "link out of"),
    _built(
        "a folder called PNG",
        lambda folder: (folder / "pictures/a.png").mkdir(parents=True),
        "no pictures found",
    ),
    _built("a picture that links to itself", lambda folder: _special(folder, "a.png"), "a.png"),
    _built("no folder", lambda folder: None, "pictures", "no such folder"),
    _built("a file for a folder", lambda folder: (folder / "pictures").touch(), "not a folder"),
    _built("an empty folder", lambda folder: (folder / "pictures").mkdir(), "no pictures found"),
    _built("only hidden pictures", lambda folder: _hidden(folder), "no pictures found"),
    _built("only other files", lambda folder: _texts(folder), "no pictures found", ".png"),
    _built("folders in a circle", lambda folder: _circle(folder), "no pictures found"),
]


def _special(folder: Path, target: str) -> None:
    (folder / "pictures").mkdir()
    if target == "pipe":
        os.mkfifo(folder / "pictures" / "a.png")
    else:
        (folder / "pictures" / "a.png").symlink_to(target)


def _hidden(folder: Path) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures" / ".a.png").write_bytes(PNG)


def _texts(folder: Path) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "notes.txt").write_text("nothing")


def _circle(folder: Path) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "again").symlink_to("../pictures")


def _saved(form: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (40, 40), 7).save(buffer, form, **options)
    return buffer.getvalue()


POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    b"(canary) (w) file closefile showpage\n"
)

OTHER_FORMATS = [
    *(_picture(f"{form} called {file}", _saved(form), "not a picture", "PNG, JPEG or BMP", file=file)
      for form in ("GIF", "TIFF", "WEBP", "ICO", "PPM", "TGA", "PCX", "SGI", "PDF", "IM", "DIB")
      for file in ("a.png",)),
    *(_picture(f"PostScript called {file}", POSTSCRIPT, "not a picture", file=file)
      for file in ("cat.jpg", "cat.JPEG", "cat.bmp", "cat.PNG")),
    _picture("a picture of FITS", b"SIMPLE  =                    T" + bytes(2850), "not a picture"),
    _picture("an HDF5 called PNG", b"\x89HDF\r\n\x1a\n" + bytes(64), "not a picture"),
    _picture("a preview in DOS PostScript", b"\xc5\xd0\xd3\xc6" + bytes(28) + POSTSCRIPT,
             "not a picture", file="a.bmp"),
]  # fmt: skip


def _deep(colour: int, channels: int) -> bytes:
    return png(4, 4, (b"\0" + b"\xea\x60" * 4 * channels) * 4, depth=16, colour=colour)


def _with_chunk(kind: bytes, content: bytes) -> bytes:
    """Return the sound PNG with one more chunk before its pixels."""
    return PNG[:33] + chunk(kind, content) + PNG[33:]


def _sparse(folder: Path, start: bytes, size: int, file: str) -> None:
    (folder / "pictures").mkdir()
    with (folder / "pictures" / file).open("wb") as stream:
        stream.write(start)
        stream.truncate(size)


def _frame(width: int, height: int, bits: int = 8) -> bytes:
    """Return a JPEG that says it is of this size."""
    size = struct.pack(">BHHB", bits, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(size) + 2) + size + b"\xff\xd9"


DAMAGE_WITHIN = [
    _picture("colour of 16 bits", _deep(2, 3), "more than 8 bits"),
    _picture("colour and transparency of 16 bits", _deep(6, 4), "more than 8 bits"),
    _picture("grey and transparency of 16 bits", _deep(4, 2), "more than 8 bits"),
    _picture("JPEG of 12 bits", _frame(8, 8, 12), "not a picture", file="a.jpg"),
    _picture("JPEG of 65535 x 65535", _frame(65535, 65535), "too many pixels", file="a.jpg"),
    _picture("JPEG of no size", _frame(0, 0), "not a picture", file="a.jpg"),
    _picture("JPEG without an image", b"\xff\xd8\xff\xd9", "not a picture", file="a.jpg"),
    _picture("JPEG that stops in its scan", _saved("JPEG", progressive=True)[:300], "a.jpg",
             file="a.jpg"),
    _picture("PNG with a profile bomb", _with_chunk(
        b"iCCP", b"x\0\0" + zlib.compress(bytes(64 << 20), 9)), "a.png"),
    _picture("PNG with a chunk that is no name", _with_chunk(b"\x1b[31", b"red"), "not a picture"),
    _picture("PNG whose pixels are no zlib", png(4, 4, b"")[:33] + chunk(b"IDAT", b"no zlib"),
             "not a picture"),
    _picture("PNG without pixels", PNG[:33] + chunk(b"IEND", b""), "not a picture"),
    _picture("PNG with two headers", PNG[:33] + PNG[8:33] + PNG[33:200], "not a picture"),
    _picture("PNG of an unknown filter", png(4, 4, (b"\x09" + bytes(12)) * 4), "not a picture"),
    _picture("PNG of an unknown compression", PNG[:26] + b"\7" + PNG[27:], "not a picture"),
    _picture("BMP of 3 bits", BMP[:28] + struct.pack("<H", 3) + BMP[30:], "not a picture",
             file="a.bmp"),
    _picture("BMP of an unknown compression", BMP[:30] + struct.pack("<I", 77) + BMP[34:],
             "not a picture", file="a.bmp"),
    _picture("BMP whose pixels begin beyond its end", BMP[:10] + struct.pack("<I", 1 << 30)
             + BMP[14:], "not a picture", file="a.bmp"),
    _built("a sparse terabyte called PNG", lambda folder: _sparse(folder, b"", 1 << 40, "a.png"),
           "a.png", "at most"),
    _built("a sound PNG and a sparse terabyte", lambda folder: _sparse(folder, PNG, 1 << 40,
           "a.png"), "a.png", "at most"),
    _built("a PNG whose chunk is two sparse GiB", lambda folder: _sparse(
        folder, PNG[:33] + b"\x7f\xff\xff\xfftEXt", (1 << 31) + 45, "a.png"), "a.png", "at most"),
    _built("a BMP and a sparse terabyte", lambda folder: _sparse(folder, BMP, 1 << 40, "a.bmp"),
           "a.bmp", "at most"),
]  # fmt: skip


def _option(name: str, value: str, *says: str) -> Case:
    def build(folder: Path, stock: Stock) -> None:
        recipe = RECIPE.replace("batch_size: 1", f"batch_size: 1, options: {value}")
        (folder / "recipe.yml").write_text(recipe)
        (folder / "pictures").mkdir()
        (folder / "pictures" / "a.png").write_bytes(PNG)

    return Case(name, COMMAND, says, build)


OPTIONS = [
    *(_option(f"a background that is {what}", f"{{background: {value}}}", "data.options.background",
              "red, green and blue")
      for what, value in {"a name": "white", "one number": "255", "a pair": "[1, 2]",
                          "above 255": "[0, 0, 256]", "below 0": "[0, 0, -1]",
                          "of fractions": "[0.5, 0.5, 0.5]", "of text": "['0', '0', '0']",
                          "of truths": "[true, true, true]", "nothing": "null", "empty": "[]",
                          "nested": "[[0, 0, 0]]"}.items()),
    _option("an option that there is not", "{backgroud: [0, 0, 0]}", "backgroud",
            "did you mean 'background'"),
    _option("options that are a list", "[background]", "data.options: found"),
]  # fmt: skip

CASES = [*TRUNCATED, *BOMBS, *OTHER_FILES, *OTHER_FORMATS, *DAMAGE_WITHIN, *OPTIONS]
