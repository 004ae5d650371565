"""How many iterations of a recipe fit into a budget, and the recipe made that long."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ppgan_zoo import runtime
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.recipe.recipe import Recipe

if TYPE_CHECKING:
    from ppgan_zoo.run.job import Job
    from ppgan_zoo.search.results import Training

STEPS = frozenset({"start", "start_step", "until_step", "at_steps", "warmup_steps"})
"""Keys that name an iteration, wherever in a recipe they stand."""

IMAGES = frozenset({"half_life", "images"})
"""Keys that say for how many images, or hold a schedule of it."""

LARGEST_DECAY = 1.0 - 1e-9
"""Of an average: below 1, whatever it was stretched by."""

BUSY_SHARE = 0.95
"""Part of the budget that iterations may take; the rest is for checkpoints and a grid."""

TIMED_SHARE, TIMED_SECONDS, TIMED_MOST = 1 / 30, 10.0, 64
"""For how long to time a recipe: a part of the budget, but no more seconds and iterations."""


class Pace(Section):
    """How fast a recipe is, and what it is thus given.

    Attributes:
        processor, processor_kind: That it was timed on, as in a run's manifest.
        cpu_seconds: Processor time of an iteration.
        own: Iterations of the recipe as it is.
        iterations: Those that fit into the budget.
        runs: How many whole runs it is the mean of; 0 where a few iterations were timed.
    """

    processor: str
    processor_kind: str = ""
    cpu_seconds: Annotated[float, Field(gt=0.0)]
    own: Annotated[int, Field(ge=1)]
    iterations: Annotated[int, Field(ge=1)]
    runs: Annotated[int, Field(ge=0)] = 0

    def after(self, run: Training, minutes: float) -> Pace:
        """Return the pace with what a whole run took, checkpoints and all.

        A run tells more than a few iterations before it: it lasts as long as the next one will,
        beside the same other work.

        Args:
            run: On this processor, of this recipe.
            minutes: The budget.
        """
        done = run.iterations + run.lost_iterations
        if not run.cpu_seconds or not done:
            return self
        seconds = (self.runs * self.cpu_seconds + run.cpu_seconds / done) / (self.runs + 1)
        fitting = max(1, int(60 * minutes / seconds))
        changed = {"cpu_seconds": seconds, "iterations": fitting, "runs": self.runs + 1}
        return self.model_copy(update=changed)


def time_job(job: Job, minutes: float) -> Pace:
    """Return how many iterations of a job fit into so many minutes of the processor.

    The job's trainer is another afterwards.
    """
    from ppgan_zoo.callbacks.pace import seconds_of_an_iteration

    seconds, _ = seconds_of_an_iteration(
        job.trainer,
        job.batches,
        seconds=min(TIMED_SHARE * 60 * minutes, TIMED_SECONDS),
        most=TIMED_MOST,
        clock=time.process_time,
    )
    here = runtime.processor()
    seconds = max(seconds, 1e-6)  # the clock of the processor has steps
    return Pace(
        processor=here["processor"],
        processor_kind=here["processor_kind"],
        cpu_seconds=seconds,
        own=job.iterations,
        iterations=max(1, int(BUSY_SHARE * 60 * minutes / seconds)),
    )


def stretched(recipe: Recipe, length: int, new: int) -> dict[str, Any]:
    """Return the keys to set, as after ``-o``, for a recipe to take another number of iterations.

    Whatever a recipe names an iteration for (the start of a schedule, the end of noise) moves
    along, so that it stays at the same share of the run; so does what it names images for (the
    half-life of an average, the pace of an adaptive augmentation), the decay of the average of
    G's weights, and a rate's decay by time.

    Args:
        recipe: The recipe.
        length: Its iterations.
        new: Those that it is to have.
    """
    changed: dict[str, Any] = {"training.epochs": None, "training.iterations": new}
    for section, values in recipe.model_dump(mode="json", exclude_defaults=True).items():
        if section != "training":
            _stretch(values, section, new / length, changed)
    if recipe.ema.decay is not None:  # its half-life in iterations takes new / length
        changed["ema.decay"] = min(recipe.ema.decay ** (length / new), LARGEST_DECAY)
    return changed


def _stretch(values: Any, place: str, by: float, changed: dict[str, Any]) -> None:
    """Note every value below `place` that says when or for how long; a list is noted whole."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if _says_when(key, values):
                changed[f"{place}.{key}"] = _moved(key, value, by)
            else:
                _stretch(value, f"{place}.{key}", by, changed)
    elif isinstance(values, list) and any(map(_holds_when, values)):
        changed[place] = [_copy(value, by) for value in values]


def _says_when(key: str, of: Mapping[str, Any]) -> bool:
    """Tell whether a key of a section says when something happens, or for how long."""
    return key in STEPS | IMAGES or (key == "decay" and of.get("name") == "inverse_time")


def _holds_when(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_says_when(key, value) or _holds_when(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_holds_when, value))


def _copy(value: Any, by: float) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _moved(key, inner, by) if _says_when(key, value) else _copy(inner, by)
            for key, inner in value.items()
        }
    return [_copy(inner, by) for inner in value] if isinstance(value, list) else value


def _moved(key: str, value: Any, by: float) -> Any:
    if isinstance(value, list):
        return [_moved(key, each, by) for each in value]
    if isinstance(value, Mapping):  # a schedule of images
        ends = {each: value[each] * by for each in ("first", "last") if each in value}
        return {**_copy(value, by), **ends}
    if value is None:
        return None
    if key == "half_life":
        return value * by
    if key == "decay":
        return min(1.0, value / by)
    least = 1 if key in ("until_step", "images") else 0  # an end must come after its start
    return max(least, round(value * by))
