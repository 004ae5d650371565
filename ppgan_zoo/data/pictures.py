"""Opening one picture of a user's: of a known format, bounded, and what is transparent filled."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ppgan_zoo.errors import DataError, first_line

FORMATS = ("PNG", "JPEG", "BMP")
"""What a picture may be, whatever its name ends in.

Pillow tries every format that it knows unless it is told some, and one of them, PostScript,
starts another program.
"""

ALL_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")
"""What a picture may be that is prepared, in a process of its own."""

WHITE = (255, 255, 255)

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

MODES = ("crop", "fit", "pad")
"""How a picture of other proportions is brought to a size; see :func:`picture_to_pixels`."""

FILTER = Image.Resampling.LANCZOS
"""How pictures are resized: Pillow's Lanczos filter, 3 lobes wide in the larger of both scales."""

MAX_BYTES = 512 << 20
"""The largest file of a picture: one of as many pixels as are decoded, 4 bytes each, fits."""

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # tags of TIFF
_WHITE_IS_ZERO = 0  # a value of the latter

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
def opened_picture(
    picture: Path | bytes,
    name: str = "",
    formats: tuple[str, ...] = FORMATS,
    *,
    deep: bool = False,
) -> Iterator[Image.Image]:
    """Open a picture; whatever is wrong with it, here or in the block, is a DataError.

    Args:
        picture: A file, or what one holds.
        name: What to call it in an error; left out, its path.
        formats: What it may be.
        deep: Whether more than 8 bits per value are allowed.

    Raises:
        DataError: No regular file, larger than `MAX_BYTES`, of no format in `formats`, damaged,
            of too many bits per value, or with more pixels than are safe to decode.
    """
    name = name or str(picture)
    if isinstance(picture, Path):
        _check_file(picture, name)
    source = io.BytesIO(picture) if isinstance(picture, bytes) else picture
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=formats) as opened:
                if not deep and _has_more_than_8_bits(opened):
                    raise DataError(
                        f"{name}: pixels of more than 8 bits; "
                        "convert the picture to 8-bit grey or RGB"
                    )
                _scale_transparent_value(opened)
                yield opened
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{name}: too many pixels to decode safely (more than {Image.MAX_IMAGE_PIXELS}); "
            "make the picture smaller or remove it"
        ) from error
    except _PILLOW_ERRORS as error:
        raise DataError(
            f"{name}: not a picture that can be read ({_reason(error)}); it must be "
            f"{', '.join(formats[:-1])} or {formats[-1]}: replace or remove the file"
        ) from error


def _check_file(path: Path, name: str) -> None:
    """Refuse what is no file, or a larger one than any picture."""
    if not os.path.lexists(path):
        raise DataError(f"{name}: no such file")
    if not os.path.isfile(path):  # to open a pipe would wait for ever
        raise DataError(f"{name}: not a regular file; remove it")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}); remove it") from error
    if size > MAX_BYTES:
        raise DataError(
            f"{name}: {size} bytes; a picture of at most {MAX_BYTES} is allowed: make it "
            "smaller or remove it"
        )


def on_background(picture: Image.Image, background: Colour) -> tuple[Image.Image, bool]:
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


def to_8_bits(picture: Image.Image, name: str) -> Image.Image:
    """Return a picture whose values have 8 bits; one that has them as it is.

    Grey of more bits is brought to the nearest of 8. Of colours and of grey with a layer of
    transparency Pillow keeps the upper 8 bits. What is transparent stays so.

    Args:
        picture: Opened with ``deep``.
        name: What to call it in an error.

    Raises:
        DataError: Its values have more than 16 bits or a sign, or are fractions.
    """
    if not picture.mode.startswith(("I", "F")):
        return picture
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    if not picture.mode.startswith("I;16") and not (
        picture.mode == "I" and picture.format == "PNG"
    ):
        found = "with a sign" if bits == 16 else f"of {bits} bits"
        raise DataError(
            f"{name}: pixels {found}; values from 0 on, of at most 16 bits are allowed: convert "
            "the picture"
        )
    values = np.asarray(picture).astype(np.float64)
    scaled = np.rint(values * (255 / (2**bits - 1))).clip(0, 255).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        scaled = 255 - scaled
    result = Image.fromarray(scaled)
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        result.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return result


