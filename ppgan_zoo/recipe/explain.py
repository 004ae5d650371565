"""What is wrong with a recipe, in one line each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from ppgan_zoo.errors import ConfigError, did_you_mean
from ppgan_zoo.recipe.base import Section

MAX_SHOWN = 200  # characters of a value that is to be written elsewhere


def first_of(error: ValidationError) -> Any:
    """Return the first of what pydantic found wrong; a misspelt key before one that is missing."""
    found = error.errors()
    if found[0]["type"] != "missing":
        return found[0]
    return next((one for one in found if one["type"] == "extra_forbidden"), found[0])


def explain(error: Any, key: str, root: type[Section]) -> str:
    """Say in one line what pydantic found wrong: key, what was found, what is allowed.

    Args:
        error: As :func:`first_of` returns it.
        key: The key's path in words.
        root: The kind of recipe that was validated.
    """
    kind, context, found = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        section, name = _section_at(root, error["loc"][:-1]), str(error["loc"][-1])
        if name in section.moved:
            return _moved(key, section.moved[name], found)
        allowed = list(section.model_fields)
        return f"{key}: unknown key{did_you_mean(name, allowed)}; allowed: {', '.join(allowed)}"
    if kind == "missing":
        return f"{key}: this key is needed and missing; add it"
    if kind == "value_error":
        return f"{key}{': ' if key else ''}{context['error']}"
    if kind == "literal_error":
        choices = str(context["expected"])
        guess = did_you_mean(str(found), choices.replace("'", "").replace(" or ", ", ").split(", "))
        return f"{key}: found {_short(found)}{guess}; allowed: {choices}"
    if kind == "model_type":
        allowed = list(_section_at(root, error["loc"]).model_fields)
        return f"{key}: found {_short(found)}; allowed: a section of {', '.join(allowed)}"
    if kind == "dict_type":
        return f"{key}: found {_short(found)}; allowed: a section of keys"
    message = error["msg"].lower().replace("tuple", "list").replace(" after validation", "")
    if kind == "int_type" and isinstance(found, float) and found.is_integer():
        message += f": write {int(found)}"
    return f"{key}: found {_short(found)}; {message}"


@contextlib.contextmanager
def naming(where: Path | None) -> Iterator[None]:
    """Put the recipe's file before what is found wrong with it only when it is made real."""
    try:
        yield
    except ConfigError as error:
        if where is None:
            raise
        raise ConfigError(f"{where}: {error}") from error


def _section_at(root: type[Section], location: tuple[Any, ...]) -> type[Section]:
    """Return the kind of section that stands at a place of a recipe."""
    section = root
    for part in location:
        if isinstance(part, int):  # an item of a list of sections, which was found already
            continue
        section = next(_sections_in(section.model_fields[part].annotation))
    return section


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    """Yield the sections that a type such as ``tuple[TermSection, ...]`` is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections_in(inner)


def _moved(key: str, to: str, found: Any) -> str:
    """Return what to write in the place of a key that stands at the top level now."""
    line = f"{key}: is at the top level now, as {to}; "
    if not found:  # as in the recipe of a run, in which every key stands
        return f"{line}found {_short(found)}: leave the key out"
    text = yaml.safe_dump(_tuples_to_lists(found), default_flow_style=True, sort_keys=False)
    text = " ".join(text.split())
    shown = text if len(text) <= MAX_SHOWN else "what stands here"
    return f"{line}write {to}: {shown} there, and leave the key out"


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(_tuples_to_lists(value))
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of(value: Any) -> str:
    """Return what a YAML value is, in words."""
    return {type(None): "nothing", list: "a list", str: "text", dict: "a section"}.get(
        type(value), type(value).__name__
    )


def _tuples_to_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples_to_lists(item) for key, item in value.items()}
    return [_tuples_to_lists(item) for item in value] if isinstance(value, tuple) else value
