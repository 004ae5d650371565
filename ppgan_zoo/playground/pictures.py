"""Training pictures that a page holds, to show the one that is nearest to a sample."""

from __future__ import annotations

import base64
from pathlib import Path

from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.evaluation.real_images import RealImages, choose
from ppgan_zoo.run.evaluate import find_data


def training_pictures(path: Path, image_shape: tuple[int, int, int], count: int) -> str:
    """Return pictures that a model was trained on, as base64 of bytes ``[count, C, H, W]``.

    They are looked for on this machine alone, and taken in a fixed random order.

    Args:
        path: A run, a checkpoint in one, or a pretrained model.
        image_shape: Channels, height and width.
        count: How many; fewer, if there are no more.

    Raises:
        ConfigError: The model does not say what it was trained on.
        DataError: The pictures are not there.
    """
    source = find_data(
        path, otherwise="give the run that it was exported from, or leave out --nearest"
    )
    real = RealImages(source, image_shape, "train", offline=True, notify=print_to_stderr)
    return base64.b64encode(choose(real.trained_on, count).images.tobytes()).decode()
