"""Pictures of a model as one file: a grid, arrays, or a tar of PNGs. Streamed and sealed.

``.npy`` holds the images, uint8 ``[N, C, H, W]``. ``.npz`` holds ``images`` and what each was made
of: ``seeds``, ``indices``, ``z`` and, of a model with labels, ``labels`` and ``classes``. ``.tar``
holds for each picture ``NUMBER.png``, ``NUMBER.json`` and ``NUMBER.z.npy`` one after the other, as
WebDataset reads them.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.orders import Order
from ppgan_zoo.models.latent import Code
from ppgan_zoo.storage.ownership import BLANK, seal
from ppgan_zoo.storage.pictures import encode_png, image_grid, sealed_png, to_pixels

Parts = Iterable[NDArray[np.uint8]]
"""Images ``uint8 [N, C, H, W]`` in parts, in their order."""

Made = tuple[int, NDArray[np.uint8], NDArray[np.float32]]
"""A picture: its place in the order, its image ``uint8 [C, H, W]`` and its z."""

MOST_IN_A_GRID = 10_000
_ROWS = 1024  # of z, drawn at once


def write_grid(file: BinaryIO, parts: Parts, count: int, columns: int | None) -> None:
    """Write a PNG: of one image as it is, of more a grid of them, enlarged if they are small.

    Args:
        file: Where to.
        parts: The images.
        count: How many they are.
        columns: Images in a row; None for a square.

    Raises:
        ConfigError: They are too many for a picture.
    """
    if count > MOST_IN_A_GRID:
        raise ConfigError(
            f"-n {count}: a grid shows at most {MOST_IN_A_GRID}; give --output a folder, .npy, "
            ".npz or .tar"
        )
    images = np.concatenate(list(parts))
    if count == 1:
        file.write(sealed_png(to_pixels(images[0])))
    else:
        file.write(sealed_png(image_grid(images, columns or max(1, round(count**0.5)))))


def write_npy(file: BinaryIO, parts: Parts, shape: tuple[int, ...]) -> None:
    """Write images as ``.npy``, of `shape` ``[N, C, H, W]``."""
    _write_array(file, parts, shape, "|u1")
    file.write(BLANK)
    seal(file)


def write_npz(file: BinaryIO, parts: Parts, shape: tuple[int, ...], order: Order) -> None:
    """Write images and what they were made of as ``.npz``."""
    with zipfile.ZipFile(file, "w") as archive:
        with _entry(archive, "images") as entry:
            _write_array(entry, parts, shape, "|u1")
        with _entry(archive, "z") as entry:
            _write_array(entry, order.zs(_ROWS), (len(order), order.latent.dim), "<f4")
        arrays: dict[str, NDArray[Any]] = {"seeds": order.seeds, "indices": order.indices}
        if order.labels is not None:
            arrays.update(labels=order.labels, classes=np.array(order.classes, dtype=np.str_))
        for name, array in arrays.items():
            with _entry(archive, name) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
        archive.comment = BLANK
    seal(file)


def write_tar(file: BinaryIO, made: Iterable[Made], order: Order) -> None:
    """Write pictures and what each was made of as a tar."""
    with tarfile.open(None, "w", file, format=tarfile.PAX_FORMAT) as archive:
        for place, image, z in made:
            array = io.BytesIO()
            np.lib.format.write_array(array, z, allow_pickle=False)
            stem = order.stem(place)
            _add(archive, f"{stem}.png", encode_png(to_pixels(image)))
            _add(archive, f"{stem}.json", json.dumps(order.describe(place)).encode())
            _add(archive, f"{stem}.z.npy", array.getvalue())
    file.write(BLANK)
    seal(file)


def one_by_one(parts: Iterable[tuple[Code, NDArray[np.uint8]]]) -> Iterator[Made]:
    """Yield the pictures of a stream of codes and images, and at which place of it each is."""
    place = itertools.count()
    for code, images in parts:
        for image, z in zip(images, code.z, strict=True):
            yield next(place), image, z


def write_array_header(file: Any, shape: tuple[int, ...], dtype: str) -> None:
    """Write what stands before the numbers of a ``.npy`` file."""
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _write_array(
    file: Any, parts: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: str
) -> None:
    write_array_header(file, shape, dtype)
    for part in parts:
        file.write(np.ascontiguousarray(part, dtype).tobytes())


def _entry(archive: zipfile.ZipFile, name: str) -> Any:
    info = zipfile.ZipInfo(f"{name}.npy")  # of a fixed date: the same bytes every time
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=True)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
    archive.members = []  # type: ignore[attr-defined]  # it would remember each of a million
