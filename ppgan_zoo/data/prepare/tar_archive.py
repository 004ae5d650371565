"""A tar archive of pictures, packed or not; nothing is unpacked to disk."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ppgan_zoo.data.prepare.labelling import (
    LABELS_FILE,
    MOST_BYTES,
    Written,
    labels_by_name,
    no_label,
)
from ppgan_zoo.data.prepare.source import (
    LARGEST_SOURCE,
    Entry,
    Source,
    digest_of,
    file_identity,
)
from ppgan_zoo.data.prepare.zip_archive import MEMBER_BYTES, chosen_names
from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.files import open_regular

_TAR_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)

Members = Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]

PACKERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda file: cast(BinaryIO, gzip.GzipFile(fileobj=file)),
    b"BZh": lambda file: cast(BinaryIO, bz2.BZ2File(file)),
    b"\xfd7zXZ": lambda file: cast(BinaryIO, lzma.LZMAFile(file)),  # noqa: SIM115
}
"""What undoes each way of packing, by the first bytes of what is packed."""


class TarArchive(Source):
    """All pictures of a tar archive, in its own order, since a packed one can be read in no other.

    Links and devices in it are passed over, whatever they are called; how many they are is said.

    Args:
        path: The archive.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        DataError: It is damaged, or holds no pictures.
    """

    kind = "tar"

    def __init__(self, path: Path, notify: Callable[[str], None]) -> None:
        """Go through the archive once; see the class."""
        self.path, self.where = path, str(path)
        with self._opened() as members:
            found = [(_name(member), member.isreg()) for member, _ in members]
        names = [name for name, is_regular in found if is_regular]
        chosen, labels = chosen_names(names, self.where, notify, links=len(found) - len(names))
        written = None
        if labels is not None:
            written = Written(self._member(labels), names[labels].removesuffix(LABELS_FILE))
        self._is_chosen = bytearray(len(names))
        for number in chosen:
            self._is_chosen[number] = 1
        self.count = len(chosen)
        self.classes, self._labels = labels_by_name(
            [names[number] for number in chosen], written, self.where, notify
        )
        self.labelled = self._labels is not None
        self.identity = digest_of(self.kind, file_identity(path))

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from number `start` on."""
        number = -1
        with self._opened() as members:
            for place, (member, archive) in enumerate(_regular(members)):
                if place >= len(self._is_chosen) or not self._is_chosen[place]:
                    continue
                number += 1
                if number < start:
                    continue
                name = _name(member)
                label = None if self._labels is None else self._labels[number]
                if self.labelled and label is None:
                    yield Entry(name, no_label(name))
                    continue
                content: bytes | DataError
                try:
                    content = self._read(archive, member, MEMBER_BYTES)
                except DataError as error:
                    content = error
                yield Entry(name, content, label)

    @contextmanager
    def _opened(self) -> Iterator[Members]:
        with open_regular_source(self.path) as file:
            try:
                archive = tarfile.TarFile(fileobj=cast(BinaryIO, _Bounded(unpacked(file))))
                yield self._members(archive)
            except _TAR_ERRORS as error:
                raise self._damaged(error) from error

    def _members(self, archive: tarfile.TarFile) -> Members:
        """Yield all but the folders, and keep none of it in memory."""
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]
            if not member.isdir():
                yield member, archive

    def _member(self, number: int) -> bytes:
        """Return what a file of the archive holds."""
        with self._opened() as members:
            member, archive = next(itertools.islice(_regular(members), number, None))
            return self._read(archive, member, MOST_BYTES)

    def _read(self, archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
        if member.size > most or member.issparse():
            raise DataError(f"{self.where}: {_name(member)}: larger than {most} bytes, or sparse")
        stream = archive.extractfile(member)
        content = b"" if stream is None else stream.read(most)
        if len(content) < member.size:
            raise self._damaged("it ends early")
        return content

    def _damaged(self, reason: object) -> DataError:
        return DataError(
            f"{self.path}: not a tar archive that can be read ({reason}); pack it again"
        )


class _Bounded(io.RawIOBase):
    """A stream that never reads more at a time than a picture has.

    A header of a tar archive can say that the name of the next member has gigabytes.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MEMBER_BYTES:
            raise OSError(f"a part of it has {size} bytes, and at most {MEMBER_BYTES} are allowed")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def open_regular_source(path: Path) -> BinaryIO:
    """Open a file of any size.

    Raises:
        DataError: It cannot be opened, or is no file.
    """
    try:
        return open_regular(path, LARGEST_SOURCE)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); give another source"
        ) from error


def unpacked(file: BinaryIO) -> BinaryIO:
    """Return what reads a file, unpacked if it is packed with gzip, bzip2 or xz."""
    start = file.read(8)
    file.seek(0)
    for magic, opened in PACKERS.items():
        if start.startswith(magic):
            return opened(file)
    return file


def _regular(members: Members) -> Members:
    return ((member, archive) for member, archive in members if member.isreg())


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")
