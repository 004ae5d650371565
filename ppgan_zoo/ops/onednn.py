"""A thin ctypes binding of the oneDNN library that Paddle's CPU wheel brings.

Paddle uses it for inference alone; its convolutions are several times faster than the
ones that Paddle trains with. Only what the zoo's products call is bound,
by the C interface that oneDNN keeps stable within major version 3 (oneDNN Developer
Guide, https://uxlfoundation.github.io/oneDNN).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from itertools import starmap
from pathlib import Path
from typing import Any

# Values of oneDNN's enumerations (dnnl_types.h, version 3).
BFLOAT16, FLOAT32 = 2, 3
FORMAT_ANY = 1
FORWARD_TRAINING = 64
CONVOLUTION_DIRECT = 0x1
DECONVOLUTION_DIRECT = 0xA
_ELTWISE_RELU = 0x20
SRC, WEIGHTS, BIAS, DST = 1, 33, 41, 17
DIFF_SRC, DIFF_WEIGHTS, DIFF_BIAS, DIFF_DST = 129, 161, 169, 145
# What dnnl_primitive_desc_query_md is asked by, for each of these arguments but biases,
# which are plain in every primitive.
_QUERIES = {
    SRC: 129, DIFF_SRC: 130, WEIGHTS: 131, DIFF_WEIGHTS: 132, DST: 133, DIFF_DST: 134,
}  # fmt: skip
_CPU = 1
_IN_ORDER = 1
_OPENMP = 2
_VERSION = 3


class OneDNNError(Exception):
    """The library is not there, is not the one expected, or refuses a call."""


class _Version(ctypes.Structure):
    _fields_ = (
        ("major", c_int),
        ("minor", c_int),
        ("patch", c_int),
        ("hash", c_char_p),
        ("cpu_runtime", c_uint),
        ("gpu_runtime", c_uint),
    )


class _Argument(ctypes.Structure):
    _fields_ = (("index", c_int), ("memory", c_void_p))


Sizes = Sequence[int]
Arguments = Any  # ctypes has no type for an array of a length known at run time


class Library:
    """The loaded library with one CPU engine and one stream.

    Args:
        path: The shared library.

    Attributes:
        version: Such as ``"3.6.2"``.

    Raises:
        OneDNNError: It cannot be loaded, or is of another major version or threading.
    """

    def __init__(self, path: Path) -> None:
        try:
            # The copy that Paddle has loaded already: the loader knows it by its file.
            self._library = ctypes.CDLL(str(path))
            self._library.dnnl_version.restype = POINTER(_Version)
            version = self._library.dnnl_version().contents
        except (OSError, AttributeError) as error:
            raise OneDNNError(f"cannot be loaded: {error}") from None
        self.version = f"{version.major}.{version.minor}.{version.patch}"
        if version.major != _VERSION:
            raise OneDNNError(f"version {self.version} is not of the {_VERSION}.x that is known")
        if version.cpu_runtime != _OPENMP:  # another pool of threads would fight Paddle's
            raise OneDNNError(f"version {self.version} was built without OpenMP")
        self._point = _with_types(self._library.dnnl_memory_set_data_handle, c_void_p, c_void_p)
        self._execute = _with_types(
            self._library.dnnl_primitive_execute, c_void_p, c_void_p, c_int, c_void_p
        )
        self._engine = c_void_p()
        self.call("dnnl_engine_create", byref(self._engine), c_int(_CPU), c_size_t(0))
        self._stream = c_void_p()
        self.call("dnnl_stream_create", byref(self._stream), self._engine, c_uint(_IN_ORDER))

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function that returns a status.

        Raises:
            OneDNNError: The status is not success.
        """
        if status := getattr(self._library, function)(*arguments):
            raise OneDNNError(f"{function} returned status {status}")

    def any_layout(self, shape: Sizes, number: int = FLOAT32) -> c_void_p:
        """Describe an array of a type of numbers, whose layout oneDNN may choose."""
        descriptor = c_void_p()
        self.call(
            "dnnl_memory_desc_create_with_tag",
            byref(descriptor), c_int(len(shape)), _sizes(shape), c_int(number), c_int(FORMAT_ANY),
        )  # fmt: skip
        return descriptor

    def strided(self, shape: Sizes, strides: Sizes | None = None) -> c_void_p:
        """Describe a float32 array in memory; `strides` in elements, None for row-major."""
        descriptor = c_void_p()
        self.call(
            "dnnl_memory_desc_create_with_strides",
            byref(descriptor), c_int(len(shape)), _sizes(shape), c_int(FLOAT32),
            _sizes(strides or row_major(shape)),
        )  # fmt: skip
        return descriptor

    def primitive_descriptor(self, create: str, *arguments: Any) -> c_void_p:
        """Return a primitive's descriptor made by the function `create`."""
        descriptor = c_void_p()
        self.call(create, byref(descriptor), self._engine, *arguments)
        return descriptor

    def followed_by_relu(self, slope: float) -> c_void_p:
        """Return an attribute of primitives: LeakyReLU of the result (ReLU with slope 0)."""
        operations, attribute = c_void_p(), c_void_p()
        self.call("dnnl_post_ops_create", byref(operations))
        self.call(
            "dnnl_post_ops_append_eltwise",
            operations, c_int(_ELTWISE_RELU), c_float(slope), c_float(0.0),
        )  # fmt: skip
        self.call("dnnl_primitive_attr_create", byref(attribute))
        self.call("dnnl_primitive_attr_set_post_ops", attribute, operations)
        return attribute

    def relu_gradient(self, layout: c_void_p, slope: float) -> c_void_p:
        """Return the descriptor of LeakyReLU's backward; it needs input or output."""
        kind, numbers = c_int(_ELTWISE_RELU), (c_float(slope), c_float(0.0))
        forward = self.primitive_descriptor(
            "dnnl_eltwise_forward_primitive_desc_create",
            c_int(FORWARD_TRAINING), kind, layout, layout, *numbers, None,
        )  # fmt: skip
        return self.primitive_descriptor(
            "dnnl_eltwise_backward_primitive_desc_create",
            kind, layout, layout, layout, *numbers, forward, None,
        )  # fmt: skip

    def chosen_layout(self, descriptor: c_void_p, argument: int) -> c_void_p:
        """Return the layout that a primitive wants one of its arguments in."""
        query = self._library.dnnl_primitive_desc_query_md
        query.restype = c_void_p
        return c_void_p(query(descriptor, c_int(_QUERIES[argument]), c_int(0)))

    def same_layout(self, one: c_void_p, other: c_void_p) -> bool:
        """Whether two descriptors mean the same bytes."""
        return bool(self._library.dnnl_memory_desc_equal(one, other))

    def layout_bytes(self, layout: c_void_p) -> int:
        """Return how many bytes an array of this layout takes."""
        size = self._library.dnnl_memory_desc_get_size
        size.restype = c_size_t
        return int(size(layout))

    def memory(self, layout: c_void_p) -> c_void_p:
        """Return a memory object that has no data yet."""
        memory = c_void_p()
        self.call("dnnl_memory_create", byref(memory), layout, self._engine, c_void_p(0))
        return memory

    def point(self, memory: c_void_p, address: int) -> None:
        """Let a memory object stand for the data at `address`."""
        if status := self._point(memory, address):
            raise OneDNNError(f"dnnl_memory_set_data_handle returned status {status}")

    def primitive(self, descriptor: c_void_p) -> c_void_p:
        """Return the primitive, with its machine code made."""
        primitive = c_void_p()
        self.call("dnnl_primitive_create", byref(primitive), descriptor)
        return primitive

    def reorder(self, source: c_void_p, target: c_void_p) -> c_void_p:
        """Return the primitive that copies one layout into another."""
        descriptor = c_void_p()
        self.call(
            "dnnl_reorder_primitive_desc_create",
            byref(descriptor), source, self._engine, target, self._engine, c_void_p(0),
        )  # fmt: skip
        return self.primitive(descriptor)

    def arguments(self, memories: Mapping[int, c_void_p]) -> Arguments:
        """Return the arguments of a primitive, by index, as :meth:`execute` takes them."""
        return (_Argument * len(memories))(*starmap(_Argument, memories.items()))

    def execute(self, primitive: c_void_p, arguments: Arguments) -> None:
        """Run a primitive; on a CPU with OpenMP it is done when the call returns."""
        if status := self._execute(primitive, self._stream, len(arguments), byref(arguments)):
            raise OneDNNError(f"dnnl_primitive_execute returned status {status}")


def _with_types(function: Any, *types: Any) -> Any:
    """Declare a function's arguments, so that plain integers may be given for addresses."""
    function.argtypes = types
    return function


def row_major(shape: Sizes) -> list[int]:
    """Return the strides, in elements, of a contiguous array."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def spatial(values: Sizes) -> Any:
    """Return strides, dilations or paddings as oneDNN takes them."""
    return _sizes(values)


def _sizes(values: Sizes) -> Any:
    return (c_int64 * len(values))(*values)
