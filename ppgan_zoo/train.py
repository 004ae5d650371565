"""A training run from beginning to end: directory, data, model, callbacks, resume."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paddle
from tqdm import tqdm

from ppgan_zoo import runtime
from ppgan_zoo.build import (
    ModelFacts,
    build_batches,
    build_figure,
    build_model,
    build_trainer,
    model_facts,
    total_iterations,
)
from ppgan_zoo.callbacks.base import Callback
from ppgan_zoo.callbacks.checkpoints import CheckpointSaver
from ppgan_zoo.callbacks.health import Health
from ppgan_zoo.callbacks.progress import EpochLog, ProgressBar
from ppgan_zoo.callbacks.samples import SampleGrid
from ppgan_zoo.callbacks.stop import StopOnSignal
from ppgan_zoo.callbacks.visualdl import VisualDLCurves
from ppgan_zoo.checkpoint import newest_valid_checkpoint
from ppgan_zoo.data import Batches, ImageSet, load_image_set
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.estimate import count_parameters, estimate_memory
from ppgan_zoo.files import write_atomically
from ppgan_zoo.recipe import Recipe, load_recipe
from ppgan_zoo.run import RunDirectory, command_line, start_facts
from ppgan_zoo.trainer import Trainer
from ppgan_zoo.visualdl_log import VisualDLLog

# A resumed run must stay the run that it was: only these may be given anew.
RESUME_KEYS = (
    "training.epochs", "training.iterations", "samples.", "log.", "checkpoint.", "health.",
    "device", "data.directory",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: Its directory.
        iteration: Iterations done in all.
        signal: The signal that stopped it, or None.
        trouble: The name in ``health.stop_on`` that stopped it, or None.
        good_until: Iteration up to which the run showed nothing of ``health.stop_on``.
    """

    run: RunDirectory
    iteration: int
    signal: int | None
    trouble: str | None = None
    good_until: int | None = None


def train(recipe: Recipe, output: Path, *, offline: bool = False) -> Outcome:
    """Train a recipe into a new run directory.

    Args:
        recipe: What to train.
        output: The run directory, which must not hold anything yet.
        offline: Never to use the network.

    Raises:
        ZooError: Whatever is wrong with recipe, data or directory, before training starts.
    """
    run = RunDirectory(output)
    run.check_free()
    job = prepare(recipe, offline)
    run.create()
    with run.lock():
        write_atomically(run.recipe, recipe.to_yaml())
        return _fit(job, run, resume=False)


def resume(run: RunDirectory, overrides: Iterable[str] = (), *, offline: bool = False) -> Outcome:
    """Go on with a run from its newest valid checkpoint.

    Args:
        run: The run.
        overrides: ``key=value`` texts; of the keys that say how long to train and what to
            watch only, since anything else would make it another run.
        offline: Never to use the network.

    Raises:
        CheckpointError: Not a run, no valid checkpoint, or a process is training it.
        ConfigError: An override that would change the run.
        DataError: The data are not those that the run was started on.
    """
    run.check()
    overrides = list(overrides)
    for override in overrides:
        if not override.partition("=")[0].startswith(RESUME_KEYS):
            raise ConfigError(
                f"-o {override}: cannot be changed on a resume; allowed: "
                f"{', '.join(key.rstrip('.') for key in RESUME_KEYS)}. For anything else start a "
                "new run"
            )
    recipe = load_recipe(run.recipe, overrides)
    with run.lock():
        job = prepare(recipe, offline)
        run.check_data(job.images.describe())
        return _fit(job, run, resume=True)


