"""What the processes of all peers have and do alike."""

import time
from statistics import quantiles

SAMPLE_BATCH = 128
IMAGES = 4096  # enough that no batch comes from the processor's cache


def trains_plainly(recipe):
    """Tell whether training itself does nothing that no peer does."""
    constraints, training = recipe["constraints"], recipe["training"]
    return (
        not constraints["instance_noise"]["std"]
        and constraints["packing"] == 1
        and training["accumulate_steps"] == 1
        and training["generator_batch_multiple"] == 1
        and not any(constraints["spectral_norm"].values())
    )


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
