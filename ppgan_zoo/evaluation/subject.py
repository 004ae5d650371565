"""A model under check: how it is built, small, and what it is tried with."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import paddle

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.game.terms import Term, get_term
from ppgan_zoo.models.cost import check_size
from ppgan_zoo.models.facts import ModelFacts, model_facts
from ppgan_zoo.models.gan import Gan, build_gan
from ppgan_zoo.models.latent import Code, labels_in_turn
from ppgan_zoo.models.nets import generate, judged
from ppgan_zoo.models.spec import CLASSES_ARGUMENT, CODE_ARGUMENTS, GanSpec, constructor_arguments
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.checkpoint import Arrays
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.trainer import Trainer

SEED = 7
CLASSES = 3  # that a model which takes labels is built with
SMALL = 8
STEPS_TOGETHER = 2  # of the check of two processes
FILLED_IN = ("latent_dim", "image_shape", CLASSES_ARGUMENT, *CODE_ARGUMENTS)


def tiny(cls: type) -> dict[str, Any]:
    """Return constructor arguments of a net that bring every width down to at most 8.

    Args:
        cls: The net's class. Its arguments that a recipe's other sections fill in
            (``latent_dim``, ``image_shape``, ``num_classes``) are left out.
    """

    def shrink(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(shrink(part) for part in value)
        return min(value, SMALL) if type(value) is int else value

    return {
        name: shrink(parameter.default)
        for name, parameter in constructor_arguments(cls).items()
        if name not in FILLED_IN
    }


class Subject:
    """A model under check; the checks share its nets and its trainer.

    Args:
        spec: The architecture, registered or not.
        shared: Constructor arguments, each for whichever net takes it.
        own: Constructor arguments by the name of the net that they are for.
        terms: Terms of the loss, or their names, that it is trained with beside the spec's own.
        batch_size: Images in a training batch.
        small: Whether to bring all other widths down to at most 8; a net that refuses them
            keeps its own.
        target: By what another process finds the spec: a model's name, or ``module:ATTRIBUTE``;
            None for one that is in this process alone.

    Raises:
        UnknownNameError: No such term.
    """

    def __init__(
        self,
        spec: GanSpec,
        shared: Mapping[str, Any],
        own: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        terms: Sequence[Term | str] = (),
        batch_size: int = 8,
        small: bool = True,
        target: str | None = None,
    ) -> None:
        self.spec = spec
        self.shared = dict(shared)
        self.own = dict(own or {})
        given = [get_term(term) if isinstance(term, str) else term for term in terms]
        own_names = set(spec.terms) - {term.name for term in given}
        self.terms = [*(get_term(name) for name in spec.terms if name in own_names), *given]
        self.batch_size = batch_size
        self.small = small
        self.target = target

    def with_classes(self, num_classes: int) -> Subject:
        """Return the same model, built for labels of that many classes."""
        return Subject(
            self.spec,
            {**self.shared, CLASSES_ARGUMENT: num_classes},
            self.own,
            terms=self.terms,
            batch_size=self.batch_size,
            small=self.small,
            target=self.target,
        )

    @property
    def is_built(self) -> bool:
        """Whether the nets could be built; what goes wrong before is the caller's mistake."""
        return "gan" in self.__dict__

    @cached_property
    def facts(self) -> ModelFacts:
        """What rebuilds the model.

        Raises:
            ConfigError: An argument that a net does not take, or of the wrong type.
        """
        if self.small:
            facts = self._facts(small=True)
            # A width may have to be a multiple of another: then the model keeps its own.
            with contextlib.suppress(Exception):
                gan = self._build(facts)
                z = np.zeros((2, facts.latent.dim), np.float32)
                labels = labels_in_turn(2, facts.num_classes) if facts.num_classes else None
                judged(gan, generate(gan.generator, z, labels), labels)
                return facts
        return self._facts(small=False)

    @cached_property
    def gan(self) -> Gan:
        """The nets that are looked at and then trained."""
        return self.build()

    @cached_property
    def trainer(self) -> Trainer:
        """The trainer of :attr:`gan`."""
        return self.trainer_of(self.gan)

    @cached_property
    def code(self) -> Code:
        """A batch of codes as arrays, each class in its turn."""
        classes = self.facts.num_classes
        labels = labels_in_turn(self.batch_size, classes) if classes else None
        return Code(self.facts.latent.sample(self.batch_size, SEED), labels)

    @cached_property
    def real(self) -> Batch:
        """A batch of noise images as arrays, with labels if the model takes them."""
        shape = (self.batch_size, *self.facts.image_shape)
        images = np.random.default_rng(SEED).uniform(*self.facts.image_range, shape)
        return Batch(images.astype(np.float32), self.code.labels)

    def build(self, seed: int = SEED) -> Gan:
        """Build the nets anew.

        Raises:
            ConfigError: A net refuses its arguments, or this machine cannot hold it.
        """
        return self._build(self.facts, seed)

    def trainer_of(self, gan: Gan, group: Group | None = None) -> Trainer:
        """Return a trainer of the nets: D once, G once, a moving average, the terms."""
        return make_trainer(gan, generator_steps=1, ema_decay=0.9, terms=self.terms, group=group)

    def learnt(self, gan: Gan | None = None) -> Arrays:
        """Return the weights that learn, of :attr:`gan` or of other nets, by net and name."""
        return {
            f"{net}.{name}": parameter.numpy()
            for net, layer in (gan or self.gan).nets.items()
            for name, parameter in layer.named_parameters()
            if not parameter.stop_gradient
        }

    def _build(self, facts: ModelFacts, seed: int = SEED) -> Gan:
        check_size(self.spec, facts.arguments())
        paddle.seed(seed)
        return build_gan(self.spec, **facts.arguments())

    def _facts(self, *, small: bool) -> ModelFacts:
        default_shape = constructor_arguments(self.spec.generator)["image_shape"].default
        classes = CLASSES if self.spec.labels == "needs" else 0
        shared = {"image_shape": default_shape, CLASSES_ARGUMENT: classes, **self.shared}
        arguments: dict[str, dict[str, Any]] = {net: dict(own) for net, own in self.own.items()}
        for net, cls in self.spec.nets.items():
            arguments[net] = {
                **(tiny(cls) if small else {}),
                **{
                    name: value
                    for name, value in shared.items()
                    if name in constructor_arguments(cls) and name not in FILLED_IN
                },
                **self.own.get(net, {}),
            }
        with MODELS.lent(self.spec):
            return model_facts(
                self.spec.name,
                tuple(shared["image_shape"]),
                shared["latent_dim"],
                codes={name: shared[name] for name in CODE_ARGUMENTS if name in shared},
                arguments=arguments,
                conditional=bool(shared[CLASSES_ARGUMENT]),
                num_classes=shared[CLASSES_ARGUMENT],
            )
