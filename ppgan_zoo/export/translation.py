"""From the operations of an exported program to the few kinds of :mod:`ppgan_zoo.export.graph`.

:data:`RULES` is what is understood: a function for each operator of Paddle. An operator that it
does not have is refused by name if the images depend on it.
"""

from __future__ import annotations

from pathlib import Path

from ppgan_zoo.errors import ExportError
from ppgan_zoo.export.basic_rules import BASIC_RULES
from ppgan_zoo.export.graph import Builder, Graph
from ppgan_zoo.export.layer_rules import LAYER_RULES
from ppgan_zoo.export.operations import read_steps
from ppgan_zoo.export.program_file import read_program, read_weights
from ppgan_zoo.export.translator import Rule, Translator, UnknownFormError


def read_graph(program: Path, parameters: Path) -> Graph:
    """Read a checked program and its weights as a graph.

    Args:
        program: The program, of Paddle 3 or Paddle 2.
        parameters: Its weights.

    Raises:
        ExportError: The images depend on an operator, or a form of one, that is not understood.
    """
    steps = read_steps(program)
    weights = read_weights(parameters, read_program(program))
    labels = steps.inputs.get("labels") if len(steps.inputs) > 1 else None
    translator = Translator(Builder(("z", "labels") if labels else ("z",)), steps)
    for tensor in steps.inputs.values():  # a single one may have any name
        translator.names[tensor] = "labels" if tensor == labels else "z"
    for name, tensor in steps.weights.items():
        translator.names[tensor] = translator.graph.weight(weights[name])
    for operation in steps.operations:
        translator.translate(operation, RULES.get(operation.kind))
    try:
        return translator.graph.graph(translator.name(steps.output))
    except UnknownFormError as error:
        raise ExportError(
            f"{program.name}: {error}, for which there is no rule to write it in another form "
            "than Paddle's; add one to ppgan_zoo/export/translation.py"
        ) from None


RULES: dict[str, Rule] = {**BASIC_RULES, **LAYER_RULES}
"""By operator of Paddle 3; those of Paddle 2 come with these names
(:mod:`ppgan_zoo.export.operations`)."""
