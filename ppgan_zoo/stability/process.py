"""The first phase of one run, trained in this process: the other half of ``driver``.

Run as a module it takes a request as JSON and prints the answer as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppgan_zoo import ops, runtime
from ppgan_zoo.errors import ZooError
from ppgan_zoo.recipe.load import load_recipe

if TYPE_CHECKING:
    from ppgan_zoo.data.batches import Batch
    from ppgan_zoo.run.job import Job

LOOKED_AT = 128  # samples, and real images, of a check
DRAWN = 32  # of the samples


@dataclass(frozen=True)
class Request:
    """What to train.

    Attributes:
        recipe: Path of the recipe.
        seed: Of everything random.
        iterations: A run that has not begun by then has failed.
        every_steps: Iterations between two checks.
        overrides: ``key=value`` texts for the recipe.
        picture: Where to draw the last samples.
    """

    recipe: str
    seed: int
    iterations: int
    every_steps: int
    overrides: list[str] = field(default_factory=list)
    picture: str | None = None


def train_first_phase(request: Request) -> dict[str, Any]:
    """Train until it is clear what becomes of the run.

    Returns:
        ``begun``, ``iteration`` (when that was clear), ``distances`` (iteration and distance of
        every check), ``seconds`` and ``runtime``.

    Raises:
        ZooError: Whatever is wrong with recipe or data.
    """
    from ppgan_zoo.data import to_uint8
    from ppgan_zoo.run.job import build_job
    from ppgan_zoo.storage.pictures import image_grid, save_png
    from ppgan_zoo.training.first_phase import FirstPhase, start_distance
    from ppgan_zoo.training.signals import take_signals

    recipe = load_recipe(request.recipe, [*request.overrides, f"seed={request.seed}"])
    job = build_job(recipe, offline=True)
    trainer, phase, fate = job.trainer, FirstPhase(request.iterations), None
    real = _spread_over(job)
    start = time.monotonic()
    while fate is None:
        trainer.step(job.batches[trainer.iteration])
        if trainer.iteration % request.every_steps and trainer.iteration < request.iterations:
            continue
        samples = np.clip(take_signals(trainer, real, len(real)).samples, *trainer.gan.image_range)
        fate = phase.see(trainer.iteration, start_distance(samples, real.images[: len(samples)]))
    if request.picture is not None:
        shown = to_uint8(np.nan_to_num(samples[:DRAWN]), trainer.gan.image_range)
        save_png(Path(request.picture), image_grid(shown, columns=8))
    return {
        "begun": fate == "begun",
        "iteration": trainer.iteration,
        "distances": [
            [at, round(distance, 4) if np.isfinite(distance) else None]
            for at, distance in phase.seen
        ],
        "seconds": round(time.monotonic() - start, 1),
        "runtime": {**job.machine.describe(), "convolutions": ops.describe()},
    }


def _spread_over(job: Job) -> Batch:
    """Return real images, and their labels for nets that take them, from all over the set."""
    from ppgan_zoo.data.batches import Batch
    from ppgan_zoo.data.images import scale_to_range

    data = job.images
    chosen = np.linspace(0, len(data) - 1, min(LOOKED_AT, len(data))).astype(int)
    images = scale_to_range(data.images[chosen], job.trainer.gan.image_range)
    labels = data.labels if job.facts.num_classes else None
    return Batch(images, None if labels is None else labels[chosen])


def main() -> int:
    """Read a request from the one argument and print the answer, a line of JSON."""
    request = Request(**json.loads(sys.argv[1]))
    try:
        answer = train_first_phase(request)
    except ZooError as error:
        answer = {"error": " ".join(str(error).split())}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    runtime.prepare()
    sys.exit(main())
