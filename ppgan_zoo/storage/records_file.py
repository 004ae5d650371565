"""Files of records: one that a killed process leaves whole, and what becomes of older ones."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ppgan_zoo.storage.files import APPENDING, open_inside


class RecordsFile:
    """Appends records, each whole or not at all, by one write before the call returns.

    The names of its methods are those that ``visualdl.LogWriter`` calls of its file.

    Args:
        path: The file; made if missing.
        frame: From a record's bytes to those in the file.

    Raises:
        OSError: It cannot be opened; or, from a method, written.
    """

    def __init__(self, path: Path, frame: Callable[[bytes], bytes]) -> None:
        self._path = path
        self._frame = frame
        self._file = os.fdopen(open_inside(path.parent, path.name, APPENDING), "ab", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    def add_record(self, record: Any) -> None:
        """Append a protobuf message."""
        frame = self._frame(record.SerializeToString())
        written = 0
        try:
            while written < len(frame):
                written += self._file.write(frame[written:])
        except OSError:
            # A part of a record would keep a reader from all that follow.
            self._file.truncate(self._size)
            raise
        self._size += written

    def get_filename(self) -> str:
        """Return the path."""
        return str(self._path)

    def flush(self) -> None:
        """Have the operating system put all records on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if not self._file.closed:
            with self._file:
                self.flush()


def set_aside(files: Iterable[Path]) -> None:
    """Rename files of records to ``superseded.N.log``, which no reader takes for records."""
    for path in files:
        names = (path.with_name(f"superseded.{number}.log") for number in itertools.count())
        path.rename(next(name for name in names if not name.exists()))
