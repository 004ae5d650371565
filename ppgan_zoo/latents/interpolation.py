"""Ways from one point of a latent space to another, and round trips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.latents.space import LatentSpace, Points

PARALLEL = 1e-4
"""Sine of the angle below which a great circle is a straight line, or is not defined."""


def lerp(start: Points, end: Points, t: NDArray[np.floating] | float) -> Points:
    """Return points on the straight line: ``(1 - t) start + t end``.

    Args:
        start: float32 ``[..., dim]``.
        end: The same.
        t: 0 to 1, of a shape that goes with ``[..., 1]``.
    """
    return ((1.0 - t) * start + t * end).astype(np.float32)


def slerp(start: Points, end: Points, t: NDArray[np.floating] | float) -> Points:
    """Return points on the arc (Shoemake 1985), for normal z, whose length hardly varies.

    With o the angle between the two, ``(sin((1 - t) o) start + sin(t o) end) / sin o``; where
    sin o is below :data:`PARALLEL`, or one of them is 0, the straight line. Arguments are those
    of :func:`lerp`.
    """
    a, b = start.astype(np.float64), end.astype(np.float64)
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    norms = np.where(norms > 0.0, norms, np.inf)
    angle = np.arccos(np.clip((a * b).sum(axis=-1) / norms, -1.0, 1.0))[..., None]
    sine = np.sin(angle)
    is_arc = (sine > PARALLEL) & np.isfinite(norms)[..., None]
    arc = np.sin((1.0 - t) * angle) * a + np.sin(t * angle) * b
    found: Points = np.where(is_arc, arc / np.where(is_arc, sine, 1.0), lerp(start, end, t))
    return found.astype(np.float32)


def between(space: LatentSpace, start: Points, end: Points, steps: int) -> Points:
    """Return `steps` points from `start` to `end`, both included.

    Normal noise goes along the arc; uniform noise, w, and codes in z along the straight line.

    Args:
        space: Which space it is.
        start: float32 ``[dim]``.
        end: The same.
        steps: 2 or more.

    Returns:
        float32 ``[steps, dim]``.

    Raises:
        ConfigError: Fewer than two steps.
    """
    if steps < 2:
        raise ConfigError(f"steps {steps}: give 2 or more")
    return _along(space, start, end, np.linspace(0.0, 1.0, steps))


def round_trip(space: LatentSpace, stops: Points, steps: int) -> Points:
    """Return a closed way through `stops`, so that a film of it can go on for ever.

    Args:
        space: Which space it is.
        stops: float32 ``[S, dim]``, two or more.
        steps: Points from one stop to the next, the next one not included.

    Returns:
        float32 ``[S * steps, dim]``.

    Raises:
        ConfigError: Fewer than two stops, or no steps.
    """
    if len(stops) < 2 or steps < 1:
        raise ConfigError(f"a walk of {len(stops)} stops, {steps} steps each: give 2 and 1 or more")
    t = np.arange(steps) / steps
    legs = zip(stops, np.roll(stops, -1, axis=0), strict=True)
    return np.concatenate([_along(space, start, end, t) for start, end in legs])


def _along(space: LatentSpace, start: Points, end: Points, t: NDArray[np.float64]) -> Points:
    points = lerp(start, end, t[:, None])
    if space.is_normal:
        noise = slice(0, space.free_dim)
        points[:, noise] = slerp(start[noise], end[noise], t[:, None])
    return points
