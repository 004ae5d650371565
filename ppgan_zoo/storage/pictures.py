"""Sample grids: many small images in one picture."""

from __future__ import annotations

import base64
import html
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ppgan_zoo.storage.files import write_atomically
from ppgan_zoo.storage.ownership import BLANK, seal_of

MIN_CELL = 56  # pixels: a 28x28 digit is enlarged twice, so that a person can read it
PNG_END = 12  # bytes of the chunk that ends a PNG
GAP, CAPTION_HEIGHT, BACKGROUND = 2, 16, 96


def image_grid(
    images: NDArray[np.uint8],
    columns: int,
    *,
    above: NDArray[np.uint8] | None = None,
    caption: str = "",
) -> NDArray[np.uint8]:
    """Lay images out in rows, enlarged by whole factors if they are small.

    Args:
        images: ``uint8 [N, C, H, W]``, C 1 or 3.
        columns: Images in a row.
        above: More images of the same shape, set apart above the others.
        caption: A line of text over everything.

    Returns:
        ``uint8 [height, width]`` for grey and ``[height, width, 3]`` for RGB.
    """
    blocks = [_block(part, columns) for part in (above, images) if part is not None and len(part)]
    line = np.full((4 * GAP, *blocks[0].shape[1:]), 255, np.uint8)
    rows = blocks if len(blocks) == 1 else [blocks[0], line, blocks[1]]
    if caption:
        rows.insert(0, _caption(caption, rows[0]))
    return np.concatenate(rows)


def save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write ``uint8 [H, W]`` or ``[H, W, 3]`` as a sealed PNG, whole or not at all."""
    write_atomically(path, sealed_png(pixels))


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return ``uint8 [H, W]`` or ``[H, W, 3]`` as PNG."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format="PNG")
    return encoded.getvalue()


def as_data_url(pixels: NDArray[np.uint8]) -> str:
    """Return ``uint8 [H, W]`` or ``[H, W, 3]`` as a PNG inside an address, for a page."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(pixels)).decode()}"


def grid_html(images: NDArray[np.uint8], columns: int, caption: str) -> str:
    """Return a grid of ``uint8 [N, C, H, W]`` as HTML, for a notebook; the caption is escaped."""
    said = html.escape(caption)
    source = as_data_url(image_grid(images, columns))
    return f'<figure><img src="{source}" alt="{said}"><figcaption>{said}</figcaption></figure>'


def sealed_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG whose text ``Software`` is the seal of :mod:`ppgan_zoo.storage.ownership`."""
    encoded, keyword = encode_png(pixels), b"tEXtSoftware\0"
    length = struct.pack(">I", len(keyword) - 4 + len(BLANK))
    before = encoded[:-PNG_END] + length + keyword
    text = seal_of(before)
    return before + text + struct.pack(">I", zlib.crc32(keyword + text)) + encoded[-PNG_END:]


def to_pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``uint8 [C, H, W]`` as a picture has it: ``[H, W]``, or ``[H, W, 3]`` for RGB."""
    return np.ascontiguousarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def _block(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    scale = max(1, -(-MIN_CELL // max(images.shape[2:])))
    cells = images.repeat(scale, axis=2).repeat(scale, axis=3).transpose(0, 2, 3, 1)
    _, height, width, channels = cells.shape
    rows = -(-len(cells) // columns)
    shape = (rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels)
    canvas = np.full(shape, BACKGROUND, np.uint8)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        canvas[top : top + height, left : left + width] = cell
    return canvas[:, :, 0] if channels == 1 else canvas


def _caption(text: str, like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = Image.new("L", (like.shape[1], CAPTION_HEIGHT), 0)
    ImageDraw.Draw(picture).text((GAP, 2), text, fill=255)
    strip = np.asarray(picture)
    return strip if like.ndim == 2 else strip[:, :, None].repeat(3, axis=2)
