"""Curves of a run as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ppgan_zoo.report.facts import Event, Points

MOST_POINTS = 400
"""Of a curve; more are averaged, in a band from the lowest to the highest of each mean."""

COLOURS = ("#1f5fa8", "#c1440e", "#3a7d34", "#7a3f98", "#8c6d1f", "#37808c")
INK, PALE = "#333333", "#b9b9b9"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "ppgan_zoo", "font.family": "sans-serif",
    "font.size": 9, "axes.edgecolor": PALE, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "text.color": INK,
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """A chart of a report.

    Attributes:
        title: Above it.
        tags: The curves in it, by tag, and what each is called; those that a run has not are
            left out, and a chart without any.
        note: How to read it, a sentence.
        log: Whether the values stand on a logarithmic scale.
        limit: A value to mark, such as that from which a health check names trouble.
    """

    title: str
    tags: Mapping[str, str]
    note: str
    log: bool = False
    limit: float | None = None


CHARTS = (
    Chart(
        "Losses", {"loss/discriminator": "D", "loss/generator": "G"},
        "Neither need fall: each is measured against an opponent that changes too.",
    ),
    Chart(
        "Scores of D", {"score/real": "real images", "score/fake": "samples"},
        "What D says of both, on average: probabilities or, of hinge and Wasserstein, scores. Far "
        "apart, D wins; close together, it cannot tell.",
    ),
    Chart(
        "D's ranking", {"health/ranking": "pairs ranked right"},
        "Share of pairs of a real image and a sample of which D likes the real one better. The "
        "dashed line is where D is called too strong.", limit=0.999,
    ),
    Chart(
        "Variety", {"health/sample_distance": "samples / real images"},
        "How far apart samples lie, over how far apart real images lie: 1 is as varied. Below the "
        "dashed line G repeats itself.", limit=0.25,
    ),
    Chart(
        "Gradient that reaches G", {"health/generator_gradient": "change of G's loss"},
        "By how much moving a sample as far as two real images lie apart changes G's loss. Below "
        "the dashed line there is nothing to learn from.", log=True, limit=0.01,
    ),
    Chart(
        "Memorisation", {"health/memorisation": "distance ratio"},
        "Distance of samples to the nearest training image over that between training images. "
        "Below the dashed line G copies.", limit=0.8,
    ),
    Chart(
        "Learning rates",
        {"learning_rate/discriminator": "D", "learning_rate/generator": "G"}, "As scheduled.",
    ),
    Chart("Speed", {"speed/images_per_second": "images a second"}, "Of the whole loop."),
)  # fmt: skip
"""What every report shows, of what a run has recorded; metrics follow, one a chart."""


def charts_of(curves: Mapping[str, Points]) -> list[Chart]:
    """Return the charts that have something to show, metrics first."""
    metrics = [
        Chart(tag.removeprefix("metric/"), {tag: "samples"}, "Taken while training went on.")
        for tag in curves
        if tag.startswith("metric/")
    ]
    known = {tag for chart in CHARTS for tag in chart.tags}
    terms = {
        tag: tag.removeprefix("loss/")
        for tag in curves
        if tag.startswith("loss/") and tag not in known
    }
    others = [Chart("Terms of the losses", terms, "As weighted.")] if terms else []
    return [
        chart
        for chart in (*metrics, CHARTS[0], *others, *CHARTS[1:])
        if any(curves.get(tag) for tag in chart.tags)
    ]


def draw(
    chart: Chart,
    curves: Mapping[str, Points],
    events: Sequence[Event] = (),
    limits: tuple[float, float] | None = None,
) -> str:
    """Return a chart as SVG, the same bytes for the same points.

    Args:
        chart: Which.
        curves: Points by tag.
        events: Marked by their numbers, from 1.
        limits: Of the values, so that charts of several runs can be compared; None for those
            that fit.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 2.5), layout="constrained")
        axes = figure.add_subplot()
        shown = [(tag, label) for tag, label in chart.tags.items() if curves.get(tag)]
        for colour, (tag, label) in zip(COLOURS * 10, shown, strict=False):
            steps, means, lows, highs = _thinned(curves[tag])
            axes.plot(steps, means, color=colour, linewidth=1.3, label=_as_it_is(label))
            if len(curves[tag]) > MOST_POINTS:
                axes.fill_between(steps, lows, highs, color=colour, alpha=0.15, linewidth=0)
        if chart.log:
            axes.set_yscale("log")
        if limits is not None:
            axes.set_ylim(*limits)
        if chart.limit is not None:
            axes.axhline(chart.limit, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        for number, event in enumerate(events, start=1):
            axes.axvline(event.iteration, color="#c1120e", linewidth=0.9)
            axes.annotate(
                str(number), (event.iteration, 1.0), xycoords=("data", "axes fraction"),
                xytext=(2, -9), textcoords="offset points", color="#c1120e", fontsize=8,
            )  # fmt: skip
        axes.set_xlabel("iteration")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(color="#eeeeee", linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if len(shown) > 1:
            axes.legend(frameon=False, fontsize=8, ncols=min(len(shown), 4), loc="best")
        made = io.StringIO()
        FigureCanvasSVG(figure).print_svg(made, metadata={"Date": None})
    return made.getvalue()


def common_limits(chart: Chart, runs: Sequence[Mapping[str, Points]]) -> tuple[float, float] | None:
    """Return lowest and highest value of a chart over all runs, with a margin; None for none."""
    values = np.array(
        [value for curves in runs for tag in chart.tags for _, value in curves.get(tag, ())]
        + ([] if chart.limit is None else [chart.limit])
    )
    values = values[np.isfinite(values) & ((values > 0) if chart.log else True)]
    if not values.size:
        return None
    low, high = float(values.min()), float(values.max())
    if chart.log:
        return low / 1.5, high * 1.5
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _thinned(points: Points) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return iterations, means, lowest and highest values of as many points as can be seen."""
    steps, values = (np.array(column, np.float64) for column in zip(*points, strict=True))
    if len(points) <= MOST_POINTS:
        return [steps, values, values, values]
    edges = np.linspace(0, len(points), MOST_POINTS + 1).astype(int)[:-1]
    counts = np.diff([*edges, len(points)])
    return [
        np.add.reduceat(steps, edges) / counts,
        np.add.reduceat(values, edges) / counts,
        np.minimum.reduceat(values, edges),
        np.maximum.reduceat(values, edges),
    ]


def _as_it_is(label: str) -> str:
    """Return a label that Matplotlib shows as it is: no formula, and not left out for its "_"."""
    label = label.replace("$", r"\$")
    return f" {label}" if label.startswith("_") else label
