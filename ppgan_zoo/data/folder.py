"""Image sets made from a folder of pictures."""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps
from tqdm import tqdm  # type: ignore[import-untyped]

from ppgan_zoo.data.images import ImageSet, check_form, check_limit, check_memory, picture_to_pixels
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.data.pictures import first_line, on_background, opened_picture
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError, DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""What the name of a picture ends in, in either case."""

DEFAULT_IMAGE_SIZE = 32
"""Height and width of the images where none is given."""

WHITE = (255, 255, 255)

MOST_ENDINGS = 4  # of file names that are named where they are passed over


def load_folder(
    path: str | Path,
    image_size: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    notify: Callable[[str], None] = print_to_stderr,
    background: tuple[int, int, int] = WHITE,
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
        limit: Load the first so many pictures; None for all.
        notify: Called with a line of text for whatever the user should know.
        background: Red, green and blue, 0 to 255: the colour of what is transparent.

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
    found = _look_through(folder)
    if found.passed_over():
        notify(f"{folder}: passed over {found.passed_over()}")
    pictures = found.pictures
    classes, labels = _labels(folder, pictures, notify)
    pictures, labels = pictures[:limit], None if labels is None else labels[:limit]
    if channels is None:
        with warnings.catch_warnings(record=True):  # they come again below
            channels = 1 if all(_is_grey(picture) for picture in pictures) else 3
    size = DEFAULT_IMAGE_SIZE if image_size is None else image_size
    check_memory(str(folder), len(pictures), channels, size)
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
    background: tuple[int, int, int] = WHITE,
) -> ImageSet:
    return load_folder(directory, image_size, channels, limit, notify, background)


FOLDER = DataKind("folder", _load, needs_directory=True, has_splits=False)


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


@dataclass
class _Found:
    """The pictures of a folder, sorted by path, and what else lies there."""

    pictures: list[Path] = field(default_factory=list)
    links: int = 0
    broken: int = 0
    hidden: int = 0
    others: Counter[str] = field(default_factory=Counter)  # by what their names end in

    def passed_over(self) -> str:
        """Say what was passed over and why; an empty text if nothing was."""
        others = sum(self.others.values())
        endings = [
            f"{count} {ending or 'without an ending'}"
            for ending, count in self.others.most_common(MOST_ENDINGS)
        ]
        more = ", ..." if len(self.others) > MOST_ENDINGS else ""
        counts = (
            (self.links, "link to a folder", "links to folders", ""),
            (self.broken, "link to nothing", "links to nothing", ""),
            (self.hidden, "hidden name", "hidden names", " (they begin with a dot)"),
            (others, "other file", "other files", f" ({', '.join(endings)}{more})"),
        )
        return ", ".join(
            f"{count} {one if count == 1 else many}{why}"
            for count, one, many, why in counts
            if count
        )


def _look_through(folder: Path) -> _Found:
    """Return what lies below `folder`."""
    if not os.path.isdir(folder):
        found = "not a folder" if os.path.exists(folder) else "no such folder"
        raise DataError(f"{folder}: {found}; give a folder of pictures ({', '.join(SUFFIXES)})")

    def refuse(error: OSError) -> None:
        raise DataError(
            f"{error.filename}: folder cannot be read ({error.strerror}); check its permissions"
        ) from error

    seen = _Found()
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        for name in list(subfolders):
            if name.startswith("."):
                seen.hidden += 1
                subfolders.remove(name)
            elif os.path.islink(os.path.join(parent, name)):  # which os.walk does not follow
                seen.links += 1
        for name in names:
            if name.startswith("."):
                seen.hidden += 1
            elif name.lower().endswith(SUFFIXES):
                seen.pictures.append(Path(parent, name))
            elif not os.path.exists(os.path.join(parent, name)):
                seen.broken += 1
            else:
                seen.others[os.path.splitext(name)[1].lower()] += 1
    if not seen.pictures:
        passed = f" (passed over: {seen.passed_over()})" if seen.passed_over() else ""
        raise DataError(
            f"{folder}: no pictures found{passed}; put files ending in {', '.join(SUFFIXES)} there"
        )
    seen.pictures.sort(key=lambda picture: picture.relative_to(folder).parts)
    return seen


def _labels(
    folder: Path, pictures: list[Path], notify: Callable[[str], None]
) -> tuple[tuple[str, ...] | None, NDArray[np.int64] | None]:
    """Return the classes and the pictures' labels, if the sub-folders are classes."""
    places = [picture.relative_to(folder).parts for picture in pictures]
    names = sorted({parts[0] for parts in places})
    beside = sum(len(parts) == 1 for parts in places)
    if 0 < beside < len(places):
        notify(
            f"{folder}: {beside} pictures lie beside its sub-folders, which are therefore no "
            "classes; move them into one for labels"
        )
    if len(names) < 2 or beside:
        return None, None
    label_of = {name: label for label, name in enumerate(names)}
    # A name that is not UTF-8 could be neither printed nor written to a file.
    classes = tuple(os.fsencode(name).decode("utf-8", "backslashreplace") for name in names)
    return classes, np.array([label_of[parts[0]] for parts in places], np.int64)


def _is_grey(path: Path) -> bool:
    """Tell whether a picture is stored as 8-bit grey; reads its header only."""
    with opened_picture(path) as picture:
        return picture.mode == "L"
