"""A recipe of another length: the same course of training, stretched or pressed together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppgan_zoo.recipe.recipe import Recipe

STEPS = frozenset({"start", "start_step", "until_step", "at_steps"})
"""Keys that name an iteration, wherever in a recipe they stand."""


def stretched(recipe: Recipe, length: int, new: int) -> dict[str, Any]:
    """Return the keys to set, as after ``-o``, for a recipe to take another number of iterations.

    Whatever a recipe names an iteration for (the start of a schedule, the end of noise) moves
    along, so that it stays at the same share of the run.

    Args:
        recipe: The recipe.
        length: Its iterations.
        new: Those that it is to have.
    """
    changed: dict[str, Any] = {"training.epochs": None, "training.iterations": new}
    for section, values in recipe.model_dump(mode="json", exclude_defaults=True).items():
        if section != "training":
            _stretch(values, section, new / length, changed)
    return changed


def _stretch(values: Any, place: str, by: float, changed: dict[str, Any]) -> None:
    """Note every value below `place` that names an iteration; a list is replaced as a whole."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if key in STEPS:
                changed[f"{place}.{key}"] = _moved(value, by)
            else:
                _stretch(value, f"{place}.{key}", by, changed)
    elif isinstance(values, list) and any(map(_names_a_step, values)):
        changed[place] = [_copy(value, by) for value in values]


def _names_a_step(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(key in STEPS or _names_a_step(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_names_a_step, value))


def _copy(value: Any, by: float) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _moved(inner, by) if key in STEPS else _copy(inner, by)
            for key, inner in value.items()
        }
    return [_copy(inner, by) for inner in value] if isinstance(value, list) else value


def _moved(value: Any, by: float) -> Any:
    if isinstance(value, list):
        return [_moved(each, by) for each in value]
    return value if value is None else max(0, round(value * by))
