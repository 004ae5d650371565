"""What pictures come from: entries in an order that never changes."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ppgan_zoo.errors import DataError

LARGEST_SOURCE = 1 << 46
"""The most bytes of a file that is read piece by piece."""

Content = Path | bytes | NDArray[Any] | DataError


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture of a source.

    Attributes:
        name: What to call it: a path within the source, or a row.
        content: Its file, what its file holds, or its pixels, uint8 ``[H, W]`` or ``[H, W, C]``;
            an error for what could not be read of the source.
        label: Its class; None in a source without classes.
        split: ``"train"`` or ``"test"`` where the source says so.
    """

    name: str
    content: Content
    label: int | None = None
    split: str | None = None


class Source(ABC):
    """Pictures in an order that is the same each time.

    Attributes:
        kind: What it is, in a word: ``"folder"``.
        where: What to call it in messages.
        count: How many entries it has.
        labelled: Whether its entries have labels.
        classes: Names of the classes in the order of the labels; None if they have none.
        channels: 1 if all its pictures are grey, as far as is known before they are read; else 3.
        identity: A hash of all that tells it from another source, and from itself after a change.
        has_splits: Whether it says what is held out.
        is_files: Whether each entry is a file of its own, which may become readable while the
            identity stays, as by other permissions.
    """

    kind: str
    where: str
    count: int
    labelled: bool = False
    classes: tuple[str, ...] | None = None
    channels: int = 3
    identity: str
    has_splits: bool = False
    is_files: bool = False

    @abstractmethod
    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from number `start` on.

        Raises:
            DataError: The source cannot be read any more.
        """


def digest_of(*parts: object) -> str:
    """Return a SHA-256 in hex of some values, by their representations."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def file_identity(path: Path) -> str:
    """Return a hash that changes when a file is written to.

    Raises:
        DataError: It is not there.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return digest_of(stat.st_size, stat.st_mtime_ns)
