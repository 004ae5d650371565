"""A set while it is being made: what is done of it, so that an interrupted one is continued.

It is a folder beside the one that it becomes: the rows of each split in a file, and a journal with
a line for each entry of the source that was gone through. Rows are written before their lines, and
the rows of a set that is continued are compared with the hashes in the lines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from ppgan_zoo.data.npy import HEADER_BYTES, header
from ppgan_zoo.data.prepare.layout import SPLITS, images_file
from ppgan_zoo.data.prepare.pool import Prepared
from ppgan_zoo.errors import CheckpointError, DataError, os_errors
from ppgan_zoo.storage.files import open_inside, read_regular, write_atomically
from ppgan_zoo.storage.run_lock import LOCK, locked

IDENTITY, JOURNAL = "preparing.json", "journal.jsonl"
_MOST_IDENTITY = 1 << 20
_LONGEST_LINE = 1 << 17


class PartialSet:
    """Rows and what is known of them, in memory and on disk.

    Args:
        folder: Where it is made; it must be there, and locked.
        shape: Channels, height and width of a row.
        held_out: The share of rows for testing.
        seed: Of which ones.
        drop_duplicates: Whether equal rows are left out but for the first.

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
    ) -> None:
        """Go on with what the folder holds."""
        self.folder, self.shape = folder, shape
        self.row_bytes = shape[0] * shape[1] * shape[2]
        self._held_out, self._seed, self._drop = held_out, seed, drop_duplicates
        self.done = 0
        self.unreadable: list[tuple[str, str]] = []
        self.duplicates: list[tuple[str, str]] = []
        self.notes: Counter[str] = Counter()
        self.labels = {split: array("q") for split in SPLITS}
        self._first: dict[bytes, str] = {}
        self._hashes = {split: hashlib.sha256() for split in SPLITS}
        self._files = ExitStack()
        try:
            self._rows = {split: self._open(images_file(split)) for split in SPLITS}
            self._journal = self._open(JOURNAL)
            self._replay()
        except BaseException:
            self._files.close()
            raise

    def close(self) -> None:
        """Close the files."""
        self._files.close()

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
        lines = []
        for prepared in done:
            entry = prepared.entry
            if prepared.pixels is None:
                line: list[Any] = [entry.name, prepared.reason]
                self._account_unreadable(*line)
            else:
                row = prepared.pixels.tobytes()
                sha = hashlib.sha256(row).hexdigest()
                line = [entry.name, entry.label, entry.split, sha, list(prepared.notes)]
                split = self._account(*line)
                if split is not None:
                    self._rows[split].write(row)
                    self._hashes[split].update(row)
            lines.append(json.dumps(line, separators=(",", ":")) + "\n")
        for file in self._rows.values():
            file.flush()
        self._journal.write("".join(lines).encode())
        self._journal.flush()

    def seal(self) -> None:
        """Write the headers, which make the files arrays; nothing can be appended after that."""
        for split, file in self._rows.items():
            file.flush()
            file.seek(0)
            file.write(header((self.count(split), *self.shape), "|u1"))
        self.close()

    def _account(
        self, name: str, label: int | None, said: str | None, sha: str, notes: list[str]
    ) -> str | None:
        """Count a picture, and return the split that its row goes to; None if it is left out."""
        self.done += 1
        digest = bytes.fromhex(sha)
        if digest[:16] in self._first:
            self.duplicates.append((name, self._first[digest[:16]]))
            if self._drop:
                return None
        else:
            self._first[digest[:16]] = name
        self.notes.update(notes)
        split = said or ("test" if self._is_held_out(digest) else "train")
        self.labels[split].append(-1 if label is None else label)
        return split

    def _account_unreadable(self, name: str, reason: str) -> None:
        self.done += 1
        self.unreadable.append((name, reason))

    def _is_held_out(self, digest: bytes) -> bool:
        """Tell by its pixels whether a picture is held out: so equal ones are on one side."""
        drawn = hashlib.sha256(f"{self._seed} ".encode() + digest).digest()
        return int.from_bytes(drawn[:8], "big") < self._held_out * 2**64

    def _open(self, name: str) -> BinaryIO:
        descriptor = open_inside(self.folder, name, os.O_RDWR | os.O_CREAT, follow=True)
        return self._files.enter_context(os.fdopen(descriptor, "r+b"))

    def _replay(self) -> None:
        """Take in the journal as far as it and the rows are whole, and cut off the rest."""
        for file in self._rows.values():
            file.seek(0, os.SEEK_END)
            if file.tell() < HEADER_BYTES:
                file.truncate(0)
                file.write(bytes(HEADER_BYTES))
            file.seek(HEADER_BYTES)
        whole = 0
        while line := self._journal.readline(_LONGEST_LINE):
            if not self._take_in(line):
                break
            whole = self._journal.tell()
        self._journal.seek(whole)
        self._journal.truncate()
        for split, file in self._rows.items():
            file.seek(HEADER_BYTES + self.count(split) * self.row_bytes)
            file.truncate()

    def _take_in(self, line: bytes) -> bool:
        """Account for one line of the journal; tell whether it and its row are whole."""
        try:
            told = json.loads(line)
        except ValueError:
            return False
        if not line.endswith(b"\n"):
            return False
        if len(told) == 2:
            self._account_unreadable(*told)
            return True
        _, _, said, sha, _ = told
        digest = bytes.fromhex(sha)
        if self._drop and digest[:16] in self._first:
            self._account(*told)
            return True
        split = said or ("test" if self._is_held_out(digest) else "train")
        row = self._rows[split].read(self.row_bytes)
        if hashlib.sha256(row).digest() != digest:
            return False
        self._account(*told)
        self._hashes[split].update(row)
        return True


@contextlib.contextmanager
def partial_folder(folder: Path, identity: dict[str, Any]) -> Iterator[bool]:
    """Own the folder of a set that is being made, for a block.

    Args:
        folder: The folder, made if it is not there.
        identity: Of source and settings; a beginning of another identity is begun anew.

    Yields:
        Whether it holds a beginning of this set.

    Raises:
        DataError: Another process makes it, or something else has its name.
    """
    with os_errors(DataError, f"{folder}: cannot be made", "give another --output"):
        folder.mkdir(parents=True, exist_ok=True)
    known = {IDENTITY, JOURNAL, LOCK, *map(images_file, SPLITS)}
    strange = sorted(set(os.listdir(folder)) - known)
    if strange:
        raise DataError(
            f"{folder}: holds {strange[0]!r}, which is no part of a set that is being made; move "
            "that away, or give another --output"
        )
    with ExitStack() as owned:
        try:
            owned.enter_context(locked(folder))
        except CheckpointError:
            raise DataError(
                f"{folder}: another process is preparing this set; wait for it, or give another "
                "--output"
            ) from None
        begun = _is_begun(folder, identity)
        if not begun:
            for name in (JOURNAL, *map(images_file, SPLITS)):
                (folder / name).unlink(missing_ok=True)
            write_atomically(folder / IDENTITY, json.dumps(identity))
        yield begun


def discard(folder: Path) -> None:
    """Delete the folder of a set that is being made; what else lies in it stays."""
    for name in (JOURNAL, *map(images_file, SPLITS), IDENTITY, LOCK):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _is_begun(folder: Path, identity: dict[str, Any]) -> bool:
    try:
        found = json.loads(read_regular(folder / IDENTITY, _MOST_IDENTITY))
    except (OSError, ValueError, RecursionError):
        return False
    return bool(found == json.loads(json.dumps(identity)))
