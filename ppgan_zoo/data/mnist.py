"""MNIST and Fashion-MNIST: where they are found, in a fixed order.

A folder that the user names is used or is an error. Where none is named, known folders
are searched, then the full set is downloaded, and what is left is the part of the set
that the package contains: that is said in one line, never done silently.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.download import download, gzipped
from ppgan_zoo.data.embedded_files import embedded_folder, read_embedded
from ppgan_zoo.data.idx import idx_sha256, read_idx
from ppgan_zoo.data.images import ImageSet
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.data.official import IMAGE_SHAPE, OFFICIAL_SETS, OfficialFile, OfficialSet, Split
from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.files import user_cache

DATA_VARIABLE = "PPGAN_ZOO_DATA"
"""The environment variable that names the user's data directory."""

SYSTEM_FOLDER = Path("/usr/share/datasets")
"""Where Debian's data set packages install."""

_ADVICE = "Give --data-dir DIR for the full set."

_Pixels = NDArray[np.uint8]


def _load(
    name: str,
    *,
    directory: str | Path | None,
    split: str,
    offline: bool,
    image_size: int | None,
    channels: int | None,
    limit: int | None,
    notify: Callable[[str], None],
) -> ImageSet:
    """Return the whole set from the first place that holds it, as the module's text says."""
    official = OFFICIAL_SETS[name]
    if directory is not None:
        return _from_directory(name, Path(directory), split, "directory")
    if os.environ.get(DATA_VARIABLE):
        return _from_directory(name, Path(os.environ[DATA_VARIABLE]), split, "environment")
    folders = _known_folders(official)
    for source, folder in folders:
        found = _from_known_folder(name, folder, split, source, notify)
        if found is not None:
            return found
    looked_in = f"looked in {', '.join(str(folder) for _, folder in folders) or 'no folder'}"
    if offline:
        missing = f"{looked_in}; not downloaded: offline"
    else:
        try:
            return _from_download(name, split, notify)
        except DataError as error:
            missing = f"{looked_in}; download failed: {error}"
    if split != "train":
        raise DataError(
            f"{name}: {split} split not found ({missing}); the embedded set has only the train "
            f"split: give --data-dir DIR or set {DATA_VARIABLE}"
        )
    embedded = embedded_part(name)
    notify(
        f"{name}: full set not found ({missing}); using the embedded first "
        f"{len(embedded):,} training images. {_ADVICE}"
    )
    return embedded


def _from_directory(name: str, directory: Path, split: str, source: str) -> ImageSet:
    """Return the set that the user's `directory` holds; it need not be the official one."""
    official = OFFICIAL_SETS[name]
    files = official.splits[split]
    where = DATA_VARIABLE if source == "environment" else "data directory"
    directory = Path(os.path.expanduser(directory)).absolute()
    if not os.path.isdir(directory):
        raise DataError(f"{directory}: {where} is no folder; give one that holds {name}")
    folders = [directory / sub for sub in (official.folder, *official.aliases)] + [directory]
    for folder in folders:
        images_path = _present(folder, files.images)
        if images_path is not None:
            break
    else:
        raise DataError(
            f"{directory}: {where} does not hold {name}: looked for {files.images.name} "
            f"(or .gz, or with a dot before idx) in "
            f"{', '.join(str(folder) for folder in folders)}; put it "
            "there, or leave the directory out to use the known places"
        )
    images = _read_images(images_path)
    owner = _official_owner(idx_sha256(images))
    if owner not in (None, name):
        raise DataError(f"{images_path}: holds {owner}, not {name}; give the folder of {name}")
    labels_path = _present(folder, files.labels)
    labels = None if labels_path is None else _read_labels(labels_path, len(images))
    return _image_set(name, images, labels, source, str(folder))


def _from_known_folder(
    name: str, folder: Path, split: str, source: str, notify: Callable[[str], None]
) -> ImageSet | None:
    """Return the official set if `folder` holds it intact; tell if it is there but damaged."""
    files = OFFICIAL_SETS[name].splits[split]
    paths = _present(folder, files.images), _present(folder, files.labels)
    if paths[0] is None or paths[1] is None:
        return None
    try:
        images = _read_verified(paths[0], files.images)
        labels = _read_verified(paths[1], files.labels).astype(np.int64)
    except DataError as error:
        notify(f"{name}: skipped a damaged copy: {error}")
        return None
    return _image_set(name, images, labels, source, str(folder))


def _from_download(name: str, split: str, notify: Callable[[str], None]) -> ImageSet:
    """Download a split into the zoo's own cache and return it."""
    official = OFFICIAL_SETS[name]
    folder = _download_folder(official)
    if folder is None:
        raise DataError("no home folder to keep it in; set XDG_CACHE_HOME")
    files = official.splits[split]
    mirror = download(official.mirrors, map(gzipped, (files.images, files.labels)), folder)
    notify(f"{name}: downloaded the {split} split from {mirror} to {folder}")
    images = _read_verified(folder / f"{files.images.name}.gz", files.images)
    labels = _read_verified(folder / f"{files.labels.name}.gz", files.labels).astype(np.int64)
    return _image_set(name, images, labels, "download", str(folder))


