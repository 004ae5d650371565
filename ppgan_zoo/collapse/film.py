"""A training on points in the plane as a moving picture: what G draws, and what D thinks.

The darker the ground, the more D takes a point there for real.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.collapse.mixtures import WITHIN_STDS, Mixture
from ppgan_zoo.models.nets import judged
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

POINTS, SIDE = 600, 61
"""Points that a frame shows, and the places along an edge at which D is asked."""

PIXELS, COLOURS, FRAME_MS, LAST_MS = 320, 40, 150, 2000
MARGIN = 1.45
"""How far a frame goes, in largest distances of a mode from the middle along an axis."""


@dataclass(frozen=True)
class Frame:
    """One moment of a training.

    Attributes:
        iteration: How many iterations were done.
        points: G's samples of fixed z, float64 ``[N, 2]``.
        belief: What D takes for the chance that a point is real, float64 ``[SIDE, SIDE]``,
            rows from low to high second coordinate; None for a D that judges points together.
    """

    iteration: int
    points: NDArray[np.float64]
    belief: NDArray[np.float64] | None


class Film(Callback):
    """Keeps moments of a training on a mixture, closer together at its beginning.

    Args:
        mixture: What is learned.
        iterations: Of the whole training.
        frames: How many moments, from 2.
        packing: Points that D judges together; above 1 it is not asked.

    Attributes:
        frames: Those that were kept so far.
    """

    def __init__(self, mixture: Mixture, iterations: int, frames: int, *, packing: int = 1) -> None:
        self.mixture = mixture
        self.packing = packing
        self.frames: list[Frame] = []
        shares = np.linspace(0.0, 1.0, frames) ** 2
        self.moments = set(np.round(shares * iterations).astype(int).tolist())

    def on_train_begin(self, trainer: Trainer) -> None:
        """Keep what the nets do before they learn."""
        self._keep(trainer)

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Keep the moment, if it is one of those."""
        if trainer.iteration in self.moments:
            self._keep(trainer)

    def _keep(self, trainer: Trainer) -> None:
        points = self.mixture.to_points(trainer.samples(POINTS))
        self.frames.append(Frame(trainer.iteration, points, self._belief(trainer)))

    def _belief(self, trainer: Trainer) -> NDArray[np.float64] | None:
        if self.packing > 1:
            return None
        line = np.linspace(-1.0, 1.0, SIDE) * view(self.mixture)
        across, up = np.meshgrid(line, line)
        places = self.mixture.to_images(np.stack([across.ravel(), up.ravel()], axis=1))
        logits = judged(trainer.gan, places).astype(np.float64).mean(axis=1)
        belief: NDArray[np.float64] = 0.5 + 0.5 * np.tanh(0.5 * logits.reshape(SIDE, SIDE))
        return belief


def view(mixture: Mixture) -> float:
    """Return how far a frame goes to each side."""
    return MARGIN * float(np.abs(mixture.means).max())


def to_gif(film: Film) -> bytes:
    """Return the film as an animated GIF, which goes on from its beginning."""
    from PIL import Image

    pictures = [_picture(film.mixture, frame) for frame in film.frames]
    images = [
        Image.fromarray(picture).quantize(COLOURS, dither=Image.Dither.NONE) for picture in pictures
    ]
    buffer = io.BytesIO()
    images[0].save(
        buffer, format="GIF", save_all=True, append_images=images[1:], loop=0,
        duration=[FRAME_MS] * (len(images) - 1) + [LAST_MS],
    )  # fmt: skip
    return buffer.getvalue()


def _picture(mixture: Mixture, frame: Frame) -> NDArray[np.uint8]:
    """Return one frame, uint8 ``[PIXELS, PIXELS, 3]``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    figure = Figure(figsize=(PIXELS / 100, PIXELS / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes, limit = figure.add_subplot(), view(mixture)
    if frame.belief is not None:
        axes.imshow(
            frame.belief, origin="lower", extent=(-limit, limit, -limit, limit),
            cmap="Oranges", vmin=0.0, vmax=1.4, interpolation="bilinear",
        )  # fmt: skip
    for mean in mixture.means:
        radius = max(WITHIN_STDS * mixture.std, 0.02 * limit)
        axes.add_patch(Circle(mean, radius, fill=False, color="0.2", lw=0.8))
    axes.scatter(frame.points[:, 0], frame.points[:, 1], s=3, color="tab:blue", linewidths=0)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    axes.set_title(f"iteration {frame.iteration:,}", fontsize=9)
    canvas.draw()
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return pixels
