"""Sections that say what is watched, kept and done in trouble; none changes what is trained."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ppgan_zoo.recipe.base import FeaturesName, LogName, MetricName, Needs, Positive, Section
from ppgan_zoo.recipe.bounds import FEWEST_IMAGES, MOST_SAMPLES


class Samples(Section):
    """Sample grids from a fixed z; `real_rows` rows of real images stand above."""

    every_steps: Positive | None = None
    grid: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (8, 8)
    real_rows: Annotated[int, Field(ge=0, le=64)] = 0


def _one_or_several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Log(Section):
    """Where curves, grids and weight histograms are recorded, and how often.

    `to`: a name, a list of names, or an empty list for nowhere.
    """

    to: Annotated[tuple[LogName, ...], BeforeValidator(_one_or_several)] = ("visualdl",)
    every_steps: Positive = 10
    histogram_every_steps: Positive | None = None

    @field_validator("to")
    @classmethod
    def _each_once(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for place, name in enumerate(to) if name in to[:place]), None)
        if twice is not None:
            raise ValueError(f"{twice!r} stands twice; name each log once")
        return to


class Checkpoints(Section):
    """When to save, how many of the last to keep, and by what figure the best is chosen."""

    every_steps: Positive | None = None
    keep_last: Annotated[int, Field(ge=1, le=1000)] = 2
    best_by: Literal["sliced_wasserstein", "fid"] | None = "sliced_wasserstein"


_EVALUATIONS = Needs(
    "evaluation.every_steps",
    lambda recipe: recipe.evaluation.every_steps is not None or recipe.checkpoint.best_by == "fid",
)


class EvaluationSection(Section):
    """Metrics while training continues. `features` None takes the image set's own network."""

    every_steps: Positive | None = None
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)] = ("fid",)
    num_samples: Annotated[int, Field(ge=FEWEST_IMAGES, le=MOST_SAMPLES)] = 2000
    features: FeaturesName | None = None
    weights: str | None = None
    split: Literal["train", "test"] = "train"

    needs: ClassVar = dict.fromkeys(
        ("metrics", "num_samples", "features", "weights", "split"), _EVALUATIONS
    )

    @model_validator(mode="after")
    def _memorisation_needs_held_out_images(self) -> EvaluationSection:
        if "memorisation" in self.metrics and self.split == "train":
            raise ValueError(
                "metrics: memorisation compares with held-out images; set evaluation.split to test"
            )
        return self


class Recovery(Section):
    """What a run does about NaN or infinity, and about a checkpoint that cannot be written."""

    non_finite: Literal["stop", "rollback"] = "stop"
    max_rollbacks: Annotated[int, Field(ge=1, le=1000)] = 3
    write_error: Literal["stop", "continue"] = "stop"

    needs: ClassVar = {
        "max_rollbacks": Needs(
            "recovery.non_finite: rollback",
            lambda recipe: recipe.recovery.non_finite == "rollback",
        )
    }


class Health(Section):
    """The watch for trouble. `every_steps` None: none. `stop_on`: what ends the run.

    `on_early_collapse`: what to do where G has not begun to learn in the `first_phase`, so many
    iterations: warn, stop, or begin again on another random course, `max_restarts` times at
    most. None does not look.
    """

    every_steps: Positive | None = 100
    stop_on: tuple[
        Literal["strong_discriminator", "identical_samples", "vanishing_gradient", "memorisation"],
        ...,
    ] = ()
    on_early_collapse: Literal["warn", "stop", "restart"] | None = None
    first_phase: Positive = 500
    max_restarts: Annotated[int, Field(ge=1, le=100)] = 3

    needs: ClassVar = {
        "first_phase": Needs(
            "health.on_early_collapse",
            lambda recipe: recipe.health.on_early_collapse is not None,
        ),
        "max_restarts": Needs(
            "health.on_early_collapse: restart",
            lambda recipe: recipe.health.on_early_collapse == "restart",
        ),
    }

    @model_validator(mode="after")
    def _stops_only_on_what_it_watches(self) -> Health:
        if self.stop_on and self.every_steps is None:
            raise ValueError("every_steps: stop_on needs checks; set it to a number of iterations")
        return self
