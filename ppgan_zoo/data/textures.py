"""Drawn textures: patterns of known kinds in random colours, scales and directions.

Each picture mixes two colours by a pattern, a function of the place with values of 0 to 1. They
need no file and no download: a seed is the whole set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Random = np.random.Generator
Grid = NDArray[np.float64]

_OVERSAMPLING = 2  # pixels along each side of a pixel, of which the mean is taken
_BATCH = 500
_SCALES = 4
_DIRECTIONS = 4


@dataclass(frozen=True)
class _Places:
    """Where the pixels of N pictures are.

    Attributes:
        u: Across the pattern, ``[N, S, S]``, in its periods: each picture has its own scale,
            direction and origin.
        v: Along the pattern, likewise.
        random: For what else a pattern draws.
    """

    u: Grid
    v: Grid
    random: Random


def _wave(places: _Places) -> Grid:
    return 0.5 + 0.5 * np.sin(2 * np.pi * places.u)


def _stripes(places: _Places) -> Grid:
    share = _of_each(places, 0.3, 0.7)
    return (places.u % 1 < share).astype(float)


def _checkers(places: _Places) -> Grid:
    return ((np.floor(places.u) + np.floor(places.v)) % 2).astype(float)


def _dots(places: _Places) -> Grid:
    radius = _of_each(places, 0.2, 0.4)
    return (np.hypot(places.u % 1 - 0.5, places.v % 1 - 0.5) < radius).astype(float)


def _rings(places: _Places) -> Grid:
    return (np.hypot(places.u, places.v) % 1 < 0.5).astype(float)


def _rays(places: _Places) -> Grid:
    count = places.random.integers(3, 9, (len(places.u), 1, 1))
    return (np.arctan2(places.u, places.v) / (2 * np.pi) * count % 1 < 0.5).astype(float)


def _bricks(places: _Places) -> Grid:
    row = np.floor(2 * places.v)
    inside = ((places.u + row / 2) % 1 > 0.12) & (2 * places.v % 1 > 0.2)
    return inside.astype(float)


def _bent(places: _Places) -> Grid:
    size = _of_each(places, 0.3, 0.6)
    return ((places.u + size * np.sin(np.pi * places.v)) % 1 < 0.5).astype(float)


def _plaid(places: _Places) -> Grid:
    return 0.5 * (places.u % 1 < 0.5) + 0.5 * (places.v % 1 < 0.5)


def _slope(places: _Places) -> Grid:
    low = places.u.min(axis=(1, 2), keepdims=True)
    spread = np.ptp(places.u, axis=(1, 2), keepdims=True)
    return (places.u - low) / spread


def _clouds(places: _Places) -> Grid:
    octaves = [_noise(places, 2.0**octave) / 2**octave for octave in range(3)]
    return np.asarray(np.sum(octaves, axis=0) / 1.75)


def _patches(places: _Places) -> Grid:
    return (_noise(places, 1.5) > 0.5).astype(float)


def _grain(places: _Places) -> Grid:
    lattice = places.random.random((len(places.u), 64, 64))
    rows, columns = (np.floor(4 * axis).astype(int) % 64 for axis in (places.u, places.v))
    return np.asarray(lattice[np.arange(len(places.u))[:, None, None], rows, columns])


def _cells(places: _Places) -> Grid:
    """Return the shade of the nearest of some random points."""
    return _nearest(places)[1]


def _foam(places: _Places) -> Grid:
    """Return how far the nearest of some random points is, with the farthest as 1."""
    distance = _nearest(places)[0]
    return np.asarray(distance / distance.max(axis=(1, 2), keepdims=True))


def _strokes(places: _Places) -> Grid:
    """Return straight lines through random points in random directions."""
    found = np.zeros_like(places.u)
    for _ in range(5):
        turn = _of_each(places, 0, np.pi)
        offset = _of_each(places, -1.5, 1.5)
        across = np.cos(turn) * places.u + np.sin(turn) * places.v - offset
        found = np.maximum(found, np.abs(across) < 0.08)
    return found


TEXTURES: dict[str, Callable[[_Places], Grid]] = {
    "wave": _wave,
    "stripes": _stripes,
    "checkers": _checkers,
    "dots": _dots,
    "rings": _rings,
    "rays": _rays,
    "bricks": _bricks,
    "bent stripes": _bent,
    "plaid": _plaid,
    "slope": _slope,
    "clouds": _clouds,
    "patches": _patches,
    "grain": _grain,
    "cells": _cells,
    "foam": _foam,
    "strokes": _strokes,
}
"""The kinds of textures by name; their order is that of the labels."""


@dataclass(frozen=True)
class Drawn:
    """Textures and how they were drawn.

    Attributes:
        images: uint8 ``[N, 3, S, S]``.
        labels: int64 ``[N]``, the kinds in the order of :data:`TEXTURES`, each in its turn.
        factors: uint8 ``[N, 4]``: the two colours as :func:`colour_names` has them, the scale
            and the direction, each of the latter as one of four.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    factors: NDArray[np.uint8]


