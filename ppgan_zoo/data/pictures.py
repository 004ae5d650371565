"""Opening one picture of a user's: of a known format, bounded, and what is transparent filled."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from ppgan_zoo.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP")
"""What a picture may be, whatever its name ends in.

Pillow tries every format that it knows unless it is told some, and one of them, PostScript,
starts another program.
"""

MAX_BYTES = 512 << 20
"""The largest file of a picture: one of as many pixels as are decoded, 4 bytes each, fits."""

# What Pillow raises for damaged pictures, by format and by kind of damage.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
)


@contextmanager
def opened_picture(path: Path) -> Iterator[Image.Image]:
    """Open a picture; whatever is wrong with it, here or in the block, is a DataError.

    Raises:
        DataError: No regular file, larger than `MAX_BYTES`, of no format in `FORMATS`, damaged,
            of more than 8 bits per value, or with more pixels than are safe to decode.
    """
    if not os.path.isfile(path):  # to open a pipe would wait for ever
        raise DataError(f"{path}: not a regular file; remove it")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(
                f"{path}: {size} bytes; a picture of at most {MAX_BYTES} is allowed: make it "
                "smaller or remove it"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                if _has_more_than_8_bits(picture):
                    raise DataError(
                        f"{path}: pixels of more than 8 bits; "
                        "convert the picture to 8-bit grey or RGB"
                    )
                yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{path}: too many pixels to decode safely (more than {Image.MAX_IMAGE_PIXELS}); "
            "make the picture smaller or remove it"
        ) from error
    except _PILLOW_ERRORS as error:
        raise DataError(
            f"{path}: not a picture that can be read ({first_line(error)}); it must be "
            f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}: replace or remove the file"
        ) from error


def on_background(
    picture: Image.Image, background: tuple[int, int, int]
) -> tuple[Image.Image, bool]:
    """Return a picture as a viewer shows it on a ground of one colour.

    Args:
        picture: Any 8-bit picture.
        background: Red, green and blue, 0 to 255.

    Returns:
        The picture, RGB if it has a layer of transparency, and whether a pixel is transparent.
    """
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture, False
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*background, 255))
    is_opaque = layer.getchannel("A").getextrema() == (255, 255)
    return Image.alpha_composite(ground, layer).convert("RGB"), not is_opaque


def first_line(error: Warning | Exception | str) -> str:
    """Return the first line of an error's text, or its kind if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _has_more_than_8_bits(picture: Image.Image) -> bool:
    """Tell whether values have more than 8 bits, of which Pillow may keep the upper ones only."""
    return picture.mode.startswith(("I", "F")) or any(
        str(tile[3]).endswith(";16B") for tile in getattr(picture, "tile", ())
    )
