"""What watches a run, put together as its recipe says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppgan_zoo.callbacks.checkpoints import CheckpointSaver, Figure
from ppgan_zoo.callbacks.evaluation import Evaluation
from ppgan_zoo.callbacks.finite import FiniteCheck
from ppgan_zoo.callbacks.health import Health
from ppgan_zoo.callbacks.progress import EpochLog, ProgressBar
from ppgan_zoo.callbacks.samples import SampleGrid
from ppgan_zoo.callbacks.visualdl import VisualDLCurves
from ppgan_zoo.run.build import build_figure
from ppgan_zoo.storage import visualdl_log
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.tolerance import Tolerant
from ppgan_zoo.storage.visualdl_log import VisualDLLog
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

if TYPE_CHECKING:
    from ppgan_zoo.run.train import Job


@dataclass(frozen=True)
class Watch:
    """The callbacks of a run.

    Attributes:
        callbacks: In the order in which they must be called.
        health: The one among them that may end the run, or None.
    """

    callbacks: list[Callback]
    health: Health | None

    def trouble(self) -> tuple[str | None, int | None]:
        """Return what ended the run, if its health did, and until when it was well."""
        return (self.health.stopped_by, self.health.good_until) if self.health else (None, None)


def watch_over(job: Job, trainer: Trainer, run: RunDirectory, logger: logging.Logger) -> Watch:
    """Return what watches over this trainer in this run."""
    recipe, images = job.recipe, job.images
    images_per_step = recipe.data.batch_size * recipe.training.discriminator_steps
    guard = Tolerant(logger)
    records: VisualDLLog | None = None
    with guard(visualdl_log.NAME):
        records = VisualDLLog(run.visualdl, guard=guard, resume_step=trainer.iteration or None)
    health = _health(job, records, logger)
    finite = FiniteCheck(
        recipe.log.every_steps,
        recipe.samples.every_steps,
        recipe.checkpoint.every_steps,
        recipe.evaluation.every_steps,
    )
    rows, columns = recipe.samples.grid
    shown = recipe.samples.real_rows * columns
    metrics, figure_name, figure = _figures(job, trainer, records, logger)
    callbacks: list[Callback] = [
        finite,  # first: the others may take the numbers for finite
        *([health] if health else []),  # what stops the run is known to what saves it
        ProgressBar(
            job.iterations,
            images_per_step,
            recipe.log.every_steps,
            (lambda: health.tags) if health else (lambda: ""),
        ),
        EpochLog(logger, job.batches.steps_per_epoch, images_per_step),
        SampleGrid(
            run.samples,
            every_steps=recipe.samples.every_steps,
            grid=(rows, columns),
            real=images.images[:shown] if shown else None,
            log=records,
            guard=guard,
        ),
        *metrics,
        CheckpointSaver(
            run.checkpoints,
            job.facts.to_json(),
            every_steps=recipe.checkpoint.every_steps,
            keep_last=recipe.checkpoint.keep_last,
            figure_name=figure_name,
            figure=figure,
            logger=logger,
            finite=finite,
            go_on=recipe.recovery.write_error == "continue",
            good_until=(lambda: health.good_until) if recipe.health.stop_on and health else None,
        ),
    ]
    if records is not None:
        # Last, since it closes the log that the grids are written to.
        callbacks.append(
            VisualDLCurves(
                records,
                every_steps=recipe.log.every_steps,
                histogram_every_steps=recipe.log.histogram_every_steps,
                images_per_step=images_per_step,
                hparams=flatten(recipe.model_dump(mode="json")),
            )
        )
    return Watch(callbacks, health)


def _health(job: Job, records: VisualDLLog | None, logger: logging.Logger) -> Health | None:
    section = job.recipe.health
    if section.every_steps is None:
        return None
    return Health(
        job.batches,
        job.recipe.data.batch_size,
        job.images.images,
        every_steps=section.every_steps,
        stop_on=section.stop_on,
        logger=logger,
        log=records,
    )


def _figures(
    job: Job, trainer: Trainer, records: VisualDLLog | None, logger: logging.Logger
) -> tuple[list[Callback], str, Figure | None]:
    """Return the callback of the metrics, if any, and what chooses the best checkpoint."""
    best_by, section = job.recipe.checkpoint.best_by, job.recipe.evaluation
    figure = (
        build_figure(job.images, job.facts.image_range) if best_by == "sliced_wasserstein" else None
    )
    if job.evaluator is None:
        return [], best_by or "", figure
    watch = Evaluation(job.evaluator, every_steps=section.every_steps, log=records, logger=logger)
    if best_by != "fid":
        return [watch], best_by or "", figure
    # Names the protocol, since a resume may change it and figures of two do not compare.
    name = f"fid-{job.evaluator.network.name}-{section.split}-{section.num_samples}"
    return [watch], name, lambda current: watch.figures(current)["fid"]


def flatten(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``section/key: value``; VisualDL's table shows nothing for a name with a dot."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}/"))
        elif value is not None and value != {}:
            flat[prefix + key] = value
    return flat
