"""The course of a run: begun or resumed, trained to the end, taken back where it must be."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppgan_zoo import ops
from ppgan_zoo.callbacks.finite import NonFiniteError
from ppgan_zoo.callbacks.first_phase import EarlyCollapseError
from ppgan_zoo.callbacks.pace import seconds_of_an_iteration
from ppgan_zoo.callbacks.stop import StopOnSignal
from ppgan_zoo.distributed.group import ProcessLostError, started
from ppgan_zoo.distributed.launch import resume_command
from ppgan_zoo.distributed.meeting import meeting
from ppgan_zoo.errors import ConfigError, DataError, TrainingError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.run.follow import assemble, follow, hand_over, told_of_the_end
from ppgan_zoo.run.identity import (
    RESUME_KEYS,
    changes_of_machine,
    check_checkpoint,
    check_recipe,
    may_change,
    schedules_of_the_whole,
)
from ppgan_zoo.run.job import Job, build_job
from ppgan_zoo.run.recovery import bring_to, error_with_cause, roll_back
from ppgan_zoo.run.watch import build_callbacks
from ppgan_zoo.storage.durations import in_short, in_time
from ppgan_zoo.storage.files import absolute, write_atomically
from ppgan_zoo.storage.progress import read_progress
from ppgan_zoo.storage.retention import checkpoint_folders, load_newest
from ppgan_zoo.storage.run_directory import RunDirectory, command_line, start_facts
from ppgan_zoo.storage.run_lock import Lock
from ppgan_zoo.storage.run_log import close_log, log_to_file, open_log
from ppgan_zoo.training.loop import Callback, alone_in_process
from ppgan_zoo.training.trainer import Trainer


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
    callbacks: Iterable[Callback] = (),
) -> Outcome | None:
    """Train a recipe into a new run directory.

    Of several processes that Paddle's launcher started, those that do not lead write nothing.

    Args:
        recipe: What to train.
        output: The run directory, which must not hold anything yet.
        offline: Never to use the network.
        source: The recipe's file, which errors name.
        callbacks: Beside the run's own.

    Returns:
        How it ended; None in a process that does not lead.

    Raises:
        ZooError: Whatever is wrong with recipe, data or directory, before training starts.
        TrainingError: Training cannot go on, see the recipe's section ``recovery``; or another
            process has ended.
    """
    run, group = RunDirectory(output), started()
    recipe = _from_anywhere(recipe)
    if not group.leads:
        with meeting(group):
            follow(build_job(recipe, offline=offline, source=source, group=group))
        return None
    with meeting(group), alone_in_process(), run.begin() as lock:
        job = build_job(recipe, offline=offline, source=source, group=group)
        assemble(job)
        write_atomically(run.recipe, recipe.to_yaml())  # from here on it is a run, to be resumed
        run.create()
        return _fit(job, run, lock, callbacks, resume=False)


def _from_anywhere(recipe: Recipe) -> Recipe:
    """Return a recipe whose paths are absolute, so that a resume finds them from elsewhere."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else os.path.abspath(os.path.expanduser(path))

    data, evaluation = recipe.data, recipe.evaluation
    return recipe.model_copy(
        update={
            "data": data.model_copy(update={"directory": absolute(data.directory)}),
            "evaluation": evaluation.model_copy(update={"weights": absolute(evaluation.weights)}),
        }
    )


def resume(
    run: RunDirectory,
    overrides: Iterable[str] = (),
    *,
    offline: bool = False,
    callbacks: Iterable[Callback] = (),
) -> Outcome | None:
    """Go on with a run from its newest valid checkpoint, or begin one that never saved any.

    Args:
        run: The run.
        overrides: ``key=value`` texts; of the keys that say how long to train and what to
            watch only, since anything else would make it another run.
        offline: Never to use the network.
        callbacks: Beside the run's own.

    Returns:
        How it ended; None in a process that does not lead.

    Raises:
        CheckpointError: Not a run, no valid checkpoint, or a process is training it.
        ConfigError: An override that would change the run.
        DataError: The data are not those that the run was started on.
        TrainingError: Training cannot go on, see the recipe's section ``recovery``; or another
            process has ended.
    """
    with meeting(started()):
        return _resume(run, list(overrides), offline=offline, callbacks=callbacks)