def picture_to_pixels(
    picture: Image.Image,
    size: int | tuple[int, int],
    channels: int,
    mode: str = "crop",
    ground: Colour = WHITE,
) -> NDArray[np.uint8]:
    """Convert a picture to grey or RGB and bring it to a size, with Pillow's Lanczos filter.

    The filter looks at all pixels of the picture when it makes it smaller (it is anti-aliased).

    Args:
        picture: Any 8-bit picture; its transparency is not looked at, see :func:`on_background`.
        size: Height and width of the result; one number for a square.
        channels: 1 (grey) or 3 (RGB).
        mode: What to do where the proportions are others: ``"crop"`` takes the central part of
            the right proportions, ``"fit"`` stretches the whole picture, ``"pad"`` keeps the whole
            picture and its proportions, in the middle of a ground.
        ground: The colour of the ground.

    Returns:
        uint8 ``[channels, height, width]``.
    """
    height, width = (size, size) if isinstance(size, int) else size
    picture = picture.convert("L" if channels == 1 else "RGB")
    if mode == "crop":
        picture = _central_part(picture, width, height)
    if mode == "pad":
        picture = _padded(picture, width, height, ground)
    elif picture.size != (width, height):
        picture = picture.resize((width, height), FILTER)
    pixels: NDArray[np.uint8] = np.asarray(picture, dtype=np.uint8)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _central_part(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return the largest central part of a picture that has the proportions of a size."""
    part_width = min(picture.width, max(1, round(picture.height * width / height)))
    part_height = min(picture.height, max(1, round(picture.width * height / width)))
    if picture.size == (part_width, part_height):
        return picture
    left, top = (picture.width - part_width) // 2, (picture.height - part_height) // 2
    return picture.crop((left, top, left + part_width, top + part_height))


def _padded(picture: Image.Image, width: int, height: int, ground: Colour) -> Image.Image:
    """Return a picture as large as fits into a size, in its middle."""
    scale = min(width / picture.width, height / picture.height)
    fitting = (
        min(width, max(1, round(picture.width * scale))),
        min(height, max(1, round(picture.height * scale))),
    )
    if picture.size != fitting:
        picture = picture.resize(fitting, FILTER)
    whole = Image.new("RGB", (width, height), ground).convert(picture.mode)
    whole.paste(picture, ((width - fitting[0]) // 2, (height - fitting[1]) // 2))
    return whole


def _reason(error: Exception) -> str:
    """Return what Pillow found wrong, without the path of the file."""
    if isinstance(error, UnidentifiedImageError):
        return "of no known format"
    return getattr(error, "strerror", None) or first_line(error)


def _scale_transparent_value(picture: Image.Image) -> None:
    """Bring a value that is transparent to 8 bits, as Pillow will do with pixels of 2, 4 or 16.

    Pillow gives the value of a PNG as it is in the file. Grey of 16 bits stays what it is.
    """
    transparent = picture.info.get("transparency")
    told = [tile[3] for tile in getattr(picture, "tile", ())] if picture.format == "PNG" else []
    for bits in (2, 4):
        if isinstance(transparent, int) and f"L;{bits}" in told:
            top = 2**bits - 1
            picture.info["transparency"] = (transparent & top) * (255 // top)
    if isinstance(transparent, tuple) and "RGB;16B" in told:
        picture.info["transparency"] = tuple(value >> 8 for value in transparent)


def _has_more_than_8_bits(picture: Image.Image) -> bool:
    """Tell whether values have more than 8 bits, of which Pillow may keep the upper ones only."""
    return picture.mode.startswith(("I", "F")) or any(
        str(tile[3]).endswith(";16B") for tile in getattr(picture, "tile", ())
    )
