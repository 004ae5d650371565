"""YAML for recipes: safe, without surprises, and with the line of every key.

On top of PyYAML's safe loader: a duplicate key is an error, anchors, aliases (they can
blow a small file up) and tags are refused, and so are infinity and NaN; ``2e-4`` is a
number as in YAML 1.2 and JSON, and only ``true`` and ``false`` are booleans and only
decimals are integers (YAML 1.1 also takes ``no``, ``on``, ``017`` for 15, ``1:30`` for 90).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.storage.files import read_regular

MAX_BYTES = 1 << 16  # PyYAML reads some 100 kB a second
MAX_DEPTH = 20

KeyPath = tuple[Any, ...]


@dataclass(frozen=True)
class Document:
    """What a YAML file holds, and the line that each key stands on."""

    data: Any
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int | None:
        """Return the line of the key at `path`, or of the nearest section around it."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return None


class _Loader(yaml.SafeLoader):
    """The safe loader, refusing what a recipe has no use for, with the line of it."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        self.depth += 1
        refused = {
            "anchors and aliases are not allowed": getattr(event, "anchor", None) is not None,
            "tags are not allowed": getattr(event, "tag", None) is not None,
            "nested too deep": self.depth > MAX_DEPTH,
        }
        for problem, found in refused.items():
            if found:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except ValueError as error:  # Python converts no integer of thousands of digits
            raise yaml.MarkedYAMLError(
                problem=str(error).splitlines()[0], problem_mark=node.start_mark
            ) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise yaml.MarkedYAMLError(
                problem=f"found {value}; numbers must be finite", problem_mark=node.start_mark
            )
        return value


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    table = {
        first: [(tag, pattern) for tag, pattern in entries if tag == "tag:yaml.org,2002:null"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    integer = re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$")
    boolean = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
    number = re.compile(
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"
    )
    for first in "tTfF":
        table.setdefault(first, []).append(("tag:yaml.org,2002:bool", boolean))
    for first in "-+.0123456789":
        table.setdefault(first, []).append(("tag:yaml.org,2002:int", integer))
        table.setdefault(first, []).append(("tag:yaml.org,2002:float", number))
    return table


_Loader.yaml_implicit_resolvers = _resolvers()


def read_yaml(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigError: It is missing, too large, not UTF-8, or not such YAML.
    """
    with os_errors(ConfigError, f"{path}: cannot be read"):
        raw = read_regular(path, MAX_BYTES)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str, *, name_line: bool = True) -> Document:
    """Parse YAML text; `where` (and the line) names the place in messages.

    Raises:
        ConfigError: Not such YAML.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[KeyPath, int] = {}
            _check_mappings(node, (), lines)
            return Document(None if node is None else loader.construct_document(node), lines)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark and name_line else ""
        problem = ", ".join(text for text in (error.context, error.problem) if text)
        raise ConfigError(f"{where}{line}: not valid YAML: {problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{where}: not valid YAML: {str(error).splitlines()[0]}") from None


def parse_scalar(text: str, where: str) -> Any:
    """Read the value of a ``key=value`` text as YAML; a comment in it is refused.

    On a command line ``#`` is rarely meant as one, and what follows would be dropped in silence.

    Raises:
        ConfigError: Not such YAML.
    """
    value = parse_yaml(text, where, name_line=False).data
    *_, last, _ = yaml.scan(text, _Loader)
    if text[last.end_mark.index :].lstrip().startswith("#"):
        raise ConfigError(f"{where}: ' #' begins a comment in YAML; put quotes around the value")
    return value


def lists_to_tuples(value: Any) -> Any:
    """Return `value` with every list as a tuple: YAML has lists only, strict types tell."""
    if isinstance(value, dict):
        return {key: lists_to_tuples(item) for key, item in value.items()}
    return tuple(lists_to_tuples(item) for item in value) if isinstance(value, list) else value


class _Dumper(yaml.SafeDumper):
    """The safe dumper, quoting whatever this module's loader would not read back as text."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # Only double quotes keep line breaks of every kind as they are.
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    )


_Dumper.add_representer(str, _represent_text)
_Dumper.yaml_implicit_resolvers = {
    first: [*entries, *_Loader.yaml_implicit_resolvers.get(first, [])]
    for first, entries in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


def to_yaml(data: Any) -> str:
    """Return plain data as YAML text that :func:`parse_yaml` reads back to an equal value."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


def _check_mappings(node: yaml.Node | None, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check_mappings(item, (*path, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="keys must be text", problem_mark=key.start_mark)
            if not key.value.isprintable():
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} has unprintable characters",
                    problem_mark=key.start_mark,
                )
            here = (*path, key.value)
            if here in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is there twice, first on line {lines[here]}",
                    problem_mark=key.start_mark,
                )
            lines[here] = key.start_mark.line + 1
            _check_mappings(value, here, lines)
