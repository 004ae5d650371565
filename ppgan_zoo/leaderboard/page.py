"""The leaderboard as a page: Markdown and HTML."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ppgan_zoo.leaderboard.board import BoardResult, Leaderboard, Line, Score, lines_of
from ppgan_zoo.leaderboard.contest import BOARDS, CURVE_SAMPLES, LIMIT, SAMPLES, SETS
from ppgan_zoo.search.words import times
from ppgan_zoo.storage.files import read_regular
from ppgan_zoo.storage.terminal import printable

COLUMNS = {
    "fid": ("FID", 2, 1.0),
    "precision": ("precision", 2, 1.0),
    "recall": ("recall", 2, 1.0),
    "density": ("density", 2, 1.0),
    "coverage": ("coverage", 2, 1.0),
    "sharpness": ("sharpness", 2, 1.0),
    "label_accuracy": ("right label, %", 1, 100.0),
    "memorisation": ("memorisation", 2, 1.0),
}
"""Heading, digits and factor of each figure, in the order of the table."""

TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
MAX_PICTURE = 32 << 20

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; font-size: 13px; overflow-x: auto }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap }
th { vertical-align: bottom; white-space: normal }
tr { border-bottom: 1px solid #8884 }
th:first-child, td:first-child { text-align: left }
img { max-width: 100%; height: auto }
:root { color-scheme: light dark }
"""


def title_of(name: str) -> str:
    """Return a board's title."""
    board = next(board for board in BOARDS if board.name == name)
    return f"{TITLES[board.data]}, {'told the class' if board.labels else 'without labels'}"


def rows_of(board: BoardResult) -> list[list[str]]:
    """Return a board as rows of text: the heading, a row for each recipe, the floor."""
    lines = lines_of(board)
    shown = [name for name in COLUMNS if any(line.figures.get(name) for line in lines)]
    rest = ["good runs (95 % interval)", "CPU minutes (by the clock)", "images seen",
            "parameters G / D", "memory, MiB"]  # fmt: skip
    heading = ["recipe", "model", "settings", *(COLUMNS[name][0] for name in shown), *rest]
    rows = [heading, *(_row(line, shown) for line in lines)]
    if board.floor is not None:
        figures = [_number(name, board.floor.get(name)) for name in shown]
        rows.append(["real images", "", "", *figures, *[""] * len(rest)])
    return rows


def _row(line: Line, shown: Sequence[str]) -> list[str]:
    entry, nets = line.entry, line.entry.parameters
    return [
        entry.recipe,
        entry.model,
        entry.settings,
        *(_spread(name, line) for name in shown),
        _good(line),
        "-" if line.minutes is None else f"{_two_digits(line.cpu_minutes)} ({line.minutes:.2f})",
        "-" if line.images is None else f"{line.images:,.0f}",
        "-" if nets is None else f"{nets['generator']:,} / {nets['discriminator']:,}",
        "-" if entry.memory_mib is None else f"{entry.memory_mib:,}",
    ]


def _good(line: Line) -> str:
    text = f"{line.good} of {len(line.entry.runs)}"
    if line.interval is not None:
        low, high = line.interval
        text += f" ({100 * low:.0f} to {100 * high:.0f} %)"
    missing = len(line.entry.missing)
    return f"{text}, {missing} missing" if missing else text


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _spread(name: str, line: Line) -> str:
    spread = line.figures.get(name)
    if spread is None:
        return "-"
    text = _number(name, spread.mean)
    if spread.deviation is not None:
        return f"{text} ± {_number(name, spread.deviation)}"
    error = line.figures.get(f"{name}_standard_error")
    return text if error is None else f"{text} (± {_number(name, error.mean)})"


def _number(name: str, value: float | None) -> str:
    _, digits, factor = COLUMNS[name]
    return "-" if value is None else f"{value * factor:.{digits}f}"


def explanation(leaderboard: Leaderboard) -> list[str]:
    """Return what must be known to read the tables, a paragraph each."""
    runs = leaderboard.runs
    machines = sorted({run.processor for run in runs if run.processor})
    zoos = sorted({f"{run.zoo} ({_short(run.git_commit)})" for run in runs if run.zoo})
    return [
        f"Each run had {leaderboard.minutes:g} CPU minutes of one thread{_took(runs)}. A recipe's "
        "iterations are what fits into them on the machine that trained it; schedules and averages "
        f"are stretched along. A run that takes {LIMIT:g} times as long is cut and measured so.",
        "Settings: tuned by the zoo; published by somebody for such images; reduced: a model that "
        "was published for other images and sizes, made small; own: of a recipe given by path.",
        f"Figures are mean ± standard deviation over the runs that did not fail, by {SAMPLES:,} "
        "samples against the test images; in brackets, where a recipe has one run, the standard "
        "error of its FID, which knows nothing of other seeds. Every run is counted: a good one "
        "neither failed, nor collapsed (fewer classes than real images have, or far less even "
        "ones), nor had to begin again, and the interval is that of the share of good runs "
        "(Wilson). Recipes of which most runs failed come after the others. Minutes and images "
        f"include what a restart lost. The plots take {CURVE_SAMPLES:,} samples of each "
        "checkpoint, after training, which reads higher than the tables. Memory is an estimate.",
        f"Runs so far: {len(runs)}, on {'; '.join(machines) or 'no machine yet'}. Zoo: "
        f"{'; '.join(zoos) or 'none yet'}.",
        *_judges(leaderboard),
    ]


