"""How pictures are prepared, and one picture after the other as it is asked for."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ppgan_zoo.data.pictures import (
    ALL_FORMATS,
    FILTER,
    MODES,
    WHITE,
    Colour,
    on_background,
    opened_picture,
    picture_to_pixels,
    to_8_bits,
)
from ppgan_zoo.errors import ConfigError

SMALLEST, LARGEST = 4, 1024
"""Pixels of a side, as a recipe allows."""

_SIZE = re.compile(r"([0-9]{1,5})(?:x([0-9]{1,5}))?")
_COLOUR = re.compile(r"([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3})")


@dataclass(frozen=True)
class Settings:
    """How pictures are prepared.

    Attributes:
        size: Height and width.
        mode: One of :data:`ppgan_zoo.data.pictures.MODES`.
        channels: 1 (grey), 3 (RGB); None for what the source is known to have, else 3.
        ground: The colour beneath what is transparent, and beside what is padded.
        held_out: The share of pictures that are kept for testing; None for a tenth of a source of
            at least `ENOUGH_TO_HOLD_OUT`, and none of a smaller one.
        seed: Of which ones those are.
        drop_duplicates: Whether of pictures that are equal when prepared only the first is kept.

    Raises:
        ConfigError: A value that is not allowed.
    """

    size: tuple[int, int]
    mode: str = "crop"
    channels: int | None = None
    ground: Colour = WHITE
    held_out: float | None = None
    seed: int = 0
    drop_duplicates: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if not all(SMALLEST <= side <= LARGEST for side in self.size):
            raise ConfigError(
                f"--size {self.size[0]}x{self.size[1]}: give {SMALLEST} to {LARGEST} pixels"
            )
        if self.mode not in MODES:
            raise ConfigError(f"--mode {self.mode}: give {', '.join(MODES)}")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"--channels {self.channels}: give 1 (grey) or 3 (RGB)")
        if self.held_out is not None and not 0 <= self.held_out < 1:
            raise ConfigError(f"--held-out {self.held_out}: give a share from 0 to below 1")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: give 0 or more")

    @property
    def filter(self) -> str:
        """The name of the filter, for the manifest."""
        return f"Pillow {FILTER.name}"

    def describe(self) -> dict[str, Any]:
        """Return them as plain JSON values, with the filter that resizes."""
        return {
            "size": list(self.size),
            "mode": self.mode,
            "filter": self.filter,
            "channels": self.channels,
            "ground": list(self.ground),
            "held_out": self.held_out,
            "seed": self.seed,
            "drop_duplicates": self.drop_duplicates,
        }


def parse_size(text: str) -> tuple[int, int]:
    """Read ``64`` or ``48x64``: height and width.

    Raises:
        ConfigError: It is neither.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ConfigError(f"--size {text}: give a number of pixels, or height x width as 48x64")
    height = int(found[1])
    return height, int(found[2] or height)


def parse_colour(text: str) -> Colour:
    """Read ``255,255,255``: red, green and blue.

    Raises:
        ConfigError: It is no such colour.
    """
    found = _COLOUR.fullmatch(text)
    parts = [int(part) for part in found.groups()] if found else []
    if len(parts) != 3 or max(parts) > 255:
        raise ConfigError(f"--ground {text}: give red, green and blue, 0 to 255, as 255,255,255")
    return parts[0], parts[1], parts[2]


def prepare_picture(
    content: Path | bytes | NDArray[np.uint8],
    name: str,
    size: tuple[int, int],
    mode: str,
    channels: int,
    ground: Colour,
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return one picture as pixels, and what there is to say of it.

    Args:
        content: See :class:`ppgan_zoo.data.prepare.source.Entry`.
        name: What to call it in an error.
        size: Height and width.
        mode: See :class:`Settings`.
        channels: 1 or 3.
        ground: See :class:`Settings`.

    Returns:
        uint8 ``[channels, height, width]``, and some of ``"enlarged"``, ``"transparent"``,
        ``"animated"`` and ``"warned"``.

    Raises:
        DataError: It cannot be read.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if isinstance(content, np.ndarray):
            picture = Image.fromarray(content[..., 0] if content.shape[2:] == (1,) else content)
            pixels = _framed(picture, size, mode, channels, ground, notes)
        else:
            with opened_picture(content, name, ALL_FORMATS, deep=True) as opened:
                if getattr(opened, "is_animated", False):
                    notes.append("animated")
                opened.load()
                ImageOps.exif_transpose(opened, in_place=True)
                shallow = to_8_bits(opened, name)
                pixels = _framed(shallow, size, mode, channels, ground, notes)
    return pixels, [*notes, "warned"] if said else notes


def _framed(
    picture: Image.Image,
    size: tuple[int, int],
    mode: str,
    channels: int,
    ground: Colour,
    notes: list[str],
) -> NDArray[np.uint8]:
    """Compose on the ground, resize, and note what was odd."""
    filled, was_transparent = on_background(picture, ground)
    if was_transparent:
        notes.append("transparent")
    smaller = picture.height < size[0], picture.width < size[1]
    if all(smaller) if mode == "pad" else any(smaller):
        notes.append("enlarged")
    return picture_to_pixels(filled, size, channels, mode, ground)
