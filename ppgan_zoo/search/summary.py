"""From the results of runs to a table: means and deviations over seeds, nothing left out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ppgan_zoo.metrics.table import ROWS, SCALES
from ppgan_zoo.search.plan import Run, Search
from ppgan_zoo.search.results import Result
from ppgan_zoo.search.words import times
from ppgan_zoo.storage.run_directory import command_line

FORMAT = 1
COLLAPSED_SHARE = 0.75
"""Below this part of the floor's effective number of classes, exp(entropy), samples collapsed."""

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Spread:
    """A figure over the runs of a setting.

    Attributes:
        mean: Of the runs that have it.
        deviation: Their standard deviation (over n - 1); None for a single run.
        count: How many have it.
    """

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of the values that there are; None if there are none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        deviation = statistics.stdev(known) if len(known) > 1 else None
        return cls(statistics.fmean(known), deviation, len(known))


@dataclass(frozen=True)
class Row:
    """A setting in the table.

    Attributes:
        setting: Its name.
        planned: Runs in the file.
        runs: Runs that have a result.
        failed: Of these, those that failed: they have no figures.
        restarted: Those that began again, since G had not begun to learn.
        cut: Those that the budget ended.
        collapsed: Those whose samples lack classes; None if that cannot be told.
        figures: Of the runs that did not fail.
        minutes: Of their training.
        images: That they were trained on.
        ms_per_iteration: What an iteration took them.
    """

    setting: str
    planned: int
    runs: int
    failed: int
    restarted: int
    cut: int
    collapsed: int | None
    figures: Mapping[str, Spread | None]
    minutes: Spread | None
    images: Spread | None
    ms_per_iteration: Spread | None


def summarise(search: Search, results: Mapping[Run, Result]) -> list[Row]:
    """Return a row for every setting, by mean FID; those without a figure come last."""
    floor = floor_of(results.values())
    rows = [
        _row(name, len(search.file.seeds), _of_setting(name, results), floor)
        for name in search.file.settings
    ]

    def fid(row: Row) -> float:
        spread = row.figures.get("fid")
        return math.inf if spread is None else spread.mean

    return sorted(rows, key=fid)


def floor_of(results: Iterable[Result]) -> Figures | None:
    """Return the figures of real images, which are the same for all runs."""
    return next((result.floor for result in results if result.floor is not None), None)


def has_collapsed(figures: Figures, floor: Figures | None) -> bool | None:
    """Tell whether the samples lack classes that real images have.

    They do if fewer classes are found than among real images (ten where these are not
    known: all shipped feature networks tell ten), or if the effective number of classes,
    exp(entropy), is below three quarters of that of real images.

    Args:
        figures: Of the samples.
        floor: Of real images, if known.

    Returns:
        None if the classes were not counted.
    """
    modes, entropy = figures.get("modes"), figures.get("class_entropy")
    if modes is None or entropy is None:
        return None
    real = floor or {}
    all_modes, real_entropy = real.get("modes"), real.get("class_entropy")
    all_modes = 10 if all_modes is None else all_modes
    real_entropy = math.log(all_modes) if real_entropy is None else real_entropy
    return modes < all_modes or math.exp(entropy - real_entropy) < COLLAPSED_SHARE


def _of_setting(name: str, results: Mapping[Run, Result]) -> list[Result]:
    return [result for run, result in results.items() if run.setting == name]


def _row(name: str, planned: int, results: Sequence[Result], floor: Figures | None) -> Row:
    good = [result for result in results if result.failure is None and result.evaluation]
    collapsed = [has_collapsed(result.metrics, floor) for result in good]
    trainings = [result.training for result in good if result.training is not None]
    return Row(
        setting=name,
        planned=planned,
        runs=len(results),
        failed=sum(result.failure is not None for result in results),
        restarted=sum(result.is_restarted for result in results),
        cut=sum(result.cut for result in results),
        collapsed=None if None in collapsed else sum(map(bool, collapsed)),
        figures={
            figure: Spread.of(result.metrics.get(figure) for result in good) for figure in ROWS
        },
        minutes=Spread.of(training.minutes for training in trainings),
        images=Spread.of(float(training.images) for training in trainings),
        ms_per_iteration=Spread.of(training.ms_per_iteration for training in trainings),
    )


def table(search: Search, results: Mapping[Run, Result]) -> str:
    """Return the table in Markdown, aligned so that it reads as plain text, too."""
    rows, floor = summarise(search, results), floor_of(results.values())
    shown = [figure for figure in ROWS if any(row.figures[figure] for row in rows)]
    columns = ["fid", *(figure for figure in shown if figure != "fid")]
    head = [
        "setting", "runs", "failed", "restarted", "cut", "collapsed",
        *(ROWS[name][0] for name in columns),
        "minutes", "images seen", "ms per iteration",
    ]  # fmt: skip
    cells = [head, *(_cells(row, columns) for row in rows)]
    if floor is not None:
        figures = [_text(name, floor.get(name)) for name in columns]
        cells.append(["floor (real images)", "", "", "", "", "", *figures, "", "", ""])
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    )


