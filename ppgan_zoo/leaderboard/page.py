"""The leaderboard as a page: Markdown, HTML, and a plot of FID against the size of the nets."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ppgan_zoo.leaderboard.board import BoardResult, Leaderboard, Line, lines_of
from ppgan_zoo.leaderboard.contest import BOARDS
from ppgan_zoo.search.summary import Spread
from ppgan_zoo.storage.files import read_regular

COLUMNS = {
    "fid": ("FID", 2, 1.0),
    "precision": ("precision", 2, 1.0),
    "recall": ("recall", 2, 1.0),
    "density": ("density", 2, 1.0),
    "coverage": ("coverage", 2, 1.0),
    "label_accuracy": ("right label, %", 1, 100.0),
    "memorisation": ("memorisation", 2, 1.0),
}
"""Heading, digits and factor of each figure, in the order of the table."""

TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
MAX_PICTURE = 32 << 20

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap }
tr { border-bottom: 1px solid #8884 }
th:first-child, td:first-child { text-align: left }
img { max-width: 100%; height: auto }
:root { color-scheme: light dark }
"""


def title_of(name: str) -> str:
    """Return a board's title."""
    board = next((board for board in BOARDS if board.name == name), None)
    if board is None:
        return name
    return f"{TITLES[board.data]}, {'told the class' if board.labels else 'without labels'}"


def rows_of(board: BoardResult) -> list[list[str]]:
    """Return a board as rows of text: the heading, a row for each recipe, the floor."""
    lines = lines_of(board)
    shown = [name for name in COLUMNS if any(line.figures.get(name) for line in lines)]
    heading = ["recipe", "model", *(COLUMNS[name][0] for name in shown),
               "good runs", "95 % interval", "minutes", "images seen", "parameters G / D",
               "memory, MiB"]  # fmt: skip
    rows = [heading, *(_row(line, shown) for line in lines)]
    if board.floor is not None:
        figures = [_number(name, board.floor.get(name)) for name in shown]
        rows.append(["real images", "", *figures, *[""] * 6])
    return rows


def _row(line: Line, shown: Sequence[str]) -> list[str]:
    low, high = line.interval
    parameters = line.entry.parameters
    return [
        line.entry.recipe,
        line.entry.model,
        *(_spread(name, line.figures.get(name)) for name in shown),
        f"{line.good} of {len(line.entry.runs)}",
        f"{100 * low:.0f} to {100 * high:.0f} %",
        "-" if line.minutes is None else f"{line.minutes:.1f}",
        "-" if line.images is None else f"{line.images:,.0f}",
        f"{parameters['generator']:,} / {parameters['discriminator']:,}",
        f"{line.entry.memory_mib:,}",
    ]


def _spread(name: str, spread: Spread | None) -> str:
    if spread is None:
        return "-"
    text = _number(name, spread.mean)
    if spread.deviation is None:
        return text
    return f"{text} ± {_number(name, spread.deviation)}"


def _number(name: str, value: float | None) -> str:
    _, digits, factor = COLUMNS[name]
    return "-" if value is None else f"{value * factor:.{digits}f}"


def explanation(leaderboard: Leaderboard) -> list[str]:
    """Return what must be known to read the tables, a paragraph each."""
    runs = [
        run
        for board in leaderboard.boards.values()
        for entry in board.entries.values()
        for run in entry.runs
    ]
    machines = sorted({run.processor for run in runs if run.processor})
    return [
        f"Each run had {leaderboard.minutes:g} minutes of one thread. A recipe's iterations are "
        "what fits into them on the machine that trained it; schedules are stretched along.",
        "Figures are mean ± standard deviation over the runs that did not fail, by 10,000 "
        "samples against the test images. Every run is counted: a good one neither failed nor "
        "collapsed (fewer classes than real images have, or far less even ones), and the interval "
        "is that of the share of good runs (Wilson). Memory is an estimate.",
        f"{len(runs)} runs, on: {'; '.join(machines) or 'no machine yet'}.",
    ]


def markdown(leaderboard: Leaderboard, pictures: Mapping[str, Sequence[str]]) -> str:
    """Return the page in Markdown.

    Args:
        leaderboard: What to show.
        pictures: Of each board, names of files beside the page.
    """
    parts = ["# Leaderboard", *explanation(leaderboard)]
    for name, board in leaderboard.boards.items():
        heading, *rows = [[cell.replace("|", r"\|") for cell in row] for row in rows_of(board)]
        table = [heading, ["---"] * len(heading), *rows]
        parts += [f"## {title_of(name)}", "\n".join(f"| {' | '.join(row)} |" for row in table)]
        parts += [f"![{title_of(name)}]({picture})" for picture in pictures.get(name, ())]
    return "\n\n".join(parts) + "\n"


def page(leaderboard: Leaderboard, pictures: Mapping[str, Sequence[Path]]) -> str:
    """Return the page as one HTML file that holds its pictures and fetches nothing.

    Args:
        leaderboard: What to show.
        pictures: Of each board, PNG files.
    """
    body = ["<h1>Leaderboard</h1>"]
    body += [f"<p>{html.escape(text)}</p>" for text in explanation(leaderboard)]
    for name, board in leaderboard.boards.items():
        heading, *rows = rows_of(board)
        body.append(f"<h2>{html.escape(title_of(name))}</h2>")
        body.append(f"<table><thead>{_html_row(heading, 'th')}</thead><tbody>")
        body += [_html_row(row, "td") for row in rows]
        body.append("</tbody></table>")
        for picture in pictures.get(name, ()):
            data = base64.b64encode(read_regular(picture, MAX_PICTURE)).decode()
            label = html.escape(f"{title_of(name)}: {picture.stem.replace('_', ' ')}")
            body.append(f'<p><img alt="{label}" src="data:image/png;base64,{data}"></p>')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Leaderboard</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _html_row(cells: Sequence[str], tag: str) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    return f"<tr>{''.join(f'<{tag}{scope}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def plot(board: BoardResult, title: str) -> bytes:
    """Return a PNG: FID of every run against its minutes, all recipes in one picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, line in enumerate(lines_of(board)):
        points = [
            (run.minutes, run.figures["fid"])
            for run in line.entry.runs
            if run.minutes is not None and run.figures.get("fid") is not None
        ]
        lost = len(line.entry.runs) - len(points)
        label = line.entry.recipe if not lost else f"{line.entry.recipe} ({lost} failed)"
        minutes, fids = zip(*points, strict=True) if points else ((), ())
        axes.scatter(minutes, fids, color=f"C{number % 10}", marker="osD^vP*X"[number // 10 % 8],
                     edgecolor="black", linewidth=0.5, label=label)  # fmt: skip
    floor = (board.floor or {}).get("fid")
    if floor is not None:
        axes.axhline(floor, color="gray", linestyle="--", label="real images")
    axes.set(yscale="log", xlabel="minutes of training", ylabel="FID", title=title)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
