"""The pictures of a search: FID against minutes, and samples of every run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.search.plan import Run, Search
from ppgan_zoo.search.results import Result, SearchDirectory
from ppgan_zoo.search.summary import floor_of, summarise
from ppgan_zoo.storage.files import atomic_file
from ppgan_zoo.storage.pictures import BACKGROUND, image_grid, save_png
from ppgan_zoo.storage.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLES = 16
SEED = 0  # of z, the same for all runs


def plot_fid(search: Search, results: Mapping[Run, Result], path: Path) -> None:
    """Draw FID against minutes of training: a point for each run, and its curve if it has one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    order = [row.setting for row in summarise(search, results)]
    figure = Figure(figsize=(9, 5.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, setting in enumerate(order):
        color = f"C{number % 10}"
        marker = "osD^vP*"[number // 10 % 7]
        own = [result for run, result in results.items() if run.setting == setting]
        for result in own:
            if result.curve:
                minutes, _, fids = zip(*result.curve, strict=True)
                axes.plot(minutes, fids, color=color, linewidth=1, alpha=0.5)
        good = [result for result in own if result.training and result.metrics]
        failed = len(own) - len(good)
        axes.scatter(
            [result.training.minutes for result in good if result.training],
            [float(result.metrics["fid"] or 0.0) for result in good],
            color=color, marker=marker, edgecolor="black", linewidth=0.5, zorder=3,
            label=setting if failed == 0 else f"{setting} ({failed} failed)",
        )  # fmt: skip
    floor = (floor_of(results.values()) or {}).get("fid")
    if floor is not None:
        axes.axhline(floor, color="gray", linestyle="--", label="floor (real images)")
    if any(result.metrics for result in results.values()):
        _scale_by_logarithm(axes)
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes of training")
    curves = any(result.curve for result in results.values())
    axes.set_ylabel("FID" + (" (points; lines: as recorded in training)" if curves else ""))
    name = printable(search.path.stem).replace("$", r"\$")  # "$" would begin a formula
    axes.set_title(f"{name}: FID against minutes, a point for each run")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    with atomic_file(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ")  # one that lacks is drawn as a box
        figure.savefig(file, format="png")


def _scale_by_logarithm(axes: Axes) -> None:
    """Scale FID by its logarithm, with plain numbers, and only as many as there is room for."""
    from matplotlib.ticker import LogFormatter

    class _PlainNumbers(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_PlainNumbers())
    axes.yaxis.set_minor_formatter(_PlainNumbers(minor_thresholds=(10, 0.5)))
    axes.tick_params(axis="y", which="minor", labelsize=7)


def draw_samples(
    search: Search,
    results: Mapping[Run, Result],
    directory: SearchDirectory,
    notify: Callable[[str], None],
) -> NDArray[np.uint8] | None:
    """Return a row of samples for each run, of the same z, best setting first.

    Runs without a checkpoint that can be read are left out, with a line to `notify`.

    Returns:
        ``uint8 [height, width, 3]``; None if there is no run to draw.
    """
    from ppgan_zoo.evaluation.sampler import open_sampler

    order = [row.setting for row in summarise(search, results)]
    rows = []
    for run in sorted(results, key=lambda run: (order.index(run.setting), run.seed)):
        if not results[run].metrics:
            continue
        try:
            sampler = open_sampler(directory.run(run).path, best=search.file.evaluate.best)
        except CheckpointError as error:
            notify(f"samples.png: no row for {run.name}: {error}")
            continue
        images = sampler.sample(SAMPLES, SEED)
        rows.append(image_grid(images, SAMPLES, caption=_caption(run, results[run])))
    return _stack(rows) if rows else None


def write_samples(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write what :func:`draw_samples` returned as PNG."""
    save_png(path, pixels)


def _caption(run: Run, result: Result) -> str:
    parts = [f"{run.setting}, seed {run.seed}", f"FID {result.metrics['fid']:.2f}"]
    if result.training is not None:
        parts.append(f"{result.training.minutes:.2f} min")
    return ", ".join(parts)


def _stack(rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put grey and RGB pictures of any width under each other."""
    width = max(row.shape[1] for row in rows)
    padded = []
    for row in rows:
        color = row[:, :, None].repeat(3, axis=2) if row.ndim == 2 else row
        space = ((0, 0), (0, width - row.shape[1]), (0, 0))
        padded.append(np.pad(color, space, constant_values=BACKGROUND))
    return np.concatenate(padded)
