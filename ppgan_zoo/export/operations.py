"""The operations of an exported program, in one form for the programs of Paddle 3 and of Paddle 2.

Of programs that :func:`ppgan_zoo.export.program.check_program` let pass: what is malformed has
been refused there. Operations carry the names of Paddle 3; those of Paddle 2 are translated by
the table at the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppgan_zoo.export.program_file import MAX_PROGRAM_BYTES
from ppgan_zoo.storage.files import read_regular

Names = tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """One step of a program.

    Attributes:
        kind: Name of its operator in Paddle 3, without the underscore of those in place.
        inputs: Names of the tensors of each input, in order: one; several of a list; none of
            an input that is left out.
        outputs: Names of its results; those of a list one by one.
        attributes: By name, as numbers, strings and lists of them.
    """

    kind: str
    inputs: tuple[Names, ...]
    outputs: Names
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Steps:
    """What a program does.

    Attributes:
        operations: In order.
        inputs: What its tensors are called that are fed, by the name of the input.
        weights: What its tensors are called that are weights, by the name of the weight.
        output: What the first result is called.
        shapes: Of every tensor; -1 is a side that Paddle leaves open.
    """

    operations: tuple[Operation, ...]
    inputs: Mapping[str, str]
    weights: Mapping[str, str]
    output: str
    shapes: Mapping[str, tuple[int, ...]]


def read_steps(program: Path) -> Steps:
    """Read what a checked program does.

    Raises:
        OSError: It cannot be read.
    """
    raw = read_regular(program, MAX_PROGRAM_BYTES)
    return _of_json(raw) if program.suffix == ".json" else _of_protobuf(raw)


def _of_json(raw: bytes) -> Steps:
    (block,) = json.loads(raw)["program"]["regions"][0]["blocks"]
    operations: list[Operation] = []
    inputs: dict[str, str] = {}
    weights: dict[str, str] = {}
    outputs: list[str] = []
    shapes: dict[str, tuple[int, ...]] = {}
    members: dict[int, Names] = {0: ()}  # of each value: itself, or the tensors of a list
    for operation in block["ops"]:
        kind = operation["#"]
        results = operation["O"] if isinstance(operation["O"], list) else [operation["O"]]
        taken = tuple(members[used["%"]] for used in operation.get("I", ()))
        if kind == "0.combine":
            members[results[0]["%"]] = tuple(name for names in taken for name in names)
            continue
        if kind == "0.split":
            members.update(
                (result["%"], (name,)) for result, name in zip(results, taken[0], strict=True)
            )
            continue
        made = [_results_of_json(result, shapes) for result in results]
        members.update((result["%"], names) for result, names in zip(results, made, strict=True))
        if kind == "p":
            weights[operation["A"][3]] = made[0][0]
            continue
        attributes = {entry["N"]: _of_attribute(entry["AT"]) for entry in operation["A"]}
        if kind == "1.data":
            inputs[attributes["name"]] = made[0][0]
        elif kind == "1.fetch":
            outputs.append(taken[0][0])
        else:
            names = tuple(name for names in made for name in names)
            operations.append(Operation(kind[2:].rstrip("_"), taken, names, attributes))
    return Steps(tuple(operations), inputs, weights, outputs[0], shapes)


def _results_of_json(result: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Names:
    described = result["TT"]
    if described["#"] == "0.t_dtensor":
        shapes[str(result["%"])] = _sides(described["D"][1])
        return (str(result["%"]),)
    if described["#"] != "0.t_vec":
        return ()
    names = tuple(f"{result['%']}.{place}" for place in range(len(described["D"])))
    shapes.update(
        (name, _sides(tensor["D"][1])) for name, tensor in zip(names, described["D"], strict=True)
    )
    return names


def _sides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(side, -1) for side in shape)  # below -1: an open side times a number


def _of_attribute(entry: dict[str, Any]) -> Any:
    if entry["#"] == "0.a_array":
        return [_of_attribute(part) for part in entry["D"]]
    if entry["#"] == "1.a_scalar" and isinstance(entry["D"], list):
        return entry["D"][-1]
    return entry.get("D")


# Of the attributes of Paddle 2, by AttrType: the field that holds the value.
_FIELDS = {
    0: "i", 1: "f", 2: "s", 3: "ints", 4: "floats", 5: "strings", 6: "b", 7: "bools", 9: "l",
    11: "longs", 12: "float64s", 15: "float64",
}  # fmt: skip


def _of_protobuf(raw: bytes) -> Steps:
    from paddle.base.proto import framework_pb2

    description = framework_pb2.ProgramDesc()
    description.ParseFromString(raw)
    (block,) = description.blocks
    field = "lod_tensor" if hasattr(framework_pb2.VarType, "LoDTensorDesc") else "dense_tensor"
    shapes = {
        variable.name: _sides(getattr(variable.type, field).tensor.dims)
        for variable in block.vars
        if variable.type.HasField(field)
    }
    persistent = {variable.name for variable in block.vars if variable.persistable}
    operations: list[Operation] = []
    inputs: dict[str, str] = {}
    outputs: list[str] = []
    for operation in block.ops:
        taken = {part.parameter: tuple(part.arguments) for part in operation.inputs}
        made = {part.parameter: tuple(part.arguments) for part in operation.outputs}
        if operation.type == "feed":
            inputs[made["Out"][0]] = made["Out"][0]
        elif operation.type == "fetch":
            outputs.append(taken["X"][0])
        else:
            attributes = {
                attribute.name: _value_of(attribute, _FIELDS[attribute.type])
                for attribute in operation.attrs
                if attribute.type in _FIELDS
            }
            operations.append(_in_names_of_today(operation.type, taken, made, attributes))
    weights = {name: name for name in persistent & shapes.keys()}
    return Steps(tuple(operations), inputs, weights, outputs[0], shapes)


def _value_of(attribute: Any, field: str) -> Any:
    value = getattr(attribute, field)
    return value if isinstance(value, (bool, int, float, str)) else list(value)


def _in_names_of_today(
    kind: str, taken: Mapping[str, Names], made: Mapping[str, Names], attributes: dict[str, Any]
) -> Operation:
    kind = kind.rstrip("_")
    today, slots, renamed = _PADDLE_2.get(kind, (kind, ("X",), {}))
    main = next((slot for slot in ("Out", "Output", "Y") if made.get(slot)), None)
    outputs = made[main] if main else tuple(name for names in made.values() for name in names)
    beside = [slot for slot in taken if slot not in slots and taken[slot]]
    if beside:  # such as a shape that is a tensor: not in the table, so not understood
        today = f"{kind} with {', '.join(beside)}"
    return Operation(
        today,
        tuple(taken.get(slot, ()) for slot in slots),
        outputs,
        {renamed.get(name, name): value for name, value in attributes.items()},
    )


def _elementwise(name: str) -> tuple[str, Sequence[str], Mapping[str, str]]:
    return name, ("X", "Y"), {}


def _reduction(name: str) -> tuple[str, Sequence[str], Mapping[str, str]]:
    return name, ("X",), {"dim": "axis", "keep_dim": "keepdim"}


_CONVOLUTION = ("Input", "Filter")
# Operators of Paddle 2: the name in Paddle 3, inputs in its order, attributes with other names.
_PADDLE_2: dict[str, tuple[str, Sequence[str], Mapping[str, str]]] = {
    "batch_norm": ("batch_norm", ("X", "Mean", "Variance", "Scale", "Bias"), {}),
    "conv2d": ("conv2d", _CONVOLUTION, {}),
    "conv2d_transpose": ("conv2d_transpose", _CONVOLUTION, {}),
    "depthwise_conv2d": ("depthwise_conv2d", _CONVOLUTION, {}),
    "depthwise_conv2d_transpose": ("depthwise_conv2d_transpose", _CONVOLUTION, {}),
    "bmm": _elementwise("bmm"),
    "dot": _elementwise("dot"),
    "elementwise_add": _elementwise("add"),
    "elementwise_div": _elementwise("divide"),
    "elementwise_max": _elementwise("maximum"),
    "elementwise_min": _elementwise("minimum"),
    "elementwise_mul": _elementwise("multiply"),
    "elementwise_pow": _elementwise("elementwise_pow"),
    "elementwise_sub": _elementwise("subtract"),
    "expand_v2": ("expand", ("X",), {}),
    "fill_constant": ("full", (), {}),
    "flatten_contiguous_range": ("flatten", ("X",), {}),
    "gather": ("gather", ("X", "Index"), {}),
    "group_norm": ("group_norm", ("X", "Scale", "Bias"), {}),
    "instance_norm": ("instance_norm", ("X", "Scale", "Bias"), {}),
    "layer_norm": ("layer_norm", ("X", "Scale", "Bias"), {}),
    "leaky_relu": ("leaky_relu", ("X",), {"alpha": "negative_slope"}),
    "lookup_table_v2": ("embedding", ("Ids", "W"), {}),
    "matmul_v2": ("matmul", ("X", "Y"), {"trans_x": "transpose_x", "trans_y": "transpose_y"}),
    "mv": ("mv", ("X", "Vec"), {}),
    "nearest_interp_v2": ("nearest_interp", ("X",), {}),
    "bilinear_interp_v2": ("bilinear_interp", ("X",), {}),
    "one_hot_v2": ("one_hot", ("X",), {"depth": "num_classes"}),
    "prelu": ("prelu", ("X", "Alpha"), {}),
    "reduce_max": _reduction("max"),
    "reduce_mean": _reduction("mean"),
    "reduce_sum": _reduction("sum"),
    "reshape2": ("reshape", ("X",), {}),
    "slice": ("slice", ("Input",), {}),
    "strided_slice": ("strided_slice", ("Input",), {}),
    "squeeze2": ("squeeze", ("X",), {"axes": "axis"}),
    "tile": ("tile", ("X",), {}),
    "transpose2": ("transpose", ("X",), {"axis": "perm"}),
    "unsqueeze2": ("unsqueeze", ("X",), {"axes": "axis"}),
}