def draw_textures(count: int, size: int, seed: int) -> Drawn:
    """Draw textures, the same for the same arguments.

    Args:
        count: How many.
        size: Height and width in pixels.
        seed: Of all that is random, 0 or more.
    """
    labels = np.arange(count) % len(TEXTURES)
    images = np.empty((count, 3, size, size), np.uint8)
    factors = np.empty((count, 4), np.uint8)
    for kind, pattern in enumerate(TEXTURES.values()):
        own = np.flatnonzero(labels == kind)
        for start in range(0, len(own), _BATCH):
            random = np.random.default_rng((seed, kind, start))
            part = own[start : start + _BATCH]
            colours = two_colours(len(part), random)
            places, factors[part, 2:] = _places(len(part), size, random)
            shades = pattern(places).reshape(
                len(part), size, _OVERSAMPLING, size, _OVERSAMPLING
            )  # fmt: skip
            images[part] = mix(shades.mean(axis=(2, 4)), colours)
            factors[part, :2] = colour_names(colours)
    return Drawn(images, labels.astype(np.int64), factors)


def two_colours(count: int, random: Random) -> NDArray[np.uint8]:
    """Draw two colours for each of `count` pictures that differ well, uint8 ``[count, 2, 3]``."""
    first = random.integers(0, 256, (count, 1, 3))
    others = random.integers(0, 256, (count, 4, 3))
    farthest = np.abs(others - first).sum(axis=2).argmax(axis=1)
    second = others[np.arange(count), farthest][:, None]
    return np.concatenate([first, second], axis=1).astype(np.uint8)


def colour_names(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one of eight numbers for each colour: which of red, green and blue are above half."""
    return np.asarray((colours > 127) @ np.array([4, 2, 1]), np.uint8)


def mix(shades: NDArray[np.floating], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour grey pictures: 0 becomes the first colour and 1 the second.

    Args:
        shades: ``[N, H, W]``, 0 to 1.
        colours: uint8 ``[N, 2, 3]``.

    Returns:
        uint8 ``[N, 3, H, W]``.
    """
    low, high = (colours[:, which, :, None, None].astype(float) for which in (0, 1))
    return np.asarray(np.rint(low + (high - low) * shades[:, None]), np.uint8)


def _places(count: int, size: int, random: Random) -> tuple[_Places, NDArray[np.uint8]]:
    """Draw where patterns lie; returns that and the factors scale and direction, ``[N, 2]``."""
    scale, turn = random.random((2, count))
    periods = 1.5 * 4.0**scale  # in a picture: 1.5 to 6
    angle = np.pi * turn
    side = size * _OVERSAMPLING
    axis = (np.arange(side) + 0.5) / side - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    cosine, sine = (part(angle)[:, None, None] for part in (np.cos, np.sin))
    origin = random.uniform(-0.5, 0.5, (2, count, 1, 1))
    u = periods[:, None, None] * (cosine * x + sine * y) + origin[0]
    v = periods[:, None, None] * (cosine * y - sine * x) + origin[1]
    factors = np.stack([_SCALES * scale, _DIRECTIONS * turn], axis=1).astype(np.uint8)
    return _Places(u, v, random), factors


def _of_each(places: _Places, low: float, high: float) -> Grid:
    """Draw a number for each picture, ``[N, 1, 1]``."""
    return np.asarray(places.random.uniform(low, high, (len(places.u), 1, 1)))


def _noise(places: _Places, frequency: float) -> Grid:
    """Return smooth noise of 0 to 1: random values on a lattice with smooth ways between them."""
    count, period = len(places.u), 32
    lattice = places.random.random((count, period, period))
    rows = np.arange(count)[:, None, None]
    u, v = frequency * places.u, frequency * places.v
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    s, t = (x * x * (3 - 2 * x) for x in (u - i, v - j))
    corners = [
        lattice[rows, (i + a) % period, (j + b) % period] for a in (0, 1) for b in (0, 1)
    ]  # fmt: skip
    low = corners[0] + (corners[2] - corners[0]) * s
    high = corners[1] + (corners[3] - corners[1]) * s
    return np.asarray(low + (high - low) * t)


def _nearest(places: _Places) -> tuple[Grid, Grid]:
    """Return the distance of the nearest of 16 random points, and that point's random shade."""
    count = len(places.u)
    points = places.random.uniform(-2.5, 2.5, (16, 2, count, 1, 1))
    shades = places.random.random((16, count, 1, 1))
    nearest, shade = np.full_like(places.u, np.inf), np.zeros_like(places.u)
    for point, own in zip(points, shades, strict=True):
        distance = np.hypot(places.u - point[0], places.v - point[1])
        nearer = distance < nearest
        nearest, shade = np.where(nearer, distance, nearest), np.where(nearer, own, shade)
    return nearest, shade