def _took(runs: Sequence[Score]) -> str:
    took = [run.cpu_minutes for run in runs if run.outcome != "failed" and run.cpu_minutes]
    return f", and took {min(took):.2f} to {max(took):.2f}" if took else ""


def _short(commit: str | None) -> str:
    if commit is None:
        return "no checkout"
    return commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")


def _judges(leaderboard: Leaderboard) -> Iterator[str]:
    for data in SETS:
        judged = next(
            (
                board.judged
                for name, board in leaderboard.boards.items()
                if board.judged and name.removesuffix("_labels") == data
            ),
            None,
        )
        if judged is not None:
            yield (
                f"{TITLES[data]}: features {judged.features} ({judged.features_sha256[:12]}), "
                f"training images {judged.train_sha256[:12]}, test images "
                f"{judged.test_sha256[:12]}."
            )


def wrong(board: BoardResult) -> list[str]:
    """Return a line for each run that is not as it should be, and for each recipe with gaps."""
    lines = []
    for line in lines_of(board):
        name = line.entry.recipe
        for run in line.entry.runs:
            notes = []
            if run.failure is not None:
                notes.append(f"failed in {run.failure}")
            if run.outcome == "collapsed":
                notes.append("collapsed")
            if run.restarts:
                notes.append(f"was restarted {times(run.restarts)}")
            if run.cut:
                notes.append(f"was cut after {run.cpu_minutes or 0:.2f} CPU minutes")
            if notes:
                lines.append(f"{name}, seed {run.seed}: {'; '.join(notes)}")
        if line.entry.missing:
            seeds = ", ".join(map(str, line.entry.missing))
            lines.append(f"{name}: not run yet: seed {seeds}")
    return [printable(each) for each in lines]


def _sections(leaderboard: Leaderboard) -> Iterator[tuple[str, list[str]]]:
    """Yield each image set that is there with its boards."""
    for data in SETS:
        names = [board.name for board in BOARDS if board.data == data]
        there = [name for name in names if name in leaderboard.boards]
        if there:
            yield data, there


def markdown(leaderboard: Leaderboard, pictures: Mapping[str, Path]) -> str:
    """Return the page in Markdown.

    Args:
        leaderboard: What to show.
        pictures: Files beside the page, by image set for its plot and by board for its grid.
    """
    parts = ["# Leaderboard", *explanation(leaderboard)]
    for data, names in _sections(leaderboard):
        parts.append(f"## {TITLES[data]}")
        if data in pictures:
            parts.append(f"![{plot_title(data)}]({pictures[data].name})")
        for name in names:
            board = leaderboard.boards[name]
            heading, *rows = [[cell.replace("|", r"\|") for cell in row] for row in rows_of(board)]
            table = [heading, ["---"] * len(heading), *rows]
            parts += [f"### {title_of(name)}", "\n".join(f"| {' | '.join(row)} |" for row in table)]
            if found := wrong(board):
                parts += [
                    "Runs that went wrong or are missing:",
                    "\n".join(f"- {_plain(each)}" for each in found),
                ]
            if grid := pictures.get(f"{name}_samples"):
                parts.append(f"![{title_of(name)}: samples]({grid.name})")
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: a message may hold anything."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#!" else letter for letter in text)


def plot_title(data: str) -> str:
    """Return the title of an image set's plot."""
    return f"{TITLES[data]}: FID against CPU minutes"


def page(leaderboard: Leaderboard, pictures: Mapping[str, Path]) -> str:
    """Return the page as one HTML file that holds its pictures and fetches nothing.

    Args:
        leaderboard: What to show.
        pictures: As for :func:`markdown`.
    """
    body = ["<h1>Leaderboard</h1>"]
    body += [f"<p>{html.escape(text)}</p>" for text in explanation(leaderboard)]
    for data, names in _sections(leaderboard):
        body.append(f"<h2>{html.escape(TITLES[data])}</h2>")
        if data in pictures:
            body.append(_image(pictures[data], plot_title(data)))
        for name in names:
            board = leaderboard.boards[name]
            heading, *rows = rows_of(board)
            body.append(f"<h3>{html.escape(title_of(name))}</h3>")
            body.append(f"<table><thead>{_html_row(heading, 'th')}</thead><tbody>")
            body += [_html_row(row, "td") for row in rows]
            body.append("</tbody></table>")
            if found := wrong(board):
                items = "".join(f"<li>{html.escape(each)}</li>" for each in found)
                body.append(f"<p>Runs that went wrong or are missing:</p><ul>{items}</ul>")
            if grid := pictures.get(f"{name}_samples"):
                body.append(_image(grid, f"{title_of(name)}: samples"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Leaderboard</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _image(path: Path, label: str) -> str:
    data = base64.b64encode(read_regular(path, MAX_PICTURE)).decode()
    return f'<p><img alt="{html.escape(label)}" src="data:image/png;base64,{data}"></p>'


def _html_row(cells: Sequence[str], tag: str) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    return f"<tr>{''.join(f'<{tag}{scope}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
