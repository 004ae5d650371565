"""Discs, squares and triangles of any size and place: images that need no download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data import DataKind, ImageSet
from ppgan_zoo.errors import ConfigError

CLASSES = ("disc", "square", "triangle")
SIDE = 32
SEEDS = {"train": 0, "test": 1}


def load_shapes(
    *,
    directory: str | Path | None,
    split: str,
    offline: bool,
    image_size: int | None,
    channels: int | None,
    limit: int | None,
    notify: Callable[[str], None],
    count: int = 6000,
    noise: float = 0.0,
) -> ImageSet:
    """Draw white shapes on black, grey 32 x 32: the same ones every time.

    Args:
        directory: Not needed: nothing is read.
        split: ``"train"`` or ``"test"``, which are drawn from other seeds.
        offline: Not needed either.
        image_size: Left to the zoo, which resizes.
        channels: Left to the zoo, too.
        limit: Saves drawing images that nobody wants.
        notify: Not needed: there is nothing to say.
        count: How many images each split has.
        noise: Standard deviation of the noise on every pixel, in grey levels.

    Raises:
        ConfigError: `count` or `noise` is not allowed.
    """
    if count < 1 or not 0.0 <= noise <= 255.0:
        raise ConfigError(
            f"data.options: count {count}, noise {noise}; give a count of 1 or more and a noise "
            "of 0 to 255"
        )
    images, labels = [], []
    for number in range(count if limit is None else min(count, limit)):
        # Each image has a seed of its own, so the first ones do not depend on their number.
        rng = np.random.default_rng((SEEDS[split], number))
        labels.append(rng.integers(len(CLASSES)))
        grey = 255.0 * draw(CLASSES[labels[-1]], rng) + rng.normal(0.0, noise, (SIDE, SIDE))
        images.append(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[None])
    return ImageSet.of(
        "example_shapes",
        np.stack(images),
        np.array(labels, np.int64),
        source="drawn",
        location=f"count {count}, noise {noise}",
        classes=CLASSES,
    )


def draw(shape: str, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return where a shape is, ``[SIDE, SIDE]``."""
    radius = rng.uniform(SIDE / 8, SIDE / 3)
    top, left = rng.uniform(radius, SIDE - 1 - radius, 2)
    rows, columns = np.indices((SIDE, SIDE))
    y, x = (rows - top) / radius, (columns - left) / radius  # -1 to 1 within the shape
    if shape == "disc":
        return x * x + y * y <= 1.0
    inside = (abs(x) <= 1.0) & (abs(y) <= 1.0)
    return inside if shape == "square" else inside & (abs(x) <= (y + 1.0) / 2.0)


SHAPES = DataKind("example_shapes", load_shapes, default_shape=(1, SIDE, SIDE))
