"""A walk through the latent space, as frames of a film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.latents.directions import METHODS
from ppgan_zoo.latents.interpolation import round_trip
from ppgan_zoo.latents.space import LatentSpace, Points
from ppgan_zoo.storage.pictures import image_grid

MOST_FRAMES, MOST_PICTURES, MOST_DIGITS = 5000, 256, 9


def walk_frames(
    space: LatentSpace,
    *,
    pictures: int = 16,
    stops: int = 4,
    steps: int = 20,
    seed: int = 0,
    label: int | None = None,
    psi: float | None = None,
    direction: str | None = None,
) -> list[NDArray[np.uint8]]:
    """Return the frames of a closed walk, several pictures side by side in each.

    Args:
        space: The latent space; its prior says which way is taken.
        pictures: How many stand side by side, each on a walk of its own.
        stops: Random points on each walk; with `direction`, one is enough, and is all there is.
        steps: Frames from one stop to the next.
        seed: Of the points.
        label: The class, of a G with labels; None for each in its turn.
        psi: Draw w towards its average by this factor, 0 to 1; None for w as it is.
        direction: Go along it and back (``"pca1"``, ``"sefa3"``) in place of from stop to stop.

    Returns:
        Grids ``uint8 [H, W]`` or ``[H, W, 3]``.

    Raises:
        ConfigError: A number is out of range, there is no such direction, or `psi` is given for
            z.
    """
    count = stops * steps if direction is None else 4 * steps
    if not 1 <= pictures <= MOST_PICTURES or not 1 <= count <= MOST_FRAMES or steps < 1:
        raise ConfigError(
            f"walk: {pictures} pictures, {count} frames; give 1 to {MOST_PICTURES} and 1 to "
            f"{MOST_FRAMES}"
        )
    labels = None
    if space.num_classes:
        labels = space.labels(pictures, None if label is None else np.full(pictures, label))
    ways = (
        _along(space, direction, pictures, steps, seed, labels)
        if direction is not None
        else _from_stop_to_stop(space, pictures, stops, steps, seed, labels)
    )
    if psi is not None:
        if space.name != "w" or not 0.0 <= psi <= 1.0:
            raise ConfigError(
                f"--truncation {psi:g}: give 0 to 1, of a model with styles, such as stylegan2"
            )
        ways = space.truncated(ways, psi)
    columns = max(1, round(pictures**0.5))
    # A frame at a time: the images of all frames together may be too many.
    return [image_grid(space.images(points, labels), columns) for points in ways]


def _from_stop_to_stop(
    space: LatentSpace,
    pictures: int,
    stops: int,
    steps: int,
    seed: int,
    labels: NDArray[np.int64] | None,
) -> Points:
    """Return ``[frames, pictures, dim]``: a round trip for each picture."""
    told = None if labels is None else labels.repeat(stops)
    points = space.points(pictures * stops, seed, labels=told).reshape(pictures, stops, space.dim)
    return np.stack([round_trip(space, own, steps) for own in points], axis=1)


def _along(
    space: LatentSpace,
    direction: str,
    pictures: int,
    steps: int,
    seed: int,
    labels: NDArray[np.int64] | None,
) -> Points:
    """Return ``[frames, pictures, dim]``: out and back along a direction, slowest at the ends."""
    method = direction.rstrip("0123456789")
    if method not in METHODS or len(direction) > len(method) + MOST_DIGITS:
        raise ConfigError(
            f"--direction {direction}: give a method and a number, such as pca1 or sefa3"
        )
    number = direction[len(method) :]
    found = METHODS[method](space, min(int(number or 1), space.dim))
    points = space.points(pictures, seed, labels=labels)
    amounts = found.reach * np.sin(2.0 * np.pi * np.arange(4 * steps) / (4 * steps))
    return np.stack([found.moved(points, direction, amount) for amount in amounts])
