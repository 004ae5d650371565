"""From a recipe to objects: the one module that knows both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle.optimizer import Optimizer

from ppgan_zoo.data import Batches, ImageSet, load_image_set, scale_to_range
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.errors import ConfigError, did_you_mean
from ppgan_zoo.evaluation.evaluator import Evaluator
from ppgan_zoo.game import schedules
from ppgan_zoo.game.ada import AdaptiveProbability
from ppgan_zoo.game.augmentation import get_augmentation
from ppgan_zoo.game.compatibility import check_output
from ppgan_zoo.game.objectives import LabelSmoothing
from ppgan_zoo.game.schedules import Schedule, Value
from ppgan_zoo.game.terms import Net, Term, get_term
from ppgan_zoo.game.view import View
from ppgan_zoo.metrics.network import open_network
from ppgan_zoo.metrics.sliced_wasserstein import sliced_wasserstein
from ppgan_zoo.models.facts import ModelFacts, build_model, check_type, model_facts
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.recipe.base import keys_without_effect
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.schedules import Adaptive as AdaptiveSection
from ppgan_zoo.recipe.schedules import Schedule as ScheduleSection
from ppgan_zoo.recipe.training import OptimizerSection
from ppgan_zoo.registry import DATA, MODELS
from ppgan_zoo.run.without_effect import periods_beyond_the_end
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.optimizers import make_optimizer
from ppgan_zoo.training.trainer import Trainer, own_arguments

FIGURE_SAMPLES = 2000
RESTARTED_WEIGHTS = 0x4E57  # keeps their draws apart from others of the same seed
PICTURE_SHAPE = (3, 32, 32)  # of data whose shape depends on their images
NETS: tuple[Net, ...] = ("generator", "discriminator")


def facts_of(
    recipe: Recipe,
    image_shape: tuple[int, int, int],
    num_classes: int = 0,
    classes: tuple[str, ...] = (),
) -> ModelFacts:
    """Return what rebuilds the recipe's model, for images of this shape and these classes.

    Raises:
        UnknownNameError: No such model.
        ConfigError: An argument that a net does not take, or labels that are not there.
    """
    normalised = recipe.constraints.spectral_norm
    return model_facts(
        recipe.model.name,
        image_shape,
        recipe.latent.dim,
        latent_prior=recipe.latent.prior,
        codes=recipe.latent.codes(),
        arguments={
            "generator": recipe.model.generator,
            "discriminator": recipe.model.discriminator,
            **recipe.model.nets,
        },
        packing=recipe.constraints.packing,
        spectral_norm=tuple(net for net in NETS if getattr(normalised, net)),
        conditional=recipe.model.conditional,
        num_classes=num_classes,
        classes=classes,
    )


def facts_without_data(recipe: Recipe) -> ModelFacts:
    """Return what rebuilds a recipe's model, without its images where that is possible.

    The classes of a model with labels are those of the data, which are then loaded.
    """
    data = recipe.data
    if recipe.model.conditional or MODELS.get(recipe.model.name).labels == "needs":
        images = load_images(recipe, offline=True)
        return facts_of(recipe, images.image_shape, images.num_classes, images.classes or ())
    default = DATA.get(data.name, where="data.name").default_shape or PICTURE_SHAPE
    size = data.image_size or default[1]
    return facts_of(recipe, (data.channels or default[0], size, size))


def load_images(recipe: Recipe, split: str = "train", *, offline: bool) -> ImageSet:
    """Return the images of the section ``data``: of the split ``"train"`` or ``"test"``.

    Raises:
        DataError: They are missing or damaged.
        ConfigError: The kind of data does not take what the section says.
    """
    data = recipe.data
    return load_image_set(
        data.name,
        directory=data.directory,
        split=split,
        offline=offline,
        image_size=data.image_size,
        channels=data.channels,
        limit=data.limit if split == "train" else None,
        limit_seed=data.limit_seed,
        options=data.options,
    )


def total_iterations(recipe: Recipe, steps_per_epoch: int) -> int:
    """Return how many iterations the recipe trains for."""
    if recipe.training.iterations is not None:
        return recipe.training.iterations
    assert recipe.training.epochs is not None
    return recipe.training.epochs * steps_per_epoch


def build_batches(recipe: Recipe, images: ImageSet, facts: ModelFacts) -> Batches:
    """Return the batches: real images for every update of an iteration that has its own.

    Raises:
        ConfigError: The set is too small for one iteration.
    """
    size, updates = recipe.images_per_step, recipe.training.batches_per_step
    if size > len(images):
        most = len(images) // updates
        advice = f"lower it to {most} at most" if most else "give more images"
        raise ConfigError(
            f"data.batch_size: {recipe.data.batch_size} for each of the {updates} updates that "
            f"have their own takes {size} images an iteration, and {images.name} has {len(images)} "
            f"({images.location}); {advice}"
        )
    return Batches(
        images,
        size,
        seed=recipe.seed,
        replacement=recipe.data.replacement,
        flip=recipe.data.flip,
        dequantise=recipe.data.dequantise,
        image_range=facts.image_range,
        labels=bool(facts.num_classes),
    )


def build_model_and_trainer(
    recipe: Recipe,
    facts: ModelFacts,
    iterations: int,
    *,
    restarts: int = 0,
    group: Group | None = None,
) -> Trainer:
    """Return a trainer before its first iteration, its weights drawn by the recipe's seed.

    After a restart they are others, by seed and number of restarts, and what is random takes
    another course.

    Raises:
        ConfigError: The recipe and the model make no sense together.
    """
    seed = recipe.seed
    if restarts:
        sequence = np.random.SeedSequence([seed, RESTARTED_WEIGHTS, restarts])
        seed = int(sequence.generate_state(1)[0])
    paddle.seed(seed)  # the initial weights
    trainer = build_trainer(recipe, _built(recipe, facts), iterations, group)
    trainer.chance.restarts = restarts
    return trainer


def _built(recipe: Recipe, facts: ModelFacts) -> Gan:
    """Return the nets; where they are not of the images' size, advise what can be followed."""
    try:
        return build_model(facts)
    except ConfigError as error:
        if recipe.data.name != "prepared" or "data.image_size" not in str(error):
            raise
        raise ConfigError(
            f"{error}; a prepared set keeps its size: prepare the pictures again with that --size"
        ) from None


