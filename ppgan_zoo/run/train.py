"""A training run from beginning to end: directory, data, model, callbacks, resume."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import paddle

from ppgan_zoo import ops, runtime
from ppgan_zoo.callbacks.finite import NonFiniteError
from ppgan_zoo.callbacks.stop import StopOnSignal
from ppgan_zoo.data import Batches, ImageSet, load_image_set
from ppgan_zoo.errors import ConfigError, TrainingError
from ppgan_zoo.evaluation.evaluator import Evaluator
from ppgan_zoo.models.cost import count_parameters, estimate_memory
from ppgan_zoo.models.facts import ModelFacts, build_model
from ppgan_zoo.recipe.explain import naming
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.run.build import (
    build_batches,
    build_evaluator,
    build_trainer,
    facts_of,
    total_iterations,
)
from ppgan_zoo.run.recovery import restore, roll_back, stopped
from ppgan_zoo.run.watch import watch_over
from ppgan_zoo.storage.files import write_atomically
from ppgan_zoo.storage.run_directory import RunDirectory, command_line, start_facts
from ppgan_zoo.storage.run_log import close_log, log_to_file, open_log
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

# A resumed run must stay the run that it was: only these may be given anew.
RESUME_KEYS = (
    "training.epochs", "training.iterations", "samples.", "log.", "checkpoint.", "evaluation.",
    "health.", "recovery.", "device", "data.directory",
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


def train(
    recipe: Recipe,
    output: Path,
    *,
    offline: bool = False,
    source: Path | None = None,
    watchers: Iterable[Callback] = (),
) -> Outcome:
    """Train a recipe into a new run directory.

    Args:
        recipe: What to train.
        output: The run directory, which must not hold anything yet.
        offline: Never to use the network.
        source: The recipe's file, which errors name.
        watchers: Callbacks beside the run's own.

    Raises:
        ZooError: Whatever is wrong with recipe, data or directory, before training starts.
        TrainingError: Training cannot go on, see the recipe's section ``recovery``.
    """
    run = RunDirectory(output)
    run.check_free()
    job = prepare(recipe, offline, source)
    run.create()
    with run.lock():
        write_atomically(run.recipe, recipe.to_yaml())
        return _fit(job, run, watchers, resume=False)


def resume(
    run: RunDirectory,
    overrides: Iterable[str] = (),
    *,
    offline: bool = False,
    watchers: Iterable[Callback] = (),
) -> Outcome:
    """Go on with a run from its newest valid checkpoint.

    Args:
        run: The run.
        overrides: ``key=value`` texts; of the keys that say how long to train and what to
            watch only, since anything else would make it another run.
        offline: Never to use the network.
        watchers: Callbacks beside the run's own.

    Raises:
        CheckpointError: Not a run, no valid checkpoint, or a process is training it.
        ConfigError: An override that would change the run.
        DataError: The data are not those that the run was started on.
        TrainingError: Training cannot go on, see the recipe's section ``recovery``.
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
        run.clear_scratch()
        job = prepare(recipe, offline, run.recipe)
        run.check_data(job.images.describe())
        return _fit(job, run, watchers, resume=True)


