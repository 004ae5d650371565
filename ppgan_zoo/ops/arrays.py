"""NumPy's arrays as tensors, with nothing left behind.

``paddle.to_tensor`` of Paddle 3 keeps a list of names, 112 bytes, for each tensor that it makes of
an array, until the process ends. An iteration makes several.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

_LEAKS = not paddle.__version__.startswith("2.")
_CPU = paddle.CPUPlace()
_KINDS = tuple(map(np.dtype, ("float32", "float64", "int32", "int64", "uint8", "bool")))
"""What a training makes tensors of."""


def from_array(array: Any) -> Tensor:
    """Return a copy of an array as a tensor on the current device, as ``paddle.to_tensor`` does."""
    is_usual = isinstance(array, np.ndarray) and array.size and array.dtype in _KINDS
    if not (_LEAKS and is_usual and paddle.get_device() == "cpu"):
        return paddle.to_tensor(array)
    tensor = paddle.empty(array.shape, array.dtype.name)
    tensor.get_tensor().set(np.asarray(array, order="C"), _CPU)
    return tensor


class Constant:
    """An array that products need again and again, as a tensor for each type and device.

    Args:
        array: It. Nobody may write to it later.
    """

    def __init__(self, array: NDArray[np.floating]) -> None:
        self._array = array
        self._tensors: dict[tuple[str, str], Tensor] = {}

    def like(self, x: Tensor) -> Tensor:
        """Return it on the device of `x`, float64 like `x` or else float32.

        While a model is exported it is a new one, which becomes a part of the program.
        """
        kind = "float64" if x.dtype == paddle.float64 else "float32"
        if paddle.in_dynamic_mode():
            return self._kept(kind, x)
        return paddle.to_tensor(self._array.astype(kind))

    def _kept(self, kind: str, x: Tensor) -> Tensor:
        key = kind, str(x.place)
        if key not in self._tensors:
            self._tensors[key] = paddle.to_tensor(self._array, kind, place=x.place)
        return self._tensors[key]