def build_trainer(recipe: Recipe, gan: Gan, iterations: int, group: Group | None = None) -> Trainer:
    """Return the trainer that the model's spec names, set up as the recipe says."""
    nets: dict[str, Any] = {}
    for net in NETS:
        section: OptimizerSection = getattr(recipe.optimizer, net)
        nets[f"{net}_optimizer"] = _build_optimizer(gan, net, section)
        nets[f"{net}_schedule"] = _build_rate(section, iterations)
        if isinstance(section.beta2, ScheduleSection):
            nets[f"{net}_beta2"] = _value(section.beta2, iterations)
    top_share = _value(recipe.objective.top_share, iterations)
    assert top_share is not None
    trainer = make_trainer(
        gan,
        objective=recipe.objective.name,
        smoothing=LabelSmoothing(**recipe.objective.label_smoothing.model_dump()),
        top_share=top_share,
        clean_gradients=recipe.training.clean_gradients,
        precision=recipe.training.precision,
        latent_prior=recipe.latent.prior,
        shared_latent=recipe.latent.shared,
        generator_steps=recipe.training.generator_steps,
        discriminator_steps=recipe.training.discriminator_steps,
        fresh_reals=recipe.training.fresh_reals,
        generator_batch_multiple=recipe.training.generator_batch_multiple,
        first=recipe.training.first,
        discriminator_batch=recipe.training.discriminator_batch,
        accumulate_steps=recipe.training.accumulate_steps,
        terms=_build_terms(recipe, iterations),
        weight_clip=recipe.constraints.weight_clip,
        view=_build_view(recipe, iterations),
        ema_decay=recipe.ema.decay,
        ema_half_life=_value(recipe.ema.half_life, iterations),
        ema_warmup=recipe.ema.warmup,
        ema_statistics_batches=recipe.ema.statistics_batches,
        seed=recipe.seed,
        group=group,
        batch_norm=recipe.distributed.batch_norm,
        options=_trainer_options(recipe, gan),
        **nets,
    )
    trainer.warnings += check_output(gan, trainer.game.objective, trainer.game.view.packing)
    trainer.warnings += keys_without_effect(recipe)
    trainer.warnings += periods_beyond_the_end(recipe, iterations)
    if recipe.training.fresh_reals and not trainer.game.shows_reals_to_generator:
        trainer.warnings.append(
            f"training.fresh_reals: has no effect on objective {trainer.game.objective.name}, "
            "whose loss of G depends on no real image; leave it out"
        )
    return trainer


def build_sliced_wasserstein(
    images: ImageSet, image_range: tuple[float, float]
) -> Callable[[Trainer], float]:
    """Return the figure that chooses the best checkpoint: sliced Wasserstein distance.

    Compares G's images of fixed codes with as many evenly spaced images of the data.
    """
    count = min(FIGURE_SAMPLES, len(images))
    chosen = images.images[np.linspace(0, len(images) - 1, count).astype(int)]
    real = scale_to_range(chosen, image_range)

    def figure(trainer: Trainer) -> float:
        return sliced_wasserstein(trainer.samples(count), real)

    return figure


