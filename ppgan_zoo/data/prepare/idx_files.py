"""IDX files as MNIST has them: one of images, or a folder of images and labels of both splits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.idx import read_idx
from ppgan_zoo.data.prepare.labelling import all_have_labels
from ppgan_zoo.data.prepare.source import Entry, Source, digest_of, file_identity
from ppgan_zoo.errors import DataError

KIND = re.compile("idx[34]")  # grey images, and images with channels
IMAGES, LABELS, PACKED = "images", "labels", ".gz"
IMAGES_FILE = re.compile(r"(.*images.*)[-._](idx[34])[-._]ubyte(\.gz)?")
SPLIT = re.compile("(?<![a-z0-9])(train|test|t10k)")  # how a word of a name begins
MOST_BYTES = 1 << 30  # of one file's values


def image_files(folder: Path) -> list[Path]:
    """Return the IDX files of images in a folder, those of training first.

    Of a file that is there in several forms, raw, packed or with a dot before ``idx``, one is
    returned: the raw one, if there is one.
    """
    try:
        names = os.listdir(folder)
    except OSError:  # what is wrong is said where its pictures are looked for
        return []
    found = {}
    for name in sorted(names, key=lambda name: (name.endswith(PACKED), name), reverse=True):
        told = IMAGES_FILE.fullmatch(name)
        if told and not os.path.isdir(folder / name):
            found[told[1], told[2]] = folder / name  # in place of a packed one, which came before
    return [found[name] for name in sorted(found, reverse=True)]


class IdxFiles(Source):
    """Images of IDX files, with the labels that lie beside them.

    Args:
        paths: The files of images; the labels of ``train-images-idx3-ubyte``, or of
            ``train-images-idx4-ubyte``, are in ``train-labels-idx1-ubyte``, raw or packed.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        DataError: A file is damaged, or labels do not fit the images.
    """

    kind = "idx"

    def __init__(self, paths: list[Path], notify: Callable[[str], None]) -> None:
        """Read the files; see the class."""
        self.where = str(paths[0])
        self._parts = [(path, *_read(path), _split(path)) for path in paths]
        self.count = sum(len(images) for _, images, _, _ in self._parts)
        has_labels = {str(path): labels is not None for path, _, labels, _ in self._parts}
        self.labelled = all_have_labels(has_labels, notify)
        splits = [split for *_, split in self._parts]
        self.has_splits = "test" in splits and len(set(splits)) > 1
        grey = all(images.ndim == 3 or images.shape[3] == 1 for _, images, _, _ in self._parts)
        self.channels = 1 if grey else 3
        beside = [_labels_of(path) for path in paths]
        files = [*paths, *(path for path in beside if path is not None)]
        self.identity = digest_of(self.kind, splits, *map(file_identity, files))

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
    """Return the file of the labels beside one of images, in whichever form; None if none is."""
    name = KIND.sub("idx1", path.name).replace(IMAGES, LABELS)
    if name == path.name:
        return None
    raw = name.removesuffix(PACKED)
    forms = [raw, raw.replace(".idx1", "-idx1"), raw.replace("-idx1", ".idx1")]
    names = [name, *forms, *(form + PACKED for form in forms)]
    files = (path.with_name(each) for each in names)
    return next((each for each in files if os.path.lexists(each) and not each.is_dir()), None)


def _split(path: Path) -> str | None:
    """Return the split that a word in the name of a file tells."""
    told = SPLIT.search(path.name.lower())
    if told is None:
        return None
    return "train" if told[1] == "train" else "test"
