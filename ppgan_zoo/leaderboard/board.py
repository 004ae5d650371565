"""What came of a board's runs, of one machine or of several."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from ppgan_zoo.errors import ConfigError, first_fault, os_errors
from ppgan_zoo.leaderboard.record import BoardName, Judged, Planned, Record
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.search.plan import SETTING_NAME
from ppgan_zoo.search.results import Result, SearchDirectory
from ppgan_zoo.search.summary import Spread, floor_of, has_collapsed
from ppgan_zoo.stability.report import wilson
from ppgan_zoo.storage.files import read_regular

FILE = "leaderboard.json"
FORMAT = 2
MAX_BYTES = 64 << 20
SAME_FLOOR = 1e-3
"""By how large a part floors of two machines may differ: they round differently."""

NETS = ("generator", "discriminator")
MOST = 1 << 62
"""Of what is counted."""

Count = Annotated[int, Field(ge=0, le=MOST)]
Figures = dict[str, FiniteFloat | None]
Outcome = Literal["good", "restarted", "collapsed", "failed"]


class Score(Section):
    """One run.

    Attributes:
        seed: Of everything random.
        outcome: ``good``, or how it went wrong.
        failure: Stage and message of a run that failed.
        cut: Whether it was stopped for taking far longer than the budget.
        restarts: How often it began again, since G had not begun to learn.
        cpu_minutes: Processor time of its training, with what restarts lost; None if it never
            began.
        minutes: The same by the clock.
        images: Real images that it saw, with those that restarts lost.
        iterations: That it did.
        curve: CPU minutes, iteration and FID of its checkpoints.
        processor: That it ran on.
        zoo: Version of the zoo.
        git_commit: Of the zoo, in a checkout.
        figures: By name; empty for a run that failed.
    """

    seed: int
    outcome: Outcome
    failure: str | None = None
    cut: bool = False
    restarts: Count = 0
    cpu_minutes: FiniteFloat | None = None
    minutes: FiniteFloat | None = None
    images: Count | None = None
    iterations: Count | None = None
    curve: tuple[tuple[FiniteFloat, Count, FiniteFloat], ...] = ()
    processor: str | None = None
    zoo: str | None = None
    git_commit: str | None = None
    figures: Figures = Field(default={})


class Entry(Section):
    """One recipe on a board.

    Attributes:
        recipe: Its name.
        recipe_sha256: Of what it says, whatever its length and seed are made to be.
        model: Of its architecture.
        settings: Where its settings are from: ``tuned``, ``published``, ``reduced``, ``own``.
        parameters: That learn, of each net; None if they were not counted yet.
        memory_mib: That training holds at once, estimated, beside Paddle itself; None likewise.
        planned: The seeds that were asked for.
        runs: Those that are done, by seed.
    """

    recipe: Annotated[str, Field(pattern=f"^{SETTING_NAME.pattern}$")]  # is part of a file's name
    recipe_sha256: str
    model: str
    settings: str
    parameters: dict[str, Count] | None
    memory_mib: Count | None
    planned: tuple[int, ...]
    runs: tuple[Score, ...]

    @property
    def missing(self) -> list[int]:
        """The seeds that were asked for and are not done."""
        done = {run.seed for run in self.runs}
        return [seed for seed in self.planned if seed not in done]


class BoardResult(Section):
    """A board: what it is measured by, its entries, and real images measured as samples."""

    judged: Judged | None
    floor: Figures | None
    entries: dict[str, Entry]

    @model_validator(mode="after")
    def _check_entries(self) -> BoardResult:
        for name, entry in self.entries.items():
            if name != entry.recipe:
                raise ValueError(f"entry {name!r} is of the recipe {entry.recipe!r}")
            if entry.parameters is not None and not set(NETS) <= set(entry.parameters):
                raise ValueError(
                    f"entry {name!r}: parameters must be those of {' and '.join(NETS)}"
                )
        return self


class Leaderboard(Section):
    """Everything: what ``leaderboard.json`` holds. `minutes`: of the processor, for each run."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    minutes: FiniteFloat
    boards: dict[BoardName, BoardResult]

    @property
    def runs(self) -> list[Score]:
        """All runs that are done."""
        entries = (entry for board in self.boards.values() for entry in board.entries.values())
        return [run for entry in entries for run in entry.runs]