def _cells(row: Row, columns: Sequence[str]) -> list[str]:
    runs = str(row.runs) if row.runs == row.planned else f"{row.runs} of {row.planned}"
    return [
        row.setting, runs, str(row.failed), str(row.restarted), str(row.cut),
        "-" if row.collapsed is None else str(row.collapsed),
        *(_spread_text(name, row.figures[name]) for name in columns),
        "-" if row.minutes is None else f"{row.minutes.mean:.2f}",
        "-" if row.images is None else f"{row.images.mean:,.0f}",
        "-" if row.ms_per_iteration is None else f"{row.ms_per_iteration.mean:.1f}",
    ]  # fmt: skip


def _spread_text(figure: str, spread: Spread | None) -> str:
    if spread is None:
        return "-"
    text = _text(figure, spread.mean, more_digits=spread.count > 1)
    if spread.deviation is None:
        return text
    return f"{text} ± {_text(figure, spread.deviation, more_digits=True)}"


def _text(figure: str, value: float | None, *, more_digits: bool = False) -> str:
    if value is None:
        return "-"
    digits = ROWS[figure][1]
    if more_digits and not digits:  # a mean of whole numbers is none
        digits = 1
    return f"{value * SCALES.get(figure, 1.0):.{digits}f}"


def report(search: Search, results: Mapping[Run, Result]) -> str:
    """Return table.md: the table, what stands behind it, and every run that went wrong."""
    file = search.file
    done = [result.training for result in results.values() if result.training is not None]
    machines = sorted({f"{each.processor}, {each.threads} threads" for each in done})
    commits = sorted({each.git_commit or "unknown" for each in done})
    lines = [
        f"# Search {search.path.stem}", "", table(search, results), "",
        f"At most {file.minutes:g} minutes of training a run, seeds "
        f"{', '.join(map(str, file.seeds))}; mean ± standard deviation over the runs that did not "
        "fail. Minutes are wall clock, first iteration to last.", "",
        f"- Measured: {_protocol(results.values())}",
        f"- Machine: {'; '.join(machines) or 'unknown'}",
        f"- Commit: {', '.join(commits) or 'unknown'}",
        f"- Command: `{' '.join(command_line())}`",
    ]  # fmt: skip
    notes = {
        note: None
        for result in results.values()
        if result.evaluation
        for note in result.evaluation["notes"]
    }
    lines += [f"- Note: {note}" for note in notes]
    drawn, wrong = _drawn(search), _wrong(results)
    lines += ["", "## What was drawn", "", *drawn] if drawn else []
    return "\n".join([*lines, *(["", "## Runs that went wrong", "", *wrong] if wrong else []), ""])


def _drawn(search: Search) -> list[str]:
    """Return a line for each setting that was drawn, with the values of its ranges in short."""
    return [
        f"- {name}: {', '.join(f'`{key}` {_short(setting[key])}' for key in space.free)}"
        for name, setting in search.file.settings.items()
        for space in search.spaces.values()
        if space.number_of(name) is not None
    ]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _protocol(results: Iterable[Result]) -> str:
    for result in results:
        if result.evaluation:
            real, features = result.evaluation["real"], result.evaluation["features"]
            settings = result.evaluation["settings"]
            return (
                f"{settings['num_samples']:,} samples against {real['count']:,} {real['split']} "
                f"images of {real['name']}, features {features['name']} ({features['sha256'][:12]})"
            )
    return "nothing yet"


def _wrong(results: Mapping[Run, Result]) -> list[str]:
    lines, floor = [], floor_of(results.values())
    for run, result in results.items():
        if result.failure is not None:
            lines.append(f"- {run.name} failed in {result.failure}")
        elif has_collapsed(result.metrics, floor):
            lines.append(
                f"- {run.name} collapsed: {result.metrics['modes']:.0f} classes, entropy "
                f"{result.metrics['class_entropy']:.2f}"
            )
        if result.training is not None and result.is_restarted:
            lines.append(
                f"- {run.name} was restarted {times(result.training.restarts)}: G had not begun to "
                f"learn, and {result.training.lost_iterations:,} iterations were lost"
            )
        if result.cut and result.training is not None:
            ended = "given up" if result.pruned else "cut"
            lines.append(
                f"- {run.name} was {ended} after {result.training.minutes:.2f} minutes, at "
                f"iteration {result.training.iterations:,}"
            )
    return lines


def as_json(search: Search, results: Mapping[Run, Result]) -> dict[str, Any]:
    """Return results.json: the file, every run's result, and the rows of the table."""
    from dataclasses import asdict

    floor = floor_of(results.values())
    return {
        "format": FORMAT,
        "command": command_line(),
        "search": {"path": str(search.path), **search.file.model_dump(mode="json")},
        "floor": floor,
        "table": [asdict(row) for row in summarise(search, results)],
        "runs": [
            {
                **result.model_dump(mode="json"),
                "status": result.status,
                "collapsed": has_collapsed(result.metrics, floor),
                "minutes": result.training and result.training.minutes,
                "ms_per_iteration": result.training and result.training.ms_per_iteration,
            }
            for result in results.values()
        ],
        "missing": [run.name for run in search.runs if run not in results],
    }
