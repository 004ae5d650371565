"""A set while it is being made: what is known of the pictures that were gone through.

Its journal (:mod:`ppgan_zoo.storage.journal`) has a line for each entry of the source: name and
reason of one that cannot be read; else name, label, split where the source says it, SHA-256 of the
row, and notes.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ppgan_zoo.data.npy import HEADER_BYTES, header
from ppgan_zoo.data.prepare.layout import SPLITS, images_file
from ppgan_zoo.data.prepare.pool import Prepared
from ppgan_zoo.storage.journal import Journal, Place

FILES = tuple(map(images_file, SPLITS))
"""The files of rows."""


class PartialSet:
    """Rows and what is known of them, in memory and on disk.

    Args:
        folder: Where it is made; it must be there, and locked.
        shape: Channels, height and width of a row.
        held_out: The share of rows for testing.
        seed: Of which ones.
        drop_duplicates: Whether equal rows are left out but for the first.
        can_be_read: Told the number of an entry that could not be read, whether it can be now:
            what the folder holds counts up to there.

    Attributes:
        done: Entries of the source that were gone through.
        unreadable: Names and reasons of those that cannot be read.
        duplicates: Names of equal pictures: each later one, and the first.
        notes: How many pictures have each note.
        labels: By split, the label of each row; -1 without labels.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, int, int],
        *,
        held_out: float,
        seed: int,
        drop_duplicates: bool,
        can_be_read: Callable[[int], bool],
    ) -> None:
        """Go on with what the folder holds."""
        self.folder, self.shape = folder, shape
        self._held_out, self._seed, self._drop = held_out, seed, drop_duplicates
        self._can_be_read = can_be_read
        self.done = 0
        self.unreadable: list[tuple[str, str]] = []
        self.duplicates: list[tuple[str, str]] = []
        self.notes: Counter[str] = Counter()
        self.labels = {split: array("q") for split in SPLITS}
        self._first: dict[bytes, str] = {}
        self._hashes = {split: hashlib.sha256() for split in SPLITS}
        self._journal = Journal(
            folder, FILES, header_bytes=HEADER_BYTES, row_bytes=shape[0] * shape[1] * shape[2],
            place=self._place_of_kept, take_in=self._account,
        )  # fmt: skip

    def close(self) -> None:
        """Close the files."""
        self._journal.close()

    def count(self, split: str) -> int:
        """Return how many rows a split has."""
        return len(self.labels[split])

    def sha256(self, split: str) -> str:
        """Return the SHA-256 of the rows of a split."""
        return self._hashes[split].hexdigest()

    def append(self, done: list[Prepared]) -> None:
        """Add what became of the next entries.

        Raises:
            OSError: It cannot be written, as on a full disk.
        """
        lines: list[list[Any]] = []
        rows = []
        for prepared in done:
            entry = prepared.entry
            if prepared.pixels is None:
                line: list[Any] = [entry.name, prepared.reason]
                row = b""
            else:
                row = prepared.pixels.tobytes()
                sha = hashlib.sha256(row).hexdigest()
                line = [entry.name, entry.label, entry.split, sha, list(prepared.notes)]
            place = self._place(line)
            self._account(line, row)
            if place is not None:
                rows.append((place.file, row))
            lines.append(line)
        self._journal.append(lines, rows)

    def seal(self) -> None:
        """Write the headers, which make the files arrays; nothing can be appended after that."""
        self._journal.seal({
            images_file(split): header((self.count(split), *self.shape), "|u1") for split in SPLITS
        })  # fmt: skip

    def _place_of_kept(self, line: list[Any]) -> Place | None:
        """Return the place of a line that is read back.

        Raises:
            ValueError: The line does not count any more: the picture can be read now.
        """
        if len(line) == 2 and self._can_be_read(self.done):
            raise ValueError(f"{line[0]}: can be read now")
        return self._place(line)

    def _place(self, line: list[Any]) -> Place | None:
        """Return where the row of a picture goes; None if it has none, or it is left out."""
        if len(line) == 2:
            return None
        _, _, said, sha, _ = line
        digest = bytes.fromhex(sha)
        if self._drop and digest[:16] in self._first:
            return None
        return Place(images_file(self._split(said, digest)), digest)

    def _account(self, line: list[Any], row: bytes) -> None:
        """Count an entry."""
        self.done += 1
        if len(line) == 2:
            self.unreadable.append((line[0], line[1]))
            return
        name, label, said, sha, notes = line
        digest = bytes.fromhex(sha)
        if digest[:16] in self._first:
            self.duplicates.append((name, self._first[digest[:16]]))
            if self._drop:
                return
        else:
            self._first[digest[:16]] = name
        self.notes.update(notes)
        split = self._split(said, digest)
        self.labels[split].append(-1 if label is None else label)
        self._hashes[split].update(row)

    def _split(self, said: str | None, digest: bytes) -> str:
        """Return the split of a picture; by its pixels, so that equal ones are on one side."""
        if said is not None:
            return said
        drawn = hashlib.sha256(f"{self._seed} ".encode() + digest).digest()
        is_held_out = int.from_bytes(drawn[:8], "big") < self._held_out * 2**64
        return "test" if is_held_out else "train"
