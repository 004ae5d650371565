"""``-o key.path=value``: a recipe's keys from the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.explain import kind_of
from ppgan_zoo.recipe.strict_yaml import MAX_DEPTH, parse_scalar


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, str]:
    """Apply overrides in order; return which one set each key."""
    set_by: dict[str, str] = {}
    for override in overrides:
        key = _apply_override(data, override)
        set_by.pop(key, None)
        set_by[key] = override
    return set_by


def _apply_override(data: dict[str, Any], override: str) -> str:
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
    section[parts[-1]] = parse_scalar(text, place)
    return key


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
