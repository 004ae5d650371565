"""A bound that a recipe and an object both check is the same in both."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from conftest import Projection
from paddle import nn

from ppgan_zoo.data import ImageSet
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.evaluator import Evaluator
from ppgan_zoo.evaluation.protocol import Protocol
from ppgan_zoo.game.schedules import constant
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.training.ema import Ema
from ppgan_zoo.training.update import DiscriminatorUpdate, GeneratorUpdate

BASE = {
    "model": {"name": "gan_mlp"},
    "data": {"name": "mnist", "batch_size": 64},
    "training": {"iterations": 10},
    "ema": {"decay": 0.9},
}


def update_of(kind, **options):
    net = nn.Linear(1, 1)
    return kind(paddle.optimizer.SGD(parameters=net.parameters()), constant(0.1), **options)


def ema_of(**options):
    return Ema(nn.Linear(1, 1), SimpleNamespace(), decay=0.9, **options)


def images_of(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)
    return ImageSet.of("noise", pixels, source="folder", location="made here")


# The key, the least that is allowed, what is too little, and what a program makes with it.
CASES = {
    "training.discriminator_steps": (1, 0, lambda n: update_of(DiscriminatorUpdate, steps=n)),
    "training.generator_steps": (1, 0, lambda n: update_of(GeneratorUpdate, steps=n)),
    "training.generator_batch_multiple": (
        1,
        0,
        lambda n: update_of(GeneratorUpdate, batch_multiple=n),
    ),
    "training.accumulate_steps": (1, 0, lambda n: update_of(GeneratorUpdate, accumulate_steps=n)),
    "terms.0.every_steps": (1, 0, lambda n: get_term("r1", every_steps=n)),
    "ema.warmup": (2.0, 1.99, lambda n: ema_of(warmup=n)),
    "ema.statistics_batches": (1, 0, lambda n: ema_of(statistics_batches=n)),
    "data.limit": (1, 0, lambda n: images_of(3).limit(n)),
    "evaluation.num_samples": (100, 99, lambda n: Protocol(num_samples=n)),
}


def recipe_with(key, value):
    if key == "terms.0.every_steps":
        return recipe_from({**BASE, "terms": ({"name": "r1", "every_steps": value},)})
    return recipe_from(BASE, overrides=[f"{key}={value}"])


@pytest.mark.parametrize("key", CASES)
def test_recipe_and_object_have_the_same_bound(key):
    least, too_little, make = CASES[key]
    recipe_with(key, least)
    make(least)
    with pytest.raises(ConfigError, match=rf"{key}: found {too_little}; .*{least:g}$"):
        recipe_with(key, too_little)
    with pytest.raises(ConfigError, match=f" {too_little}"):
        make(too_little)


def test_nan_is_below_every_bound():
    with pytest.raises(ConfigError, match="ema: warmup must be at least 2, found nan"):
        ema_of(warmup=float("nan"))


def test_metrics_are_of_as_many_real_images_as_samples_at_least():
    with pytest.raises(ConfigError, match="99 real images of noise .*; metrics need 100"):
        Evaluator(Projection(), images_of(99), ("fid",), num_samples=100)
    Evaluator(Projection(), images_of(100), ("fid",), num_samples=100)
