"""Reads exported programs and their weights in Python, where damage is an exception.

Paddle 3 writes a program as JSON, Paddle 2 as protobuf; weights look the same in both.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.storage.files import read_regular

MAX_PROGRAM_BYTES = 1 << 25

FLOAT32, INT64 = 5, 3
_ITEM_BYTES = {0: 1, 1: 2, 2: 4, INT64: 8, 4: 2, FLOAT32: 4, 6: 8, 20: 1, 21: 1, 22: 2}
_NUMPY = {FLOAT32: "<f4", INT64: "<i8", 2: "<i4"}
_KIND_OF_JSON = {
    "0.t_bool": 0, "0.t_i16": 1, "0.t_i32": 2, "0.t_i64": INT64, "0.t_f16": 4, "0.t_f32": FLOAT32,
    "0.t_f64": 6, "0.t_ui8": 20, "0.t_i8": 21, "0.t_bf16": 22,
}  # fmt: skip
_ATTRIBUTES = {
    "0.a_bool", "0.a_f32", "0.a_f64", "0.a_i32", "0.a_i64", "0.a_index", "0.a_str", "0.a_array",
    "0.a_type", "1.a_intarray", "1.a_scalar", "1.a_dtype", "1.a_layout", "1.a_place",
}  # fmt: skip
_DIALECTS = {"0": "builtin.", "1": ""}  # by number: a program with any other is not ours
_DENSE_TENSOR, _FEED_LIST, _FETCH_LIST = 7, 9, 10  # VarType.Type
_BLOCKS = {8, 10}  # AttrType of an attribute that is a program of its own

Tensor = tuple[int, tuple[int, ...]]
"""The number of its type (VarType.Type) and its shape, where -1 is a free side."""


@dataclass(frozen=True)
class Program:
    """What a program says of itself.

    Attributes:
        operators: Their names.
        inputs: By name.
        outputs: In order.
        weights: By name.
    """

    operators: frozenset[str]
    inputs: Mapping[str, Tensor]
    outputs: tuple[Tensor, ...]
    weights: Mapping[str, Tensor]


def read_program(path: Path) -> Program:
    """Read a program.

    Raises:
        OSError: It cannot be read, or is too large.
        ValueError: It is not a program: no list of operators of which each takes what those before
            it made.
    """
    raw = read_regular(path, MAX_PROGRAM_BYTES)
    try:
        return _of_json(raw) if path.suffix == ".json" else _of_protobuf(raw)
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None


def _of_json(raw: bytes) -> Program:
    (region,) = json.loads(raw)["program"]["regions"]
    (block,) = region["blocks"]
    if block["args"]:
        raise ValueError("its block has arguments")
    operators: set[str] = set()
    inputs: dict[str, Tensor] = {}
    outputs: list[Tensor] = []
    weights: dict[str, Tensor] = {}
    made: dict[int, Tensor | None] = {0: None}  # 0 stands for an input that is left out
    for operation in block["ops"]:
        name = operation["#"]
        if operation.get("regions"):
            raise ValueError(f"operator {name!r} holds a program of its own")
        for used in operation.get("I", ()):
            if used["%"] not in made:
                raise ValueError(f"operator {name!r} reads what no operator before it made")
        results = operation["O"] if isinstance(operation["O"], list) else [operation["O"]]
        for result in results:
            if result["%"] in made and result["%"] != 0:
                raise ValueError(f"operator {name!r} makes what another one made")
            made[result["%"]] = _tensor_of_json(result["TT"])
        if name == "p":
            weight, tensor = operation["A"][3], made[results[0]["%"]]
            if tensor is None or not isinstance(weight, str) or weight in weights:
                raise ValueError("a weight is no tensor, or there twice")
            weights[weight] = tensor
            continue
        dialect, _, own = name.partition(".")
        operators.add(_DIALECTS[dialect] + own)
        attributes = {entry["N"]: entry["AT"] for entry in operation["A"]}
        for entry in (*attributes.values(), *(entry["AT"] for entry in operation.get("OA", ()))):
            _check_attribute(entry)
        if name == "1.data":
            inputs[attributes["name"]["D"]] = _same(made[results[0]["%"]], attributes)
        elif name == "1.fetch":
            (fetched,) = operation["I"]
            outputs.append(_tensor(made[fetched["%"]]))
    return Program(frozenset(operators), inputs, tuple(outputs), weights)


def _tensor_of_json(described: dict[str, Any]) -> Tensor | None:
    """Return a value's type and shape; None for one that is no tensor, such as a list of them."""
    if described["#"] != "0.t_dtensor":
        return None
    kind, shape = described["D"][0]["#"], described["D"][1]
    return _KIND_OF_JSON[kind], _sides(shape)


def _sides(shape: Any) -> tuple[int, ...]:
    if not all(type(side) is int and abs(side) < 1 << 40 for side in shape):
        raise ValueError("a shape has a side that cannot be")
    # Below -1: an open side times a number, as of what an instance norm keeps of each map.
    return tuple(max(side, -1) for side in shape)


def _tensor(found: Tensor | None) -> Tensor:
    if found is None:
        raise ValueError("an input or output is no tensor")
    return found


