"""Reads the arrays of a pickle in a process of its own; started as a script, never imported.

``python -I untrusted_pickle.py FILE TARGET`` writes the arrays of FILE, which
``paddle.save`` wrote, to the safetensors file TARGET. Nothing but arrays, numbers, text
and containers can come out of FILE: every other name in it is refused before it is
looked up, so that nothing of it runs. The limits below and the process itself are for
what may be wrong with this: they contain a crash and a flood, they are no sandbox.
"""

from __future__ import annotations

import collections
import os
import pickle
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

CPU_SECONDS = 60
MEMORY_BYTES = 1 << 30  # beside ten times the file
NAMES_KEY = "StructuredToParameterName@@"  # paddle.save's table of automatic names
KINDS = "fiub"


class _Refused(Exception):
    """What stands in the file and may not."""


def _reconstruct(subtype: type, shape: tuple[int, ...], kind: bytes) -> NDArray[Any]:
    """Make the empty array that numpy's pickles fill by its ``__setstate__``."""
    if subtype is not np.ndarray or tuple(shape) != (0,):
        raise _Refused(f"an array of {subtype!r} and shape {shape!r}")
    return np.ndarray(0, np.int8)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Return the bytes that protocol 2 writes as text."""
    if encoding != "latin1":
        raise _Refused(f"the encoding {encoding!r}")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
    ("builtins", "tuple"): tuple,
    ("collections", "OrderedDict"): collections.OrderedDict,
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows the names above and imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _Refused(f"the name {module}.{name}, which could run anything")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("a reference to something outside the file")


def read_arrays(path: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a pickle by dotted name; other plain values are left out."""
    with open(path, "rb") as file:
        content = _ArraysOnly(file).load()
    arrays: dict[str, NDArray[Any]] = {}
    _collect(content, "", arrays, depth=0)
    return arrays


def _collect(value: Any, name: str, arrays: dict[str, NDArray[Any]], depth: int) -> None:
    if depth > 8:
        raise _Refused(f"sections nested too deep at {name[:60]!r}")
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and key != NAMES_KEY:
                _collect(item, f"{name}.{key}" if name else key, arrays, depth + 1)
    elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], np.ndarray):
        # A tensor inside a section: its automatic name, which means nothing here, and its values.
        _collect(value[1], name, arrays, depth + 1)
    elif isinstance(value, np.ndarray):
        if value.dtype.kind not in KINDS:
            raise _Refused(f"{name!r}: values of type {value.dtype}")
        # ascontiguousarray makes a vector of a single number.
        arrays[name] = np.ascontiguousarray(value).reshape(value.shape)


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
