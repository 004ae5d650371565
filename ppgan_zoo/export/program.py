"""What an exported program and its weights must look like before Paddle may load them.

A hash tells that a file is the one that its author wrote, not that the author is a friend.
Paddle's loaders are native code that trusts its input: cut weights are read as they lie,
a wrong size takes all memory, and a program can hold operators that write files. So both
files are parsed first, in Python (:mod:`ppgan_zoo.export.program_file`), and everything that
stands in them is held against what may stand there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ppgan_zoo.errors import ExportError, did_you_mean, os_errors
from ppgan_zoo.export.operators import COMPUTING
from ppgan_zoo.export.program_file import (
    FLOAT32,
    INT64,
    Program,
    Tensor,
    read_program,
    read_tensors,
)

AGAIN = "do not use it, or export again from the checkpoint"
_FRAME = {"feed", "fetch", "data"}  # what takes the inputs in and gives the outputs out
_NAMES = {FLOAT32: "float32", INT64: "int64"}


def check_program(
    program: Path,
    parameters: Path,
    latent_dim: int,
    num_classes: int,
    image_shape: tuple[int, ...],
    *,
    then: str = AGAIN,
) -> None:
    """Refuse a program that does more than turn z into images, and weights that do not fit it.

    Args:
        program: The program.
        parameters: Its weights.
        latent_dim: Size of z.
        num_classes: Classes that the model takes labels of; 0 for none.
        image_shape: Channels, height and width of its images.
        then: What to do about an operator that is not known, or another program.

    Raises:
        ExportError: Not a program; an operator that is not known to compute only; other inputs or
            another output; or weights that are not exactly the tensors of the program.
    """
    try:
        with os_errors(ExportError, f"{program}: cannot be read", then=AGAIN):
            parsed = read_program(program)
    except ValueError as error:
        raise ExportError(f"{program}: not a program of Paddle ({error}); {then}") from None
    _check_operators(program, parsed, then)
    _check_inputs(program, parsed, latent_dim, num_classes)
    _check_output(program, parsed, image_shape)
    try:
        with os_errors(ExportError, f"{parameters}: cannot be read", then=AGAIN):
            found = read_tensors(parameters)
    except ValueError as error:
        raise ExportError(f"{parameters}: not weights of Paddle ({error}); {AGAIN}") from None
    expected = [parsed.weights[name] for name in sorted(parsed.weights)]
    if found != expected:
        raise ExportError(
            f"{parameters}: its weights are {len(found)} tensors of other shapes than the "
            f"{len(expected)} of {program.name}; {AGAIN}"
        )


def _check_operators(program: Path, parsed: Program, then: str) -> None:
    for operator in sorted(parsed.operators - _FRAME):
        if operator.rstrip("_") not in COMPUTING:
            raise ExportError(
                f"{program}: operator {operator!r} is not one that is known to compute and to do "
                f"nothing else{did_you_mean(operator, COMPUTING)}; {then}"
            )


def _check_inputs(program: Path, parsed: Program, latent_dim: int, num_classes: int) -> None:
    wanted: dict[str, Tensor] = {"z": (FLOAT32, (-1, latent_dim))}
    if num_classes:
        wanted["labels"] = (INT64, (-1,))
    found = dict(parsed.inputs)
    if len(found) == len(wanted) == 1:  # whose name is free: exports of before there were labels
        found = {"z": next(iter(found.values()))}
    if found != wanted:
        raise ExportError(
            f"{program}: its inputs are {_in_words(found)}, and model.yml says "
            f"{_in_words(wanted)}; {AGAIN}"
        )


def _check_output(program: Path, parsed: Program, image_shape: tuple[int, ...]) -> None:
    wanted = (FLOAT32, (-1, *image_shape))
    right = len(parsed.outputs) == 1 and _may_be(parsed.outputs[0], wanted)
    if not right:
        found = {str(number): tensor for number, tensor in enumerate(parsed.outputs)}
        raise ExportError(
            f"{program}: its outputs are {_in_words(found)}, and model.yml says images "
            f"{_in_words({'': wanted})}; {AGAIN}"
        )


def _may_be(found: Tensor, wanted: Tensor) -> bool:
    """Tell whether a type and shape may be the wanted: Paddle leaves sides that it cannot tell."""
    return (
        found[0] == wanted[0]
        and len(found[1]) == len(wanted[1])
        and all(side in (-1, right) for side, right in zip(found[1], wanted[1], strict=True))
    )


def _in_words(tensors: Mapping[str, Tensor]) -> str:
    return (
        ", ".join(
            f"{name} {_NAMES.get(kind, f'type {kind}')} {list(shape)}".lstrip()
            for name, (kind, shape) in tensors.items()
        )
        or "none"
    )
