"""Image sets made from a folder of pictures."""

from __future__ import annotations

import os
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm  # type: ignore[import-untyped]

from ppgan_zoo.data.images import ImageSet, check_form, check_limit, check_memory, picture_to_pixels
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""What the name of a picture ends in, in either case."""

DEFAULT_IMAGE_SIZE = 32
"""Height and width of the images where none is given."""

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


def load_folder(
    path: str | Path,
    image_size: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    notify: Callable[[str], None] = print_to_stderr,
) -> ImageSet:
    """Load all pictures below a folder, in the order of their paths.

    Each is turned as its EXIF orientation says, its central square is cropped and
    resized (Lanczos). Names that begin with a dot are passed over. If all pictures lie in
    sub-folders, of which there are two or more, each direct sub-folder is a class and its
    name is that of the class; otherwise the set has no labels.

    Args:
        path: The folder.
        image_size: Height and width of the images; None for `DEFAULT_IMAGE_SIZE`.
        channels: 1 (grey) or 3 (RGB); None for 1 if all pictures are grey, else 3.
        limit: Load the first so many pictures; None for all.
        notify: Called with a line of text for whatever the user should know.

    Returns:
        The set; its classes are in the order of their names.

    Raises:
        ConfigError: An argument that is not allowed.
        DataError: The folder is missing or holds no pictures, a picture is damaged, too
            large or not of 8 bits, or all together do not fit in memory.
    """
    check_form(image_size, channels)
    check_limit(limit)
    folder = Path(os.path.expanduser(path)).absolute()
    pictures = _pictures(folder)
    classes, labels = _labels(folder, pictures)
    pictures, labels = pictures[:limit], None if labels is None else labels[:limit]
    if channels is None:
        with warnings.catch_warnings(record=True):  # they come again below
            channels = 1 if all(_is_grey(picture) for picture in pictures) else 3
    size = DEFAULT_IMAGE_SIZE if image_size is None else image_size
    check_memory(str(folder), len(pictures), channels, size)
    images = np.empty((len(pictures), channels, size, size), np.uint8)
    progress = tqdm(pictures, desc="pictures", file=sys.stderr, disable=None, delay=1.0)
    odd: list[str] = []
    for pixels, picture in zip(images, progress, strict=True):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with _opened(picture) as opened:
                pixels[:] = picture_to_pixels(ImageOps.exif_transpose(opened), size, channels)
        if said:
            odd.append(f"{picture.name}: {_first_line(said[0].message)}")
    if odd:
        notify(f"{folder}: {len(odd)} pictures were read with a warning, the first: {odd[0]}")
    return ImageSet.of(
        "folder", images, labels, source="folder", location=str(folder), classes=classes
    )


def _load(
    *,
    directory: str | Path,
    split: str,
    offline: bool,
    image_size: int | None,
    channels: int | None,
    limit: int | None,
    notify: Callable[[str], None],
) -> ImageSet:
    return load_folder(directory, image_size, channels, limit, notify)


FOLDER = DataKind("folder", _load, needs_directory=True, has_splits=False)


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures below `folder`, sorted by path."""
    if not os.path.isdir(folder):
        found = "not a folder" if os.path.exists(folder) else "no such folder"
        raise DataError(f"{folder}: {found}; give a folder of pictures ({', '.join(SUFFIXES)})")

    def refuse(error: OSError) -> None:
        raise DataError(
            f"{error.filename}: folder cannot be read ({error.strerror}); check its permissions"
        ) from error

    pictures = []
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        pictures += [
            Path(parent, name)
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not pictures:
        raise DataError(
            f"{folder}: no pictures found; put files ending in {', '.join(SUFFIXES)} there"
        )
    return sorted(pictures, key=lambda picture: picture.relative_to(folder).parts)


def _labels(
    folder: Path, pictures: list[Path]
) -> tuple[tuple[str, ...] | None, NDArray[np.int64] | None]:
    """Return the classes and the pictures' labels, if the sub-folders are classes."""
    places = [picture.relative_to(folder).parts for picture in pictures]
    names = sorted({parts[0] for parts in places})
    if len(names) < 2 or any(len(parts) == 1 for parts in places):
        return None, None
    label_of = {name: label for label, name in enumerate(names)}
    # A name that is not UTF-8 could be neither printed nor written to a file.
    classes = tuple(os.fsencode(name).decode("utf-8", "backslashreplace") for name in names)
    return classes, np.array([label_of[parts[0]] for parts in places], np.int64)


def _is_grey(path: Path) -> bool:
    """Tell whether a picture is stored as 8-bit grey; reads its header only."""
    with _opened(path) as picture:
        return picture.mode == "L"


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; whatever is wrong with it, here or in the block, is a DataError."""
    if not os.path.isfile(path):  # to open a pipe would wait for ever
        raise DataError(f"{path}: not a regular file; remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                if picture.mode.startswith(("I", "F")):
                    raise DataError(
                        f"{path}: {picture.mode!r} pixels of more than 8 bits; "
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
            f"{path}: not a picture that can be read ({_first_line(error)}); "
            "replace or remove the file"
        ) from error


def _first_line(error: Warning | Exception | str) -> str:
    """Return the first line of an error's text, or its kind if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]
