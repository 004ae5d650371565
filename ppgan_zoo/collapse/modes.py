"""Counting modes: how many a set of samples reaches, and how evenly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ModeCount:
    """What one set of samples reaches.

    Attributes:
        modes: Modes with at least one sample that counts for them.
        high_quality: Share of the samples that count for a mode; None where all do.
        reverse_kl: KL(p || uniform) in nats, p the shares of the modes among the samples
            that count; None where none does. 0 is even, log(modes in all) is one mode.
    """

    modes: int
    high_quality: float | None
    reverse_kl: float | None


def reverse_kl(counts: NDArray[np.integer]) -> float | None:
    """Return KL(p || uniform) in nats of the counts ``[K]`` of all modes; None if all are 0."""
    total = counts.sum()
    if not total:
        return None
    shares = counts[counts > 0] / total
    return float((shares * np.log(shares * len(counts))).sum())


def count_modes(classes: NDArray[np.integer], modes: int) -> ModeCount:
    """Count the modes of samples that each belong to one, by a classifier.

    Args:
        classes: ``[N]``, 0 to `modes` - 1.
        modes: How many there are in all.
    """
    counts = np.bincount(classes, minlength=modes)
    return ModeCount(int((counts > 0).sum()), None, reverse_kl(counts))
