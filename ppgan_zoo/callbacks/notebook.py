"""Training as one watches it in a notebook: a bar, the samples and the losses, drawn anew."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.callbacks.scalars import NAMES, losses_in_short
from ppgan_zoo.data import to_uint8
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.pictures import grid_html
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

MOST_POINTS = 400
"""Of a curve as it is drawn: of a longer one, points that lie evenly."""


class NotebookView(Callback):
    """Shows below a cell how training goes: progress, samples of the same z, and the losses.

    Args:
        iterations: Of the whole training, for the time left; None where that is not known.
        every_steps: Iterations between two drawings.
        grid: Rows and columns of samples; of a model with labels each row shows one class.

    Raises:
        ConfigError: A number below 1, or there is no IPython.
    """

    def __init__(
        self,
        iterations: int | None = None,
        *,
        every_steps: int = 25,
        grid: tuple[int, int] = (4, 12),
    ) -> None:
        if min(every_steps, *grid) < 1:
            raise ConfigError("NotebookView: every_steps and both numbers of grid are 1 or more")
        try:
            import IPython.display  # noqa: F401
        except ImportError:
            raise ConfigError(
                "NotebookView: IPython is not installed; run: pip install ipykernel"
            ) from None
        self.iterations = iterations
        self.every_steps = every_steps
        self.rows, self.columns = grid
        self.points: dict[str, list[tuple[int, float]]] = {}
        self._bar: Any = None
        self._shown: Any = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Draw what there is before the first iteration."""
        from IPython.display import HTML, display

        self._bar = _bar(self.iterations, trainer.iteration)
        self._shown = display(HTML(self._page(trainer, [])), display_id=True)

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Move the bar and, if it is time to, draw anew."""
        self._bar.update()
        if trainer.iteration % self.every_steps == 0:
            for tag in NAMES:
                if tag in scalars:
                    point = trainer.iteration, float(scalars[tag])
                    self.points.setdefault(tag, []).append(point)
            self._draw(trainer, losses_in_short(scalars))

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Draw a last time."""
        self._bar.close()
        if error is None:
            self._draw(trainer, [])

    def _draw(self, trainer: Trainer, losses: list[str]) -> None:
        from IPython.display import HTML

        if self._shown is not None:  # None outside of a notebook
            self._shown.update(HTML(self._page(trainer, losses)))

    def _page(self, trainer: Trainer, losses: list[str]) -> str:
        count, classes = self.rows * self.columns, trainer.gan.num_classes
        labels = np.arange(count) // self.columns % classes if classes else None  # a row a class
        images = to_uint8(np.nan_to_num(trainer.samples(count, labels)), trainer.gan.image_range)
        caption = "  ".join([f"iteration {trainer.iteration:,}", *losses])
        return grid_html(images, self.columns, caption) + self._curves()

    def _curves(self) -> str:
        """Return losses and scores as a picture in SVG; "" before there are two points."""
        if not any(len(points) > 1 for points in self.points.values()):
            return ""
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.0, 2.4), layout="constrained")
        for axes, kind in zip(figure.subplots(1, 2), ("loss/", "score/"), strict=True):
            for tag, points in self.points.items():
                if tag.startswith(kind):
                    axes.plot(*_thinned(points).T, linewidth=1.2, label=NAMES[tag])
            axes.set_xlabel("iteration")
            axes.grid(color="#eeeeee")
            if axes.lines:
                axes.legend(frameon=False, fontsize=8)
        made = io.StringIO()
        FigureCanvasSVG(figure).print_svg(made, metadata={"Date": None})
        return made.getvalue()[made.getvalue().index("<svg") :]


def _thinned(points: list[tuple[int, float]]) -> NDArray[np.float64]:
    """Return points as ``[N, 2]``, no more than can be seen, the last among them."""
    chosen = np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(int)
    return np.asarray(points, np.float64)[chosen]


def _bar(iterations: int | None, done: int) -> Any:
    """Return the bar that suits: a drawn one where the notebook can, otherwise text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tqdm, which falls back to text without ipywidgets
        from tqdm.auto import tqdm

        bar = tqdm(total=iterations, initial=done, unit="it", desc="training", mininterval=0.5)
    with contextlib.suppress(AttributeError):
        bar.monitor_interval = 0
    return bar
