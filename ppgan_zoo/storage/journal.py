"""A set of rows while it is being made: what is done of it, so that a stopped one is continued.

It is a folder beside the one that it becomes: files of rows, and a journal with a line for each
thing that was gone through, which may have given a row. Rows are written before their lines, and
the rows of a set that is continued are compared with the hashes in the lines. So it does not matter
where the process ended, or how.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ppgan_zoo.errors import CheckpointError, DataError, os_errors
from ppgan_zoo.storage.files import open_inside, read_regular, with_parents, write_atomically
from ppgan_zoo.storage.run_lock import LOCK, locked

IDENTITY, JOURNAL = "preparing.json", "journal.jsonl"
PARTIAL = ".partial"
"""What the name of the folder ends with, after that of the set."""

_MOST_IDENTITY = 1 << 20
_LONGEST_LINE = 1 << 17


@dataclass(frozen=True)
class Place:
    """Where the row of a line is.

    Attributes:
        file: The name of the file.
        digest: The SHA-256 of the row.
    """

    file: str
    digest: bytes


class Journal:
    """The files of a set that is being made.

    Args:
        folder: Where it is made; it must be there, and locked.
        files: The names of the files of rows.
        header_bytes: What is kept free at the start of each of them.
        row_bytes: The length of a row.
        place: Given the values of a line that is read, returns where its row should be; None if
            there is none. A ``ValueError`` or ``TypeError`` of it means that the line is damaged.
        take_in: Called with the values and the row of each line that is whole, in order.

    Raises:
        OSError: A file cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        files: Iterable[str],
        *,
        header_bytes: int,
        row_bytes: int,
        place: Callable[[list[Any]], Place | None],
        take_in: Callable[[list[Any], bytes], None],
    ) -> None:
        """Go on with what the folder holds: take in what is whole, and cut off the rest."""
        self._header_bytes, self._row_bytes = header_bytes, row_bytes
        self._opened = ExitStack()
        try:
            self._rows = {name: self._open(folder, name) for name in files}
            self._lines = self._open(folder, JOURNAL)
            self._replay(place, take_in)
        except BaseException:
            self._opened.close()
            raise

    def append(self, lines: list[list[Any]], rows: Iterable[tuple[str, bytes]]) -> None:
        """Add what was gone through, and then its lines.

        Args:
            lines: The values of each, plain JSON.
            rows: File and content of each row.

        Raises:
            OSError: It cannot be written, as on a full disk.
        """
        for name, row in rows:
            self._rows[name].write(row)
        for file in self._rows.values():
            file.flush()
        written = (json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        self._lines.write("".join(written).encode())
        self._lines.flush()

    def seal(self, headers: dict[str, bytes]) -> None:
        """Write the headers and bring all to disk; nothing can be appended after that."""
        for name, header in headers.items():
            file = self._rows[name]
            file.flush()
            file.seek(0)
            file.write(header)
            file.flush()
            os.fsync(file.fileno())
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._opened.close()

    def _open(self, folder: Path, name: str) -> BinaryIO:
        descriptor = open_inside(folder, name, os.O_RDWR | os.O_CREAT, follow=True)
        return self._opened.enter_context(os.fdopen(descriptor, "r+b"))

    def _replay(
        self,
        place: Callable[[list[Any]], Place | None],
        take_in: Callable[[list[Any], bytes], None],
    ) -> None:
        counts = dict.fromkeys(self._rows, 0)
        for file in self._rows.values():
            file.seek(0, os.SEEK_END)
            if file.tell() < self._header_bytes:
                file.truncate(0)
                file.write(bytes(self._header_bytes))
            file.seek(self._header_bytes)
        whole = 0
        while (told := self._next_line()) is not None:
            try:
                expected, row = place(told), b""
            except (ValueError, TypeError):
                break
            if expected is not None:
                row = self._rows[expected.file].read(self._row_bytes)
                if hashlib.sha256(row).digest() != expected.digest:
                    break
                counts[expected.file] += 1
            take_in(told, row)
            whole = self._lines.tell()
        self._lines.seek(whole)
        self._lines.truncate()
        for name, file in self._rows.items():
            file.seek(self._header_bytes + counts[name] * self._row_bytes)
            file.truncate()

    def _next_line(self) -> list[Any] | None:
        """Return the values of the next line; None at the end, or where one is not whole."""
        line = self._lines.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            return None
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return told if isinstance(told, list) else None


@contextlib.contextmanager
def partial_folder(
    folder: Path,
    identity: dict[str, Any],
    files: Iterable[str],
    notify: Callable[[str], None],
) -> Iterator[bool]:
    """Own the folder of a set that is being made, for a block.

    Args:
        folder: The folder, made if it is not there. Those above it are deleted again if the block
            fails and nothing is left in them.
        identity: Of all that decides what the set becomes, as plain JSON; a beginning of another
            identity is begun anew.
        files: The names of the files of rows.
        notify: Called with a line of text where that is so.

    Yields:
        Whether it holds a beginning of this set.

    Raises:
        DataError: Another process makes it, or something else has its name.
    """
    files = tuple(files)
    with ExitStack() as owned:
        with os_errors(DataError, f"{folder}: cannot be made", "give another --output"):
            owned.enter_context(with_parents(folder))
            folder.mkdir(exist_ok=True)
        strange = sorted(set(os.listdir(folder)) - {IDENTITY, JOURNAL, LOCK, *files})
        if strange:
            raise DataError(
                f"{folder}: holds {strange[0]!r}, which is no part of a set that is being made; "
                "move that away, or give another --output"
            )
        try:
            owned.enter_context(locked(folder))
        except CheckpointError:
            raise DataError(
                f"{folder}: another process is making this set; wait until it has ended, then "
                "give the same command again"
            ) from None
        found = _identity_in(folder)
        begun = bool(found == json.loads(json.dumps(identity)))
        if not begun:
            if found is not None:
                notify(
                    f"{folder}: holds the beginning of another set (other "
                    f"{_differences(found, identity)}), which is dropped; this one begins anew"
                )
            for name in (JOURNAL, *files):
                (folder / name).unlink(missing_ok=True)
            write_atomically(folder / IDENTITY, json.dumps(identity))
        yield begun


def discard(folder: Path, files: Iterable[str]) -> None:
    """Delete the folder of a set that is being made; what else lies in it stays."""
    for name in (JOURNAL, *files, IDENTITY, LOCK):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _identity_in(folder: Path) -> dict[str, Any] | None:
    """Return the identity of what was begun; None if there is none that can be read."""
    try:
        found = json.loads(read_regular(folder / IDENTITY, _MOST_IDENTITY))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Name the keys of two identities that differ."""
    wanted = json.loads(json.dumps(wanted))
    return ", ".join(key for key in wanted if found.get(key) != wanted[key]) or "contents"
