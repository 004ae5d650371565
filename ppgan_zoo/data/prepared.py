"""Image sets that ``ppgan-zoo data prepare`` made: mapped, so that none is too large for memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.images import ImageSet
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.data.mapped import LARGEST_FILE, map_npy
from ppgan_zoo.data.npy import HEADER_BYTES
from ppgan_zoo.data.prepare.layout import images_file, labels_file
from ppgan_zoo.data.prepare.manifest import Part, read_manifest
from ppgan_zoo.errors import DataError, os_errors
from ppgan_zoo.storage.files import open_regular


def load_prepared(folder: Path, split: str = "train", *, verify: bool = True) -> ImageSet:
    """Return a split of a prepared set, whose images stay in their file.

    Args:
        folder: The set.
        split: ``"train"``, or ``"test"`` for what is held out.
        verify: Whether to compare the images with their hash, for which all are read once.

    Raises:
        DataError: There is no such set or split, or it is damaged.
    """
    manifest = read_manifest(folder)
    part = manifest.splits.get("test" if split == "test" else "train")
    if part is None:
        raise DataError(
            f"{folder}: nothing is held out for split {split!r}; prepare the pictures again with "
            "--held-out 0.1, and train on that set"
        )
    path = folder / images_file(split)
    images = map_npy(path)
    shape = (part.count, *manifest.image_shape)
    if images.dtype != np.uint8 or images.shape != shape:
        raise _damaged(path, f"an array of {images.dtype} {list(images.shape)}, not {list(shape)}")
    if verify:
        stat = os.stat(path)
        if _sha256(path, stat.st_size, stat.st_mtime_ns) != part.sha256:
            raise _damaged(path, "its images have another SHA-256 than the manifest says")
    return ImageSet(
        "prepared",
        images,
        _labels(folder / labels_file(split), part),
        "prepared",
        str(folder),
        part.sha256,
        manifest.classes if part.labels_sha256 is not None else None,
    )


def _labels(path: Path, part: Part) -> NDArray[np.int64] | None:
    if part.labels_sha256 is None:
        return None
    labels = map_npy(path)
    if labels.dtype != np.dtype("<i8") or labels.shape != (part.count,):
        raise _damaged(path, f"an array of {labels.dtype} {list(labels.shape)}")
    if hashlib.sha256(labels.data).hexdigest() != part.labels_sha256:
        raise _damaged(path, "its labels have another SHA-256 than the manifest says")
    return labels.astype(np.int64)


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, modified: int) -> str:
    """Return the SHA-256 of a file's images; once for each state of the file."""
    digest = hashlib.sha256()
    with (
        os_errors(DataError, f"{path}: cannot be read", "make the set again"),
        open_regular(path, LARGEST_FILE) as file,
    ):
        file.seek(HEADER_BYTES)
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path}: damaged: {what}; make the set again with ppgan-zoo data prepare")


def _load(
    *,
    directory: str | Path,
    split: str,
    offline: bool,
    image_size: int | None,
    channels: int | None,
    limit: int | None,
    notify: Callable[[str], None],
    verify: bool = True,
) -> ImageSet:
    folder = Path(os.path.abspath(os.path.expanduser(directory)))
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder; give a prepared set")
    return load_prepared(folder, split, verify=verify)


PREPARED = DataKind("prepared", _load, features="general-v1", needs_directory=True)
