"""Values that change in the course of training."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from ppgan_zoo.errors import first_fault
from ppgan_zoo.recipe.base import Section, Share, Step, check_keys

Number = TypeVar("Number", bound=float)

_TAKES = {
    "linear": {"first", "last", "start_step", "until_step"},
    "cosine": {"first", "last", "start_step", "until_step"},
    "steps": {"first", "at_steps", "factor"},
}
_OPTIONAL = {"start_step", "until_step"}

Milestones = Annotated[tuple[Step, ...], Field(max_length=100)]
Factor = Annotated[float, Field(gt=0.0, le=1e3, allow_inf_nan=False)]


class Schedule(Section, Generic[Number]):
    """A number as a function of the iteration, written in the number's place.

    ``linear`` and ``cosine`` (half a cosine) go from `first` to `last` between iterations
    `start_step` and `until_step`, None for the end of training; ``steps`` multiplies
    `first` by `factor` at each of the iterations `at_steps`.
    """

    name: Literal["linear", "cosine", "steps"]
    first: Number
    last: Number | None = None
    start_step: Step = 0
    until_step: Step | None = None
    at_steps: Milestones = ()
    factor: Factor | None = None

    @model_validator(mode="after")
    def _keys_of_this_schedule(self) -> Schedule[Number]:
        fields = type(self).model_fields
        given = {key for key, value in self if key != "name" and value != fields[key].default}
        takes = _TAKES[self.name]
        check_keys(f"schedule {self.name}", given, takes, needed=takes - _OPTIONAL)
        if self.until_step is not None and self.until_step <= self.start_step:
            raise ValueError(
                f"until_step: found {self.until_step}; it must come after start_step, which is "
                f"{self.start_step}"
            )
        _check_ascending(self.at_steps)
        return self


class LearningRateSchedule(Section):
    """The learning rate over the iterations.

    ``constant``; ``linear`` (from iteration `start` down to `final` times the rate at
    `until_step`, None for the end of training); ``cosine`` (likewise, from the first one on);
    ``inverse_time`` (the rate over ``1 + decay * iteration``); ``steps`` (multiplied by
    `factor` at each of the iterations `at_steps`). With any of them the rate rises in a straight
    line over the first `warmup_steps` iterations.
    """

    name: Literal["constant", "linear", "cosine", "inverse_time", "steps"] = "constant"
    start: Annotated[int, Field(ge=0)] | None = None
    final: Share | None = None
    until_step: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    decay: Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)] | None = None
    at_steps: Milestones = ()
    factor: Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)] | None = None
    warmup_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @model_validator(mode="after")
    def _keys_of_this_schedule(self) -> LearningRateSchedule:
        takes: dict[str, set[str]] = {
            "constant": set(),
            "linear": {"start", "final", "until_step"},
            "cosine": {"final", "until_step"},
            "inverse_time": {"decay"},
            "steps": {"at_steps", "factor"},
        }
        needed = takes[self.name] - {"start", "final", "until_step"}
        of_all = {"name", "warmup_steps"}
        given = {key for key, value in self if key not in of_all and value not in (None, ())}
        check_keys(f"schedule {self.name}", given, takes[self.name], needed)
        if self.until_step is not None and self.until_step <= (self.start or 0):
            raise ValueError(
                f"until_step: found {self.until_step}; it must come after start, which is "
                f"{self.start}"
            )
        _check_ascending(self.at_steps)
        return self


class Adaptive(Section):
    """A probability of augmentation that follows D (ADA, Karras et al. 2020).

    It rises while the mean sign of D's logits of real images is above `target`, so that it
    could go from 0 to 1 in so many real `images`, and is never above `most`.
    """

    name: Literal["adaptive"]
    target: Annotated[float, Field(gt=-1.0, lt=1.0, allow_inf_nan=False)] = 0.6
    images: Annotated[int, Field(ge=1, le=10**12)] = 500_000
    most: Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)] = 0.8


def number_or_schedule(number: Any, *, adaptive: bool = False) -> WrapValidator:
    """Return the check of a value that is a number of this type or a schedule of such numbers.

    A plain union would name both of its members in every message.

    Args:
        number: The type.
        adaptive: Whether it may be :class:`Adaptive` as well.
    """
    plain: TypeAdapter[float] = TypeAdapter(number)
    schedule = Schedule[number]

    def check(value: Any, _: Any) -> Any:
        if isinstance(value, (int, float)):
            return plain.validate_python(value, strict=True)
        if adaptive and isinstance(value, Adaptive):
            return value
        if adaptive and isinstance(value, dict) and value.get("name") == "adaptive":
            return Adaptive.model_validate(value)
        if not isinstance(value, (dict, Schedule)):
            raise PydanticCustomError(
                "number_or_schedule",
                "Input should be a valid number, or a section of {keys}",
                {"keys": ", ".join(Schedule.model_fields)},
            )
        found = schedule.model_validate(value)
        stage = found.first
        for step in found.at_steps:
            stage *= found.factor
            try:
                plain.validate_python(stage, strict=True)
            except ValidationError as error:
                said = first_fault(error).reason
                raise ValueError(
                    f"factor: at iteration {step} the value becomes {stage:g}; {said}"
                ) from None
        return found

    return WrapValidator(check)


def first_value(value: Any) -> Any:
    """Return a value as it is at the beginning: a number itself, or the first of a schedule."""
    return value.first if isinstance(value, Schedule) else value


def _check_ascending(steps: tuple[int, ...]) -> None:
    if any(late <= early for early, late in pairwise(steps)):
        raise ValueError(f"at_steps: found {list(steps)}; each must be later than the one before")
