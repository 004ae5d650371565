"""What every section of a recipe is made of: its base, and the types of its values.

Bounds that more than one section has stand here; a bound of one key stands at that key; one
that others check too stands in ``bounds``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, WrapValidator
from pydantic_core import PydanticCustomError

from ppgan_zoo.errors import PluginError, UnknownNameError
from ppgan_zoo.recipe.bounds import LEAST_COUNT
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

Positive = Annotated[int, Field(ge=LEAST_COUNT, le=2**31 - 1)]
Step = Annotated[int, Field(ge=0, le=2**31 - 1)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0.0, le=10.0, allow_inf_nan=False)]

MAX_NAME = 60


class Needs(NamedTuple):
    """What must be set for a key to have an effect.

    Attributes:
        words: The key to set, as the user writes it: ``"ema.decay"``.
        given: Whether a whole recipe has it.
    """

    words: str
    given: Callable[[Any], bool]


class Section(BaseModel):
    """Base of every section: strict types, no unknown key, nothing changed later.

    Attributes:
        moved: Keys that a section had once, with their names at the top level now.
        needs: Keys that have no effect unless another key is set
            (:func:`keys_without_effect`).
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    moved: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[Mapping[str, Needs]] = {}


def keys_without_effect(recipe: Section) -> list[str]:
    """Return a line for each key that is set to something and has no effect.

    A key at its default counts as not set: in the recipe that a run keeps, every key stands.
    """
    return _without_effect(recipe, recipe, "")


def _without_effect(section: Section, recipe: Section, prefix: str) -> list[str]:
    lines = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        needed = section.needs.get(key)
        if needed and value != field.default and not needed.given(recipe):
            lines.append(
                f"{prefix}{key}: has no effect without {needed.words}; set that one, or leave "
                f"{key} out"
            )
        elif isinstance(value, Section):
            lines += _without_effect(value, recipe, f"{prefix}{key}.")
    return lines


def check_keys(kind: str, given: set[str], takes: set[str], needed: set[str]) -> None:
    """Refuse keys that belong to another choice, such as those of another schedule.

    Args:
        kind: What was chosen, in words: ``"schedule cosine"``.
        given: The keys that were given, beside the choice.
        takes: The keys that it takes.
        needed: Those of them that it cannot do without.

    Raises:
        ValueError: A key that it does not take, or one that is missing.
    """
    for key in sorted(given - takes):
        raise ValueError(
            f"{key}: {kind} does not take it; it takes {', '.join(sorted(takes)) or 'no other key'}"
        )
    for key in sorted(needed - given):
        raise ValueError(f"{key}: {kind} needs it")


def _name_in(registry: Registry[Any]) -> AfterValidator:
    """Return the check that a text is a name of `registry`; it imports nothing of it."""

    def check(name: str) -> str:
        try:
            registry.check_name(name)
        except UnknownNameError:
            # Said anew, since what the file has in place of a name can be of any length.
            short = name if len(name) <= MAX_NAME else name[: MAX_NAME - 3] + "..."
            error = UnknownNameError(registry.kind, short, registry.names())
            raise ValueError(str(error)) from None
        except PluginError as error:
            raise ValueError(str(error)) from None
        return name

    return AfterValidator(check)


def name_or_section(name: Any, section: type[Section]) -> WrapValidator:
    """Return the check of a value that is a name of this type, or a section that has one.

    A plain union would name both of its members in every message.
    """
    plain: TypeAdapter[str] = TypeAdapter(name)

    def check(value: Any, _: Any) -> Any:
        if isinstance(value, str):
            return plain.validate_python(value, strict=True)
        if isinstance(value, (dict, section)):
            return section.model_validate(value)
        raise PydanticCustomError(
            "name_or_section", "Input should be a name, or a section with a name"
        )

    return WrapValidator(check)


ModelName = Annotated[str, _name_in(MODELS)]
DataName = Annotated[str, _name_in(DATA)]
ObjectiveName = Annotated[str, _name_in(OBJECTIVES)]
TermName = Annotated[str, _name_in(TERMS)]
AugmentationName = Annotated[str, _name_in(AUGMENTATIONS)]
MetricName = Annotated[str, _name_in(METRICS)]
FeaturesName = Annotated[str, _name_in(FEATURES)]
LogName = Annotated[str, _name_in(LOGS)]
