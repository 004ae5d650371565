"""What an exported program and its weights must look like before Paddle may load them.

A hash tells that a file is the one that its author wrote, not that the author is a friend.
Paddle's loaders are native code that trusts its input: cut weights are read as they lie,
a wrong size takes all memory, and a program can hold operators that write files. So both
files are parsed here first, in Python, where damage is an exception.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ppgan_zoo.errors import ExportError

Shapes = dict[str, tuple[int, ...]]

# Operators with another effect than their output: files, sockets, processes, Python.
_FORBIDDEN = re.compile(
    r"(.*_)?(save|load|print|assert|send|recv|queue|reader|file|barrier|engine|engines)(_.*)?"
    r"|read|write|write_to_array|py_.*|.*python.*|c_.*|.*_(nccl|xccl|bkcl)_.*|pull_.*|push_.*"
    r"|.*(enqueue|dequeue|listen|subgraph|cinn|custom|distributed|run_program).*"
)
_ITEM_BYTES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2}  # VarType.Type
_DENSE_TENSOR = 7  # VarType.Type
_AGAIN = "do not use it, or export again from the checkpoint"


def check_program(program: Path, parameters: Path) -> None:
    """Refuse a program that does more than compute, and weights that do not fit it.

    Raises:
        ExportError: Not a program, an operator with side effects, or weights that are
            not exactly the tensors of the program.
    """
    raw = program.read_bytes()
    try:
        operators, wanted = _of_json(raw) if program.suffix == ".json" else _of_protobuf(raw)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ExportError(
            f"{program}: not a program of Paddle ({type(error).__name__}); {_AGAIN}"
        ) from None
    for operator in sorted(operators):
        if _FORBIDDEN.fullmatch(operator.rpartition(".")[2].rstrip("_")):
            raise ExportError(
                f"{program}: operator {operator!r} does more than compute; a generator needs "
                f"none: {_AGAIN}"
            )
    if not {"fetch"} & {operator.rpartition(".")[2] for operator in operators}:
        raise ExportError(f"{program}: not a program of Paddle (it has no output); {_AGAIN}")
    try:
        found = list(_tensors(parameters.read_bytes()))
    except (ValueError, struct.error, IndexError, KeyError) as error:
        raise ExportError(f"{parameters}: not weights of Paddle ({error}); {_AGAIN}") from None
    expected = [wanted[name] for name in sorted(wanted)]
    if found != expected:
        raise ExportError(
            f"{parameters}: its weights are {len(found)} tensors of other shapes than the "
            f"{len(expected)} of {program.name}; {_AGAIN}"
        )


def _of_json(raw: bytes) -> tuple[set[str], Shapes]:
    """Return the operators of a program of Paddle 3 and the shapes of its weights."""
    operators: set[str] = set()
    weights: Shapes = {}

    def visit(region: dict[str, Any]) -> None:
        for block in region["blocks"]:
            for operation in block["ops"]:
                operators.add(str(operation["#"]))
                if operation["#"] == "p":
                    shape = operation["O"]["TT"]["D"][1]
                    weights[str(operation["A"][3])] = tuple(int(side) for side in shape)
                for inner in operation.get("regions", ()):
                    visit(inner)

    for region in json.loads(raw)["program"]["regions"]:
        visit(region)
    return operators, weights


def _of_protobuf(raw: bytes) -> tuple[set[str], Shapes]:
    """Return the operators of a program of Paddle 2 and the shapes of its weights."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    from paddle.base.proto import framework_pb2

    description = framework_pb2.ProgramDesc()
    try:
        description.ParseFromString(raw)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    # Paddle 3 has another name for the field of Paddle 2.
    tensor = "lod_tensor" if hasattr(framework_pb2.VarType, "LoDTensorDesc") else "dense_tensor"
    operators = {operator.type for block in description.blocks for operator in block.ops}
    weights = {
        variable.name: tuple(int(side) for side in getattr(variable.type, tensor).tensor.dims)
        for block in description.blocks
        for variable in block.vars
        if variable.persistable and variable.type.type == _DENSE_TENSOR
    }
    return operators, weights


def _tensors(raw: bytes) -> Iterator[tuple[int, ...]]:
    """Yield the shape of every tensor of a ``.pdiparams`` file, which must end with the last.

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
        at += length + math.prod(shape) * _ITEM_BYTES[kind]
        if at > len(raw):
            raise ValueError(f"a tensor of shape {list(shape)} goes beyond the end")
        yield shape


def _type_and_shape(message: bytes) -> tuple[int, tuple[int, ...]]:
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
