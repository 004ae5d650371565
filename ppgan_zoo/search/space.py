"""Settings of a search with values that are left open: ranges and choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.recipe.explain import explain, first_of


class Range(Section):
    """All numbers from `low` to `high`, whole ones if both are; `log`: each size as likely."""

    low: Any
    high: Any
    log: bool = False

    @field_validator("low", "high")
    @classmethod
    def _is_number(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"found {value!r}; give a number")
        return value

    @model_validator(mode="after")
    def _from_low_to_high(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"high: found {self.high}; give more than low, {self.low}")
        if self.log and not self.low > 0:
            raise ValueError(f"low: found {self.low}; log needs a number above 0")
        return self

    @property
    def ends(self) -> tuple[Any, ...]:
        """The lowest and the highest value."""
        return self.low, self.high


class Choices(Section):
    """One of some values, of any kind."""

    choices: Annotated[tuple[Any, ...], Field(min_length=2, max_length=100)]

    @property
    def ends(self) -> tuple[Any, ...]:
        """All values: none is between others."""
        return self.choices


@dataclass(frozen=True)
class Space:
    """A setting that stands for many.

    Attributes:
        name: Of the setting.
        fixed: Keys with a value.
        free: Keys whose value is to be found.
    """

    name: str
    fixed: Mapping[str, Any]
    free: Mapping[str, Range | Choices]

    def trial_name(self, number: int) -> str:
        """Return the name of the setting that one trial is."""
        return f"{self.name}-{number:03d}"

    def number_of(self, setting: str) -> int | None:
        """Return which trial the setting of a name is; None if it is none."""
        name, _, number = setting.rpartition("-")
        is_trial = number.isascii() and number.isdigit() and setting == self.trial_name(int(number))
        return int(number) if name == self.name and is_trial else None

    def ends(self) -> list[dict[str, Any]]:
        """Return settings that have both ends of every range and each of all choices."""
        found = {key: open_.ends for key, open_ in self.free.items()}
        return [
            {**self.fixed, **{key: ends[number % len(ends)] for key, ends in found.items()}}
            for number in range(max(map(len, found.values())))
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the ranges as plain data."""
        return {key: open_.model_dump(mode="json") for key, open_ in self.free.items()}


def space_of(name: str, setting: Mapping[str, Any]) -> Space | None:
    """Return what a setting leaves open; None if that is nothing.

    Raises:
        ConfigError: A range that is none.
    """
    free: dict[str, Range | Choices] = {}
    for key, value in setting.items():
        if not isinstance(value, Mapping) or not {"low", "high", "choices"} & set(value):
            continue
        kind: type[Range | Choices] = Choices if "choices" in value else Range
        try:
            free[key] = kind.model_validate(value)
        except ValidationError as error:
            first = first_of(error)
            inner = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{key}: {explain(first, inner, kind)}") from None
    fixed = {key: value for key, value in setting.items() if key not in free}
    return Space(name, fixed, free) if free else None