def _same(found: Tensor | None, attributes: dict[str, Any]) -> Tensor:
    """Return an input's type and shape, which stand in the program twice."""
    kind, shape = _tensor(found)
    names = {FLOAT32: "float32", INT64: "int64"}
    stated = attributes["dtype"]["D"], _sides(attributes["shape"]["D"])
    if stated != (names.get(kind, stated[0]), shape):
        raise ValueError("an input is said to be of two types or shapes")
    return kind, shape


def _check_attribute(attribute: dict[str, Any]) -> None:
    if attribute["#"] not in _ATTRIBUTES:
        raise ValueError(f"an attribute is of the type {attribute['#']!r}")
    if attribute["#"] == "0.a_array":
        for part in attribute["D"]:
            _check_attribute(part)


def _of_protobuf(raw: bytes) -> Program:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    from paddle.base.proto import framework_pb2

    description = framework_pb2.ProgramDesc()
    try:
        description.ParseFromString(raw)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    (block,) = description.blocks
    # Paddle 3 has another name for the field of Paddle 2.
    field = "lod_tensor" if hasattr(framework_pb2.VarType, "LoDTensorDesc") else "dense_tensor"
    tensors: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    made: set[str] = set()
    for variable in block.vars:
        kind = variable.type.type
        if kind == _DENSE_TENSOR:
            described = getattr(variable.type, field).tensor
            tensors[variable.name] = described.data_type, _sides(list(described.dims))
            if variable.persistable:
                weights[variable.name] = tensors[variable.name]
        elif kind not in (_FEED_LIST, _FETCH_LIST):
            raise ValueError(f"variable {variable.name!r} is no tensor")
    made |= weights.keys() | {v.name for v in block.vars if v.type.type == _FEED_LIST}
    inputs: dict[str, Tensor] = {}
    outputs: list[Tensor] = []
    for operation in block.ops:
        if any(attribute.type in _BLOCKS for attribute in operation.attrs):
            raise ValueError(f"operator {operation.type!r} holds a program of its own")
        taken = [name for part in operation.inputs for name in part.arguments]
        given = [name for part in operation.outputs for name in part.arguments]
        if not made.issuperset(taken):
            raise ValueError(f"operator {operation.type!r} reads what no operator before it made")
        made |= set(given)
        if operation.type == "feed":
            inputs[given[0]] = tensors[given[0]]
        elif operation.type == "fetch":
            outputs.append(tensors[taken[0]])
    operators = frozenset(operation.type for operation in block.ops)
    return Program(operators, inputs, tuple(outputs), weights)


def read_tensors(path: Path) -> list[Tensor]:
    """Return type and shape of every tensor of a ``.pdiparams`` file.

    Raises:
        OSError: It cannot be read, or is larger than this machine's memory.
        ValueError: It is not such a file, to the byte.
    """
    try:
        return list(_tensors(read_regular(path)))
    except (struct.error, IndexError, KeyError) as error:
        raise ValueError(str(error)) from None


def read_weights(path: Path, program: Program) -> dict[str, NDArray[Any]]:
    """Return the weights of a program by name, of files that belong together.

    Raises:
        OSError: It cannot be read.
        ValueError: A weight is of another type than float32, int64 and int32.
    """
    raw = read_regular(path)
    found: dict[str, NDArray[Any]] = {}
    for name, ((kind, shape), start) in zip(sorted(program.weights), _placed(raw), strict=True):
        if kind not in _NUMPY:
            raise ValueError(f"weight {name!r} is neither float32 nor an integer")
        values = np.frombuffer(raw, _NUMPY[kind], math.prod(shape), start)
        found[name] = values.reshape(shape)
    return found


def _tensors(raw: bytes) -> Iterator[Tensor]:
    """Yield every tensor's type and shape; the file must end with the last."""
    return (tensor for tensor, _ in _placed(raw))


def _placed(raw: bytes) -> Iterator[tuple[Tensor, int]]:
    """Yield every tensor's type and shape, and where its values begin.

    Each is a version, a count of LoD levels, another version, the length of a protobuf
    message with type and shape, that message, and the values.
    """
    at = 0
    while at < len(raw):
        version, levels, version_of_tensor, length = struct.unpack_from("<IQIi", raw, at)
        at += 20
        if version or levels or version_of_tensor or not 2 <= length <= 256:
            raise ValueError(f"no tensor begins at byte {at - 20}")
        kind, shape = _type_and_shape(raw[at : at + length])
        at += length
        start, at = at, at + math.prod(shape) * _ITEM_BYTES[kind]
        if at > len(raw):
            raise ValueError(f"a tensor of shape {list(shape)} goes beyond the end")
        yield (kind, shape), start


def _type_and_shape(message: bytes) -> Tensor:
    """Read the protobuf message of a tensor: field 1 is its type, field 2 each side."""
    numbers: dict[int, list[int]] = {1: [], 2: []}
    at = 0
    while at < len(message):
        field = message[at] >> 3
        if message[at] & 7 or field not in numbers:
            raise ValueError("a tensor's description has an unknown field")
        number = shift = 0
        while True:
            at += 1
            number |= (message[at] & 0x7F) << shift
            shift += 7
            if message[at] < 0x80:
                break
        at += 1
        numbers[field].append(number)
    if len(numbers[1]) != 1 or any(side >= 1 << 40 for side in numbers[2]):
        raise ValueError("a tensor's description has no type, or a side that cannot be")
    return numbers[1][0], tuple(numbers[2])