def dry_run(recipe: Recipe, *, offline: bool = False) -> str:
    """Return the resolved recipe, parameter counts and memory estimate; train nothing."""
    job = prepare(recipe, offline)
    gan, images, machine = job.trainer.gan, job.images, job.machine
    memory = estimate_memory(
        gan,
        recipe.data.batch_size // recipe.training.accumulate_steps,
        ema=recipe.ema.decay is not None,
        packing=recipe.constraints.packing,
    )
    arguments = {"generator": job.facts.generator, "discriminator": job.facts.discriminator}
    resolved = recipe.model_copy(update={"model": recipe.model.model_copy(update=arguments)})
    lines = [
        resolved.to_yaml().rstrip(),
        "---",
        f"data: {len(images):,} images {images.image_shape} of {images.name} from {images.source} "
        f"({images.location})",
        f"device: {machine.device}, {machine.threads} threads, Paddle {machine.paddle}; "
        f"memory {machine.memory}, convolutions by {machine.convolutions}",
        f"generator: {count_parameters(gan.generator):,} parameters",
        f"discriminator: {count_parameters(gan.discriminator):,} parameters",
        f"memory: about {memory / 2**20:,.0f} MiB beside Paddle itself",
        f"length: {job.iterations:,} iterations, {job.batches.steps_per_epoch:,} an epoch",
        *(f"warning: {line}" for line in job.trainer.warnings),
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Job:
    """A recipe made real: everything that can be refused has been built."""

    recipe: Recipe
    machine: runtime.Runtime
    images: ImageSet
    facts: ModelFacts
    batches: Batches
    iterations: int
    trainer: Trainer


def prepare(recipe: Recipe, offline: bool) -> Job:
    """Start Paddle, load the data and build the trainer.

    Raises:
        ZooError: Whatever is wrong with recipe or data.
    """
    machine = runtime.start(recipe.device)
    images = _load_data(recipe, offline)
    facts = model_facts(recipe, images.image_shape)
    batches = build_batches(recipe, images, facts.image_range)
    iterations = total_iterations(recipe, batches.steps_per_epoch)
    paddle.seed(recipe.seed)  # the initial weights
    trainer = build_trainer(recipe, build_model(facts), iterations)
    return Job(recipe, machine, images, facts, batches, iterations, trainer)


def _load_data(recipe: Recipe, offline: bool) -> ImageSet:
    data = recipe.data
    return load_image_set(
        data.name,
        directory=data.directory,
        offline=offline,
        image_size=data.image_size,
        channels=data.channels,
        limit=data.limit,
    )


def _fit(job: Job, run: RunDirectory, *, resume: bool) -> Outcome:
    recipe, trainer, images, iterations = job.recipe, job.trainer, job.images, job.iterations
    logger = _open_log(run.log)
    if resume:
        checkpoint = newest_valid_checkpoint(run.checkpoints, logger.warning)
        trainer.load_state(checkpoint.all_arrays(), checkpoint.iteration)
        if trainer.iteration > iterations:
            raise ConfigError(
                f"{run.path}: {trainer.iteration} iterations are done, more than the {iterations} "
                "asked for; set training.iterations or training.epochs to more"
            )
        write_atomically(run.recipe, recipe.to_yaml())
        logger.info("resumed from %s", checkpoint.path.name)
    run.record_start(
        start_facts(
            command_line(),
            seed=recipe.seed,
            runtime=job.machine.describe(),
            data=images.describe(),
            resumed_from_iteration=trainer.iteration if resume else None,
        )
    )
    logger.info(
        "%s on %s %s images of %s (%s), %d iterations of batch %d",
        job.facts.name, job.machine.device, f"{len(images):,}", images.name, images.source,
        iterations, recipe.data.batch_size,
    )  # fmt: skip
    for line in trainer.warnings:
        logger.warning("%s", line)
    if trainer.iteration >= iterations:
        logger.info("nothing to do: %d of %d iterations are done", trainer.iteration, iterations)
        return Outcome(run, trainer.iteration, None)
    stop = StopOnSignal()
    records = VisualDLLog(run.visualdl, resume_step=trainer.iteration or None)
    health = _health(job, logger, records)
    callbacks = [stop, *_callbacks(job, run, logger, records, health)]
    trainer.fit(job.batches, iterations=iterations, callbacks=callbacks)
    trouble, good_until = (health.stopped_by, health.good_until) if health else (None, None)
    return Outcome(run, trainer.iteration, stop.signal, trouble, good_until)


def _health(job: Job, logger: logging.Logger, records: VisualDLLog) -> Health | None:
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


def _callbacks(
    job: Job,
    run: RunDirectory,
    logger: logging.Logger,
    records: VisualDLLog,
    health: Health | None,
) -> list[Callback]:
    recipe, images, trainer = job.recipe, job.images, job.trainer
    images_per_step = recipe.data.batch_size * recipe.training.discriminator_steps
    rows, columns = recipe.samples.grid
    shown = recipe.samples.real_rows * columns
    tags = (lambda: health.tags) if health else (lambda: "")
    return [
        # First, so that what stops the run is known to what saves it.
        *([health] if health else []),
        ProgressBar(job.iterations, images_per_step, recipe.log.every_steps, tags),
        EpochLog(logger, job.batches.steps_per_epoch, images_per_step),
        SampleGrid(
            run.samples,
            every_steps=recipe.samples.every_steps,
            grid=(rows, columns),
            real=images.images[:shown] if shown else None,
            log=records,
        ),
        CheckpointSaver(
            run.checkpoints,
            job.facts.to_json(),
            every_steps=recipe.checkpoint.every_steps,
            keep_last=recipe.checkpoint.keep_last,
            figure_name=recipe.checkpoint.best_by or "",
            figure=build_figure(images, trainer) if recipe.checkpoint.best_by else None,
            logger=logger,
            good_until=(lambda: health.good_until) if recipe.health.stop_on and health else None,
        ),
        # Last, since it closes the log that the grids are written to.
        VisualDLCurves(
            records,
            every_steps=recipe.log.every_steps,
            histogram_every_steps=recipe.log.histogram_every_steps,
            images_per_step=images_per_step,
            hparams=flatten(recipe.model_dump(mode="json")),
        ),
    ]


def _open_log(path: Path) -> logging.Logger:
    """Return a logger that writes to `path` and to standard error, above the progress bar."""
    logger = logging.getLogger("ppgan_zoo.train")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    try:
        to_file = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(to_file)
    logger.addHandler(_AboveTheBar())
    return logger


class _AboveTheBar(logging.Handler):
    """Prints to standard error without tearing the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def flatten(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``section/key: value``; VisualDL's table shows nothing for a name with a dot."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}/"))
        elif value is not None and value != {}:
            flat[prefix + key] = value
    return flat
