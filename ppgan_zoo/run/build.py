"""From a recipe to Paddle objects: the only module that knows both."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from paddle import nn
from paddle.optimizer import Optimizer
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ppgan_zoo.data import Batches, ImageSet, scale_to_range
from ppgan_zoo.data.images import check_range
from ppgan_zoo.errors import CheckpointError, ConfigError, did_you_mean
from ppgan_zoo.evaluation.evaluator import Evaluator
from ppgan_zoo.game.constraints import View, check_output, spectral_norm
from ppgan_zoo.game.objectives import LabelSmoothing
from ppgan_zoo.game.penalties import Penalty, get_penalty
from ppgan_zoo.metrics.network import open_network
from ppgan_zoo.metrics.sliced_wasserstein import sliced_wasserstein
from ppgan_zoo.models.cost import check_size
from ppgan_zoo.models.gan import Gan, build_gan
from ppgan_zoo.models.latent import Latent, Prior
from ppgan_zoo.models.spec import GanSpec, constructor_arguments
from ppgan_zoo.recipe.base import keys_without_effect
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.schedules import first_value
from ppgan_zoo.recipe.strict_yaml import lists_to_tuples
from ppgan_zoo.recipe.training import OptimizerSection
from ppgan_zoo.registry import MODELS
from ppgan_zoo.training import optimizers
from ppgan_zoo.training.optimizers import Schedule
from ppgan_zoo.training.trainer import Net, Trainer

FIGURE_SAMPLES = 2000
NETS: tuple[Net, ...] = ("generator", "discriminator")


class _LatentFacts(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    dim: Annotated[int, Field(ge=1, le=2**31 - 1)]
    prior: Prior


@dataclass(frozen=True)
class ModelFacts:
    """Everything that rebuilds a model without its recipe: what a checkpoint keeps.

    Attributes:
        name: Name in the registry.
        generator: All constructor arguments of G.
        discriminator: All constructor arguments of D.
        image_shape: Channels, height and width.
        image_range: Lowest and highest pixel value.
        latent: The prior of z.
        spectral_norm: The nets whose weights are divided by their spectral norm.
    """

    name: str
    generator: Mapping[str, Any]
    discriminator: Mapping[str, Any]
    image_shape: tuple[int, int, int]
    image_range: tuple[float, float]
    latent: Latent
    spectral_norm: tuple[Net, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_json` reads back."""
        return {
            "name": self.name,
            "generator": dict(self.generator),
            "discriminator": dict(self.discriminator),
            "image_shape": list(self.image_shape),
            "image_range": list(self.image_range),
            "latent": {"dim": self.latent.dim, "prior": self.latent.prior},
            "spectral_norm": list(self.spectral_norm),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> ModelFacts:
        """Read what :meth:`to_json` wrote.

        Raises:
            CheckpointError: It is not that.
        """
        try:
            latent = TypeAdapter(_LatentFacts).validate_python(data["latent"])
            plain = {**data, "latent": Latent(latent.dim, latent.prior)}
            facts: ModelFacts = TypeAdapter(cls).validate_python(plain)
            check_range(*facts.image_range)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            reason = f"{key}: found {str(first['input'])[:60]!r}; {first['msg'].lower()}"
            raise CheckpointError(f"{where}: key 'model' does not describe one: {reason}") from None
        except (ConfigError, KeyError, TypeError) as error:
            raise CheckpointError(f"{where}: key 'model' does not describe one: {error}") from None
        return facts


def model_facts(recipe: Recipe, image_shape: tuple[int, int, int]) -> ModelFacts:
    """Resolve every constructor argument of the recipe's model for images of this shape.

    Raises:
        UnknownNameError: No such model.
        ConfigError: An argument that the net does not take or of the wrong type.
    """
    spec = MODELS.get(recipe.model.name, where="model.name")
    channels, height, width = image_shape
    packed = (recipe.constraints.packing * channels, height, width)
    arguments = {
        role: _check_arguments(
            spec,
            role,
            getattr(recipe.model, role),
            {"latent_dim": recipe.latent.dim, "image_shape": shape},
        )
        for role, shape in (("generator", image_shape), ("discriminator", packed))
    }
    if packed != image_shape and "image_shape" not in arguments["discriminator"]:
        raise ConfigError(
            f"constraints.packing: {spec.name}'s discriminator takes no image_shape and cannot "
            "be built for more channels; leave packing out or use another model"
        )
    normalised = recipe.constraints.spectral_norm
    prior = recipe.latent.prior or spec.latent_prior
    return ModelFacts(
        name=spec.name,
        generator=arguments["generator"],
        discriminator=arguments["discriminator"],
        image_shape=image_shape,
        image_range=spec.image_range,
        latent=Latent(recipe.latent.dim, prior),  # type: ignore[arg-type]
        spectral_norm=tuple(net for net in NETS if getattr(normalised, net)),
    )


def build_model(facts: ModelFacts) -> Gan:
    """Build the two nets.

    Raises:
        UnknownNameError: The model is not in the registry (a plugin that is not installed).
        ConfigError: The nets refuse their arguments, or do not fit the data.
    """
    spec = MODELS.get(facts.name, where="model.name")
    arguments = [
        _check_arguments(spec, role, lists_to_tuples(dict(getattr(facts, role))), {})
        for role in NETS
    ]
    check_size(spec, *arguments)
    gan = build_gan(spec, *arguments)
    if gan.image_shape != facts.image_shape:
        raise ConfigError(
            f"model.name: {facts.name} makes images of shape {gan.image_shape}, and the data are "
            f"{facts.image_shape}; set data.image_size and data.channels to match"
        )
    if gan.latent_dim != facts.latent.dim:
        raise ConfigError(
            f"latent.dim: {facts.latent.dim}, and {facts.name} takes z of {gan.latent_dim}; set "
            "model.generator.latent_dim to match"
        )
    for net in facts.spectral_norm:
        spectral_norm(getattr(gan, net))
    return gan


def total_iterations(recipe: Recipe, steps_per_epoch: int) -> int:
    """Return how many iterations the recipe trains for."""
    if recipe.training.iterations is not None:
        return recipe.training.iterations
    assert recipe.training.epochs is not None
    return recipe.training.epochs * steps_per_epoch


def build_batches(recipe: Recipe, images: ImageSet, image_range: tuple[float, float]) -> Batches:
    """Return the batches: real images for every D update of an iteration.

    Raises:
        ConfigError: The set is too small for one iteration.
    """
    size = recipe.data.batch_size * recipe.training.discriminator_steps
    if size > len(images):
        raise ConfigError(
            f"data.batch_size: {recipe.data.batch_size} times "
            f"{recipe.training.discriminator_steps} discriminator_steps takes {size} images an "
            f"iteration, and {images.name} has {len(images)} ({images.location}); lower one"
        )
    return Batches(
        images,
        size,
        seed=recipe.seed,
        replacement=recipe.data.replacement,
        image_range=image_range,
    )


def build_trainer(recipe: Recipe, gan: Gan, iterations: int) -> Trainer:
    """Return the trainer that the model's spec names, set up as the recipe says."""
    nets = {}
    for net, layer, section in (
        ("generator", gan.generator, recipe.optimizer.generator),
        ("discriminator", gan.discriminator, recipe.optimizer.discriminator),
    ):
        nets[f"{net}_optimizer"] = _build_optimizer(layer, section)
        nets[f"{net}_schedule"] = _build_schedule(section, iterations)
    trainer_class = gan.spec.trainer or Trainer
    trainer: Trainer = trainer_class(
        gan,
        objective=recipe.objective.name,
        smoothing=LabelSmoothing(**recipe.objective.label_smoothing.model_dump()),
        latent_prior=recipe.latent.prior,
        shared_latent=recipe.latent.shared,
        generator_steps=recipe.training.generator_steps,
        discriminator_steps=recipe.training.discriminator_steps,
        first=recipe.training.first,
        concatenate=recipe.training.discriminator_batch == "concatenated",
        alternate=recipe.training.discriminator_batch == "alternating",
        accumulate_steps=recipe.training.accumulate_steps,
        penalties=_build_penalties(recipe),
        weight_clip=recipe.constraints.weight_clip,
        view=_build_view(recipe),
        ema_decay=recipe.ema.decay,
        ema_warmup=recipe.ema.warmup,
        ema_statistics_batches=recipe.ema.statistics_batches,
        seed=recipe.seed,
        **nets,
    )
    trainer.warnings += check_output(gan, trainer.objective, trainer.view.packing)
    trainer.warnings += keys_without_effect(recipe)
    return trainer


def build_figure(images: ImageSet, trainer: Trainer) -> Callable[[Trainer], float]:
    """Return the figure that chooses the best checkpoint: sliced Wasserstein distance.

    Compares G's images of a constant z with as many evenly spaced images of the data.
    """
    count = min(FIGURE_SAMPLES, len(images))
    chosen = images.images[np.linspace(0, len(images) - 1, count).astype(int)]
    real = scale_to_range(chosen, trainer.gan.image_range)

    def figure(current: Trainer) -> float:
        return sliced_wasserstein(current.samples(count), real)

    return figure


def build_evaluator(recipe: Recipe, images: ImageSet, held_out: ImageSet | None) -> Evaluator:
    """Return what takes the metrics of the section ``evaluation``.

    Args:
        recipe: The recipe.
        images: The training images.
        held_out: The test images, if the section asks for them.

    Raises:
        ConfigError: The feature network cannot be opened, or does not take the images.
    """
    section = recipe.evaluation
    weights = None if section.weights is None else Path(section.weights)
    metrics: tuple[str, ...] = section.metrics
    if recipe.checkpoint.best_by == "fid" and "fid" not in metrics:
        metrics = ("fid", *metrics)
    return Evaluator(
        open_network(recipe.data.name, section.features, weights),
        images if held_out is None else held_out,
        metrics,
        num_samples=section.num_samples,
        trained_on=images if "memorisation" in metrics else None,
    )


def _build_penalties(recipe: Recipe) -> list[Penalty]:
    return [
        get_penalty(section.name, first_value(section.weight), section.every_steps)
        for section in recipe.terms
    ]


def _build_view(recipe: Recipe) -> View:
    constraints = recipe.constraints
    return View(
        augment=constraints.augment,
        noise_std=constraints.instance_noise.std,
        noise_until=constraints.instance_noise.until_step,
        packing=constraints.packing,
    )


def _build_optimizer(layer: nn.Layer, section: OptimizerSection) -> Optimizer:
    return optimizers.make_optimizer(
        layer, section.name, learning_rate=section.learning_rate, **section.options()
    )


def _build_schedule(section: OptimizerSection, iterations: int) -> Schedule:
    rate, schedule = section.learning_rate, section.schedule
    final = schedule.final or 0.0
    if schedule.name == "linear":
        return optimizers.linear(rate, iterations, schedule.start or 0, final)
    if schedule.name == "cosine":
        return optimizers.cosine(rate, iterations, final)
    if schedule.name == "inverse_time":
        assert schedule.decay is not None
        return optimizers.inverse_time(rate, schedule.decay)
    return optimizers.constant(rate)


def _check_arguments(
    spec: GanSpec, role: str, wanted: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Check one net's section against its constructor, and fill in what the data decide."""
    cls = getattr(spec, role)
    allowed = constructor_arguments(cls)
    hints = typing.get_type_hints(cls.__init__)
    resolved = {name: parameter.default for name, parameter in allowed.items()}
    resolved.update({key: value for key, value in given.items() if key in allowed})
    for key, value in wanted.items():
        place = f"model.{role}.{key}"
        if key not in allowed:
            raise ConfigError(
                f"{place}: {spec.name}'s {role} has no such argument{did_you_mean(key, allowed)}; "
                f"allowed: {', '.join(allowed)}"
            )
        if key in given and value != given[key]:
            source = "latent.dim" if key == "latent_dim" else "data"
            raise ConfigError(
                f"{place}: found {value!r}, but {source} gives {given[key]!r}; leave this key out"
            )
        try:
            adapter = TypeAdapter(hints.get(key, Any))
            resolved[key] = adapter.validate_python(value, strict=True)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            raise ConfigError(
                f"{place}: found {value!r}; {message[0].lower()}{message[1:]}"
            ) from None
    return resolved
