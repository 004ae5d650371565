"""The JSON schema of recipes, with the arguments of every model: for editors and other programs.

It says less than the zoo checks: what holds between two keys is not in it.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from ppgan_zoo.models.docstrings import argument_meanings
from ppgan_zoo.models.facts import annotation_of
from ppgan_zoo.models.spec import CLASSES_ARGUMENT, CODE_ARGUMENTS, GanSpec, constructor_arguments
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.registry import (
    AUGMENTATIONS,
    DATA,
    FEATURES,
    LOGS,
    METRICS,
    MODELS,
    OBJECTIVES,
    TERMS,
    Registry,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

GIVEN_ELSEWHERE = {"latent_dim", "image_shape", CLASSES_ARGUMENT, *CODE_ARGUMENTS}
"""Arguments that follow from other sections: see :func:`ppgan_zoo.models.facts.model_facts`."""


def recipe_schema(*, plugins: bool = True) -> dict[str, Any]:
    """Return the schema as plain data.

    Args:
        plugins: Whether what installed plugins add is in it. They are imported for that.

    Raises:
        PluginError: A plugin is broken.
    """
    schema = Recipe.model_json_schema()
    schema["$schema"] = DIALECT
    schema["title"] = "A recipe of ppgan_zoo"
    parts = schema["$defs"]
    _describe(parts)
    names: dict[str, tuple[Registry[Any], str]] = {
        "Model": (MODELS, "name"),
        "Data": (DATA, "name"),
        "ObjectiveSection": (OBJECTIVES, "name"),
        "TermSection": (TERMS, "name"),
        "EvaluationSection": (FEATURES, "features"),
    }
    for part, (registry, key) in names.items():
        _allow(parts[part]["properties"][key], registry, plugins)
    _allow(parts["EvaluationSection"]["properties"]["metrics"]["items"], METRICS, plugins)
    _allow(parts["Constraints"]["properties"]["augment"]["items"], AUGMENTATIONS, plugins)
    _allow(parts["AugmentationSection"]["properties"]["name"], AUGMENTATIONS, plugins)
    to = parts["Log"]["properties"]["to"]
    _allow(to["items"], LOGS, plugins)
    to["anyOf"] = [to["items"], {"type": to.pop("type"), "items": to.pop("items")}]
    models = MODELS.names() if plugins else sorted(MODELS.built_in)
    parts["Model"]["allOf"] = [_of_model(MODELS.get(name)) for name in models]
    return schema


def _describe(parts: dict[str, Any]) -> None:
    """Shorten the names and texts that pydantic gives to what a reader can use."""
    for part in parts.values():
        if "description" in part:
            part["description"] = " ".join(part["description"].split())


def _allow(value: dict[str, Any], registry: Registry[Any], plugins: bool) -> None:
    """Name what a key may be, in the branch of its schema that is a text."""
    known = registry.names() if plugins else sorted(registry.built_in)
    branches = value.get("anyOf", [value])
    for branch in branches:
        if branch.get("type") == "string":
            branch["enum"] = known


def _of_model(spec: GanSpec) -> dict[str, Any]:
    """Return what holds of the section ``model`` where it names this model."""
    nets = {role: _of_net(cls) for role, cls in spec.nets.items()}
    properties = {role: nets.pop(role) for role in ("generator", "discriminator")}
    if nets:
        properties["nets"] = {"properties": nets, "additionalProperties": False}
    return {
        "if": {"properties": {"name": {"const": spec.name}}, "required": ["name"]},
        "then": {"properties": properties},
    }


def _of_net(cls: type) -> dict[str, Any]:
    """Return the schema of the arguments of one net."""
    meanings = argument_meanings(cls)
    properties = {}
    for name, parameter in constructor_arguments(cls).items():
        if name in GIVEN_ELSEWHERE:
            continue
        properties[name] = {
            **_of_annotation(annotation_of(cls, name)),
            **({"description": meanings[name]} if name in meanings else {}),
            "default": _plain(parameter.default),
        }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_annotation(annotation: Any) -> dict[str, Any]:
    """Return the schema of a type; {} for one that has none."""
    try:
        found = TypeAdapter(annotation).json_schema()
    except PydanticUserError:
        return {}
    # Shared parts would have to stand at the schema's root.
    return {} if "$defs" in found else {k: v for k, v in found.items() if k != "title"}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
