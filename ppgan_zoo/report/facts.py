"""What a report says of a run, read from its directory; imports no Paddle."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import CheckpointError, DataError, os_errors
from ppgan_zoo.evaluation.growth import Grid, read_growth
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.storage.files import absolute, read_regular
from ppgan_zoo.storage.progress import read_progress
from ppgan_zoo.storage.retention import list_checkpoints
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.visualdl_reader import read_scalars

BEGINS = re.compile(r"(?:WARNING|ERROR) health: (\w+) at iteration (\d{1,18}): (.*)")
ENDS = re.compile(r"INFO health: (\w+) is over \(iteration (\d{1,18})\)")
MOST_LOG_BYTES = 64 << 20
MOST_EVENTS = 50

Points = list[tuple[int, float]]
"""Iteration and value, in the order of the iterations."""


@dataclass(frozen=True)
class Event:
    """Something that the health checks named.

    Attributes:
        iteration: When it began.
        name: Of the trouble.
        text: What was found, and the remedy.
        until: When it was over; None if it never was.
    """

    iteration: int
    name: str
    text: str
    until: int | None = None


@dataclass(frozen=True)
class Neighbours:
    """Samples, and the nearest training picture of each.

    Attributes:
        samples: ``uint8 [N, C, H, W]``.
        nearest: The same.
        ratio: The median distance of the samples to their nearest, over that of training pictures
            to their nearest other one: about 1 for pictures of one kind, near 0 for copies.
        measured_by: What is compared: the name of a feature network, or ``"pixels"``.
        trained_on: How many training pictures were searched.
        is_known: Whether they are known to be those that the run was trained on.
    """

    samples: NDArray[np.uint8]
    nearest: NDArray[np.uint8]
    ratio: float
    measured_by: str
    trained_on: int
    is_known: bool


@dataclass(frozen=True)
class RunFacts:
    """A run as a report shows it.

    Attributes:
        path: Its directory.
        recipe: The whole recipe, as plain data.
        curves: Points by tag, such as ``loss/generator``.
        grids: Sample grids, oldest first; may be empty.
        events: What the health checks named, oldest first.
        iterations: How many are done, and of how many; None if that is not known.
        seconds: What they took.
        starts: What the manifest records of every start, oldest first.
        restarts: How often it began again from other weights.
        evaluations: Results of evaluations of its checkpoints.
        neighbours: Samples beside their nearest training pictures; None if not looked for.
    """

    path: Path
    recipe: Mapping[str, Any]
    curves: Mapping[str, Points]
    grids: Sequence[Grid]
    events: Sequence[Event]
    iterations: tuple[int, int] | None
    seconds: float
    starts: Sequence[Mapping[str, Any]]
    restarts: int
    evaluations: Sequence[Mapping[str, Any]]
    neighbours: Neighbours | None = None

    @property
    def name(self) -> str:
        """What the directory is called, also where it is given as ``.``."""
        return absolute(self.path).name

    @property
    def is_complete(self) -> bool:
        """Whether all iterations of the recipe are done."""
        return self.iterations is not None and self.iterations[0] >= self.iterations[1]


def read_run(
    path: Path, *, frames: int = 40, results: Sequence[Mapping[str, Any]] = ()
) -> RunFacts:
    """Read all that a report says of a run, finished or not.

    Args:
        path: Its directory.
        frames: The most sample grids to take.
        results: Of evaluations, of this run's checkpoints or of others.

    Raises:
        CheckpointError: There is no run.
        ConfigError: Its recipe cannot be read.
        DataError: A sample grid cannot be read.
    """
    run = RunDirectory(path)
    run.check()
    progress = read_progress(run.progress)
    checkpoints = {found.sha256 for found in list_checkpoints(run.checkpoints)}
    return RunFacts(
        path=path,
        recipe=load_recipe(run.recipe).model_dump(mode="json"),
        curves=_curves(run),
        grids=_grids(run, frames),
        events=read_events(run.log),
        iterations=None if progress is None else (progress.done, progress.iterations),
        seconds=0.0 if progress is None else progress.seconds,
        starts=run.starts(),
        restarts=max((found.restarts for found in list_checkpoints(run.checkpoints)), default=0),
        evaluations=[one for one in results if one["model"]["sha256"] in checkpoints],
    )


def read_events(log: Path) -> list[Event]:
    """Return what the health checks named, from a run's log; the first 50 of them.

    Raises:
        CheckpointError: The log cannot be read.
    """
    if not log.exists():
        return []
    with os_errors(CheckpointError, f"{log}: cannot be read"):
        text = read_regular(log, MOST_LOG_BYTES).decode(errors="replace")
    events: list[Event] = []
    for line in text.splitlines():
        if (begun := BEGINS.search(line)) and len(events) < MOST_EVENTS:
            events.append(Event(int(begun[2]), begun[1], begun[3]))
        elif over := ENDS.search(line):
            for place, event in reversed(list(enumerate(events))):
                if event.name == over[1] and event.until is None:
                    events[place] = Event(event.iteration, event.name, event.text, int(over[2]))
                    break
    return events


def differing_settings(runs: Sequence[RunFacts]) -> dict[str, list[str]]:
    """Return the keys of the recipes in which runs differ, with the value of each run."""
    flat = [_flat(run.recipe) for run in runs]
    keys = {key: None for settings in flat for key in settings}
    values = {key: [settings.get(key, "-") for settings in flat] for key in keys}
    return {key: found for key, found in values.items() if len(set(found)) > 1}


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = json.dumps(value, ensure_ascii=False)
    return found


def _curves(run: RunDirectory) -> dict[str, Points]:
    """Return the curves; none of a run that has recorded nothing, or damaged records."""
    try:
        return read_scalars(absolute(run.visualdl))
    except DataError:
        return {}


def _grids(run: RunDirectory, frames: int) -> list[Grid]:
    try:
        return read_growth(run, frames)
    except CheckpointError:  # none is drawn yet
        return []
