"""A folder of pictures, or of a folder for each class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ppgan_zoo.data.prepare.labelling import (
    LABELS_FILE,
    MOST_BYTES,
    Written,
    labels_by_name,
    no_label,
    shared_folders,
)
from ppgan_zoo.data.prepare.source import Entry, Source, digest_of
from ppgan_zoo.data.walk import PICTURES, look_through
from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.files import read_regular


class PicturesFolder(Source):
    """All pictures below a folder, sorted by path; links that lead elsewhere are not followed.

    Args:
        folder: The folder.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        DataError: It cannot be read, or holds no pictures.
    """

    kind = "folder"
    is_files = True

    def __init__(self, folder: Path, notify: Callable[[str], None]) -> None:
        """Look through the folder; see the class."""
        self.folder, self.where = folder, str(folder)
        found = look_through(folder, PICTURES)
        written = self._written(shared_folders(found.names))
        if written is not None:
            found.others -= Counter({".json": 1})
        if found.passed_over():
            notify(f"{folder}: skipped {found.passed_over()}")
        self.names = found.names
        self.count = len(self.names)
        self.classes, self._labels = labels_by_name(self.names, written, self.where, notify)
        self.labelled = self._labels is not None
        told = None if written is None else written.content
        self.identity = digest_of(self.kind, told, *map(self._file_identity, self.names))

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from number `start` on."""
        for number in range(start, self.count):
            name = self.names[number]
            label = None if self._labels is None else self._labels[number]
            if self.labelled and label is None:
                yield Entry(name, no_label(name))
            else:
                yield Entry(name, self.folder / name, label)

    def _written(self, folders: Sequence[str]) -> Written | None:
        """Return the outermost ``dataset.json`` of folders that all pictures lie in."""
        paths = {folder: self.folder / folder / LABELS_FILE for folder in folders}
        folder = next((each for each, path in paths.items() if os.path.lexists(path)), None)
        if folder is None:
            return None
        path = paths[folder]
        try:
            return Written(read_regular(path, MOST_BYTES), folder)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); remove it") from error

    def _file_identity(self, name: str) -> tuple[str, int, int]:
        try:
            stat = os.stat(os.path.join(self.folder, name))
        except OSError:  # it will be in the list of what cannot be read
            return name, 0, 0
        return name, stat.st_size, stat.st_mtime_ns
