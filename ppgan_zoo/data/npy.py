"""The ``.npy`` format of NumPy: its header, read strictly and written by hand.

The format is described at https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
Arrays of objects, which are pickles, and arrays in Fortran's order are refused. NumPy's own reader
would allocate what a header declares before it looks for the values.
"""

from __future__ import annotations

import ast
import math
import struct
from typing import BinaryIO

import numpy as np

from ppgan_zoo.errors import DataError

MAGIC = b"\x93NUMPY"
HEADER_BYTES = 128
"""The length of a header of :func:`header`: what follows lies as memory maps want it."""

_MAX_HEADER_BYTES = 4096  # NumPy writes 118 for any array that is no record
_MAX_DIMENSIONS = 4
_REPLACE = "write it again with numpy.save, from a plain array of numbers"


def header(shape: tuple[int, ...], dtype: str) -> bytes:
    """Return the header of an array in C order, `HEADER_BYTES` long.

    Args:
        shape: Any shape; the length does not depend on it.
        dtype: As NumPy writes it, such as ``"|u1"``.
    """
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    length = HEADER_BYTES - len(MAGIC) - 4
    return MAGIC + b"\1\0" + struct.pack("<H", length) + f"{text:<{length - 1}}\n".encode()


def read_header(stream: BinaryIO, name: str) -> tuple[np.dtype, tuple[int, ...]]:
    """Read a header; the values follow in the stream, in C order.

    Args:
        stream: At the start of the array.
        name: What to call it in an error.

    Returns:
        Type and shape of the values: plain numbers, 1 to 4 dimensions, none of them empty.

    Raises:
        DataError: It is no such header.
    """
    start = stream.read(len(MAGIC) + 2)
    if start[: len(MAGIC)] != MAGIC or start[len(MAGIC) :] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise DataError(f"{name}: not an array of NumPy; {_REPLACE}")
    width, form = (2, "<H") if start[-2] == 1 else (4, "<I")
    packed = stream.read(width)
    length = struct.unpack(form, packed)[0] if len(packed) == width else 0
    text = stream.read(length) if length <= _MAX_HEADER_BYTES else b""
    if not text or len(text) != length:
        raise DataError(f"{name}: damaged header of an array of NumPy; {_REPLACE}")
    try:
        told = ast.literal_eval(text.decode("latin-1").strip())
        descr, shape, fortran = told["descr"], told["shape"], told["fortran_order"]
        dtype = np.dtype(descr) if isinstance(descr, str) else np.dtype(object)
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise DataError(f"{name}: damaged header of an array of NumPy; {_REPLACE}") from error
    if dtype.kind not in "uifb":
        raise DataError(f"{name}: array of {dtype}; only plain numbers are read: {_REPLACE}")
    if fortran:
        raise DataError(f"{name}: array in Fortran order; {_REPLACE} in C order")
    if not _is_shape(shape):
        raise DataError(
            f"{name}: array of shape {str(shape)[:80]}; 1 to {_MAX_DIMENSIONS} dimensions of at "
            f"least 1 are allowed; {_REPLACE}"
        )
    return dtype, shape


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and 1 <= len(shape) <= _MAX_DIMENSIONS
        and all(type(length) is int and length > 0 for length in shape)
        and math.prod(shape) < 1 << 48
    )
