"""The scalars of an iteration in words, whichever of them a game returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {
    "loss/discriminator": "D loss",
    "loss/generator": "G loss",
    "score/real": "D(real)",
    "score/fake": "D(fake)",
}
"""What is said first, and how; any other scalar goes by its own name."""

Scalars = Mapping[str, Any]

HELD = 100
"""The most iterations whose scalars are kept on the device."""


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


class Means:
    """The mean of each scalar over the iterations that have it, as not all need to.

    A number that is read waits for the device, and one that is kept there takes its memory: a
    few are kept, and then read together.

    Attributes:
        iterations: How many were added.
    """

    def __init__(self) -> None:
        self._pending: list[Scalars] = []
        self._sums: dict[str, tuple[float, int]] = {}
        self.iterations = 0

    def add(self, scalars: Scalars) -> None:
        """Add an iteration's."""
        self.iterations += 1
        self._pending.append(scalars)
        if len(self._pending) >= HELD:
            self._read()

    def take(self) -> dict[str, float]:
        """Return the means, and begin anew."""
        self._read()
        found = {key: total / count for key, (total, count) in self._sums.items()}
        self._sums.clear()
        self.iterations = 0
        return found

    def _read(self) -> None:
        for scalars in self._pending:
            for key, value in scalars.items():
                total, count = self._sums.get(key, (0.0, 0))
                self._sums[key] = (total + float(value), count + 1)
        self._pending.clear()


def _in_order(scalars: Scalars) -> list[str]:
    known = [key for key in NAMES if key in scalars]
    return [*known, *(key for key in scalars if key not in NAMES)]
