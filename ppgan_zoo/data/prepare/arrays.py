"""Arrays of NumPy: ``.npz`` in the layouts of Keras and others, and ``.npy``; read row by row."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.npy import read_header
from ppgan_zoo.data.prepare.labelling import all_have_labels
from ppgan_zoo.data.prepare.source import Entry, Source, digest_of, file_identity
from ppgan_zoo.data.prepare.tar_archive import open_regular_source
from ppgan_zoo.data.prepare.zip_archive import ZIP_ERRORS, open_zip
from ppgan_zoo.errors import DataError

LAYOUTS = (
    ("x_train", "y_train", "train"),
    ("x_test", "y_test", "test"),
    ("train_images", "train_labels", "train"),
    ("test_images", "test_labels", "test"),
    ("images", "labels", None),
    ("arr_0", "arr_1", None),
)
"""Names of images and labels in an ``.npz``, and the split that they are of."""

ROW_BYTES = 256 << 20  # the largest picture
MOST_LABELS = 1 << 26


@dataclass(frozen=True, eq=False)
class _Images:
    """The images of one array, and their labels."""

    name: str
    opened: Callable[[], BinaryIO]
    shape: tuple[int, ...]  # N, then height and width, with channels last or first or none
    start: int  # of the values in the stream
    labels: NDArray[np.int64] | None
    split: str | None

    @property
    def channels_first(self) -> bool:
        return len(self.shape) == 4 and self.shape[3] not in (1, 3, 4)

    def rows(self, first: int) -> Iterator[Entry]:
        row = self.shape[1:]
        size = math.prod(row)
        with self.opened() as stream:
            stream.seek(self.start + first * size)
            for number in range(first, self.shape[0]):
                read = stream.read(size)
                if len(read) < size:
                    raise DataError(f"{self.name}: ends at row {number} of {self.shape[0]}")
                pixels = np.frombuffer(read, np.uint8).reshape(row)
                if self.channels_first:
                    pixels = pixels.transpose(1, 2, 0)
                label = None if self.labels is None else int(self.labels[number])
                yield Entry(f"{self.name}[{number}]", pixels, label, self.split)


class Arrays(Source):
    """The images of an ``.npz`` or ``.npy`` file, uint8, with their labels.

    Args:
        path: The file.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        DataError: It is damaged, or holds no images in a layout that is known.
    """

    kind = "arrays"

    def __init__(self, path: Path, notify: Callable[[str], None]) -> None:
        """Read the headers and the labels; see the class."""
        self.where = str(path)
        with open_regular_source(path) as file:
            packed = zipfile.is_zipfile(file)
        self._parts = self._of_npz(path) if packed else [_of_npy(path)]
        self.count = sum(part.shape[0] for part in self._parts)
        has_labels = {part.name: part.labels is not None for part in self._parts}
        self.labelled = all_have_labels(has_labels, notify)
        self.has_splits = {"train", "test"} <= {part.split for part in self._parts}
        grey = all(len(part.shape) == 3 or 1 in _channels(part.shape) for part in self._parts)
        self.channels = 1 if grey else 3
        self.identity = digest_of(self.kind, file_identity(path))

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from number `start` on."""
        for part in self._parts:
            first = min(start, part.shape[0])
            start -= first
            try:
                for entry in part.rows(first):
                    yield entry if self.has_splits else replace(entry, split=None)
            except ZIP_ERRORS as error:
                raise DataError(f"{part.name}: cannot be unpacked ({error})") from error

    def _of_npz(self, path: Path) -> list[_Images]:
        archive = open_zip(path)
        there = set(archive.namelist())
        parts = []
        for images, labels, split in LAYOUTS:
            if f"{images}.npy" not in there:
                continue
            name = f"{path}: {images}"

            def opened(member: str = f"{images}.npy") -> BinaryIO:
                return cast(BinaryIO, archive.open(member))

            shape, start = _shape_of(opened, name)
            read = None
            if f"{labels}.npy" in there:
                read = _labels(archive, f"{labels}.npy", f"{path}: {labels}", shape[0])
            parts.append(_Images(name, opened, shape, start, read, split))
        if not parts:
            known = ", ".join(images for images, _, _ in LAYOUTS)
            raise DataError(
                f"{path}: no images under a name that is known; name them {known}, with labels "
                "as y_train, y_test or labels"
            )
        return parts


def _of_npy(path: Path) -> _Images:
    shape, start = _shape_of(lambda: open_regular_source(path), str(path))
    return _Images(str(path), lambda: open_regular_source(path), shape, start, None, None)


def _shape_of(opened: Callable[[], BinaryIO], name: str) -> tuple[tuple[int, ...], int]:
    """Return the shape of an array of images, and where its values begin."""
    try:
        with opened() as stream:
            dtype, shape = read_header(stream, name)
            start = stream.tell()
    except ZIP_ERRORS as error:
        raise DataError(f"{name}: cannot be unpacked ({error})") from error
    if dtype != np.uint8 or len(shape) not in (3, 4):
        raise DataError(
            f"{name}: array of {dtype}, {' x '.join(map(str, shape))}; images are uint8 from 0 to "
            "255, [N, H, W] or [N, H, W, C]: convert them"
        )
    if len(shape) == 4 and not _channels(shape):
        raise DataError(
            f"{name}: array of {' x '.join(map(str, shape))}; 1, 3 or 4 channels are allowed, as "
            "the last dimension or the second"
        )
    if math.prod(shape[1:]) > ROW_BYTES:
        raise DataError(f"{name}: images of more than {ROW_BYTES} bytes; make them smaller")
    return shape, start


def _channels(shape: tuple[int, ...]) -> list[int]:
    return [shape[place] for place in (3, 1) if shape[place] in (1, 3, 4)][:1]


def _labels(archive: zipfile.ZipFile, member: str, name: str, count: int) -> NDArray[np.int64]:
    try:
        with archive.open(member) as stream:
            dtype, shape = read_header(cast(BinaryIO, stream), name)
            if shape not in ((count,), (count, 1)) or dtype.kind not in "ui":
                raise DataError(
                    f"{name}: labels are {dtype} {list(shape)} for {count} images; give whole "
                    f"numbers [{count}]"
                )
            if count > MOST_LABELS:
                raise DataError(f"{name}: {count} labels; at most {MOST_LABELS} are allowed")
            size = count * dtype.itemsize
            read = stream.read(size)
    except ZIP_ERRORS as error:
        raise DataError(f"{name}: cannot be unpacked ({error})") from error
    if len(read) < size:
        raise DataError(f"{name}: {len(read)} of {size} bytes; write the file again")
    labels = np.frombuffer(read, dtype).astype(np.int64)
    if labels.min() < 0 or labels.max() >= 1 << 20:
        raise DataError(
            f"{name}: labels from {labels.min()} to {labels.max()}; classes count from 0"
        )
    return labels
