"""A training that is ready to begin: everything that a recipe asks for, built and checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ppgan_zoo import runtime
from ppgan_zoo.data import Batches, ImageSet
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.evaluation.evaluator import Evaluator
from ppgan_zoo.models.cost import count_parameters, estimate_memory, iteration_flop
from ppgan_zoo.models.facts import ModelFacts
from ppgan_zoo.recipe.explain import naming
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.registry import LOGS
from ppgan_zoo.run.build import (
    build_batches,
    build_evaluator,
    build_model_and_trainer,
    facts_of,
    load_images,
    total_iterations,
)
from ppgan_zoo.run.shares import check_shares
from ppgan_zoo.run.without_effect import classes_without_images
from ppgan_zoo.training.trainer import Trainer


@dataclass(frozen=True)
class Job:
    """A recipe made real.

    Attributes:
        recipe: What to train.
        machine: Device, threads and memory that Paddle was started with.
        images: The training images.
        facts: What rebuilds the model.
        batches: The training images in batches, one an iteration.
        iterations: How many there are in the whole run.
        trainer: As it is before the first iteration.
        evaluator: Takes the metrics of the section ``evaluation``; None if it asks for none.
        group: The processes that train it together.
    """

    recipe: Recipe
    machine: runtime.Runtime
    images: ImageSet
    facts: ModelFacts
    batches: Batches
    iterations: int
    trainer: Trainer
    evaluator: Evaluator | None
    group: Group = field(default_factory=Group)

    @property
    def images_per_update(self) -> int:
        """Real images of one update of D."""
        return self.recipe.data.batch_size

    @property
    def images_per_step(self) -> int:
        """Real images of one iteration."""
        return self.recipe.images_per_step

    def fresh_trainer(self, restarts: int = 0, *, alone: bool = False) -> Trainer:
        """Build the trainer as it was before the first iteration, or after so many restarts.

        Args:
            restarts: How many.
            alone: Whether it is to train by itself, whatever the group.
        """
        return build_model_and_trainer(
            self.recipe,
            self.facts,
            self.iterations,
            restarts=restarts,
            group=Group() if alone else self.group,
        )

    def describe_data(self) -> dict[str, Any]:
        """Return what a manifest records of the data: the labels, too, of a model that learns them.

        A resume compares it with what the run was started on.
        """
        described: dict[str, Any] = dict(self.images.describe())
        if self.facts.num_classes:
            assert self.images.labels is not None
            labels = np.ascontiguousarray(self.images.labels)
            described["class_names"] = list(self.facts.classes)
            described["labels_sha256"] = hashlib.sha256(labels.data).hexdigest()
        return described

    def parameters(self) -> dict[str, int]:
        """Return how many numbers learn in each net, G first and D second."""
        return {name: count_parameters(net) for name, net in self.trainer.gan.nets.items()}

    def memory_bytes(self) -> int:
        """Return about how many bytes training holds at once, beside Paddle itself."""
        training = self.recipe.training
        return estimate_memory(
            self.trainer.gan,
            training.generator_batch_multiple * self.images_per_update // training.accumulate_steps,
            ema=self.trainer.ema is not None,
            packing=self.recipe.constraints.packing,
        )

    def flop_per_iteration(self) -> int:
        """Return the floating-point operations that one iteration cannot do without."""
        training = self.recipe.training
        return iteration_flop(
            self.trainer.gan,
            self.images_per_update,
            discriminator_steps=training.discriminator_steps,
            generator_steps=training.generator_steps,
            generator_batch_multiple=training.generator_batch_multiple,
            relativistic=self.trainer.game.objective.relativistic,
            packing=self.recipe.constraints.packing,
        )


def build_job(
    recipe: Recipe,
    *,
    offline: bool,
    source: Path | None = None,
    images: ImageSet | None = None,
    group: Group | None = None,
    threads: int | None = None,
) -> Job:
    """Start Paddle, load the data, and build the trainer and all else that a run needs.

    Whatever can be refused is refused here, before anything is written.

    Args:
        recipe: What to train.
        offline: Never to use the network.
        source: The recipe's file, for messages.
        images: What the section ``data`` of the recipe means, if it was loaded already.
        group: The processes that Paddle's launcher started, which are not connected here; None
            for this one alone.
        threads: Of the math library; None for what :func:`ppgan_zoo.runtime.cpu_threads` says.

    Raises:
        ZooError: Whatever is wrong with recipe or data.
    """
    group = group or Group()
    with naming(source):
        check_shares(recipe, group)
        for name in recipe.log.to:
            LOGS.get(name).check_installed()
        machine = runtime.start(recipe.device, threads)
        images = load_images(recipe, offline=offline) if images is None else images
        facts = facts_of(recipe, images.image_shape, images.num_classes, images.classes or ())
        batches = build_batches(recipe, images, facts)
        iterations = total_iterations(recipe, batches.steps_per_epoch)
        trainer = build_model_and_trainer(recipe, facts, iterations, group=group)
        of_a_loss = recipe.data.batch_size // recipe.training.accumulate_steps
        trainer.game.terms.check_batch(of_a_loss, group.size)
        if facts.num_classes:
            trainer.warnings += classes_without_images(images)
        evaluator = build_evaluator(recipe, facts, images, offline=offline)
    return Job(recipe, machine, images, facts, batches, iterations, trainer, evaluator, group)


class JobBuilder:
    """Builds many jobs, and loads what they have in common of their images once.

    Args:
        offline: Never to use the network.
        threads: Of the math library; None for what :func:`ppgan_zoo.runtime.cpu_threads` says.
    """

    def __init__(self, *, offline: bool, threads: int | None = None) -> None:
        self._offline, self._threads = offline, threads
        self._loaded: dict[str, ImageSet] = {}

    def build(self, recipe: Recipe) -> Job:
        """Build a job; arguments and errors are those of :func:`build_job`."""
        section = recipe.data.model_copy(update={"batch_size": 1, "replacement": False})
        data = section.model_dump_json()
        job = build_job(
            recipe,
            offline=self._offline,
            images=self._loaded.get(data),
            threads=self._threads,
        )
        self._loaded[data] = job.images
        return job
