"""The callbacks of a run, put together as its recipe says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from ppgan_zoo.callbacks import first_phase
from ppgan_zoo.callbacks.checkpoints import CheckpointSaver, Figure
from ppgan_zoo.callbacks.curves import Curves
from ppgan_zoo.callbacks.evaluation import Evaluation, SampleFeatures
from ppgan_zoo.callbacks.finite import FiniteCheck
from ppgan_zoo.callbacks.first_phase import FirstPhaseWatch
from ppgan_zoo.callbacks.health import Health
from ppgan_zoo.callbacks.pace import Pace
from ppgan_zoo.callbacks.progress import EpochLog, ProgressBar
from ppgan_zoo.callbacks.progress_file import ProgressFile
from ppgan_zoo.callbacks.samples import SampleGrid
from ppgan_zoo.callbacks.slowdown import Slowdown
from ppgan_zoo.distributed.launch import resume_command
from ppgan_zoo.registry import LOGS
from ppgan_zoo.run.build import build_sliced_wasserstein
from ppgan_zoo.run.job import Job
from ppgan_zoo.storage.logs import Logs
from ppgan_zoo.storage.retention import read_good
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.run_lock import Lock
from ppgan_zoo.storage.tolerance import Guard, Tolerant
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer


@dataclass(frozen=True)
class RunCallbacks:
    """The callbacks of a run.

    Attributes:
        in_order: All of them, in the order in which they must be called.
        health: The watch for trouble, which may end the run, or None.
        first_phase: The look at whether G has begun to learn, which may too, or None.
    """

    in_order: list[Callback]
    health: Health | None
    first_phase: FirstPhaseWatch | None

    def trouble(self) -> tuple[str | None, int | None]:
        """Return what ended the run, if its health did, and until when it was well."""
        if self.first_phase is not None and self.first_phase.stopped:
            return first_phase.NAME, None
        return (self.health.stopped_by, self.health.good_until) if self.health else (None, None)


def build_callbacks(
    job: Job, trainer: Trainer, run: RunDirectory, lock: Lock, logger: logging.Logger
) -> RunCallbacks:
    """Return the callbacks for a trainer of this job, which writes into this run."""
    recipe = job.recipe
    guard = Tolerant(logger, lock.check)
    kinds = [LOGS.get(name) for name in recipe.log.to]
    records = Logs.begin(kinds, run.path, guard, trainer.iteration or None) if kinds else None
    good_until = read_good(run.checkpoints) if trainer.iteration else None
    health = _health(job, records, logger, good_until)
    watch = _first_phase(job, logger)
    finite = FiniteCheck(
        recipe.log.every_steps,
        recipe.samples.every_steps,
        recipe.checkpoint.every_steps,
        recipe.evaluation.every_steps,
    )
    metrics, best_by, figure = _figures(job, trainer, records, logger)
    callbacks: list[Callback] = [
        finite,  # first: the others may take the numbers for finite
        *([watch] if watch else []),
        *([health] if health else []),  # what stops the run is known to what saves it
        ProgressBar(
            job.iterations,
            job.images_per_step,
            recipe.log.every_steps,
            (lambda: health.tags) if health else (lambda: ""),
        ),
        Pace(job.iterations, lambda line: logger.info("%s", line)),
        *_slowdown(job, run, logger),
        EpochLog(logger, job.batches.steps_per_epoch, job.images_per_step),
        _sample_grid(job, run, records, guard),
        *metrics,
        CheckpointSaver(
            run.checkpoints,
            job.facts.to_json(),
            every_steps=recipe.checkpoint.every_steps,
            keep_last=recipe.checkpoint.keep_last,
            figure_name=best_by,
            figure=figure,
            logger=logger,
            finite=finite,
            owned=lock.check,
            facts={"seed": recipe.seed},
            go_on=recipe.recovery.write_error == "continue",
            good_until=(lambda: health.good_until) if recipe.health.stop_on and health else None,
        ),
        ProgressFile(run.progress, job.iterations, guard),  # after the last save: it takes time
        # Last, since they close the log that the grids are written to.
        *([_curves(job, records)] if records else []),
    ]
    return RunCallbacks(callbacks, health, watch)


def _first_phase(job: Job, logger: logging.Logger) -> FirstPhaseWatch | None:
    section = job.recipe.health
    if section.on_early_collapse is None:
        return None
    if section.first_phase > job.iterations:
        logger.info(
            "health: the run ends before first_phase, %s iterations; nobody will look "
            "whether G has begun to learn", f"{section.first_phase:,}",
        )  # fmt: skip
        return None
    return FirstPhaseWatch(
        job.images,
        iteration=section.first_phase,
        action=section.on_early_collapse,
        logger=logger,
    )


def _slowdown(job: Job, run: RunDirectory, logger: logging.Logger) -> list[Callback]:
    if job.machine.device != "cpu":
        return []
    return [Slowdown(lambda line: logger.warning("%s", line), resume_command(run.path))]


def _sample_grid(job: Job, run: RunDirectory, records: Logs | None, guard: Guard) -> SampleGrid:
    section = job.recipe.samples
    real = section.real_rows * section.grid[1]
    return SampleGrid(
        run.samples,
        every_steps=section.every_steps,
        grid=section.grid,
        real=job.images.images[:real] if real else None,
        log=records,
        guard=guard,
    )


def _curves(job: Job, records: Logs) -> Curves:
    section = job.recipe.log
    return Curves(
        records,
        every_steps=section.every_steps,
        histogram_every_steps=section.histogram_every_steps,
        images_per_step=job.images_per_step,
        hparams=flatten(job.recipe.model_dump(mode="json")),
    )


def _health(
    job: Job, records: Logs | None, logger: logging.Logger, good_until: int | None
) -> Health | None:
    section = job.recipe.health
    if section.every_steps is None:
        return None
    return Health(
        job.batches,
        job.images_per_update,
        job.images.images,
        every_steps=section.every_steps,
        stop_on=section.stop_on,
        logger=logger,
        log=records,
        good_until=good_until,
    )


def _figures(
    job: Job, trainer: Trainer, records: Logs | None, logger: logging.Logger
) -> tuple[list[Callback], str, Figure | None]:
    """Return the callback of the metrics, if any, and what chooses the best checkpoint."""
    best_by, section = job.recipe.checkpoint.best_by, job.recipe.evaluation
    figure: Figure | None = None
    if best_by == "sliced_wasserstein":
        figure = build_sliced_wasserstein(job.images, job.facts.image_range)
    features = build_sample_features(job)
    if features is None or job.evaluator is None:
        return [], best_by or "", figure
    callback = Evaluation(features, every_steps=section.every_steps, log=records, logger=logger)
    if best_by != "fid":
        return [features, callback], best_by or "", figure
    # Names the protocol, since a resume may change it and figures of two do not compare.
    name = f"fid-{job.evaluator.network.name}-{section.split}-{section.num_samples}"
    return [features, callback], name, lambda current: callback.figures(current)["fid"]


def build_sample_features(job: Job) -> SampleFeatures | None:
    """Return what all processes of a run do of its evaluations; None if there are none."""
    if job.evaluator is None:
        return None
    section, checkpoint = job.recipe.evaluation, job.recipe.checkpoint
    saved = checkpoint.every_steps if checkpoint.best_by == "fid" else None
    every = [number for number in (section.every_steps, saved) if number]
    return SampleFeatures(job.evaluator, every, job.group)


def flatten(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``section/key: value``; VisualDL's table shows nothing for a name with a dot."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}/"))
        elif value is not None and value != {}:
            flat[prefix + key] = value
    return flat
