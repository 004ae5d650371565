"""How long a product takes with fewer threads: on a busy machine they can be faster than many."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import paddle

from ppgan_zoo import runtime
from ppgan_zoo.ops.trial import drawn

SIDE = 512
ROUNDS = 15


def seconds_by_threads(clock: Callable[[], float] = time.perf_counter) -> dict[int, float]:
    """Return the median time of a product of matrices for some numbers of threads.

    One, half of those that this process works with, and all of them, in turns, so that a
    disturbance meets each. Nothing of a run changes by it. It takes a fraction of a second.

    Args:
        clock: Returns seconds; for tests.
    """
    most = runtime.threads()
    counts = sorted({1, max(1, most // 2), most})
    matrix = drawn([SIDE, SIDE], seed=0)
    times: dict[int, list[float]] = {count: [] for count in counts}
    try:
        for _ in range(ROUNDS + 1):
            for count in counts:
                paddle.base.core.set_num_threads(count)
                began = clock()
                paddle.matmul(matrix, matrix)
                times[count].append(clock() - began)
    finally:
        paddle.base.core.set_num_threads(most)
    return {count: median(found[1:]) for count, found in times.items()}  # the first starts threads
