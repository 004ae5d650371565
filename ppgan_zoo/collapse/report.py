"""What a run of the collapse suite leaves: a table and a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppgan_zoo.collapse.mixtures import WITHIN_STDS
from ppgan_zoo.collapse.setting import MixtureModes, SettingResult, StackedMnistModes
from ppgan_zoo.collapse.study import SeedResult
from ppgan_zoo.data import to_uint8
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.recipe.game import TermSection
from ppgan_zoo.recipe.schedules import Schedule
from ppgan_zoo.storage.pictures import image_grid
from ppgan_zoo.training.ema import TENSORFLOWS_WARMUP

HEADER = ("seed", "modes", "high quality", "reverse KL", "seconds")
SHOWN_IMAGES, GRID_COLUMNS = 64, 8


def table_head(test: str, recipe: Any, modes: int) -> str:
    """Return what is run, in one line, and the head of the table."""
    constraints, ema = recipe.constraints, recipe.ema
    parts = [
        f"{test}: {recipe.model.name}, {recipe.objective.name or 'the objective of the model'}",
        *(f"{_weight(term)} {term.name}" for term in recipe.terms or ()),
        *([f"packing {constraints.packing}"] if constraints.packing > 1 else []),
        *(
            [f"ema {ema.decay:g} (warmup {ema.warmup or TENSORFLOWS_WARMUP:g})"]
            if ema.decay is not None
            else []
        ),
    ]
    line = (
        f"{' + '.join(parts)}; {recipe.training.iterations:,} iterations of batch "
        f"{recipe.data.batch_size}; {modes:,} modes"
    )
    return f"{line}\n{_line(HEADER)}"


def _weight(term: TermSection) -> str:
    if isinstance(term.weight, Schedule):
        return f"{term.weight.name} schedule of"
    return f"{get_term(term.name, term.weight).weight:g}"


def seed_row(result: SeedResult) -> str:
    """Return one seed's row."""
    return _line((result.seed, *_cells(result.row()), f"{result.seconds:.0f}"))


def table_foot(result: SettingResult) -> str:
    """Return the rows of mean, standard deviation and real data."""
    rows = {"mean": result.mean(), "std": result.std(), "real": vars(result.floor)}
    return "\n".join(_line((name, *_cells(row), "")) for name, row in rows.items())


def picture(result: SettingResult) -> bytes:
    """Return a PNG: clouds of points over their modes, or a grid of images, seed by seed.

    The circles are what counts as high quality.
    """
    if isinstance(result.test, MixtureModes):
        return _clouds(result, result.test)
    assert isinstance(result.test, StackedMnistModes)
    from PIL import Image

    shown = np.concatenate([seed.images[:SHOWN_IMAGES] for seed in result.seeds])
    low, high = float(min(shown.min(), 0.0)), float(shown.max())
    pixels = image_grid(to_uint8(np.nan_to_num(shown), (low, max(high, low + 1e-6))), GRID_COLUMNS)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _clouds(result: SettingResult, test: MixtureModes) -> bytes:
    # Agg, and no pyplot: nothing of the user's matplotlib is touched and none needs a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    mixture, count = test.mixture, len(result.seeds)
    figure = Figure(figsize=(3.2 * count, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    limit = 1.2 * float(np.abs(mixture.means).max())
    for index, seed in enumerate(result.seeds):
        axes = figure.add_subplot(1, count, index + 1)
        for mean in mixture.means:
            axes.add_patch(Circle(mean, WITHIN_STDS * mixture.std, fill=False, color="0.3", lw=0.8))
        points = mixture.to_points(seed.images)
        axes.scatter(points[:, 0], points[:, 1], s=2, color="tab:blue", alpha=0.3, linewidths=0)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
        figures = _cells(seed.row())
        axes.set_title(f"seed {seed.seed}: {figures[0]} modes, {figures[1]}", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str]:
    modes, share, divergence = row["modes"], row["high_quality"], row["reverse_kl"]
    return (
        "-" if modes is None else f"{modes:.1f}".removesuffix(".0"),
        "-" if share is None else f"{100 * share:.1f} %",
        "-" if divergence is None else f"{divergence:.4f}",
    )


def _line(cells: tuple[object, ...]) -> str:
    return "  ".join(f"{cell!s:>12}" for cell in cells).rstrip()
