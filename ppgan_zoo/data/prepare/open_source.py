"""Which kind of source a path is: told from its content, never from its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ppgan_zoo.data.npy import MAGIC as NPY_MAGIC
from ppgan_zoo.data.prepare.arrays import Arrays
from ppgan_zoo.data.prepare.csv_pixels import CsvPixels
from ppgan_zoo.data.prepare.idx_files import IdxFiles, image_files
from ppgan_zoo.data.prepare.labelling import LABELS_FILE
from ppgan_zoo.data.prepare.layout import is_prepared
from ppgan_zoo.data.prepare.pictures_folder import PicturesFolder
from ppgan_zoo.data.prepare.source import Source
from ppgan_zoo.data.prepare.tar_archive import TarArchive, open_regular_source, unpacked
from ppgan_zoo.data.prepare.zip_archive import ZIP_ERRORS, ZipArchive, open_zip
from ppgan_zoo.errors import DataError

_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
KNOWN = "a folder of pictures, a .zip or .tar of them, a table of pixels (.csv), .npz, .npy or IDX"


def open_source(path: Path, notify: Callable[[str], None]) -> Source:
    """Return the pictures of a path, whichever kind of source it is.

    Args:
        path: A folder or a file.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        DataError: It is none, or a damaged one.
    """
    path = Path(os.path.abspath(os.path.expanduser(path)))
    if path.name == LABELS_FILE and os.path.isfile(path):
        path = path.parent
    if is_prepared(path):
        raise DataError(
            f"{path}: is a prepared set already; give the pictures that it was made from"
        )
    if os.path.isdir(path):
        files = image_files(path)
        return IdxFiles(files, notify) if files else PicturesFolder(path, notify)
    if not os.path.lexists(path):
        raise DataError(f"{path}: no such file or folder; give {KNOWN}")
    start = _start_of(path)
    if start.startswith(b"PK"):
        return _of_zip(path, notify)
    if start.startswith(NPY_MAGIC):
        return Arrays(path, notify)
    if start.startswith(b"\0\0\x08"):
        return IdxFiles([path], notify)
    if start[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        return TarArchive(path, notify)
    if b"," in start and b"\0" not in start:
        return CsvPixels(path)
    raise DataError(f"{path}: not a known source of pictures; give {KNOWN}")


def _start_of(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked."""
    with open_regular_source(path) as file:
        try:
            return unpacked(file).read(512)
        except ZIP_ERRORS as error:
            raise DataError(f"{path}: damaged ({error}); give {KNOWN}") from error


def _of_zip(path: Path, notify: Callable[[str], None]) -> Source:
    with open_zip(path) as archive:
        arrays = [name for name in archive.namelist() if name.endswith(".npy")]
        is_npz = bool(arrays) and len(arrays) == len(archive.namelist())
    return Arrays(path, notify) if is_npz else ZipArchive(path, notify)
