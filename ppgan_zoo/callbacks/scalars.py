"""The scalars of an iteration in words, whichever of them a game returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {
    "loss/discriminator": "D loss",
    "loss/generator": "G loss",
    "score/real": "D(real)",
    "score/fake": "D(fake)",
}
"""What is said first, and how; any other scalar goes by its own name."""

Scalars = Mapping[str, Any]


def losses_in_short(scalars: Scalars) -> list[str]:
    """Return the losses there are, D's before G's: ``["D 0.693", "G 0.700"]``."""
    return [
        f"{NAMES.get(key, key).removesuffix(' loss')} {float(scalars[key]):.3f}"
        for key in _in_order(scalars)
        if key.startswith("loss/")
    ]


def in_words(scalars: Scalars) -> list[str]:
    """Return all scalars: ``["D loss 0.6931", "D(real) 0.500", "term/r1 0.0123"]``."""
    return [
        f"{NAMES.get(key, key)} {float(scalars[key]):{'.3f' if 'score/' in key else '.4f'}}"
        for key in _in_order(scalars)
    ]


def means(iterations: Sequence[Scalars]) -> dict[str, float]:
    """Return the mean of each scalar over the iterations that have it, as not all need to."""
    values: dict[str, list[float]] = {}
    for scalars in iterations:
        for key, value in scalars.items():
            values.setdefault(key, []).append(float(value))
    return {key: sum(found) / len(found) for key, found in values.items()}


def _in_order(scalars: Scalars) -> list[str]:
    known = [key for key in NAMES if key in scalars]
    return [*known, *(key for key in scalars if key not in NAMES)]
