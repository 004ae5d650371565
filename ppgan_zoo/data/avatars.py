"""Drawn avatars: colour pictures in ten classes, with every drawing's parts known.

A set is a folder of IDX files (``FILES``): images ``[N, S, S, 3]``, labels ``[N]`` and factors
``[N, K]``, raw or gzipped. The package holds one of 32 x 32; ``ppgan-zoo data make avatars`` makes
others (:mod:`ppgan_zoo.data.avatar_drawing`), which are read from the user's directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.embedded_files import embedded_folder, read_embedded, read_embedded_json
from ppgan_zoo.data.idx import idx_sha256, read_idx
from ppgan_zoo.data.images import ImageSet
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.errors import DataError

STYLES = (
    "critters",
    "cutouts",
    "landscape",
    "lorelei",
    "marbles",
    "open-peeps",
    "pixel-art",
    "planets",
    "sprouts",
    "voxel-art",
)
"""The classes: styles of DiceBear, all of which are in the public domain (CC0 1.0)."""

FILES = {
    "images": "images-idx4-ubyte",
    "labels": "labels-idx1-ubyte",
    "factors": "factors-idx2-ubyte",
}
"""What a set is made of: each of these names after ``train-`` or ``test-``."""

MANIFEST = "avatars.json"
"""What a set is described by."""

NO_VALUE = 255
"""In the factors: the drawing has no such part, or its style no such factor."""

SIZE = 32
"""Height and width of the embedded pictures."""

EMBEDDED_SHA256 = {
    "test-factors-idx2-ubyte": "a9e215dea618a5ac1d3c74d4c0b1346407128b62a812ab60f6e4f6ffcddbe307",
    "test-images-idx4-ubyte": "21089f721f3fa876767f25d6eddc3f08017b50b3a4c93e10dd1576f57f1ae367",
    "test-labels-idx1-ubyte": "66e4c6deb5f2a061f7d8cd5ec53025fdb9dabb08265e449acb8cf64b8cd36cac",
    "train-factors-idx2-ubyte": "7b453d5d01175543dc42ca6deae2a6c28766aaf599c153962e754074db4f1377",
    "train-images-idx4-ubyte": "de77a977a6a1a6c20f92e208479273b4aab60ca033b00ace5f48ff8901e7e104",
    "train-labels-idx1-ubyte": "e18e6fe44bbeb980f85a745210a0a269a8bb7b98201e0f223576115fd7d5dc6c",
}
"""Of the content of the embedded files, uncompressed."""


def _load(
    *,
    directory: str | Path | None,
    split: str,
    offline: bool,
    image_size: int | None,
    channels: int | None,
    limit: int | None,
    notify: Callable[[str], None],
) -> ImageSet:
    """Return the user's set, or without a directory the embedded one."""
    if directory is not None:
        folder = Path(os.path.expanduser(directory)).absolute()
        images, labels = (_of_folder(folder, f"{split}-{FILES[what]}") for what in _SHOWN)
        return _image_set(images, labels, "directory", str(folder))
    images, labels = (_embedded(f"{split}-{FILES[what]}") for what in _SHOWN)
    return _image_set(images, labels, "embedded", str(_package_folder()))


_SHOWN = ("images", "labels")


def load_factors(split: str, directory: Path | None = None) -> NDArray[np.uint8]:
    """Return what is known of each drawing's parts.

    Args:
        split: ``"train"`` or ``"test"``.
        directory: Of the user's set; None for the embedded one.

    Returns:
        uint8 ``[N, K]``: the values of the factors of the picture's style, in the order of the key
        ``factors`` of ``avatars.json``; :data:`NO_VALUE` for none.

    Raises:
        DataError: They are missing or damaged.
    """
    name = f"{split}-{FILES['factors']}"
    return _embedded(name) if directory is None else _of_folder(directory, name)


def load_factor_names() -> dict[str, dict[str, list[str]]]:
    """Return what each style's factors may be: by style and factor, the names of its values.

    They are those of the embedded set, in the order of :func:`load_factors`.

    Raises:
        DataError: They are missing.
    """
    told = read_embedded_json(_package_folder() / MANIFEST)
    names: dict[str, dict[str, list[str]]] = told["factors"]
    return {style: names[style] for style in STYLES}


def _of_folder(folder: Path, name: str) -> NDArray[np.uint8]:
    for path in (folder / name, folder / f"{name}.gz"):
        if os.path.exists(path):
            return read_idx(path)
    raise DataError(
        f"{folder}: holds no avatars: no {name}; make a set by ppgan-zoo data make avatars, or "
        "leave the directory out for the embedded one"
    )


def _embedded(name: str) -> NDArray[np.uint8]:
    resource = _package_folder() / f"{name}.gz"
    values = read_embedded(resource)
    if idx_sha256(values) != EMBEDDED_SHA256[name]:
        raise DataError(f"{resource}: was changed; reinstall ppgan_zoo")
    return values


def _package_folder() -> resources.abc.Traversable:
    return embedded_folder("avatars")


def _image_set(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], source: str, location: str
) -> ImageSet:
    if images.ndim != 4 or images.shape[3] != 3 or images.shape[1] != images.shape[2]:
        raise DataError(
            f"{location}: images of shape {' x '.join(map(str, images.shape))}; avatars are "
            "N x S x S x 3: make the set again"
        )
    return ImageSet.of(
        "avatars", images.transpose(0, 3, 1, 2), labels.astype(np.int64),
        source=source, location=location, classes=STYLES,
    )  # fmt: skip


AVATARS = DataKind(
    "avatars",
    _load,
    features="avatars-v1",
    default_shape=(3, SIZE, SIZE),
    licence="CC0 1.0",
)
