"""From a YAML file to a recipe: read, overridden and checked.

An unknown key, a wrong type or an impossible value is one line with file, line, key and
what is allowed, before anything else happens.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.explain import explain, first_of, kind_of
from ppgan_zoo.recipe.overrides import apply_overrides, override_of, place_of
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.strict_yaml import Document, lists_to_tuples, read_yaml

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: The YAML file.
        overrides: ``"key.path=value"`` texts, applied in order; the value is read as YAML.

    Raises:
        ConfigError: Anything wrong, in one line.
    """
    document = read_yaml(Path(path))
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a recipe must be a mapping of keys, found {kind_of(data)}")
    set_by = apply_overrides(data, overrides, Recipe)
    return _validate(data, str(path), document, set_by, Recipe)


def recipe_from(
    data: Mapping[str, Any],
    where: str = "recipe",
    overrides: Iterable[str] = (),
    schema: type[AnyRecipe] = Recipe,  # type: ignore[assignment]
) -> AnyRecipe:
    """Check a recipe given as plain data, such as one built by a program.

    Args:
        data: The keys; left as they are.
        where: What to call it in a message.
        overrides: As for :func:`load_recipe`.
        schema: The kind of recipe.

    Raises:
        ConfigError: Anything wrong, in one line.
    """
    own = copy.deepcopy(dict(data))
    set_by = apply_overrides(own, overrides, schema)
    return _validate(own, where, Document(own, {}), set_by, schema)


def _validate(
    data: dict[str, Any],
    where: str,
    document: Document,
    set_by: Mapping[str, str],
    schema: type[AnyRecipe],
) -> AnyRecipe:
    try:
        return schema.model_validate(lists_to_tuples(data))
    except ValidationError as error:
        first = first_of(error)
        key = ".".join(str(part) for part in first["loc"])
        override = override_of(key, set_by, in_file=tuple(first["loc"]) in document.lines)
        line = document.line_of(tuple(first["loc"]))
        place = place_of(override) if override else f"{where}:{line}" if line else where
        message = explain(first, key, schema)
        raise ConfigError(f"{place}: {message}") from None
