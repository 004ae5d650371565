"""One oneDNN primitive for tensors of one shape, ready to run.

Arrays in another layout than oneDNN chose are copied into one workspace that all plans
share. A call is serialised by one lock, as plans and workspace are shared.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor

from ppgan_zoo.ops.onednn import (
    BIAS,
    DIFF_BIAS,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    SRC,
    Library,
)

_ALIGNMENT = 64
_OUTPUTS = frozenset({DST, DIFF_SRC, DIFF_WEIGHTS, DIFF_BIAS})
_lock = threading.Lock()


class Plan:
    """A primitive that runs on tensors in Paddle's layout.

    Args:
        library: oneDNN.
        descriptor: The primitive's.
        plain: Paddle's layout of each argument.
    """

    def __init__(self, library: Library, descriptor: Any, plain: Mapping[int, Any]) -> None:
        self._library = library
        self._primitive = library.primitive(descriptor)
        self._given = {argument: library.memory(layout) for argument, layout in plain.items()}
        self._used = dict(self._given)
        self._copies: dict[int, tuple[Any, int]] = {}
        for argument, layout in plain.items():
            if argument in (BIAS, DIFF_BIAS):
                continue
            wanted = library.chosen_layout(descriptor, argument)
            if library.same_layout(layout, wanted):
                continue
            self._used[argument] = library.memory(wanted)
            ends = (wanted, layout) if argument in _OUTPUTS else (layout, wanted)
            self._copies[argument] = library.reorder(*ends), library.layout_bytes(wanted)

    def run(self, tensors: Mapping[int, Tensor]) -> None:
        """Compute the output arguments of `tensors` from the others."""
        library = self._library
        with _lock:
            for argument, tensor in tensors.items():
                library.point(self._given[argument], tensor.data_ptr())
            for argument, (reorder, size) in self._copies.items():
                library.point(self._used[argument], _workspace(argument, size))
                if argument not in _OUTPUTS:
                    self._copy(reorder, self._given[argument], self._used[argument])
            library.execute(self._primitive, self._used)
            for argument, (reorder, _) in self._copies.items():
                if argument in _OUTPUTS:
                    self._copy(reorder, self._used[argument], self._given[argument])

    def _copy(self, reorder: Any, source: Any, target: Any) -> None:
        self._library.execute(reorder, {SRC: source, DST: target})


_buffers: dict[int, NDArray[np.uint8]] = {}


def _workspace(argument: int, size: int) -> int:
    """Return the address of at least `size` bytes, kept for the next call."""
    buffer = _buffers.get(argument)
    if buffer is None or buffer.nbytes < size + _ALIGNMENT:
        buffer = _buffers[argument] = np.empty(size + _ALIGNMENT, np.uint8)
    address = buffer.ctypes.data
    return int(address + -address % _ALIGNMENT)


def contiguous(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy in row-major order if it is not."""
    return tensor if tensor.is_contiguous() else tensor.contiguous()
