"""What the source of a model says of it, read without importing it.

Importing a model brings Paddle with it, which takes seconds, and runs a plugin's code.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from ppgan_zoo.storage.files import read_regular

OTHER_FAMILY = "other"
"""The family of a model whose spec names none."""

LONGEST_CITATION = 32
"""Characters of authors and year; what is longer has more in it."""

_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@dataclass(frozen=True)
class Outline:
    """What a model's source says of it.

    Attributes:
        summary: First line of the module's docstring.
        family: As in :class:`ppgan_zoo.GanSpec`.
        paper: Where it was published, or "".
        sizes: As in :class:`ppgan_zoo.GanSpec`.
        labels: ``ignores``, ``takes`` or ``needs``.
        terms: Names of the terms of the loss that a recipe without ``terms`` gets.
    """

    summary: str
    family: str = OTHER_FAMILY
    paper: str = ""
    sizes: str = ""
    labels: str = "ignores"
    terms: tuple[str, ...] = ()

    @property
    def citation(self) -> str:
        """Authors and year of the paper, which it begins with; the year alone, where it does not.

        Such as ``"Goodfellow et al. 2014"``.
        """
        found = _YEAR.search(self.paper)
        cited = self.paper[: found.end()] if found else ""
        return cited if len(cited) <= LONGEST_CITATION else self.year

    @property
    def year(self) -> str:
        """The year of the paper, or "" where none is named."""
        found = _YEAR.search(self.paper)
        return found[0] if found else ""


def read_outline(target: str) -> Outline:
    """Read the source of a spec; nothing of it, nor of its package, is run.

    Args:
        target: Where the spec is: ``"module:ATTRIBUTE"``.

    Returns:
        What the source says. Fields that are not plain constants there keep their defaults;
        a source that cannot be read has the summary ``"(cannot be read)"``.
    """
    module, _, attribute = target.partition(":")
    try:
        tree = parse_source(module)
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return Outline("(cannot be read)")
    call = spec_call(tree, attribute)
    said = constants_of(call) if call is not None else {}
    return Outline(
        summary=(ast.get_docstring(tree) or "").partition("\n")[0].rstrip("."),
        family=_text(said.get("family")) or OTHER_FAMILY,
        paper=_text(said.get("paper")),
        sizes=_text(said.get("sizes")),
        labels=_text(said.get("labels")) or "ignores",
        terms=_texts(said.get("terms")),
    )


def parse_source(module: str) -> ast.Module:
    """Return the syntax tree of a module; an empty one of a module that has no source.

    Raises:
        ImportError, OSError, SyntaxError, ValueError, RecursionError, MemoryError: It cannot be
            found, read or parsed.
    """
    path = _file_of(module)
    return ast.parse("" if path is None else read_regular(path))


def spec_call(tree: ast.Module, attribute: str) -> ast.Call | None:
    """Return the call that `attribute` of a module is assigned, or None."""
    found = None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            names = [name.id for name in node.targets if isinstance(name, ast.Name)]
            found = node.value if attribute in names else found
    return found


def constants_of(call: ast.Call) -> dict[str, Any]:
    """Return those keyword arguments of a call that are plain constants."""
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        try:
            found[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, tuple | list):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def _file_of(module: str) -> Path | None:
    """Return a module's source, unlike :func:`importlib.util.find_spec` without any import."""
    places: Sequence[str] | None = None
    found: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = next(filter(None, (f.find_spec(name, places) for f in sys.meta_path)), None)
        if found is None:
            return None
        places = found.submodule_search_locations
    return Path(found.origin) if found and found.has_location and found.origin else None
