"""Sample grids of a fixed z, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.callbacks.finite import NonFinite, NonFiniteError
from ppgan_zoo.callbacks.scalars import losses_in_short
from ppgan_zoo.data import to_uint8
from ppgan_zoo.storage.logs import Log
from ppgan_zoo.storage.pictures import image_grid, save_png
from ppgan_zoo.storage.tolerance import Guard, strict
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

TAG = "samples"


class SampleGrid(Callback):
    """Draws a grid of the same z again and again, so that one sees it change.

    Args:
        folder: Where ``step-NNNNNNNN.png`` is written.
        every_steps: Iterations between two grids; None for one an epoch.
        grid: Rows and columns; of a model with labels each row shows one class.
        real: Real images ``uint8 [rows * columns, C, H, W]`` to stand above, if any.
        log: Gets every grid too.
        guard: Around the writing of a file.

    Raises:
        NonFiniteError: From the callback's methods: G's images are not finite.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every_steps: int | None,
        grid: tuple[int, int],
        real: NDArray[np.uint8] | None = None,
        log: Log | None = None,
        guard: Guard = strict,
    ) -> None:
        self.folder = folder
        self.every_steps = every_steps
        self.rows, self.columns = grid
        self.real = real
        self.log = log
        self.guard = guard
        self.drawn_at = -1

    def on_train_begin(self, trainer: Trainer) -> None:
        """Look whether a resumed run has drawn the grid of its last iteration."""
        if self._path(trainer.iteration).is_file():
            self.drawn_at = trainer.iteration

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Draw, if it is time to."""
        if self.every_steps and trainer.iteration % self.every_steps == 0:
            self._draw(trainer, losses_in_short(scalars))

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Draw, if it is once an epoch."""
        if self.every_steps is None:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Draw the last grid."""
        if error is None and self.drawn_at != trainer.iteration:
            self._draw(trainer)

    def _draw(self, trainer: Trainer, losses: Sequence[str] = ()) -> None:
        count, classes = self.rows * self.columns, trainer.gan.num_classes
        labels = np.arange(count) // self.columns % classes if classes else None  # a row a class
        samples = trainer.samples(count, labels)
        if not np.isfinite(samples).all():
            raise NonFiniteError(NonFinite(trainer.iteration, "generator", "image"))
        images = to_uint8(samples, trainer.gan.image_range)
        words = [f"iteration {trainer.iteration}", *losses]
        caption = "  ".join(words) if self.real is not None else ""
        picture = image_grid(images, self.columns, above=self.real, caption=caption)
        with self.guard("sample grids"):
            save_png(self._path(trainer.iteration), picture)
        if self.log is not None:
            self.log.image(TAG, picture, trainer.iteration)
        self.drawn_at = trainer.iteration

    def _path(self, iteration: int) -> Path:
        return self.folder / f"step-{iteration:08d}.png"