def _resume(
    run: RunDirectory, overrides: list[str], *, offline: bool, callbacks: Iterable[Callback]
) -> Outcome | None:
    run.check()
    for override in overrides:
        if not may_change(override.partition("=")[0]):
            raise ConfigError(
                f"-o {override}: cannot be changed on a resume; allowed: "
                f"{', '.join(key.rstrip('.') for key in RESUME_KEYS)}. For anything else start a "
                "new run"
            )
    recipe, group = load_recipe(run.recipe, overrides), started()
    if not group.leads:
        follow(build_job(recipe, offline=offline, source=run.recipe, group=group))
        return None
    run.check_links()
    with alone_in_process(), run.lock() as lock:
        check_recipe(run, load_recipe(run.recipe))
        run.clear_scratch()
        run.create()  # what a kill before the first iteration left out
        job = build_job(recipe, offline=offline, source=run.recipe, group=group)
        run.check_data(job.describe_data())
        assemble(job)
        return _fit(job, run, lock, callbacks, resume=True)


def dry_run(recipe: Recipe, *, offline: bool = False, source: Path | None = None) -> list[str]:
    """Return the lines of the resolved recipe, parameter counts, memory and time.

    A few iterations are trained to time them, and thrown away; nothing is written.

    Arguments are those of :func:`train`.
    """
    job = build_job(recipe, offline=offline, source=source)
    images, machine = job.images, job.machine
    arguments = {
        "generator": job.facts.generator,
        "discriminator": job.facts.discriminator,
        "nets": job.facts.other_nets,
    }
    resolved = recipe.model_copy(update={"model": recipe.model.model_copy(update=arguments)})
    warnings = list(job.trainer.warnings)
    parameters = job.parameters()
    memory = job.memory_bytes()
    with alone_in_process():
        seconds, timed = seconds_of_an_iteration(job.trainer, job.batches)
    return [
        *resolved.to_yaml().rstrip().split("\n"),
        "---",
        f"data: {len(images):,} images {images.image_shape} of {images.name} from {images.source} "
        f"({images.location})",
        f"device: {machine.device}, {machine.threads} threads, Paddle {machine.paddle}; "
        f"memory {machine.memory}, convolutions by {ops.describe()}",
        *(f"{net}: {count:,} parameters" for net, count in parameters.items()),
        f"memory: about {memory / 2**20:,.0f} MiB besides Paddle itself",
        f"length: {job.iterations:,} iterations, {job.batches.steps_per_epoch:,} an epoch",
        f"time: about {in_time(job.iterations * seconds)}, at {in_short(seconds)} an iteration "
        f"(timed here: {timed})",
        *(f"warning: {line}" for line in warnings),
    ]


def _fit(
    job: Job, run: RunDirectory, lock: Lock, others: Iterable[Callback], *, resume: bool
) -> Outcome:
    """Train to the end, going back to a checkpoint as often as the recipe allows."""
    logger = open_log(run.log)
    try:
        with told_of_the_end(job) as used:
            return _train(job, run, lock, logger, others, used, resume=resume)
    except ProcessLostError as error:
        line = f"{error}; continue with: {resume_command(run.path)}"
        log_to_file(logger, line)
        raise ProcessLostError(line) from None
    except TrainingError as error:
        log_to_file(logger, str(error))  # the command line prints it
        raise
    finally:
        close_log(logger)


def _train(
    job: Job,
    run: RunDirectory,
    lock: Lock,
    logger: logging.Logger,
    others: Iterable[Callback],
    used: list[Trainer],
    *,
    resume: bool,
) -> Outcome:
    """Train to the end; every trainer that is made goes into `used`."""
    with job.group.waited_for():
        trainer = _begin(job, run, logger, resume)
    if trainer.iteration >= job.iterations:
        logger.info(
            "nothing to do: %d of %d iterations are done", trainer.iteration, job.iterations
        )
        # But for what a kill just after the last checkpoint left undone: callbacks mend it.
    while True:
        used.append(trainer)
        hand_over(job, trainer)
        with job.group.waited_for():
            own, stop = build_callbacks(job, trainer, run, lock, logger), StopOnSignal()
        callbacks = [*own.in_order, *others, stop]
        try:
            trainer.fit(job.batches, iterations=job.iterations, callbacks=callbacks)
            trouble, good_until = own.trouble()
            return Outcome(run, trainer.iteration, stop.signal, trouble, good_until)
        except NonFiniteError as error:
            with job.group.waited_for():
                trainer = _recover(error, job, trainer, run, logger)
        except EarlyCollapseError as error:
            with job.group.waited_for():
                trainer = _restart(error, job, trainer, run, logger)
        if stop.signal is not None:  # the trainer is new and knows nothing of it
            return Outcome(run, trainer.iteration, stop.signal)


