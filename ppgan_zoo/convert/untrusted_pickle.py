"""Reads the arrays of a pickle in a process of its own; started as a script, never imported.

``python -I untrusted_pickle.py FILE TARGET`` writes the arrays of FILE, which ``paddle.save`` or
``torch.save`` wrote, to the safetensors file TARGET. Nothing but arrays, numbers, text
and containers can come out of FILE: every other name in it is refused before it is
looked up, so that nothing of it runs. The limits below and the process itself are for
what may be wrong with this: they contain a crash and a flood, they are no sandbox.

``torch.save`` has written two layouts. Both keep the numbers apart from the pickle, which names
each storage and says which part of it a tensor is. Since version 1.6 it is a ZIP archive that is
not compressed: ``NAME/data.pkl``, and a member ``NAME/data/KEY`` for each storage. Before, it was
five pickles in a row (a magic number, the protocol, facts of the machine, the content, the keys of
the storages), then for each key an 8-byte count and the numbers.
"""

from __future__ import annotations

import collections
import math
import os
import pickle
import resource
import sys
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

CPU_SECONDS = 60
MEMORY_BYTES = 1 << 30  # beside ten times the file
NAMES_KEY = "StructuredToParameterName@@"  # paddle.save's table of automatic names
ZIP_HEAD = b"PK\x03\x04"
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_HEAD = pickle.dumps(TORCH_MAGIC, 2)
TORCH_PROTOCOL = 1001


class _Refused(Exception):
    """What stands in the file and may not."""


# Tuples, since a pickle can set the fields of anything that has a __dict__.
class _Storage(NamedTuple):
    """A row of numbers that a pickle of PyTorch names: their type, its key, how many."""

    dtype: np.dtype[Any]
    key: str
    length: int


class _Tensor(NamedTuple):
    """Which numbers of a storage a tensor has: from `start`, with a step for each axis."""

    storage: _Storage
    start: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]


class _DType:
    """Stands in for ``numpy.dtype``, which could be told to make objects of any bytes."""

    def __init__(self, name: str) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise _Refused(f"the order of bytes {order!r}")
        self.order = order


class _Array:
    """Stands in for ``numpy.ndarray``, which could be told to lie anywhere in memory."""

    values: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, raw = state
        if type(kind) is not _DType or type(raw) is not bytes or type(shape) is not tuple:
            raise _Refused("an array that is none of numpy's")
        if any(type(side) is not int or side < 0 for side in shape):
            raise _Refused(f"an array of shape {shape!r}")
        dtype = np.dtype(kind.order + _number(kind.name))
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise _Refused(f"{len(raw)} bytes for an array {list(shape)} of {dtype}")
        values = np.frombuffer(raw, dtype) if raw else np.empty(0, dtype)
        self.values = values.reshape(shape, order="F" if is_fortran else "C")


NDARRAY = "numpy.ndarray"
"""What a pickle has for the class itself: a name, which cannot be called."""


def _reconstruct(subtype: Any, shape: Any, _kind: Any) -> _Array:
    """Make the empty array that numpy's pickles fill by its ``__setstate__``."""
    if subtype is not NDARRAY or shape != (0,):
        raise _Refused(f"an array of {subtype!r} and shape {shape!r}")
    return _Array()


def _dtype(name: Any, _align: Any = False, _copy: Any = False) -> _DType:
    """Stand in for the call of ``numpy.dtype``."""
    return _DType(_number(name))


def _number(name: Any) -> str:
    """Return the name of a type of numbers, such as ``f4``."""
    known = {np.dtype(letter).str[1:] for letter in "?bBhHiIlLqQefd"}
    if type(name) is not str or name not in known:
        raise _Refused(f"values of type {name!r}")
    return name


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Return the bytes that protocol 2 writes as text."""
    if encoding != "latin1":
        raise _Refused(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _tensor(
    storage: Any, start: Any, shape: Any, steps: Any, _gradient: Any, _hooks: Any, *_more: Any
) -> _Tensor:
    """Stand in for PyTorch's ``_rebuild_tensor_v2``."""
    numbers = (start, *shape, *steps)
    if (
        not isinstance(storage, _Storage)
        or len(shape) != len(steps)
        or any(type(number) is not int or number < 0 for number in numbers)
    ):
        raise _Refused("a tensor that is none of torch.save's")
    last = start + sum((side - 1) * step for side, step in zip(shape, steps, strict=True))
    # Steps of 0 would make much of little; no weights of a network need them.
    if math.prod(shape) > storage.length or (0 not in shape and last >= storage.length):
        raise _Refused(
            f"a tensor {list(shape)} that is larger than its storage of {storage.length} numbers"
        )
    return _Tensor(storage, start, tuple(shape), tuple(steps))


def _parameter(tensor: Any, _gradient: Any, _hooks: Any) -> Any:
    """Stand in for PyTorch's ``_rebuild_parameter``."""
    return tensor


TORCH_TYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "?",
}  # fmt: skip

ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
    ("builtins", "tuple"): tuple,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): name for name in TORCH_TYPES},
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows the names above and imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _Refused(f"the name {module}.{name}, which could run anything")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("a reference to something outside the file")


