"""What the processes of all peers do alike: warm up, then time."""

import time
from statistics import quantiles


def timed(run, request):
    """Return the median time of `run` and its quartiles, and the processor's mean time; in ms.

    And how often it was timed.

    Args:
        run: One iteration, or a batch of samples.
        request: How often to run it before that (``warmup``), and at least after
            (``iterations``) and for how long (``seconds``).
    """
    for _ in range(request["warmup"]):
        run()
    of_processor = time.process_time()
    milliseconds, end = [], time.perf_counter() + request["seconds"]
    while len(milliseconds) < request["iterations"] or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    of_processor = time.process_time() - of_processor
    lower, median, upper = quantiles(milliseconds * 2, n=4, method="inclusive")
    return {
        "ms": median,
        "quartiles": [lower, upper],
        "processor_ms": 1e3 * of_processor / len(milliseconds),
        "iterations": len(milliseconds),
    }