def _begin(job: Job, run: RunDirectory, logger: logging.Logger, resume: bool) -> Trainer:
    """Load the checkpoint of a resumed run, and record the start."""
    recipe, trainer, images, iterations = job.recipe, job.trainer, job.images, job.iterations
    ops.adopt({})  # those of a run that this process went on with before are that run's
    if resume:
        begun = _go_on(job, run, logger)
        if trainer.iteration > iterations:
            key = "epochs" if recipe.training.iterations is None else "iterations"
            raise ConfigError(
                f"{run.path}: {trainer.iteration} iterations are done, more than the {iterations} "
                f"asked for; raise training.{key}"
            )
        write_atomically(run.recipe, recipe.to_yaml())
        logger.info("%s", begun)
    run.record_start(
        start_facts(
            command_line(),
            seed=recipe.seed,
            directory=str(absolute(run.path)),
            host=platform.node(),
            recipe=recipe.model_dump(mode="json"),
            runtime=_describe_machine(job),
            data=job.describe_data(),
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


def _go_on(job: Job, run: RunDirectory, logger: logging.Logger) -> str:
    """Bring the trainer to where the run was; return from where it goes on."""
    before = run.starts()[-1:]
    changed = changes_of_machine(before[0].get("runtime") if before else {}, _describe_machine(job))
    if changed is not None:
        logger.warning("%s", changed)
    if not checkpoint_folders(run.checkpoints):
        return "started again: no checkpoint had been saved"
    checkpoint, arrays = load_newest(run.checkpoints, logger.warning)
    check_checkpoint(checkpoint, job.recipe, job.facts)
    _tell_of_another_length(job, run, logger)
    if changed is None:  # else the bytes differ anyway, and here other forms may be faster
        ops.adopt(checkpoint.products)
    bring_to(job.trainer, checkpoint, arrays)
    return f"resumed from {checkpoint.path.name}"


def _tell_of_another_length(job: Job, run: RunDirectory, logger: logging.Logger) -> None:
    """Say what goes on with other values than the run had, since it ends at another iteration."""
    progress = None
    with contextlib.suppress(DataError):  # a damaged one is written anew
        progress = read_progress(run.progress)
    keys = schedules_of_the_whole(job.recipe)
    if progress is not None and progress.iterations != job.iterations and keys:
        logger.warning(
            "%d iterations in place of %d: what changes until the end of training goes on with "
            "other values (%s); this is not the run that %d iterations from the start would be",
            job.iterations, progress.iterations, ", ".join(keys), job.iterations,
        )  # fmt: skip


def _describe_machine(job: Job) -> dict[str, Any]:
    return {**ops.describe_machine(job.machine), "processes": job.group.size}


def _recover(
    error: NonFiniteError, job: Job, trainer: Trainer, run: RunDirectory, logger: logging.Logger
) -> Trainer:
    """Return a trainer to go on with, or raise the error to stop with."""
    recovery, folder = job.recipe.recovery, run.checkpoints
    fresh = functools.partial(job.fresh_trainer, trainer.chance.restarts)
    if recovery.non_finite == "stop":
        alone = functools.partial(fresh, alone=True)
        raise error_with_cause(error, alone, job.batches, folder, logger) from None
    if trainer.chance.rollbacks >= recovery.max_rollbacks:
        raise TrainingError(
            f"{error}, after {trainer.chance.rollbacks} rollbacks, which is "
            f"recovery.max_rollbacks; checkpoints are in {folder}; lower the learning rates"
        ) from None
    return roll_back(error, trainer.chance.rollbacks, fresh, folder, logger)


def _restart(
    error: EarlyCollapseError, job: Job, trainer: Trainer, run: RunDirectory, logger: logging.Logger
) -> Trainer:
    """Return a trainer at the beginning, on another course, or raise the error to stop with."""
    restarts, most = trainer.chance.restarts + 1, job.recipe.health.max_restarts
    if restarts > most:
        raise TrainingError(
            f"{error}, after {most} restarts, which is health.max_restarts; lower the learning "
            "rates, or take another objective"
        ) from None
    run.record_restart(restarts, error.iteration, error.distance)
    logger.warning(
        "%s; restart %d of at most %d: from the beginning with other weights",
        error, restarts, most,
    )  # fmt: skip
    return job.fresh_trainer(restarts)