class _TorchArrays(_ArraysOnly):
    """Of a file of ``torch.save``, whose pickle refers to storages; :attr:`storages` by key."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(kind), str(key), str(), int(count), *view) if (
                kind in TORCH_TYPES and count >= 0 and view in ([], [None])
            ):
                found = _Storage(np.dtype(TORCH_TYPES[kind]), key, count)
                # One key is one row of numbers, however often it is named.
                if self.storages.setdefault(key, found) != found:
                    raise _Refused(f"the storage {key!r} twice, in two forms")
                return found
        raise _Refused("a reference that is none of torch.save's")


def read_arrays(path: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a pickle by dotted name; other plain values are left out."""
    with open(path, "rb") as file:
        head = file.read(len(TORCH_HEAD))
        file.seek(0)
        if head.startswith(ZIP_HEAD):
            content, storages = _torch_archive(file)
        elif head == TORCH_HEAD:
            content, storages = _torch_row(file)
        elif head.lstrip().startswith(b"<"):
            raise _Refused("a page of the web and no weights: get the file itself")
        else:
            content, storages = _ArraysOnly(file).load(), {}
    return dict(_arrays_of(content, storages))


def _torch_archive(file: IO[bytes]) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the content and the storages of a ZIP archive of ``torch.save``."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(names) != 1:
                raise _Refused("no data.pkl, which torch.save writes")
            folder = names[0].removesuffix("data.pkl")
            if f"{folder}byteorder" in archive.namelist():
                _check_order(_member(archive, f"{folder}byteorder", 6) == b"little")
            with archive.open(names[0]) as pickled:
                reader = _TorchArrays(pickled)
                content = reader.load()
            return content, {
                key: np.frombuffer(
                    _member(
                        archive, f"{folder}data/{key}", storage.length * storage.dtype.itemsize
                    ),
                    storage.dtype,
                )
                for key, storage in reader.storages.items()
            }
    except zipfile.BadZipFile as error:
        raise _Refused(f"a ZIP archive that is cut off or damaged ({error})") from None


def _member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Return a member of that many bytes; what is compressed could be larger than it looks."""
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise _Refused(f"no {name}, which its pickle refers to") from None
    if member.compress_type != zipfile.ZIP_STORED:
        raise _Refused(f"{name} compressed, which torch.save never does")
    if member.file_size != size:
        raise _Refused(f"{name} of {member.file_size} bytes, and its pickle says {size}")
    return archive.read(member)


def _torch_row(file: IO[bytes]) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the content and the storages of what ``torch.save`` wrote before version 1.6."""
    _, protocol, machine = (_ArraysOnly(file).load() for _ in range(3))
    if protocol != TORCH_PROTOCOL or not isinstance(machine, dict):
        raise _Refused(f"the protocol {protocol!r} of torch.save")
    _check_order(machine.get("little_endian") is True)
    reader = _TorchArrays(file)
    content, keys = reader.load(), _ArraysOnly(file).load()
    if (
        not isinstance(keys, list)
        or set(keys) != set(reader.storages)
        or len(set(keys)) < len(keys)
    ):
        raise _Refused("other storages than its pickle refers to")
    storages = {}
    for key in keys:
        storage = reader.storages[key]
        count = int.from_bytes(file.read(8), "little")
        numbers = file.read(storage.length * storage.dtype.itemsize)
        if count != storage.length or len(numbers) != storage.length * storage.dtype.itemsize:
            raise _Refused(f"half of its numbers: the storage {key!r} is cut off")
        storages[key] = np.frombuffer(numbers, storage.dtype)
    return content, storages


def _check_order(is_little: bool) -> None:
    if not is_little:
        raise _Refused("numbers of another order of bytes")


def _arrays_of(
    value: Any, storages: Mapping[str, NDArray[Any]], name: str = "", depth: int = 0
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each array of nested dictionaries with its dotted name."""
    if depth > 8:
        raise _Refused(f"sections nested too deep at {name[:60]!r}")
    if isinstance(value, _Array):
        if value.values is None:
            raise _Refused(f"{name!r}: an array without values")
        value = value.values
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and key != NAMES_KEY:
                dotted = f"{name}.{key}" if name else key
                yield from _arrays_of(item, storages, dotted, depth + 1)
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], _Array):
        # A tensor inside a section: its automatic name, which means nothing here, and its values.
        yield from _arrays_of(value[1], storages, name, depth + 1)
    elif isinstance(value, _Tensor):
        yield from _arrays_of(_values(value, storages), storages, name, depth + 1)
    elif isinstance(value, np.ndarray):
        # ascontiguousarray makes a vector of a single number.
        yield name, np.ascontiguousarray(value).reshape(value.shape)


def _values(tensor: _Tensor, storages: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the numbers of a tensor, which :func:`_tensor` found to be within its storage."""
    storage = storages[tensor.storage.key]
    return np.lib.stride_tricks.as_strided(
        storage[tensor.start :], tensor.shape, [step * storage.itemsize for step in tensor.steps]
    )


def _limit(path: str) -> None:
    size = os.path.getsize(path)
    memory = MEMORY_BYTES + 10 * size
    for kind, value in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, size * 2 + (1 << 20)),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))


def main(path: str, target: str) -> str | None:
    """Convert; returns what was refused, or None."""
    _limit(path)
    try:
        arrays = read_arrays(path)
        if not arrays:
            return "it holds no arrays"
        save_file(arrays, target)
    except _Refused as refused:
        return f"it holds {refused}"
    except MemoryError:
        return "it asks for more memory than its size explains"
    except RecursionError:
        return "it is nested too deep"
    except Exception as error:  # a damaged pickle can raise anything; the process ends here
        return f"not readable as a pickle: {type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
