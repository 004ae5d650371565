"""The load run: a long training with every callback on, watched from inside.

Prints the process's memory, open files and threads as it goes on. Exit code 0 if from
``--settled`` iterations to the end memory grew by less than 1 % and the others not at all. Memory
falls by some MiB now and then and comes back, so peaks are compared: that of the last quarter of
the readings with that of the first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _checkout  # noqa: F401

from ppgan_zoo import runtime
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.shipped import find_recipe

RECIPE = """\
model: {name: gan_mlp, generator: {hidden_units: [64, 128]}, discriminator: {hidden_units: [64]}}
latent: {dim: 32}
data: {name: mnist, batch_size: 16, limit: 3200}
ema: {decay: 0.99}
samples: {every_steps: 100, grid: [4, 8], real_rows: 1}
log: {every_steps: 10, histogram_every_steps: 100}
checkpoint: {every_steps: 100}
training: {iterations: 10000}
"""


@dataclass(frozen=True)
class Reading:
    """What the process used after an iteration."""

    iteration: int
    resident_bytes: int
    files: int
    threads: int


def read_usage(iteration: int) -> Reading:
    """Return what this process uses now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Reading(
        iteration,
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir("/proc/self/fd")) - 1,  # listing opens one
        len(os.listdir("/proc/self/task")),
    )


def watch(recipe: Recipe, run: Path, every_steps: int) -> list[Reading]:
    """Train and return a reading every so many iterations."""
    from ppgan_zoo.run import train
    from ppgan_zoo.training.loop import Callback
    from ppgan_zoo.training.trainer import Trainer

    readings: list[Reading] = []

    class Watch(Callback):
        def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
            if trainer.iteration % every_steps == 0:
                readings.append(read_usage(trainer.iteration))

    train.train(recipe, run, offline=True, callbacks=[Watch()])
    return readings


def growth(readings: list[Reading]) -> float:
    """Return by what share the peak of the last quarter lies above that of the first."""
    quarter = max(1, len(readings) // 4)
    peaks = [
        max(reading.resident_bytes for reading in part)
        for part in (readings[:quarter], readings[-quarter:])
    ]
    return peaks[1] / peaks[0] - 1.0


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", dest="recipe", help="another recipe than the small dense net's")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--iterations", type=int, default=10_000)
    parser.add_argument("--settled", type=int, default=500)
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--allowed-growth", type=float, default=0.01, help="of memory, as a share")
    options = parser.parse_args()
    runtime.start("cpu")
    with tempfile.TemporaryDirectory() as folder:
        if options.recipe is None:
            path = Path(folder) / "load.yml"
            path.write_text(RECIPE)
        else:
            path = find_recipe(options.recipe)
        overrides = [*options.overrides, f"training.iterations={options.iterations}"]
        recipe = load_recipe(path, overrides)
        begun = time.monotonic()
        readings = watch(recipe, Path(folder) / "run", options.every)
        seconds = time.monotonic() - begun
    print("iteration  memory/MiB  files  threads")
    for reading in readings:
        print(
            f"{reading.iteration:9}  {reading.resident_bytes / 2**20:10.1f}  {reading.files:5}  "
            f"{reading.threads:7}"
        )
    settled = [reading for reading in readings if reading.iteration >= options.settled]
    first, last = settled[0], settled[-1]
    grown = growth(settled)
    print(
        f"peak memory from iteration {first.iteration} to {last.iteration}: {grown:+.2%} (allowed "
        f"{options.allowed_growth:.0%}); {seconds:.0f} s"
    )
    constant = all((r.files, r.threads) == (first.files, first.threads) for r in settled)
    print(f"open files and threads: {'constant' if constant else 'not constant'}")
    return 0 if constant and grown < options.allowed_growth else 1


if __name__ == "__main__":
    sys.exit(main())
