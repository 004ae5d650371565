"""Image sets made from a folder of pictures."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps
from tqdm import tqdm  # type: ignore[import-untyped]

from ppgan_zoo.data.images import ImageSet, check_form, check_limit, check_memory
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.data.part import choose_part
from ppgan_zoo.data.pictures import (
    WHITE,
    on_background,
    opened_picture,
    picture_to_pixels,
)
from ppgan_zoo.data.prepare.layout import is_prepared
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.data.walk import classes_of, look_through
from ppgan_zoo.errors import ConfigError, DataError, first_line
from ppgan_zoo.storage.files import as_argument

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""What the name of a picture ends in, in either case."""

DEFAULT_IMAGE_SIZE = 32
"""Height and width of the images where none is given."""


def load_folder(
    path: str | Path,
    image_size: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    notify: Callable[[str], None] = print_to_stderr,
    background: tuple[int, int, int] = WHITE,
    limit_seed: int = 0,
) -> ImageSet:
    """Load all pictures below a folder, in the order of their paths.

    Each is turned as its EXIF orientation says, its central square is cropped and
    resized (Lanczos). If all pictures lie in sub-folders, of which there are two or more, each
    direct sub-folder is a class and its name is that of the class; otherwise the set has no
    labels. Names that begin with a dot, links to folders and files of other kinds are passed
    over; how many they are is said.

    Args:
        path: The folder.
        image_size: Height and width of the images; None for `DEFAULT_IMAGE_SIZE`.
        channels: 1 (grey) or 3 (RGB); None for 1 if all pictures are grey, else 3.
        limit: Load so many pictures, shuffled and even over the classes; None for all.
        notify: Called with a line of text for whatever the user should know.
        background: Red, green and blue, 0 to 255: the colour of what is transparent.
        limit_seed: Which pictures `limit` takes.

    Returns:
        The set; its classes are in the order of their names.

    Raises:
        ConfigError: An argument that is not allowed.
        DataError: The folder is missing or holds no pictures, a picture is damaged, too
            large or not of 8 bits, or all together do not fit in memory.
    """
    check_form(image_size, channels)
    check_limit(limit)
    _check_colour(background)
    folder = Path(os.path.expanduser(path)).absolute()
    if is_prepared(folder):
        raise DataError(
            f"{folder}: is a prepared set; use data.name prepared, or ppgan-zoo train --data "
            f"{as_argument(folder)}"
        )
    found = look_through(folder, SUFFIXES)
    if found.passed_over():
        notify(f"{folder}: skipped {found.passed_over()}")
    classes, labels = classes_of(found.names, str(folder), notify)
    count = len(found.names)
    chosen = choose_part(count, count if limit is None else limit, limit_seed, labels)
    pictures = [folder / found.names[number] for number in chosen]
    labels = None if labels is None else labels[chosen]
    if channels is None:
        with warnings.catch_warnings(record=True):  # they come again below
            channels = 1 if all(_is_grey(picture) for picture in pictures) else 3
    size = DEFAULT_IMAGE_SIZE if image_size is None else image_size
    check_memory(str(folder), len(pictures), channels, (size, size))
    images = np.empty((len(pictures), channels, size, size), np.uint8)
    _read(pictures, images, background, lambda line: notify(f"{folder}: {line}"))
    return ImageSet.of(
        "folder", images, labels, source="folder", location=str(folder), classes=classes
    )


def _read(
    pictures: list[Path],
    images: NDArray[np.uint8],
    background: tuple[int, int, int],
    notify: Callable[[str], None],
) -> None:
    """Read pictures into ``uint8 [N, C, H, W]``, and say what was odd about them."""
    _, channels, _, size = images.shape
    progress = tqdm(pictures, desc="pictures", file=sys.stderr, disable=None, delay=1.0)
    odd: list[str] = []
    transparent, animated = 0, 0
    for pixels, path in zip(images, progress, strict=True):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with opened_picture(path) as picture:
                animated += picture.format == "PNG" and getattr(picture, "n_frames", 1) > 1
                filled, was_transparent = on_background(
                    ImageOps.exif_transpose(picture), background
                )
                transparent += was_transparent
                pixels[:] = picture_to_pixels(filled, size, channels)
        if said:
            odd.append(f"{path.name}: {first_line(said[0].message)}")
    if odd:
        notify(f"{len(odd)} pictures were read with a warning, the first: {odd[0]}")
    if transparent:
        notify(
            f"{transparent} of {len(pictures)} pictures are transparent in places, which are "
            f"filled with the colour {list(background)}; data.options.background chooses another"
        )
    if animated:
        notify(f"{animated} of {len(pictures)} pictures are animated; their first image is used")


def _load(
    *,
    directory: str | Path,
    split: str,
    offline: bool,
    image_size: int | None,
    channels: int | None,
    limit: int | None,
    notify: Callable[[str], None],
    limit_seed: int,
    background: tuple[int, int, int] = WHITE,
) -> ImageSet:
    return load_folder(directory, image_size, channels, limit, notify, background, limit_seed)


FOLDER = DataKind("folder", _load, features="general-v1", needs_directory=True, has_splits=False)


def _check_colour(background: object) -> None:
    """Refuse what is no colour."""
    if (
        not isinstance(background, tuple | list)
        or len(background) != 3
        or not all(type(part) is int and 0 <= part <= 255 for part in background)
    ):
        raise ConfigError(
            f"data.options.background: found {background!r}; give red, green and blue, 0 to 255, "
            "such as [255, 255, 255]"
        )


def _is_grey(path: Path) -> bool:
    """Tell whether a picture is stored as 8-bit grey; reads its header only."""
    with opened_picture(path) as picture:
        return picture.mode == "L"