def embedded_part(name: str) -> ImageSet:
    """Return the embedded part of a set."""
    official = OFFICIAL_SETS[name]
    folder = embedded_folder(official.folder)

    def read(file: OfficialFile) -> _Pixels:
        resource = folder / f"{file.name}.gz"
        return _verified(read_embedded(resource), str(resource), file)

    images = read(official.embedded.images)
    labels = read(official.embedded.labels).astype(np.int64)
    return _image_set(name, images, labels, "embedded", str(folder))


def _known_folders(official: OfficialSet) -> list[tuple[str, Path]]:
    """Return where the full set may lie on this machine, as (source, folder)."""
    folders = [("debian", SYSTEM_FOLDER / official.folder)]
    home = _home()
    if home is not None:
        paddle = home / ".cache" / "paddle" / "dataset" / official.folder
        folders.insert(0, ("paddle-cache", paddle))
    own = _download_folder(official)
    return folders if own is None else [*folders, ("download", own)]


def _download_folder(official: OfficialSet) -> Path | None:
    """Return where the zoo keeps a set that it downloaded; None without a home."""
    cache = user_cache()
    return None if cache is None else cache / "datasets" / official.folder


def _home() -> Path | None:
    """Return the user's home; None for a user who has none, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _present(folder: Path, file: OfficialFile) -> Path | None:
    """Return the path of a file in `folder`, raw or gzipped, or None.

    Unpackers and well-known copies of MNIST write a dot before ``idx``, or put each file into
    a folder of its own name.
    """
    dotted = file.name.replace("-idx", ".idx")
    names = [f"{name}{end}" for name in (file.name, dotted) for end in ("", ".gz")]
    nested = [os.path.join(parent, name) for parent in names for name in names]
    # Path.exists would raise where a folder is not readable.
    found = [folder / name for name in (*names, *nested) if os.path.exists(folder / name)]
    files = [path for path in found if os.path.isfile(path)]
    return next(iter([*files, *found]), None)  # what is no file is refused where it is read


def _read_images(path: Path) -> _Pixels:
    """Read a user's image file, which must be of the set's form."""
    images = read_idx(path)
    if images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE:
        raise DataError(
            f"{path}: shape {' x '.join(map(str, images.shape))}; N x {IMAGE_SHAPE[0]} x "
            f"{IMAGE_SHAPE[1]} is allowed: replace the file, or use data.name folder"
        )
    return images


def _read_labels(path: Path, count: int) -> NDArray[np.int64]:
    """Read a user's label file, which must fit the images."""
    labels = read_idx(path)
    if labels.shape != (count,):
        raise DataError(
            f"{path}: labels of shape {' x '.join(map(str, labels.shape))} for {count} images; "
            f"{count} are allowed: replace the file, or remove it to go without labels"
        )
    return labels.astype(np.int64)


def _read_verified(path: Path, file: OfficialFile) -> _Pixels:
    """Read a file that must have the official content."""
    return _verified(read_idx(path, max_bytes=file.size_bytes), str(path), file)


def _verified(values: _Pixels, where: str, file: OfficialFile) -> _Pixels:
    """Return the values, or raise if they are not the official ones."""
    found = idx_sha256(values)
    if found != file.sha256:
        raise DataError(
            f"{where}: content has SHA-256 {found[:12]}..., the official file "
            f"{file.sha256[:12]}...; remove or replace the file"
        )
    return values


def _official_owner(sha256: str) -> str | None:
    """Return the name of the set that a file of images with this checksum belongs to."""
    for name, official in OFFICIAL_SETS.items():
        splits: list[Split] = [*official.splits.values(), official.embedded]
        if any(sha256 == split.images.sha256 for split in splits):
            return name
    return None


def _image_set(
    name: str, images: _Pixels, labels: NDArray[np.int64] | None, source: str, location: str
) -> ImageSet:
    """Make an image set of grey images ``[N, H, W]``.

    A user's own files may tell more classes apart than the official set, whose names do not
    fit them then.
    """
    classes = OFFICIAL_SETS[name].classes
    named = labels is not None and labels.max() < len(classes)
    return ImageSet.of(
        name,
        images[:, None],
        labels,
        source=source,
        location=location,
        classes=classes if named else None,
    )


MNIST = DataKind(
    "mnist",
    partial(_load, "mnist"),
    features="digits-v1",
    default_shape=(1, *IMAGE_SHAPE),
    licence="CC BY-SA 3.0",
)

FASHION_MNIST = DataKind(
    "fashion_mnist",
    partial(_load, "fashion_mnist"),
    features="fashion-v1",
    default_shape=(1, *IMAGE_SHAPE),
    licence="MIT",
)
