"""One oneDNN primitive for tensors of one shape, ready to run.

Arrays in another layout than oneDNN chose are copied into one workspace that all plans
share. A call is serialised by one lock, as plans and workspace are shared.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, _C_ops

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
_CPU = paddle.CPUPlace()
_lock = threading.Lock()


@dataclass(frozen=True)
class _Copy:
    """An argument's other layout in the workspace, and the way to it or from it."""

    argument: int
    memory: Any
    size: int
    reorder: Any
    ends: Any


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
        used = dict(self._given)
        self._before: list[_Copy] = []
        self._after: list[_Copy] = []
        for argument, layout in plain.items():
            if argument in (BIAS, DIFF_BIAS):
                continue
            wanted = library.chosen_layout(descriptor, argument)
            if library.same_layout(layout, wanted):
                continue
            given, copy = self._given[argument], library.memory(wanted)
            used[argument] = copy
            size = library.layout_bytes(wanted)
            if argument in _OUTPUTS:
                reorder = library.reorder(wanted, layout)
                ends = library.arguments({SRC: copy, DST: given})
                self._after.append(_Copy(argument, copy, size, reorder, ends))
            else:
                reorder = library.reorder(layout, wanted)
                ends = library.arguments({SRC: given, DST: copy})
                self._before.append(_Copy(argument, copy, size, reorder, ends))
        self._arguments = library.arguments(used)

    def run(self, tensors: Mapping[int, Tensor]) -> None:
        """Compute the output arguments of `tensors` from the others."""
        library, given = self._library, self._given
        with _lock:
            for argument, tensor in tensors.items():
                library.point(given[argument], tensor.data_ptr())
            for copy in (*self._before, *self._after):
                library.point(copy.memory, _workspace(copy.argument, copy.size))
            for copy in self._before:
                library.execute(copy.reorder, copy.ends)
            library.execute(self._primitive, self._arguments)
            for copy in self._after:
                library.execute(copy.reorder, copy.ends)


_buffers: dict[int, NDArray[np.uint8]] = {}


def _workspace(argument: int, size: int) -> int:
    """Return the address of at least `size` bytes, kept for the next call."""
    buffer = _buffers.get(argument)
    if buffer is None or buffer.nbytes < size + _ALIGNMENT:
        buffer = _buffers[argument] = np.empty(size + _ALIGNMENT, np.uint8)
    address = buffer.ctypes.data
    return int(address + -address % _ALIGNMENT)


def empty(shape: Sequence[int]) -> Tensor:
    """Return a float32 tensor on the CPU with any values."""
    # paddle.empty takes three times as long, and as long as a small product.
    return _C_ops.empty(list(shape), paddle.float32, _CPU)


def contiguous(tensor: Tensor) -> Tensor:
    """Return the tensor, or a copy in row-major order if it is not."""
    return tensor if tensor.is_contiguous() else tensor.contiguous()
