"""The first phase of one run, trained in this process: the other half of ``driver``.

Run as a module it takes a request as JSON and prints the answer as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppgan_zoo import ops, runtime
from ppgan_zoo.distributed.streams import end_with_parent
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.storage.terminal import say_answer

DRAWN = 32  # samples


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
        every check), ``seconds``, ``data`` (name, source, count and hash) and ``runtime``.

    Raises:
        ZooError: Whatever is wrong with recipe or data.
    """
    from ppgan_zoo.data import to_uint8
    from ppgan_zoo.run.job import build_job
    from ppgan_zoo.storage.pictures import image_grid, save_png
    from ppgan_zoo.training.first_phase import FirstPhase, Look

    recipe = load_recipe(request.recipe, [*request.overrides, f"seed={request.seed}"])
    job = build_job(recipe, offline=True)
    trainer, phase, fate = job.trainer, FirstPhase(request.iterations), None
    look = Look(job.images, trainer)
    start = time.monotonic()
    while fate is None:
        trainer.step(job.batches[trainer.iteration])
        if trainer.iteration % request.every_steps and trainer.iteration < request.iterations:
            continue
        distance, samples = look(trainer)
        fate = phase.see(trainer.iteration, distance)
    described = job.describe_data()
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
        "data": {key: described[key] for key in ("name", "source", "count", "sha256")},
        "runtime": ops.describe_machine(job.machine),
    }


def main() -> int:
    """Read a request from the one argument and print the answer, a line of JSON."""
    return say_answer(lambda: train_first_phase(Request(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    end_with_parent()
    runtime.prepare()
    sys.exit(main())
