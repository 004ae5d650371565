"""The IDX format of MNIST: a strict reader and a deterministic writer.

A file is a big-endian header (two zero bytes, a type code, the number of dimensions,
then each dimension as an unsigned 32-bit integer) and the values, last dimension
fastest; http://yann.lecun.com/exdb/mnist/ describes it. Only type code 0x08
(unsigned bytes) is read, as that is what image sets use. The file may be gzipped,
which its content tells, never its name.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.files import open_regular

MAX_BYTES = 2 << 30
"""The largest payload that `read_idx` accepts unless told otherwise: 2 GiB."""

_GZIP_MAGIC = b"\x1f\x8b"
_UINT8_CODE = 0x08
_MAX_DIMS = 4
_CHUNK_BYTES = 1 << 20
_REPLACE = "replace the file"


def read_idx(path: str | Path, *, max_bytes: int = MAX_BYTES) -> NDArray[np.uint8]:
    """Read one IDX file, raw or gzipped.

    Args:
        path: The file.
        max_bytes: The largest payload to accept; a header that declares more is refused
            before anything is allocated.

    Returns:
        The values, in the shape that the header gives (1 to 4 dimensions).

    Raises:
        DataError: The file is missing, unreadable, damaged, too large or not uint8 IDX.
    """
    path = Path(path)
    if not os.path.isfile(path):
        found = "not a regular file" if os.path.exists(path) else "no such file"
        raise DataError(f"{path}: {found}; put an IDX file (raw or .gz) there")
    try:
        with open_regular(path, sys.maxsize) as stream:  # what is read of it is bounded
            return read_idx_stream(stream, str(path), max_bytes=max_bytes)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); check its permissions"
        ) from error


def read_idx_stream(
    stream: BinaryIO, name: str, *, max_bytes: int = MAX_BYTES
) -> NDArray[np.uint8]:
    """Read one IDX file, raw or gzipped, from an open seekable stream.

    Args:
        stream: Binary stream, at its start.
        name: What to call the stream in an error.
        max_bytes: As for `read_idx`.

    Returns:
        The values, in the shape that the header gives.

    Raises:
        DataError: As for `read_idx`.
    """
    magic = stream.read(len(_GZIP_MAGIC))
    stream.seek(0)
    if magic != _GZIP_MAGIC:
        return _parse(stream, name, max_bytes)
    try:
        with gzip.GzipFile(fileobj=stream, mode="rb") as unzipped:
            return _parse(cast(BinaryIO, unzipped), name, max_bytes)
    except EOFError as error:
        raise DataError(
            f"{name}: the gzip stream ends early; a complete file is needed: {_REPLACE}"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{name}: damaged gzip ({error}); an intact gzip file is needed: {_REPLACE}"
        ) from error


def write_idx(path: str | Path, array: NDArray[np.uint8]) -> None:
    """Write an IDX file, gzipped if the name ends in ``.gz``; same array, same bytes.

    Args:
        path: The file to write.
        array: uint8 values, 1 to 4 dimensions, none of them empty.

    Raises:
        DataError: The array cannot be written as uint8 IDX.
    """
    if array.dtype != np.uint8:
        raise DataError(f"{path}: cannot write {array.dtype} values as IDX; convert them to uint8")
    content = idx_header(array.shape, str(path)) + array.tobytes()
    if str(path).endswith(".gz"):
        # No name and no time in the gzip header: the bytes depend on the array alone.
        with Path(path).open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as zipped:
            zipped.write(content)
    else:
        Path(path).write_bytes(content)


def idx_sha256(array: NDArray[np.uint8]) -> str:
    """Return the SHA-256 (hex) of the uncompressed IDX file that holds `array`."""
    digest = hashlib.sha256(idx_header(array.shape, "array"))
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def idx_header(shape: tuple[int, ...], name: str) -> bytes:
    """Return the IDX header of a uint8 array of `shape`.

    Args:
        shape: 1 to 4 dimensions, none of them empty.
        name: What to call it in an error.

    Raises:
        DataError: It does not fit.
    """
    if not 1 <= len(shape) <= _MAX_DIMS or not all(0 < n < 1 << 32 for n in shape):
        raise DataError(
            f"{name}: shape {shape} does not fit IDX; "
            f"give 1 to {_MAX_DIMS} dimensions of 1 to 4294967295"
        )
    return struct.pack(f">HBB{len(shape)}I", 0, _UINT8_CODE, len(shape), *shape)


def _parse(stream: BinaryIO, name: str, max_bytes: int) -> NDArray[np.uint8]:
    """Read header and payload of an uncompressed IDX stream, which must then end."""
    shape = _read_shape(stream, name)
    size = math.prod(shape)
    declared = f"the header declares {' x '.join(map(str, shape))} = {size} bytes of values"
    if size > max_bytes:
        raise DataError(f"{name}: {declared}; at most {max_bytes} are allowed: split or {_REPLACE}")
    # Grows as data arrives, so that a short file with a large header costs nothing; one byte
    # more than declared tells trailing data and makes gzip verify its checksum.
    payload = bytearray()
    while len(payload) <= size:
        chunk = stream.read(min(_CHUNK_BYTES, size + 1 - len(payload)))
        if not chunk:
            break
        payload += chunk
    if len(payload) < size:
        raise DataError(f"{name}: truncated: {declared}, {len(payload)} found; {_REPLACE}")
    if len(payload) > size:
        raise DataError(
            f"{name}: trailing bytes: {declared}, more follow; nothing may follow: {_REPLACE}"
        )
    return np.frombuffer(payload, dtype=np.uint8).reshape(shape)


def _read_shape(stream: BinaryIO, name: str) -> tuple[int, ...]:
    """Read the IDX header and return the shape that it declares."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise DataError(
            f"{name}: truncated: {len(magic)} of the 4 bytes of the IDX magic; {_REPLACE}"
        )
    if magic[:2] != b"\0\0":
        raise DataError(
            f"{name}: not an IDX file: begins with 0x{magic.hex()}, "
            f"allowed is 0x000008NN (raw or gzipped); {_REPLACE}"
        )
    if magic[2] != _UINT8_CODE:
        raise DataError(
            f"{name}: IDX type code 0x{magic[2]:02x}; only 0x08 (uint8) is allowed: "
            "convert the values to bytes"
        )
    if not 1 <= magic[3] <= _MAX_DIMS:
        raise DataError(
            f"{name}: {magic[3]} IDX dimensions; 1 to {_MAX_DIMS} are allowed: {_REPLACE}"
        )
    packed = stream.read(4 * magic[3])
    if len(packed) < 4 * magic[3]:
        raise DataError(
            f"{name}: truncated: {4 + len(packed)} of the {4 + 4 * magic[3]} bytes "
            f"of the IDX header; {_REPLACE}"
        )
    shape = struct.unpack(f">{magic[3]}I", packed)
    if 0 in shape:
        raise DataError(
            f"{name}: IDX dimensions {' x '.join(map(str, shape))}; "
            f"each must be at least 1: {_REPLACE}"
        )
    return shape
