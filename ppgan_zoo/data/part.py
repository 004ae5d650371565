"""Which images a part of a set is made of: shuffled, even over the classes, by a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PART = 0x9A27  # keeps its draws apart from others of the same seed


def choose_part(
    total: int, count: int, seed: int, labels: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return which images a part holds, in the order of the set.

    With labels every class has the same number, as far as it has that many and the numbers
    divide. A smaller part by the same seed is a part of a larger one.

    Args:
        total: Images of the set.
        count: How many to take; all, if there are no more.
        seed: Which ones.
        labels: int64 ``[total]``, or None.

    Returns:
        int64, increasing.
    """
    # Raw draws of a bit generator stay what they are with every version of NumPy.
    sequence = np.random.SeedSequence(seed, spawn_key=(_PART,))
    draws = np.random.PCG64(sequence).random_raw(total)
    if labels is None:
        order = np.argsort(draws, kind="stable")
    else:
        of_class = np.lexsort((draws, labels))  # class after class, each shuffled
        starts = np.searchsorted(labels[of_class], labels[of_class])
        turn = np.arange(total) - starts  # which one of its class an image is
        order = of_class[np.lexsort((draws[of_class], turn))]
    chosen: NDArray[np.int64] = np.sort(order[:count])
    return chosen