def gather(record: Record, folder: Path) -> Leaderboard:
    """Return all that a leaderboard's folder holds, whichever call made it.

    Raises:
        ConfigError: A result cannot be read.
    """
    boards = {}
    for name, planned in record.boards.items():
        results = SearchDirectory(folder / name).all_results()
        floor = floor_of(results)
        boards[name] = BoardResult(
            judged=record.data.get(name.removesuffix("_labels")),
            floor=None if floor is None else dict(floor),
            entries={
                recipe: _entry(recipe, plan, results, floor) for recipe, plan in planned.items()
            },
        )
    return Leaderboard(minutes=record.minutes, boards=boards)


def _entry(
    name: str,
    planned: Planned,
    results: Iterable[Result],
    floor: Mapping[str, float | None] | None,
) -> Entry:
    own = [
        score(result, floor)
        for result in results
        if (result.setting, result.recipe_sha256) == (name, planned.recipe_sha256)
    ]
    return Entry(
        recipe=name,
        recipe_sha256=planned.recipe_sha256,
        model=planned.model,
        settings=planned.settings,
        parameters=planned.parameters,
        memory_mib=planned.memory_mib,
        planned=planned.seeds,
        runs=tuple(sorted(own, key=lambda run: run.seed)),
    )


def score(result: Result, floor: Mapping[str, float | None] | None) -> Score:
    """Return what counts of a run of a search."""
    training, failure = result.training, result.failure
    outcome: Outcome = "good"
    if failure is not None:
        outcome = "failed"
    elif has_collapsed(result.metrics, floor):
        outcome = "collapsed"
    elif result.is_restarted:
        outcome = "restarted"
    return Score(
        seed=result.seed,
        outcome=outcome,
        failure=None if failure is None else str(failure),
        cut=result.cut,
        restarts=training.restarts if training else 0,
        cpu_minutes=training.cpu_minutes if training else None,
        minutes=training.minutes if training else None,
        images=training.images if training else None,
        iterations=training.iterations if training else None,
        curve=result.curve if failure is None else (),
        processor=training.processor if training else None,
        zoo=training.zoo if training else None,
        git_commit=training.git_commit if training else None,
        figures=dict(result.metrics),
    )


@dataclass(frozen=True)
class Line:
    """An entry as it stands in the table.

    Attributes:
        entry: The entry.
        figures: Mean and deviation of each over the runs that did not fail.
        good: How many runs neither failed, nor collapsed, nor began again.
        interval: 95 % interval of their share; None without a run.
        cpu_minutes: Mean processor time of training; None if no run began.
        minutes: The same by the clock.
        images: Mean number of real images seen.
    """

    entry: Entry
    figures: dict[str, Spread | None]
    good: int
    interval: tuple[float, float] | None
    cpu_minutes: float | None
    minutes: float | None
    images: float | None

    @property
    def fid(self) -> Spread | None:
        """FID over the runs that did not fail."""
        return self.figures.get("fid")

    @property
    def curve(self) -> list[tuple[float, float]]:
        """CPU minutes and FID at each checkpoint, means of the runs that have it."""
        curves = [run.curve for run in self.entry.runs]
        points = []
        for place in range(max(map(len, curves), default=0)):
            here = [curve[place] for curve in curves if len(curve) > place]
            minutes, _, fids = zip(*here, strict=True)
            points.append((statistics.fmean(minutes), statistics.fmean(fids)))
        return points


def lines_of(board: BoardResult) -> list[Line]:
    """Return the lines of a board, best mean FID first.

    Recipes of which most runs failed come after the others, and those without a figure last.
    """

    def place(line: Line) -> tuple[bool, float, str]:
        runs = line.entry.runs
        failed = sum(run.outcome == "failed" for run in runs)
        fid = math.inf if line.fid is None else line.fid.mean
        return not runs or 2 * failed > len(runs), fid, line.entry.recipe

    return sorted(map(_line, board.entries.values()), key=place)


