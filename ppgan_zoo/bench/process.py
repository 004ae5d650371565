"""What one recipe costs, measured in this process: the other half of :mod:`ppgan_zoo.bench.driver`.

Run as a module it takes a request as JSON and prints the answer as one line of JSON: peak
memory and the time to the first step are facts of a process, so each recipe gets its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from ppgan_zoo import ops, runtime
from ppgan_zoo.distributed.streams import end_with_parent
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.storage.terminal import say_answer

if TYPE_CHECKING:
    from ppgan_zoo.run.job import Job

MATRIX_SIDE = 2048
MATRIX_SECONDS = 2.0
LISTED_OPERATIONS = 10


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        recipe: Path of the recipe.
        overrides: ``key=value`` texts for it.
        warmup: Iterations that are not timed, at least 1.
        iterations: Fewest iterations to time.
        seconds: Shortest time to spend on them.
        launched: ``time.time()`` just before the process was started.
        profile: Name the most expensive operations.
        sample: Measure sampling from the exported generator, and not training.
    """

    recipe: str
    overrides: list[str] = field(default_factory=list)
    warmup: int = 3
    iterations: int = 20
    seconds: float = 3.0
    launched: float = 0.0
    profile: bool = False
    sample: bool = False


def time_recipe(request: Request) -> dict[str, Any]:
    """Train the recipe for a while and return the figures.

    Every iteration is timed from asking for its batch to having its losses' kernels done,
    as :meth:`Trainer.fit` runs it without callbacks.

    Raises:
        ZooError: Whatever is wrong with recipe or data.
    """
    runtime.import_paddle()
    from ppgan_zoo.run.job import build_job

    job = build_job(load_recipe(request.recipe, request.overrides), offline=True)
    if request.sample:
        return _time_sampling(request, job)
    trainer, batches = job.trainer, job.batches

    def iterate() -> None:
        trainer.step(batches[trainer.iteration])
        _synchronize()

    iterate()
    first_step_seconds = time.time() - request.launched
    for _ in range(request.warmup - 1):
        iterate()
    resident = _memory("VmRSS")
    result = _figures(iterate, request)
    growth, peak = _memory("VmRSS") - resident, _memory("VmHWM")
    flop = job.flop_per_iteration()
    ceiling = matrix_product_ceiling()
    result.update(
        images_per_second=1e3 * job.images_per_step / result["ms_per_iteration"],
        first_step_seconds=first_step_seconds,
        peak_memory_mib=peak,
        memory_growth_mib=growth,
        parameters=list(job.parameters().values()),
        setting=_setting(job),
        gflop_per_iteration=flop / 1e9,
        ceiling_gflop_per_second=ceiling,
        share_of_ceiling=flop / 1e6 / result["ms_per_iteration"] / ceiling,
        runtime=_runtime(job),
    )
    if request.profile:
        result["most_expensive_operations"] = most_expensive_operations(iterate)
    return result


def matrix_product_ceiling() -> float:
    """Return the best float32 matrix product of this process, in GFLOP/s.

    Two square matrices, again and again for a few seconds; the best is the least disturbed.
    """
    import paddle

    a, b = (paddle.rand([MATRIX_SIDE, MATRIX_SIDE]) for _ in range(2))

    def multiply() -> None:
        paddle.matmul(a, b)
        _synchronize()

    multiply()
    return 2e-6 * MATRIX_SIDE**3 / min(_time(multiply, 5, MATRIX_SECONDS))


def most_expensive_operations(
    iterate: Callable[[], None], iterations: int = 3
) -> list[dict[str, Any]]:
    """Return the operations of Paddle that take most time: name, calls and ms per iteration.

    Raises:
        ConfigError: Paddle's profiler does not start (its GPU build, on a machine without).
    """
    from paddle import profiler
    from paddle.profiler.profiler_statistic import StatisticData

    recorder = profiler.Profiler(
        targets=[profiler.ProfilerTarget.CPU], on_trace_ready=lambda _: None
    )
    try:
        recorder.start()
    except OSError as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"--profile: Paddle's profiler does not start here: {reason}; use the CPU build"
        ) from None
    for _ in range(iterations):
        iterate()
        recorder.step()
    recorder.stop()
    recorded = recorder.profiler_result
    statistics = StatisticData(recorded.get_data(), recorded.get_extra_info())
    items = sorted(statistics.event_summary.items.values(), key=lambda item: -item.cpu_time)
    return [
        {
            # "conv2d dygraph" forward, "Global_Conv2dGradNode" backward
            "operation": item.name.removeprefix("Global_").removesuffix(" dygraph"),
            "calls": item.call / iterations,
            "ms": item.cpu_time / 1e6 / iterations,
        }
        for item in items[:LISTED_OPERATIONS]
    ]


