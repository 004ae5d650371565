"""Which of several forms of one product is the fastest on this machine, found by running them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo.ops.onednn import OneDNNError

Run = Callable[[], Sequence[Tensor]]
"""Computes a product on numbers of its own and returns the results."""

ROUGH = "bfloat16"
"""The form whose factors are rounded to bfloat16, which has 8 bits where float32 has 24."""

TOLERANCE = 1e-4
"""Largest difference from the usual form's results, relative to the largest of them."""
TOLERANCE_OF_ROUGH = 2e-2
"""The same of :data:`ROUGH`; random numbers differ by 3e-3."""

GAIN = 0.1
"""Share of its time that the usual form must lose to make way: less may be noise."""

HOPELESS = 1.4
"""A form that took so many times as long as the best at first is not run again."""

ROUNDS = 3
SHORT_S = 2e-3
"""Forms that are faster are run up to `MORE` times as often: there the clock is coarse."""
MORE = 4
CLEAR = 0.15
"""A ratio of two times that is so far from where the choice turns needs no more rounds."""


DRAWN = 9973  # prime, so that no row is like the row before


def drawn(shape: Sequence[int], seed: int) -> Tensor:
    """Return normal numbers on the CPU, not drawn by Paddle, whose state belongs to the run.

    They repeat after some thousands, since drawing millions takes longer than a trial.
    """
    few = np.random.default_rng(seed).standard_normal(DRAWN, np.float32)
    return paddle.to_tensor(np.resize(few, shape), place=paddle.CPUPlace())


def fastest(
    forms: Mapping[str, Run], usual: str, clock: Callable[[], float] = time.perf_counter
) -> str:
    """Return the name of the fastest form that computes what the usual one computes.

    Forms take turns, so that a disturbance of the machine meets all of them; the least of each
    one's times counts.

    Args:
        forms: At least the usual one.
        usual: Stays, unless another is faster by :data:`GAIN`.
        clock: Returns seconds; for tests.
    """
    wanted = forms[usual]()
    alive = [
        name for name, run in forms.items() if name == usual or _is_right(name, run, wanted)
    ]  # this was each one's first run, which plans
    if len(alive) < 2:
        return usual
    least = dict.fromkeys(alive, float("inf"))

    def measure(names: Sequence[str]) -> None:
        for name in names:
            began = clock()
            forms[name]()
            least[name] = min(least[name], clock() - began)

    measure(alive)
    begun = 1
    if min(least.values()) < SHORT_S:  # other work that comes between takes longer than the form
        measure(alive)
        begun = 2
    best = min(least.values())
    hopeful = [name for name in alive if name == usual or least[name] <= HOPELESS * best]
    if len(hopeful) < 2:
        return usual
    others = [name for name in hopeful if name != usual]
    for done in range(begun, ROUNDS * (MORE if best < SHORT_S else 1)):
        ratio = min(least[name] for name in others) / least[usual]
        if done >= ROUNDS and abs(ratio - (1.0 - GAIN)) > CLEAR:
            break
        measure(hopeful)
    winner = min(hopeful, key=lambda name: least[name])
    return winner if least[winner] < (1.0 - GAIN) * least[usual] else usual


def _is_right(name: str, run: Run, wanted: Sequence[Tensor]) -> bool:
    try:
        found = run()
    except OneDNNError:  # no code for it on this processor
        return False
    tolerance = TOLERANCE_OF_ROUGH if name == ROUGH else TOLERANCE
    for one, other in zip(found, wanted, strict=True):
        right = other.numpy()
        error = float(np.abs(one.numpy() - right).max())
        if not error <= tolerance * float(np.abs(right).max()):
            return False
    return True
