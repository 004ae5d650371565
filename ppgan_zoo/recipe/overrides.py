"""``-o key.path=value``: a recipe's keys from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.recipe.explain import kind_of
from ppgan_zoo.recipe.strict_yaml import MAX_DEPTH, parse_scalar


def apply_overrides(
    data: dict[str, Any], overrides: Iterable[str], schema: type[Section] | None = None
) -> dict[str, str]:
    """Apply overrides in order; return which one set each key.

    Args:
        data: The keys; changed in place.
        overrides: ``"key.path=value"`` texts. The value is read as YAML, but for a key of
            `schema` that holds text of any kind, such as a folder: there ``#`` begins no
            comment and ``123`` is no number. ``null`` and quoted text are YAML there too.
        schema: What the keys are of, if it is known.
    """
    set_by: dict[str, str] = {}
    for override in overrides:
        key = _apply_override(data, override, schema)
        set_by.pop(key, None)
        set_by[key] = override
    return set_by


def _apply_override(data: dict[str, Any], override: str, schema: type[Section] | None) -> str:
    key, equals, text = override.partition("=")
    parts = key.split(".")
    place = place_of(override)
    if not equals or not all(parts) or not key.isprintable():
        raise ConfigError(f"{place}: write it as key.path=value, such as -o seed=1")
    if len(parts) > MAX_DEPTH:
        raise ConfigError(f"{place}: {len(parts)} parts; a recipe has at most {MAX_DEPTH} levels")
    section = data
    for depth, part in enumerate(parts[:-1], start=1):
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            raise ConfigError(
                f"{place}: {'.'.join(parts[:depth])} is {kind_of(section)}, not a section"
            )
    plain = text not in ("", "null") and text[:1] not in "\"'" and _holds_text(schema, parts)
    section[parts[-1]] = text if plain else parse_scalar(text, place)
    return key


def _holds_text(schema: type[Section] | None, parts: list[str]) -> bool:
    """Tell whether a key is one of free text: not a name out of a list, nor text of a form."""
    annotation: Any = schema
    for part in parts:
        section = next(
            (t for t in (annotation, *get_args(annotation)) if hasattr(t, "model_fields")), None
        )
        if section is None or part not in section.model_fields:
            return False
        field = section.model_fields[part]
        annotation = None if field.metadata else field.annotation
    return set(get_args(annotation) or (annotation,)) - {type(None)} == {str}


def override_of(key: str, set_by: Mapping[str, str], *, in_file: bool) -> str | None:
    """Return the last override that set `key`, or a section around it, or made it."""
    found = None
    for name, override in set_by.items():
        inside = f"{key}.".startswith(f"{name}.")
        if inside or (not in_file and name.startswith(f"{key}.")):
            found = override
    return found


def place_of(override: str) -> str:
    """Return what names an override in a message."""
    return f"-o {override if override.isprintable() else repr(override)}"
