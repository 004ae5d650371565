"""Arrays that stay in their file: the system reads what is looked at, and may forget it again."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.npy import read_header
from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.files import open_regular

LARGEST_FILE = 1 << 46  # bytes: no file system has more, and none of it is read before it is used


def map_npy(path: Path) -> NDArray[Any]:
    """Return the array of an ``.npy`` file as read-only memory that is the file itself.

    The file must not become shorter while the array is used: the system ends a process that
    reads beyond its end.

    Raises:
        DataError: The file is missing, damaged, or longer or shorter than its header says.
    """
    try:
        with open_regular(path, LARGEST_FILE) as file:
            dtype, shape = read_header(file, str(path))
            start, size = file.tell(), math.prod(shape) * dtype.itemsize
            found = os.fstat(file.fileno()).st_size
            if found != start + size:
                raise DataError(
                    f"{path}: {found} bytes, and an array of {' x '.join(map(str, shape))} has "
                    f"{start + size}; make the set again"
                )
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); make the set again"
        ) from error
    with contextlib.suppress(OSError):  # batches take rows from all over the file
        mapped.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(mapped, dtype, math.prod(shape), start).reshape(shape)


def is_mapped(array: NDArray[Any]) -> bool:
    """Tell whether an array's memory is a file."""
    return _map_of(array) is not None


def forget(array: NDArray[Any]) -> None:
    """Let the system take back the memory of a mapped array; of any other do nothing.

    The values stay in the file and in the system's cache of it. Without this a process that has
    gone through a large file counts as one that holds all of it.
    """
    base = _map_of(array)
    if base is not None:
        with contextlib.suppress(OSError, ValueError):
            base.madvise(mmap.MADV_DONTNEED)


def fetch(array: NDArray[Any], rows: NDArray[np.int64]) -> None:
    """Let the system read rows of a mapped array, without waiting for it; else do nothing.

    Args:
        array: ``[N, ...]``, C-contiguous.
        rows: Which ones, 0 to N - 1.
    """
    base = _map_of(array)
    if base is None or not len(array):
        return
    start = array.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data
    size = array[0].nbytes
    with contextlib.suppress(OSError, ValueError):
        for row in rows.tolist():
            first = start + row * size
            page = first // mmap.PAGESIZE * mmap.PAGESIZE
            base.madvise(mmap.MADV_WILLNEED, page, first + size - page)


def _map_of(array: Any) -> mmap.mmap | None:
    """Return the map that an array's memory is; None for one in memory of its own."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return array
