"""The directions that a page has sliders for, as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.latents.directions import METHODS
from ppgan_zoo.latents.space import LatentSpace
from ppgan_zoo.models.latent import Latent

REACH = 3.0
"""How far the slider of a number of z goes, both ways, in standard deviations of normal noise."""

COUNT = 16
"""Directions of each method."""

DIGITS = 5
"""After the point, of a vector's numbers: they stand in the page as text."""


def found_directions(space: LatentSpace) -> list[dict[str, Any]]:
    """Return what each method of :mod:`ppgan_zoo.latents.directions` finds, the strongest first.

    A method that cannot look at this model finds nothing.
    """
    entries = []
    for method, find in METHODS.items():
        try:
            found = find(space, COUNT)
        except ConfigError:
            continue
        entries += [
            _entry(method, name, vector, found.reach, found.space)
            for name, vector in zip(found.names, found.vectors, strict=True)
        ]
    return entries


def axes(latent: Latent) -> list[dict[str, Any]]:
    """Return the numbers of z that are noise."""
    reach = REACH if latent.prior == "normal" else 2.0
    return [
        _entry("z", f"z{place + 1}", _unit(place, latent.dim), reach, "z")
        for place in range(latent.noise_dim)
    ]


def codes(latent: Latent) -> list[dict[str, Any]]:
    """Return the continuous codes."""
    return [
        _entry("codes", name, _unit(place.start, latent.dim), 2.0, "z")
        for name, place in latent.codes().items()
        if place.stop - place.start == 1
    ]


def _unit(place: int, dim: int) -> Any:
    vector = np.zeros(dim)
    vector[place] = 1.0
    return vector


def _entry(kind: str, name: str, vector: Any, reach: float, space: str) -> dict[str, Any]:
    numbers = [round(float(number), DIGITS) for number in vector]
    return {
        "kind": kind, "id": name, "name": name, "reach": reach, "space": space, "vector": numbers,
    }  # fmt: skip
