"""A resumed run is the run that it says it is: what was changed since is refused, or recorded.

The manifest records the recipe of every start, the directory, the machine and the data;
checkpoints hold model and seed. What is on disk now is held against that.
"""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterator, Mapping
from typing import Any

import paddle

from ppgan_zoo import __version__
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.models.facts import ModelFacts
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.schedules import LearningRateSchedule, Schedule
from ppgan_zoo.storage.checkpoint import Checkpoint
from ppgan_zoo.storage.retention import checkpoint_folders
from ppgan_zoo.storage.run_directory import RunDirectory

# A resumed run must stay the run that it was: only these may be given anew.
RESUME_KEYS = (
    "training.epochs", "training.iterations", "samples.", "log.", "checkpoint.", "evaluation.",
    "health.", "recovery.", "device", "data.directory",
)  # fmt: skip

# Of what the manifest records of a machine: what the last digits of the numbers depend on.
ARITHMETIC = (
    "device",
    "threads",
    "processes",
    "paddle",
    "processor",
    "processor_kind",
    "machine",
    "amd_mkl",
    "convolutions",
)


# Of what a process trains on: what may be different on another machine.
OF_A_MACHINE = (("recipe", "data", "directory"), ("recipe", "evaluation", "weights"),
                ("data", "location"), ("data", "source"))  # fmt: skip


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


_MISSING = _Missing()


def may_change(key: str) -> bool:
    """Tell whether a resume may set this key of the recipe anew."""
    return key.startswith(RESUME_KEYS)


def schedules_of_the_whole(recipe: Recipe) -> list[str]:
    """Return the keys whose schedule lasts until the end of training, whenever that is."""
    return sorted(_lasting(recipe, ""))


def _lasting(section: Any, prefix: str) -> Iterator[str]:
    if isinstance(section, LearningRateSchedule | Schedule):
        if section.name in ("linear", "cosine") and section.until_step is None:
            yield prefix
    elif isinstance(section, Section):
        for key, value in section:
            yield from _lasting(value, f"{prefix}.{key}".lstrip("."))
    elif isinstance(section, tuple):
        for place, value in enumerate(section):
            yield from _lasting(value, f"{prefix}.{place}")


def check_recipe(run: RunDirectory, recipe: Recipe) -> None:
    """Make sure that nobody changed what the run's recipe may not change.

    Args:
        run: The run.
        recipe: As its ``recipe.yml`` says now, without overrides.

    Raises:
        ConfigError: A key that may not be given anew was changed by hand.
        CheckpointError: There are checkpoints and no manifest.
    """
    starts = run.starts()
    if not starts:
        if checkpoint_folders(run.checkpoints):
            raise CheckpointError(
                f"{run.manifest}: is missing, so that nothing tells what data and recipe the run "
                "was started with; put it back, or start a new run"
            )
        return
    recorded = starts[-1].get("recipe")
    if recorded is None:  # of an older ppgan_zoo
        return
    if not isinstance(recorded, Mapping):
        raise CheckpointError(f"{run.manifest}: cannot be read: a start's recipe is no mapping")
    before: Recipe = recipe_from(recorded, f"{run.manifest}: recipe")
    here = recipe.model_dump(mode="json")
    for key, was, now in differences(before.model_dump(mode="json"), here):
        if not may_change(key):
            raise ConfigError(
                f"{run.recipe}: {key}: was changed by hand: the run started with {was}, and "
                f"here is {now}; put it back, or start a new run"
            )


def check_checkpoint(checkpoint: Checkpoint, recipe: Recipe, facts: ModelFacts) -> None:
    """Make sure that a checkpoint is of this run.

    Raises:
        CheckpointError: It is of another model or another seed.
    """
    own = json.loads(json.dumps({"seed": recipe.seed, "model": facts.to_json()}))
    held = {"seed": checkpoint.manifest.get("seed", recipe.seed), "model": dict(checkpoint.model)}
    for key, was, now in differences(held, own):
        if _MISSING not in (was, now):  # an argument that came with another version of the model
            raise CheckpointError(
                f"{checkpoint.path}: is of another run: its {key} is {was}, and the recipe makes "
                f"it {now}; move it away"
            )


def changes_of_machine(before: Any, now: Mapping[str, Any]) -> str | None:
    """Return a line on what the numbers' last digits depend on and is not as it was, or None."""
    found = [
        f"{key} {now.get(key)} (before: {before[key]})"
        for key in ARITHMETIC
        if isinstance(before, Mapping) and key in before and before[key] != now.get(key)
    ]
    if not found:
        return None
    return (
        f"resumed with {', '.join(found)}: the run continues as before except for rounding, so "
        "the bytes will differ"
    )


def common_facts(recipe: Recipe, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same in all processes that train a recipe together.

    Args:
        recipe: The recipe.
        data: As :meth:`ppgan_zoo.run.job.Job.describe_data` describes them.
    """
    facts: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "data": dict(data),
        "ppgan_zoo": __version__,
        "paddle": paddle.__version__,
    }
    for *sections, key in OF_A_MACHINE:
        del functools.reduce(operator.getitem, sections, facts)[key]
    return facts


def differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted key of every difference, and both values."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*before, *now)):
            inner = f"{key}.{name}" if key else str(name)
            yield from differences(before.get(name, _MISSING), now.get(name, _MISSING), inner)
    elif before != now:
        yield key, before, now