def _time_sampling(request: Request, job: Job) -> dict[str, Any]:
    """Export the untrained generator and time it through Paddle Inference."""
    from ppgan_zoo.export.exported import open_exported
    from ppgan_zoo.export.exporter import export
    from ppgan_zoo.export.predictor import TIMED_BATCH
    from ppgan_zoo.models.latent import labels_in_turn
    from ppgan_zoo.storage.checkpoint import save_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = save_checkpoint(Path(folder), job.trainer.state(), 0, job.facts.to_json())
        export(checkpoint, Path(folder) / "exported")
        model = open_exported(Path(folder) / "exported")
    z, classes = job.facts.latent.sample(TIMED_BATCH, 0), job.facts.num_classes
    labels = labels_in_turn(TIMED_BATCH, classes) if classes else None
    for _ in range(request.warmup):
        model.generate(z, labels)
    result = _figures(lambda: model.generate(z, labels), request)
    median = result.pop("ms_per_iteration")
    return {
        "ms_per_batch": median,
        "processor_ms_per_batch": result.pop("processor_ms_per_iteration"),
        **result,
        "batch_size": TIMED_BATCH,
        "parameters": list(job.parameters().values()),
        "setting": _setting(job),
        "samples_per_second": 1e3 * TIMED_BATCH / median,
        "runtime": _runtime(job),
    }


def _setting(job: Job) -> dict[str, Any]:
    """Return what data and model make of a recipe; weights of terms as they begin."""
    from ppgan_zoo.game.schedules import at

    gan, game = job.trainer.gan, job.trainer.game
    return {
        "image_shape": list(gan.image_shape),
        "num_classes": gan.num_classes,
        "objective": game.objective.name,
        "terms": [
            {"name": term.name, "weight": at(term.weight, 0), "every_steps": term.every_steps}
            for term in game.terms.terms
        ],
    }


def _runtime(job: Job) -> dict[str, Any]:
    return {**ops.describe_machine(job.machine), "products": ops.choices_used()}


def _time(run: Callable[[], Any], fewest: int, seconds: float) -> list[float]:
    """Return the milliseconds of each call: at least `fewest`, for at least `seconds`."""
    milliseconds: list[float] = []
    end = time.perf_counter() + seconds
    while len(milliseconds) < fewest or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return milliseconds


def _figures(run: Callable[[], Any], request: Request) -> dict[str, Any]:
    """Time iterations as often, and for as long, as is asked for."""
    of_processor = time.process_time()
    milliseconds = _time(run, request.iterations, request.seconds)
    of_processor = time.process_time() - of_processor
    lower, median, upper = quantiles(
        milliseconds if len(milliseconds) > 1 else milliseconds * 2, n=4, method="inclusive"
    )
    return {
        "ms_per_iteration": median,
        "ms_quartiles": [lower, upper],
        "processor_ms_per_iteration": 1e3 * of_processor / len(milliseconds),
        "iterations": len(milliseconds),
    }


def _synchronize() -> None:
    """Wait for the device: on a GPU, kernels run on after the call that started them."""
    import paddle

    if paddle.get_device() != "cpu":
        paddle.device.synchronize()


def _memory(entry: str) -> float:
    """Return ``VmRSS`` (resident now) or ``VmHWM`` (at its peak) of this process, in MiB."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{entry}:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # not Linux
    return float("nan")


def main() -> int:
    """Read a request from the one argument and print the answer, a line of JSON."""
    return say_answer(lambda: time_recipe(Request(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    end_with_parent()
    runtime.prepare()
    sys.exit(main())
