"""IDX files as MNIST has them: one of images, or a folder of images and labels of both splits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.idx import read_idx
from ppgan_zoo.data.prepare.source import Entry, Source, digest_of, file_identity
from ppgan_zoo.errors import DataError

KIND = re.compile("idx[34]")  # grey images, and images with channels
IMAGES, LABELS = "images", "labels"
SPLITS = (("t10k", "test"), ("test", "test"), ("train", "train"))
MOST_BYTES = 1 << 30  # of one file's values


def image_files(folder: Path) -> list[Path]:
    """Return the IDX files of images in a folder, those of training first."""
    try:
        names = sorted(os.listdir(folder), reverse=True)
    except OSError:  # what is wrong is said where its pictures are looked for
        return []
    return [folder / name for name in names if IMAGES in name and KIND.search(name)]


class IdxFiles(Source):
    """Images of IDX files, with the labels that lie beside them.

    Args:
        paths: The files of images; the labels of ``train-images-idx3-ubyte``, or of
            ``train-images-idx4-ubyte``, are in ``train-labels-idx1-ubyte``, raw or packed as the
            images are.

    Raises:
        DataError: A file is damaged, or labels do not fit the images.
    """

    kind = "idx"

    def __init__(self, paths: list[Path]) -> None:
        """Read the files; see the class."""
        self.where = str(paths[0])
        self._parts = [(path, *_read(path), _split(path)) for path in paths]
        self.count = sum(len(images) for _, images, _, _ in self._parts)
        self.labelled = all(labels is not None for _, _, labels, _ in self._parts)
        self.has_splits = {"train", "test"} <= {split for *_, split in self._parts}
        grey = all(images.ndim == 3 or images.shape[3] == 1 for _, images, _, _ in self._parts)
        self.channels = 1 if grey else 3
        beside = [_labels_of(path) for path in paths]
        files = [*paths, *(path for path in beside if path is not None)]
        self.identity = digest_of(self.kind, *map(file_identity, files))

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from number `start` on."""
        for path, images, labels, split in self._parts:
            first = min(start, len(images))
            start -= first
            for number in range(first, len(images)):
                label = int(labels[number]) if labels is not None and self.labelled else None
                said = split if self.has_splits else None
                yield Entry(f"{path.name}[{number}]", images[number], label, said)


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    images = read_idx(path, max_bytes=MOST_BYTES)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(
            f"{path}: shape {' x '.join(map(str, images.shape))}; images are N x height x width, "
            "or with 1 or 3 channels last: give such a file"
        )
    beside = _labels_of(path)
    if beside is None:
        return images, None
    labels = read_idx(beside, max_bytes=MOST_BYTES)
    if labels.shape != (len(images),):
        raise DataError(
            f"{beside}: labels of shape {' x '.join(map(str, labels.shape))} for {len(images)} "
            "images; replace the file, or remove it to go without labels"
        )
    return images, labels


def _labels_of(path: Path) -> Path | None:
    """Return the file of the labels beside one of images; None if there is none."""
    beside = path.with_name(KIND.sub("idx1", path.name).replace(IMAGES, LABELS))
    return beside if beside != path and os.path.lexists(beside) else None


def _split(path: Path) -> str | None:
    return next((split for start, split in SPLITS if path.name.startswith(start)), None)
