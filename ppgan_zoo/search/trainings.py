"""One training of a search: its directory, its end by the budget, and what is read of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path

from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.search.plan import Run, sha256_of, without_paths
from ppgan_zoo.search.results import Training
from ppgan_zoo.storage.progress import read_progress
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.visualdl_reader import read_scalar_times

PRUNE_SECONDS = 10.0  # between two looks at the curve of a run that may be given up
LEAST_SHARE = 0.05  # of a core: a run whose minutes are CPU minutes and that gets less hangs
START_SECONDS = 900  # to import Paddle, read the data and build the model, on a busy machine
SAVE_SECONDS = 300  # to finish an iteration and save after SIGTERM


def watch(
    process: subprocess.Popen[bytes],
    place: RunDirectory,
    budget_seconds: float,
    is_hopeless: Callable[[], bool],
    *,
    cpu: bool = False,
) -> Generator[None, None, str | None]:
    """Wait for a training; return why it was stopped: ``"budget"``, ``"given up"`` or None.

    Args:
        process: That trains.
        place: Its run.
        budget_seconds: That it may take.
        is_hopeless: Tells whether to give it up.
        cpu: Whether the budget is processor time.
    """
    stage, deadline = "starting", time.monotonic() + START_SECONDS
    stopped, looked = None, time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        if stage == "starting" and read_progress(place.progress) is not None:
            stage, deadline = "training", now + budget_seconds / (LEAST_SHARE if cpu else 1)
        elif stage == "training":
            is_due = now - looked >= PRUNE_SECONDS
            looked = now if is_due else looked
            is_over = now > deadline or (cpu and _cpu_seconds(place) > budget_seconds)
            given_up = not is_over and is_due and is_hopeless()
            if is_over or given_up:
                stage, deadline = "saving", now + SAVE_SECONDS
                if not all_done(place):
                    stopped = "given up" if given_up else "budget"
                    process.terminate()
        elif now > deadline:
            process.kill()
        yield
    return stopped


def _cpu_seconds(place: RunDirectory) -> float:
    progress = read_progress(place.progress)
    return (progress.cpu_seconds if progress else None) or 0.0


def begin(place: RunDirectory, mark: str) -> None:
    """Make the directory of a run; one of this search that was interrupted is deleted first.

    Raises:
        ZooError: What is there is not of this search, or a process is at work there.
    """
    if os.path.lexists(place.path):
        if place.path.is_symlink() or not place.is_claimed_by(mark):
            raise ConfigError(
                f"{place.path}: exists already, and this search did not make it; move it away"
            )
        place.delete()
    place.claim(mark)


def check_recipe(place: RunDirectory, planned: Recipe) -> None:
    """Make sure that a training was of the recipe that was planned.

    Raises:
        ConfigError: The file was changed after the search began.
    """
    trained = load_recipe(place.recipe)  # whose paths are absolute
    if sha256_of(without_paths(trained)) != sha256_of(without_paths(planned)):
        raise ConfigError(
            f"{place.path}: was trained by another recipe than the search began with; its file was "
            "changed meanwhile, so this run is not counted; the same command goes on"
        )


def all_done(place: RunDirectory) -> bool:
    """Tell whether a training has done its last iteration."""
    progress = read_progress(place.progress)
    return progress is not None and progress.is_complete


def training(run: Run, place: RunDirectory) -> Training | None:
    """Return the facts of a training, or None of one that never began."""
    progress, starts = read_progress(place.progress), place.starts()
    if progress is None or not starts:
        return None
    start = starts[0]
    return Training(
        iterations=progress.done,
        lost_iterations=progress.iterations_in_all - progress.done,
        images=progress.iterations_in_all * run.recipe.images_per_step,
        seconds=progress.seconds,
        cpu_seconds=progress.cpu_seconds,
        restarts=place.restarts(),
        started=start["started"],
        zoo=start.get("ppgan_zoo"),
        git_commit=start["git_commit"],
        data_sha256=start.get("data", {}).get("sha256"),
        device=start["runtime"]["device"],
        threads=start["runtime"]["threads"],
        processor=start["runtime"]["processor"],
    )


def curve(place: RunDirectory) -> tuple[tuple[float, int, float], ...]:
    """Return what a training measured of itself: minutes, iteration and FID of each look."""
    progress = read_progress(place.progress)
    if progress is None or not Path(place.visualdl).is_dir():
        return ()
    try:
        points = read_scalar_times(place.visualdl, "metric/fid")
    except DataError:  # killed before its first record
        return ()
    return tuple((round((at - progress.began) / 60, 4), step, value) for at, step, value in points)