def build_evaluator(
    recipe: Recipe, facts: ModelFacts, images: ImageSet, *, offline: bool
) -> Evaluator | None:
    """Return what takes the metrics of the section ``evaluation``; None if it asks for none.

    Args:
        recipe: The recipe.
        facts: The model.
        images: The training images.
        offline: Never to use the network.

    Raises:
        ConfigError: The feature network cannot be opened, or does not take the images.
        DataError: The test images are asked for and missing.
    """
    section = recipe.evaluation
    if section.every_steps is None and recipe.checkpoint.best_by != "fid":
        return None
    on_test = section.split == "test"
    real = load_images(recipe, "test", offline=offline) if on_test else images
    weights = None if section.weights is None else Path(section.weights)
    metrics: tuple[str, ...] = section.metrics
    if recipe.checkpoint.best_by == "fid" and "fid" not in metrics:
        metrics = ("fid", *metrics)
    return Evaluator(
        open_network(recipe.data.name, section.features, weights),
        real,
        metrics,
        num_samples=section.num_samples,
        labels=bool(facts.num_classes),
        categories=bool(facts.latent.categorical),
        trained_on=images if "memorisation" in metrics else None,
    )


def _build_terms(recipe: Recipe, iterations: int) -> list[Term] | None:
    if recipe.terms is None:
        return None
    return [
        get_term(
            section.name,
            _value(section.weight, iterations),
            section.every_steps,
            **section.arguments,
        )
        for section in recipe.terms
    ]


def _build_view(recipe: Recipe, iterations: int) -> View:
    constraints = recipe.constraints
    section = constraints.augment_probability
    probability: Value | None
    if isinstance(section, AdaptiveSection):
        probability = AdaptiveProbability(**section.model_dump(exclude={"name"}))
    else:
        probability = _value(section, iterations)
    assert probability is not None
    return View(
        augment=tuple(
            one if isinstance(one, str) else get_augmentation(one.name, **one.arguments)
            for one in constraints.augment
        ),
        augment_probability=probability,
        noise_std=constraints.instance_noise.std,
        noise_until=constraints.instance_noise.until_step,
        packing=constraints.packing,
    )


def _trainer_options(recipe: Recipe, gan: Gan) -> dict[str, Any]:
    """Check the section ``trainer`` against the signature of the model's trainer class."""
    cls = gan.spec.trainer or Trainer
    allowed = own_arguments(cls)
    for key in recipe.trainer:
        if key not in allowed:
            raise ConfigError(
                f"trainer.{key}: {cls.__name__}, the trainer of {gan.spec.name}, has no such "
                f"argument{did_you_mean(key, allowed)}; allowed: {', '.join(allowed) or 'none'}"
            )
    return {
        key: check_type(cls, key, value, f"trainer.{key}") for key, value in recipe.trainer.items()
    }


def _value(value: float | ScheduleSection[Any] | None, iterations: int) -> Value | None:
    """Return a number of the recipe, or its schedule as a function of the iteration."""
    if not isinstance(value, ScheduleSection):
        return value
    if value.name == "steps":
        assert value.factor is not None
        return schedules.steps(value.first, value.at_steps, value.factor)
    until = iterations if value.until_step is None else value.until_step
    assert value.last is not None
    shape = schedules.straight if value.name == "linear" else schedules.half_cosine
    return shape(value.first, value.last, value.start_step, until)


def _build_optimizer(gan: Gan, net: Net, section: OptimizerSection) -> Optimizer:
    return make_optimizer(
        list(gan.learning_with(net).values()),
        section.name,
        learning_rate=section.learning_rate,
        clip_norm=section.clip_norm,
        **section.options(),
    )


def _build_rate(section: OptimizerSection, iterations: int) -> Schedule:
    whole, over = _without_warmup(section, iterations), section.schedule.warmup_steps
    return schedules.warmed_up(whole, over) if over else whole


def _without_warmup(section: OptimizerSection, iterations: int) -> Schedule:
    rate, schedule = section.learning_rate, section.schedule
    final = schedule.final or 0.0
    iterations = schedule.until_step or iterations
    if schedule.name == "linear":
        return schedules.linear(rate, iterations, schedule.start or 0, final)
    if schedule.name == "cosine":
        return schedules.cosine(rate, iterations, final)
    if schedule.name == "inverse_time":
        assert schedule.decay is not None
        return schedules.inverse_time(rate, schedule.decay)
    if schedule.name == "steps":
        assert schedule.factor is not None
        return schedules.steps(rate, schedule.at_steps, schedule.factor)
    return schedules.constant(rate)
