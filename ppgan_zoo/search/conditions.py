"""What all runs of a search share, beside the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ppgan_zoo.distributed.streams import as_parent
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.runtime import cpu_threads


@dataclass(frozen=True)
class Conditions:
    """What all runs share, beside the file.

    Attributes:
        data_directory: Where the data set lies; None for the known places.
        offline: Whether to leave the network alone.
        device: What to train on; None for the recipe's own.
        jobs: Runs at the same time; each gets its part of the threads.
        threads: Of each run; None for that part.
        cpu_minutes: Whether minutes are those of the processor, not of the clock.
        environment: Of the processes.
    """

    data_directory: str | None = None
    offline: bool = False
    device: str | None = None
    jobs: int = 1
    threads: int | None = None
    cpu_minutes: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def apply(self, recipe: Recipe) -> Recipe:
        """Return a recipe as the options change it."""
        directory = self.data_directory or recipe.data.directory
        data = recipe.data.model_copy(update={"directory": directory})
        return recipe.model_copy(update={"data": data, "device": self.device or recipe.device})

    def of_a_process(self) -> dict[str, str]:
        """Return the environment with the number of threads for one run."""
        threads = self.threads or max(1, cpu_threads() // self.jobs)
        return {**self.environment, **as_parent(), "PPGAN_ZOO_THREADS": str(threads)}
