"""A zip archive of pictures, as StyleGAN's dataset tool writes; nothing is unpacked to disk."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
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
from ppgan_zoo.data.prepare.source import (
    LARGEST_SOURCE,
    Entry,
    Source,
    digest_of,
    file_identity,
)
from ppgan_zoo.data.walk import PICTURES
from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.files import open_regular

MEMBER_BYTES = 128 << 20
"""The largest picture that is taken out of an archive."""

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # encrypted; NotImplementedError, another compression, is one as well
)


class ZipArchive(Source):
    """All pictures of a zip archive, sorted by their names.

    Args:
        path: The archive.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        DataError: It is damaged, or holds no pictures.
    """

    kind = "zip"

    def __init__(self, path: Path, notify: Callable[[str], None]) -> None:
        """Read the archive's directory; see the class."""
        self.where = str(path)
        self._zip = open_zip(path)
        infos = _files(self._zip)
        chosen, labels = chosen_names([info.filename for info in infos], self.where, notify)
        self._infos = sorted((infos[number] for number in chosen), key=_parts)
        self.count = len(self._infos)
        written = None
        if labels is not None:
            file = infos[labels]
            folder = file.filename.removesuffix(LABELS_FILE)
            written = Written(self._read(file, MOST_BYTES), folder)
        self.classes, self._labels = labels_by_name(
            [info.filename for info in self._infos], written, self.where, notify
        )
        self.labelled = self._labels is not None
        self.identity = digest_of(self.kind, file_identity(path))

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from number `start` on."""
        for number in range(start, self.count):
            info = self._infos[number]
            label = None if self._labels is None else self._labels[number]
            if self.labelled and label is None:
                yield Entry(info.filename, no_label(info.filename))
                continue
            content: bytes | DataError
            try:
                content = self._read(info, MEMBER_BYTES)
            except DataError as error:
                content = error
            yield Entry(info.filename, content, label)

    def _read(self, info: zipfile.ZipInfo, most: int) -> bytes:
        return read_member(self._zip, info, self.where, most)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        DataError: It is none that can be read.
    """
    try:
        return zipfile.ZipFile(open_regular(path, LARGEST_SOURCE))
    except ZIP_ERRORS as error:
        raise DataError(
            f"{path}: not a zip archive that can be read ({error}); pack it again"
        ) from error


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, most: int) -> bytes:
    """Return what a member of a zip archive holds.

    Raises:
        DataError: It is damaged, or larger than `most` bytes.
    """
    try:
        if info.file_size > most:
            raise DataError(f"{where}: {info.filename}: larger than {most} bytes")
        with archive.open(info) as stream:
            content = stream.read(most + 1)
    except ZIP_ERRORS as error:
        raise DataError(f"{where}: {info.filename}: cannot be unpacked ({error})") from error
    if len(content) > most:
        raise DataError(f"{where}: {info.filename}: larger than {most} bytes")
    return content


def chosen_names(
    names: Sequence[str], where: str, notify: Callable[[str], None], links: int = 0
) -> tuple[list[int], int | None]:
    """Return which of an archive's files are pictures, and which is ``dataset.json``, if any.

    How many are passed over is said. Of files of the same name the last counts, which is the one
    that unpacking leaves. A ``dataset.json`` counts where all pictures lie in its folder, or in
    one within it; of several the outermost.

    Args:
        names: Of the archive's files, in its order.
        where: What to call the archive in messages.
        notify: Called with a line of text for whatever the user should know.
        links: How many other things the archive holds, which are passed over.

    Raises:
        DataError: There are no pictures.
    """
    passed = Counter({"links or devices": links})
    place = {name: number for number, name in enumerate(names)}
    chosen = []
    for number, name in enumerate(names):
        if any(part.startswith(".") and part != "." for part in name.split("/")) or (
            name.startswith("__MACOSX/")
        ):
            passed["hidden names"] += 1
        elif place[name] != number:
            passed["earlier files of the same name"] += 1
        elif name.lower().endswith(PICTURES):
            chosen.append(number)
        else:
            passed["other files"] += 1
    shared = shared_folders([names[number] for number in chosen])
    labels = next((place[at] for folder in shared if (at := folder + LABELS_FILE) in place), None)
    if labels is not None:
        passed -= Counter({"other files": 1})
    said = ", ".join(f"{count} {what}" for what, count in sorted(passed.items()) if count)
    if not chosen:
        raise DataError(
            f"{where}: no pictures found{f' (skipped: {said})' if said else ''}; pack files "
            f"ending in {', '.join(PICTURES)}"
        )
    if said:
        notify(f"{where}: skipped {said}")
    return chosen, labels


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of an archive; some programs of Windows write backslashes for slashes."""
    infos = archive.infolist()
    if not any("/" in info.filename for info in infos):
        for info in infos:
            info.filename = info.filename.replace("\\", "/")
    return [info for info in infos if not info.is_dir()]


def _parts(info: zipfile.ZipInfo) -> list[str]:
    return info.filename.split("/")
