"""A trainer with the usual parts, from plain arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from paddle.optimizer import Optimizer

from ppgan_zoo.distributed.batch_norm import Statistics, share_batch_norms
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.objectives import LabelSmoothing, get_objective
from ppgan_zoo.game.schedules import Schedule, Value, constant
from ppgan_zoo.game.terms import Net, Term
from ppgan_zoo.game.view import View
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.ops import Precision, why_not_rough
from ppgan_zoo.training.chance import Chance
from ppgan_zoo.training.ema import Ema
from ppgan_zoo.training.optimizers import make_optimizer
from ppgan_zoo.training.trainer import Trainer
from ppgan_zoo.training.update import (
    AlternatingUpdate,
    DiscriminatorUpdate,
    GeneratorUpdate,
    Update,
)


def make_trainer(
    gan: Gan,
    *,
    objective: str | None = None,
    smoothing: LabelSmoothing | None = None,
    top_share: Value = 1.0,
    latent_prior: str | None = None,
    shared_latent: bool = False,
    generator_steps: int = 2,
    discriminator_steps: int = 1,
    fresh_reals: bool = False,
    generator_batch_multiple: int = 1,
    first: Net = "discriminator",
    discriminator_batch: Literal["separate", "concatenated", "alternating"] = "separate",
    terms: Sequence[Term | str] | None = None,
    weight_clip: float | None = None,
    view: View | None = None,
    accumulate_steps: int = 1,
    clean_gradients: bool = False,
    precision: Precision = "float32",
    generator_optimizer: Optimizer | None = None,
    discriminator_optimizer: Optimizer | None = None,
    generator_schedule: Schedule | None = None,
    discriminator_schedule: Schedule | None = None,
    generator_beta2: Value | None = None,
    discriminator_beta2: Value | None = None,
    ema_decay: float | None = None,
    ema_half_life: Value | None = None,
    ema_warmup: float | None = None,
    ema_statistics_batches: int = 16,
    seed: int = 0,
    group: Group | None = None,
    batch_norm: Statistics = "synchronised",
    options: Mapping[str, Any] | None = None,
) -> Trainer:
    """Return the trainer of a model's spec with game, updates, average and chance.

    Args:
        gan: The nets, from :func:`ppgan_zoo.create`.
        objective: Name of an objective; None takes the spec's own.
        smoothing: Label smoothing.
        top_share: See :class:`ppgan_zoo.game.game.Game`.
        latent_prior: ``"normal"`` or ``"uniform"``; None takes the spec's own.
        shared_latent: Draw one z an iteration for all its updates, not one for each.
        generator_steps: Updates of G in an iteration.
        discriminator_steps: Updates of D in an iteration, each on its own real images.
        fresh_reals: Whether each update of G has real images of its own to be compared with, and
            not those of D's last update.
        generator_batch_multiple: How many times as many images each update of G learns from as
            each of D has fake ones.
        first: The net that is updated first.
        discriminator_batch: ``"separate"``; ``"concatenated"``: show D real and fake images
            in one batch (batch norm sees both together), which it gets anyway if it is all
            the same to it; ``"alternating"``: split each update of D in two optimizer steps,
            on the loss of the real images, then on that of the fake ones.
        terms: What else is in the losses: names of the registry ``TERMS``, or
            :func:`ppgan_zoo.game.terms.get_term` for other weights and intervals; None takes
            the spec's own.
        weight_clip: Bound of D's weights, clipped to it after each of its steps.
        view: How D sees images: augmentation, instance noise, packing; None: as they are.
        accumulate_steps: Parts that each update's batch goes through the nets in; their
            gradients are averaged. Less memory, the same update but for batch statistics.
        clean_gradients: Replace NaN in a gradient by 0, and what is infinite by 1e5.
        precision: ``"bfloat16"``: round the factors of products to bfloat16 where that is faster
            on this processor, with a warning where it has no instructions for it; ``"auto"``:
            the same without a warning. Weights, sums and optimizers are float32 in any case.
        generator_optimizer: Over G's parameters, and those of the nets that learn with it;
            None makes Adam(2e-4, 0.5, 0.999).
        discriminator_optimizer: Over D's, likewise.
        generator_schedule: G's learning rate by iteration; None keeps it constant.
        discriminator_schedule: D's, likewise.
        generator_beta2: Second beta of G's Adam, if it changes over the iterations.
        discriminator_beta2: Of D's, likewise.
        ema_decay: Decay per iteration of the moving average of G's weights; None for none.
        ema_half_life: In place of it: images after which the weights of now count half.
        ema_warmup: See :class:`ppgan_zoo.training.ema.Ema`.
        ema_statistics_batches: Likewise.
        seed: Of everything random in training.
        group: The processes that train together; None for this one alone.
        batch_norm: Whose images the batch norms of a group take statistics of: those of all
            processes, or (``"local"``) of each by itself.
        options: Keyword arguments of the spec's own trainer class.

    Raises:
        ConfigError: Counts below 1, an unknown objective or term, smoothing without targets,
            or what makes no sense together.
    """
    spec = gan.spec
    smoothing = smoothing or LabelSmoothing()
    game: Game = (spec.game or Game)(
        get_objective(objective or spec.objective, smoothing),
        smoothing=smoothing,
        terms=spec.terms if terms is None else terms,
        view=view,
        concatenate=discriminator_batch == "concatenated",
        top_share=top_share,
    )
    chance = Chance(
        seed,
        gan.latent(latent_prior),
        num_classes=gan.num_classes,
        shared=shared_latent,
        group=group,
    )
    of_d = AlternatingUpdate if discriminator_batch == "alternating" else DiscriminatorUpdate
    updates = [
        _update(of_d, gan, discriminator_optimizer, discriminator_schedule,
                steps=discriminator_steps, accumulate_steps=accumulate_steps,
                beta2=discriminator_beta2, weight_clip=weight_clip,
                clean_gradients=clean_gradients),
        _update(GeneratorUpdate, gan, generator_optimizer, generator_schedule,
                steps=generator_steps, accumulate_steps=accumulate_steps, beta2=generator_beta2,
                fresh_reals=fresh_reals, batch_multiple=generator_batch_multiple,
                clean_gradients=clean_gradients),
    ]  # fmt: skip
    ema = None
    if ema_decay is not None or ema_half_life is not None:
        ema = Ema(
            gan.generator,
            chance,
            decay=ema_decay,
            half_life=ema_half_life,
            warmup=ema_warmup,
            statistics_batches=ema_statistics_batches,
        )
    if chance.group.size > 1:  # before the trainer accelerates those of one process
        share_batch_norms(*gan.nets.values(), statistics=batch_norm)
    trainer_class: type[Trainer] = spec.trainer or Trainer
    ordered = updates if first == "discriminator" else updates[::-1]
    trainer = trainer_class(gan, game, ordered, ema, chance, **(options or {}))
    trainer.precision = precision
    if precision == "bfloat16" and (reason := why_not_rough()):
        trainer.warnings.append(
            f"training.precision: bfloat16: {reason}; products are computed in float32"
        )
    return trainer


def _update(
    kind: type[Update],
    gan: Gan,
    optimizer: Optimizer | None,
    schedule: Schedule | None,
    **options: Any,
) -> Update:
    if optimizer is None:
        optimizer = make_optimizer(
            list(gan.learning_with(kind.net).values()),
            "adam",
            learning_rate=2e-4,
            beta1=0.5,
            beta2=0.999,
        )
    return kind(optimizer, schedule or constant(float(optimizer.get_lr())), **options)