def _line(entry: Entry) -> Line:
    measured = [run for run in entry.runs if run.outcome != "failed"]
    names = {name for run in measured for name in run.figures}
    good = sum(run.outcome == "good" for run in entry.runs)
    return Line(
        entry=entry,
        figures={name: Spread.of(run.figures.get(name) for run in measured) for name in names},
        good=good,
        interval=wilson(good, len(entry.runs)) if entry.runs else None,
        cpu_minutes=_mean([run.cpu_minutes for run in entry.runs]),
        minutes=_mean([run.minutes for run in entry.runs]),
        images=_mean([run.images for run in entry.runs]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def read_leaderboard(folder: Path) -> Leaderboard:
    """Read the ``leaderboard.json`` of a folder.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    file = folder / FILE
    with os_errors(ConfigError, f"{file}: cannot be read", "give a leaderboard's folder"):
        text = read_regular(file, MAX_BYTES)
    try:
        return Leaderboard.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"{file}: is no leaderboard: {first_fault(error)}") from None


def merge(parts: Sequence[tuple[str, Leaderboard]]) -> Leaderboard:
    """Put the parts of several machines together.

    Args:
        parts: Each with its name, for messages.

    Raises:
        ConfigError: Two are of another budget, were measured by other images, features or
            floors, have another recipe of one name, or hold the same run with other figures.
    """
    (first, whole), *others = parts
    boards = dict(whole.boards)
    for name, part in others:
        if part.minutes != whole.minutes:
            raise ConfigError(
                f"{name}: is of a budget of {part.minutes:g} minutes, and {first} of "
                f"{whole.minutes:g}; merge those of one budget"
            )
        for board, result in part.boards.items():
            mine = boards.get(board)
            boards[board] = result if mine is None else _merged(mine, result, f"{name}: {board}")
    return Leaderboard(minutes=whole.minutes, boards=boards)


def _merged(mine: BoardResult, other: BoardResult, where: str) -> BoardResult:
    if mine.judged and other.judged and mine.judged != other.judged:
        key = next(key for key, value in mine.judged if value != getattr(other.judged, key))
        raise ConfigError(
            f"{where}: {key} is {getattr(other.judged, key)[:12]}, and before it "
            f"{getattr(mine.judged, key)[:12]}; merge what was measured by the same"
        )
    _check_floor(mine.floor or {}, other.floor or {}, where)
    entries = dict(mine.entries)
    for name, entry in other.entries.items():
        known = entries.get(name, entry)
        if known.recipe_sha256 != entry.recipe_sha256:
            raise ConfigError(
                f"{where}: {name}: is another recipe than that of this name before it; merge runs "
                "of one version of the zoo"
            )
        runs = {run.seed: run for run in known.runs}
        for run in entry.runs:
            if runs.setdefault(run.seed, run) != run:
                raise ConfigError(
                    f"{where}: {name}, seed {run.seed}: is in another part too, with other "
                    "figures; merge each run once"
                )
        counted = known if known.parameters is not None else entry
        entries[name] = counted.model_copy(
            update={
                "planned": tuple(sorted({*known.planned, *entry.planned})),
                "runs": tuple(runs[seed] for seed in sorted(runs)),
            }
        )
    return BoardResult(
        judged=mine.judged or other.judged, floor=mine.floor or other.floor, entries=entries
    )


def _check_floor(mine: Figures, other: Figures, where: str) -> None:
    for name in mine.keys() & other.keys():
        one, two = mine[name], other[name]
        if one is None or two is None or math.isclose(one, two, rel_tol=SAME_FLOOR, abs_tol=1e-6):
            continue
        raise ConfigError(
            f"{where}: {name} of real images is {two:g}, and before it {one:g}; merge what was "
            "measured in the same way"
        )
