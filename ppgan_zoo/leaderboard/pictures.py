"""The pictures of a leaderboard: FID against CPU minutes, and a few samples of every run."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.leaderboard.board import BoardResult, Line, Score, lines_of
from ppgan_zoo.leaderboard.contest import CURVE_SAMPLES
from ppgan_zoo.leaderboard.contest import SAMPLES as MEASURED
from ppgan_zoo.storage.files import read_regular
from ppgan_zoo.storage.pictures import to_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLES, COLUMNS, SEED = 20, 10, 0
"""Of a run: how many, how many in a row (one of each class), and the seed of z."""

CELL, GAP, TEXT = 28, 1, 14
ACROSS = 3
"""Runs in a row of a grid, at most."""
WIDTH, HEIGHT = COLUMNS * (CELL + GAP), SAMPLES // COLUMNS * (CELL + GAP)
"""Of a run's samples, in pixels."""

HEIGHT_INCHES, LINE_HEIGHT = 6.5, 0.145
"""Of the plot, and of a label in it."""

BESIDE, BELOW = 12, 10
BLANK = 128


def draw_samples(run: Path) -> NDArray[np.uint8]:
    """Return samples of a run's newest checkpoint, ``uint8 [58, 290]``.

    Raises:
        CheckpointError: It has none that can be read.
    """
    from ppgan_zoo.evaluation.sampler import open_sampler

    images = open_sampler(run).sample(SAMPLES, SEED)
    canvas = np.full((HEIGHT, WIDTH), BLANK, np.uint8)
    for place, image in enumerate(images):
        pixels = to_pixels(image)
        if pixels.shape != (CELL, CELL):
            raise CheckpointError(f"{run}: draws no grey images of {CELL} x {CELL}")
        row, column = divmod(place, COLUMNS)
        top, left = row * (CELL + GAP), column * (CELL + GAP)
        canvas[top : top + CELL, left : left + CELL] = pixels
    return canvas


def grid(board: BoardResult, samples: Mapping[tuple[str, int], Path]) -> NDArray[np.uint8]:
    """Return samples of all runs of a board, the best recipe first: ``uint8 [height, width]``.

    A run that failed, and one that was asked for and is not done, is a gray place.

    Args:
        board: The board.
        samples: The picture of each run that has one, by recipe and seed.
    """
    lines = lines_of(board)
    columns = min(ACROSS, max(len(_seeds(line)) for line in lines))
    blocks = [_block(line, columns, samples) for line in lines]
    beside = ACROSS // columns  # recipes in a row, where each has few runs
    rows = [blocks[place : place + beside] for place in range(0, len(blocks), beside)]
    size = (beside * blocks[0].width, sum(max(block.height for block in row) for row in rows))
    picture, top = Image.new("L", size, 255), 0
    for row in rows:
        for place, block in enumerate(row):
            picture.paste(block, (place * block.width, top))
        top += max(block.height for block in row)
    return np.asarray(picture)


def _seeds(line: Line) -> list[int]:
    """Return the seeds that are done or were asked for."""
    return sorted({*(run.seed for run in line.entry.runs), *line.entry.planned})


