"""What came of a board's runs, of one machine or of several."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.search.results import Result
from ppgan_zoo.search.summary import Spread, has_collapsed
from ppgan_zoo.stability.report import wilson
from ppgan_zoo.storage.files import read_regular

FORMAT = 1
MAX_BYTES = 64 << 20
Figures = dict[str, float | None]


class Score(Section):
    """One run.

    Attributes:
        seed: Of everything random.
        outcome: ``good``, or how it went wrong.
        minutes: Of training; None if it never began.
        images: Real images that it saw.
        iterations: That it did.
        processor: That it ran on.
        figures: By name; empty for a run that failed.
    """

    seed: int
    outcome: Literal["good", "collapsed", "failed"]
    minutes: float | None
    images: int | None
    iterations: int | None
    processor: str | None
    figures: Figures


class Entry(Section):
    """One recipe on a board.

    Attributes:
        recipe: Its name.
        model: Of its architecture.
        parameters: That learn, of each net.
        memory_mib: That training holds at once, estimated, beside Paddle itself.
        runs: All of them, by seed.
    """

    recipe: str
    model: str
    parameters: dict[str, int]
    memory_mib: int
    runs: tuple[Score, ...]


class BoardResult(Section):
    """A board: its entries, and the figures of real images measured as samples."""

    features: str | None
    floor: Figures | None
    entries: dict[str, Entry]


class Leaderboard(Section):
    """Everything: what ``leaderboard.json`` holds."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    minutes: float
    boards: dict[str, BoardResult]


def score(result: Result, floor: Mapping[str, float | None] | None) -> Score:
    """Return what counts of a run of a search."""
    training = result.training
    collapsed = result.failure is None and has_collapsed(result.metrics, floor)
    return Score(
        seed=result.seed,
        outcome="failed" if result.failure else "collapsed" if collapsed else "good",
        minutes=training.minutes if training else None,
        images=training.images if training else None,
        iterations=training.iterations if training else None,
        processor=training.processor if training else None,
        figures=dict(result.metrics),
    )


@dataclass(frozen=True)
class Line:
    """An entry as it stands in the table.

    Attributes:
        entry: The entry.
        figures: Mean and deviation of each over the runs that did not fail.
        good: How many runs neither failed nor collapsed.
        interval: 95 % interval of their share.
        minutes: Mean minutes of training; None if no run began.
        images: Mean number of real images seen.
    """

    entry: Entry
    figures: dict[str, Spread | None]
    good: int
    interval: tuple[float, float]
    minutes: float | None
    images: float | None


def lines_of(board: BoardResult) -> list[Line]:
    """Return the lines of a board, best mean FID first; entries without a figure come last."""
    lines = [_line(entry) for entry in board.entries.values() if entry.runs]

    def fid(line: Line) -> tuple[float, str]:
        spread = line.figures.get("fid")
        return (math.inf if spread is None else spread.mean), line.entry.recipe

    return sorted(lines, key=fid)


def _line(entry: Entry) -> Line:
    measured = [run for run in entry.runs if run.outcome != "failed"]
    names = {name for run in measured for name in run.figures}
    good = sum(run.outcome == "good" for run in entry.runs)
    return Line(
        entry=entry,
        figures={name: Spread.of(run.figures.get(name) for run in measured) for name in names},
        good=good,
        interval=wilson(good, len(entry.runs)),
        minutes=_mean([run.minutes for run in entry.runs]),
        images=_mean([run.images for run in entry.runs]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def read_leaderboard(path: Path) -> Leaderboard:
    """Read a ``leaderboard.json``, or that of a folder.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    file = path / "leaderboard.json" if path.is_dir() else path
    with os_errors(ConfigError, f"{file}: cannot be read", "give a leaderboard's folder"):
        text = read_regular(file, MAX_BYTES)
    try:
        return Leaderboard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{file}: is no leaderboard: {place}: {first['msg'].lower()}") from None


def merge(parts: Sequence[tuple[str, Leaderboard]]) -> Leaderboard:
    """Put the parts of several machines together.

    Args:
        parts: Each with its name, for messages.

    Raises:
        ConfigError: Two are of another budget, or hold the same run with other figures.
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
    entries = dict(mine.entries)
    for name, entry in other.entries.items():
        runs = {run.seed: run for run in entries[name].runs} if name in entries else {}
        for run in entry.runs:
            if runs.setdefault(run.seed, run) != run:
                raise ConfigError(
                    f"{where}: {name}, seed {run.seed}: is in another part too, with other "
                    "figures; merge each run once"
                )
        ordered = tuple(runs[seed] for seed in sorted(runs))
        entries[name] = entry.model_copy(update={"runs": ordered})
    return BoardResult(
        features=mine.features or other.features, floor=mine.floor or other.floor, entries=entries
    )