def dry_run(recipe: Recipe, *, offline: bool = False, source: Path | None = None) -> str:
    """Return the resolved recipe, parameter counts and memory estimate; train nothing.

    Arguments are those of :func:`train`.
    """
    job = prepare(recipe, offline, source)
    gan, images, machine = job.trainer.gan, job.images, job.machine
    memory = estimate_memory(
        gan,
        recipe.data.batch_size // recipe.training.accumulate_steps,
        ema=recipe.ema.decay is not None,
        packing=recipe.constraints.packing,
    )
    arguments = {
        "generator": job.facts.generator,
        "discriminator": job.facts.discriminator,
        "nets": job.facts.other_nets,
    }
    resolved = recipe.model_copy(update={"model": recipe.model.model_copy(update=arguments)})
    lines = [
        resolved.to_yaml().rstrip(),
        "---",
        f"data: {len(images):,} images {images.image_shape} of {images.name} from {images.source} "
        f"({images.location})",
        f"device: {machine.device}, {machine.threads} threads, Paddle {machine.paddle}; "
        f"memory {machine.memory}, convolutions by {ops.describe()}",
        *(f"{name}: {count_parameters(net):,} parameters" for name, net in gan.nets.items()),
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
    evaluator: Evaluator | None

    def fresh_trainer(self) -> Trainer:
        """Build the trainer as it was before the first iteration."""
        paddle.seed(self.recipe.seed)  # the initial weights
        return build_trainer(self.recipe, build_model(self.facts), self.iterations)


def prepare(
    recipe: Recipe, offline: bool, source: Path | None = None, images: ImageSet | None = None
) -> Job:
    """Start Paddle, load the data and build the trainer.

    Args:
        recipe: What to train.
        offline: Never to use the network.
        source: The recipe's file, for messages.
        images: What the section ``data`` of the recipe means, if it was loaded already.

    Raises:
        ZooError: Whatever is wrong with recipe or data.
    """
    with naming(source):
        return _make_real(recipe, offline, images)


def _make_real(recipe: Recipe, offline: bool, images: ImageSet | None) -> Job:
    machine = runtime.start(recipe.device)
    images = _load_data(recipe, offline) if images is None else images
    facts = facts_of(recipe, images.image_shape, images.num_classes, images.classes or ())
    batches = build_batches(recipe, images, facts)
    iterations = total_iterations(recipe, batches.steps_per_epoch)
    paddle.seed(recipe.seed)  # the initial weights
    trainer = build_trainer(recipe, build_model(facts), iterations)
    evaluator = None
    if recipe.evaluation.every_steps or recipe.checkpoint.best_by == "fid":
        on_test = recipe.evaluation.split == "test"
        held_out = _load_data(recipe, offline, split="test") if on_test else None
        evaluator = build_evaluator(recipe, facts, images, held_out)
    return Job(recipe, machine, images, facts, batches, iterations, trainer, evaluator)


def _load_data(recipe: Recipe, offline: bool, split: str = "train") -> ImageSet:
    data = recipe.data
    return load_image_set(
        data.name,
        directory=data.directory,
        split=split,
        offline=offline,
        image_size=data.image_size,
        channels=data.channels,
        limit=data.limit if split == "train" else None,
        options=data.options,
    )


def _fit(job: Job, run: RunDirectory, watchers: Iterable[Callback], *, resume: bool) -> Outcome:
    """Train to the end, going back to a checkpoint as often as the recipe allows."""
    logger = open_log(run.log)
    try:
        trainer = _begin(job, run, logger, resume)
        if trainer.iteration >= job.iterations:
            logger.info(
                "nothing to do: %d of %d iterations are done", trainer.iteration, job.iterations
            )
            # But for what a kill just after the last checkpoint left undone: callbacks mend it.
        while True:
            stop, watch = StopOnSignal(), watch_over(job, trainer, run, logger)
            callbacks = [*watch.callbacks, *watchers, stop]
            try:
                trainer.fit(job.batches, iterations=job.iterations, callbacks=callbacks)
                trouble, good_until = watch.trouble()
                return Outcome(run, trainer.iteration, stop.signal, trouble, good_until)
            except NonFiniteError as error:
                trainer = _recover(error, job, trainer, run, logger)
    except TrainingError as error:
        log_to_file(logger, str(error))  # the command line prints it
        raise
    finally:
        close_log(logger)


def _begin(job: Job, run: RunDirectory, logger: logging.Logger, resume: bool) -> Trainer:
    """Load the checkpoint of a resumed run, and record the start."""
    recipe, trainer, images, iterations = job.recipe, job.trainer, job.images, job.iterations
    if resume:
        checkpoint = restore(trainer, run.checkpoints, logger.warning)
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
            runtime={**job.machine.describe(), "convolutions": ops.describe()},
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
    return trainer


def _recover(
    error: NonFiniteError, job: Job, trainer: Trainer, run: RunDirectory, logger: logging.Logger
) -> Trainer:
    """Return a trainer to go on with, or raise the error to stop with."""
    recovery, folder = job.recipe.recovery, run.checkpoints
    if recovery.non_finite == "stop":
        raise stopped(error, job.fresh_trainer, job.batches, folder, logger) from None
    if trainer.chance.rollbacks >= recovery.max_rollbacks:
        raise TrainingError(
            f"{error}, after {trainer.chance.rollbacks} rollbacks, which is "
            f"recovery.max_rollbacks; checkpoints are in {folder}; lower the learning rates"
        ) from None
    return roll_back(error, trainer.chance.rollbacks, job.fresh_trainer, folder, logger)