def _block(line: Line, columns: int, samples: Mapping[tuple[str, int], Path]) -> Image.Image:
    """Return a heading and the runs of one recipe, so many in a row."""
    entry, seeds = line.entry, _seeds(line)
    runs = {run.seed: run for run in entry.runs}
    rows = -(-len(seeds) // columns)
    size = (columns * (WIDTH + BESIDE), TEXT + rows * (TEXT + HEIGHT) + BELOW)
    picture = Image.new("L", size, 255)
    draw = ImageDraw.Draw(picture)
    fid = "no FID" if line.fid is None else f"FID {line.fid.mean:.2f}"
    draw.text((0, 0), f"{entry.recipe}: {fid}, {line.good} of {len(entry.runs)} good", fill=0)
    for place, seed in enumerate(seeds):
        row, column = divmod(place, columns)
        left, top = column * (WIDTH + BESIDE), TEXT + row * (TEXT + HEIGHT)
        draw.text((left, top), f"seed {seed}{_note(runs.get(seed))}", fill=90)
        path = samples.get((entry.recipe, seed))
        if path is not None:
            with Image.open(io.BytesIO(read_regular(path)), formats=["PNG"]) as made:
                picture.paste(made.convert("L").crop((0, 0, WIDTH, HEIGHT)), (left, top + TEXT))
            continue
        box = (left, top + TEXT, left + WIDTH - 1, top + TEXT + HEIGHT - 1)
        draw.rectangle(box, fill=BLANK)
        draw.text((left + WIDTH // 2, top + TEXT + HEIGHT // 2), _why(runs.get(seed)),
                  fill=255, anchor="mm")  # fmt: skip
    return picture


def _note(run: Score | None) -> str:
    if run is None or run.outcome == "failed":
        return ""
    fid = run.figures.get("fid")
    notes = ["" if fid is None else f": {fid:.2f}", *(["cut"] if run.cut else [])]
    return ", ".join([*notes, *([run.outcome] if run.outcome != "good" else [])])


def _why(run: Score | None) -> str:
    if run is None:
        return "not run yet"
    return "failed" if run.outcome == "failed" else "no samples at hand"


def plot(boards: Mapping[bool, BoardResult], title: str) -> bytes | None:
    """Return a PNG of FID against CPU minutes: a line for each recipe of an image set.

    Args:
        boards: Those of the set, by whether their recipes are told the class of an image.
        title: Over it.

    Returns:
        None if no run has a curve yet.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    lines = [
        (line, told) for told, board in boards.items() for line in lines_of(board) if line.curve
    ]
    if not lines:
        return None
    figure = Figure(figsize=(10, HEIGHT_INCHES), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ends = []
    for number, (line, told) in enumerate(sorted(lines, key=lambda each: -each[0].curve[-1][1])):
        minutes, fids = zip(*line.curve, strict=True)
        color = f"C{number % 10}"
        axes.plot(minutes, fids, color=color, linewidth=1.4, marker="s" if told else "o",
                  markersize=3.5, linestyle="--" if told else "-")  # fmt: skip
        ends.append((line.entry.recipe, minutes[-1], max(fids[-1], 1e-3), color))
    floor = next((board.floor.get("fid") for board in boards.values() if board.floor), None)
    if floor is not None:
        axes.axhline(floor, color="gray", linewidth=1, linestyle=":")
        axes.annotate(f"real images ({MEASURED:,})", (0, floor), xytext=(3, 3), color="gray",
                      textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set(yscale="log", xlabel="CPU minutes of training")
    axes.set_title(title, loc="left")
    axes.set_ylabel(f"FID by {CURVE_SAMPLES:,} samples, mean of the seeds")
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.yaxis.set_major_formatter("{x:g}")
    kinds = [Line2D([], [], color="black", marker="o", markersize=3.5, label="without labels"),
             Line2D([], [], color="black", marker="s", markersize=3.5, linestyle="--",
                    label="told the class")]  # fmt: skip
    axes.legend(handles=[kinds[told] for told in sorted(boards)], loc="lower right",
                bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8)  # fmt: skip
    _label(axes, ends)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _label(axes: Axes, ends: list[tuple[str, float, float, str]]) -> None:
    """Write the name of each line right of the axes, at its height, moved apart as needed."""
    bottom, top = axes.get_ylim()
    heights = [np.log(fid / bottom) / np.log(top / bottom) for _, _, fid, _ in ends]
    order = sorted(range(len(ends)), key=lambda place: heights[place])
    moved = spread([heights[each] for each in order], LINE_HEIGHT / (HEIGHT_INCHES - 1.0))
    for place, height in zip(order, moved, strict=True):
        name, minutes, fid, color = ends[place]
        axes.annotate(
            name, (minutes, fid), xytext=(1.05, height), textcoords="axes fraction",
            color=color, fontsize=8, va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "alpha": 0.7,
                        "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 3},
        )  # fmt: skip


def spread(heights: Sequence[float], least: float) -> list[float]:
    """Return ascending heights moved as little as makes each at least `least` above the one below.

    Those that are too near to each other are spread around the middle of where they were.
    """
    groups: list[tuple[float, int]] = []  # lowest height of a group, and how many are in it
    for height in heights:
        low, count = height, 1
        while groups and groups[-1][0] + groups[-1][1] * least > low:
            below, more = groups.pop()
            low = (more * below + count * (low - more * least)) / (more + count)
            count += more
        groups.append((low, count))
    return [low + place * least for low, count in groups for place in range(count)]
