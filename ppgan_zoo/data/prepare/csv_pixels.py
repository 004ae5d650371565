"""Tables of pixels as Kaggle hands them out: a picture a row, in one column each or in one text."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ppgan_zoo.data.prepare.source import Content, Entry, Source, digest_of, file_identity
from ppgan_zoo.data.prepare.tar_archive import open_regular_source, unpacked
from ppgan_zoo.errors import DataError

LONGEST_LINE = 4 << 20
LABEL_NAMES = ("label", "emotion", "class", "y")
TRAINING = ("training", "train")  # in the column "Usage"; whatever else stands there is for testing
MOST_CLASSES = 1 << 20
_ERRORS = (OSError, EOFError)


class CsvPixels(Source):
    """A table of grey pictures, or of colour pictures with all values of a pixel together.

    Known are a label and a column for each pixel, with or without a line of names (MNIST of the
    Digit Recognizer, Fashion-MNIST, letters), and the columns ``pixels`` (numbers in one text),
    ``emotion`` and ``Usage`` (FER2013). A picture is square.

    Args:
        path: The table; it may be packed with gzip, bzip2 or xz.

    Raises:
        DataError: It is no such table.
    """

    kind = "csv"

    def __init__(self, path: Path) -> None:
        """Read the first line, and count the others; see the class."""
        self.path, self.where = path, str(path)
        try:
            with open_regular_source(path) as file:
                stream = unpacked(file)
                first = _fields(stream.readline(LONGEST_LINE))
                self._has_names = _are_names(first)
                second = _fields(stream.readline(LONGEST_LINE)) if self._has_names else first
            self.count = self._count_lines() - self._has_names
        except _ERRORS as error:
            raise DataError(f"{path}: cannot be read ({error}); give another table") from error
        names = [name.strip().lower() for name in first] if self._has_names else []
        self._pixels = names.index("pixels") if "pixels" in names else None
        self._usage = names.index("usage") if "usage" in names else None
        self._label = next((names.index(name) for name in LABEL_NAMES if name in names), None)
        self._measure(second)
        self.labelled = self._label is not None
        self.has_splits = self._usage is not None
        self.channels = self._shape[2] if len(self._shape) == 3 else 1
        self.identity = digest_of(self.kind, file_identity(path))

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from number `start` on."""
        try:
            with open_regular_source(self.path) as file:
                stream = unpacked(file)
                if self._has_names:
                    stream.readline(LONGEST_LINE)
                for number in range(self.count):
                    line = stream.readline(LONGEST_LINE)
                    if number >= start:
                        yield self._entry(f"row {number + 1}", line)
        except _ERRORS as error:
            raise DataError(f"{self.path}: cannot be read ({error})") from error

    def _measure(self, fields: list[str]) -> None:
        """Find out which columns are pixels and how large a picture is."""
        if self._pixels is not None and self._pixels < len(fields):
            count = len(fields[self._pixels].split())
        else:
            count = len(fields) - (self._label is not None)
            if self._label is None and _square(count) is None and _square(count - 1):
                self._label, count = 0, count - 1
        shape = _square(count)
        if shape is None or self.count < 1:
            raise DataError(
                f"{self.path}: {count} pixels in the first of {self.count} rows; a row is a square "
                "picture, grey or RGB, with its label first or none: give such a table"
            )
        self._shape = shape

    def _count_lines(self) -> int:
        """Return how many lines there are up to the last that is not empty."""
        ends = after = 0  # ends of lines, in all and after the last other character
        with open_regular_source(self.path) as file:
            stream = unpacked(file)
            while chunk := stream.read(1 << 20):
                ends += chunk.count(b"\n")
                rest = chunk.rstrip(b"\r\n")
                after = chunk[len(rest) :].count(b"\n") + (0 if rest else after)
        return ends - after + 1

    def _entry(self, name: str, line: bytes) -> Entry:
        fields = _fields(line)
        label: int | None = None
        content: Content
        try:
            if self._label is not None:
                label = int(fields[self._label])
                if not 0 <= label < MOST_CLASSES:
                    raise ValueError(f"label {label}; classes count from 0")
            split = self._split(fields)
            content = self._picture(fields)
        except (ValueError, IndexError, OverflowError) as error:
            return Entry(name, DataError(f"{name}: {' '.join(str(error).split())[:100]}"))
        return Entry(name, content, label, split)

    def _split(self, fields: list[str]) -> str | None:
        if self._usage is None:
            return None
        return "train" if fields[self._usage].strip().lower() in TRAINING else "test"

    def _picture(self, fields: list[str]) -> Content:
        if self._pixels is not None:
            values = fields[self._pixels].split()
        else:
            values = [field for place, field in enumerate(fields) if place != self._label]
        wanted = math.prod(self._shape)
        if len(values) != wanted:
            raise ValueError(f"{len(values)} pixels, where the first row has {wanted}")
        pixels = np.array(values, np.str_).astype(np.int64)
        if pixels.min() < 0 or pixels.max() > 255:
            raise ValueError(f"pixels from {pixels.min()} to {pixels.max()}; 0 to 255 are allowed")
        return pixels.astype(np.uint8).reshape(self._shape)


def _are_names(fields: list[str]) -> bool:
    """Tell whether a first line names columns; pandas, told no names, counts them from 0."""
    last = fields[-1].replace(" ", "")
    return not last.isdigit() or fields == [str(number) for number in range(len(fields))]


def _fields(line: bytes) -> list[str]:
    line = line.removeprefix(codecs.BOM_UTF8)
    return line.decode("latin-1").replace('"', "").strip().split(",")


def _square(count: int) -> tuple[int, ...] | None:
    """Return the shape of a square picture of so many values: grey, or else RGB."""
    side = math.isqrt(max(count, 0))
    if side > 1 and side * side == count:
        return side, side
    side = math.isqrt(max(count, 0) // 3)
    return (side, side, 3) if side > 1 and 3 * side * side == count else None
