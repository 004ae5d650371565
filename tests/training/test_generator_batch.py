"""Batches of G that are larger than D's (training.generator_batch_multiple)."""

from dataclasses import replace

import numpy as np
import paddle
import pytest
from conftest import assert_same_state

import ppgan_zoo
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.game.view import View
from ppgan_zoo.training.assemble import make_trainer


class OwnLoss(Game):
    def generator_loss(self, gan, real, code, moment):
        return super().generator_loss(gan, real, code, moment)


def made(model="gan_mlp_bn", packing=1, game=None, **facts):
    paddle.seed(2)
    gan = ppgan_zoo.create(
        model, latent_dim=4, image_shape=(1, 4, 4),
        discriminator={"image_shape": (packing, 4, 4)}, **facts,
    )  # fmt: skip
    gan.spec = replace(gan.spec, game=game)
    return gan


def trainer_of(gan, **options):
    return make_trainer(gan, generator_batch_multiple=2, generator_steps=1, **options)


def real_images(count=8, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 1, 4, 4)).astype(np.float32)


def rows(layer):
    """The number of rows of each batch that a layer will be given."""
    seen = []
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[0]))
    return seen


@pytest.mark.parametrize(
    ("options", "of_g", "of_d"),
    [
        ({}, [8, 16], [8, 8, 16]),
        ({"discriminator_steps": 2}, [4, 4, 8], [4, 4, 4, 4, 8]),
        ({"accumulate_steps": 2}, [4, 4, 8, 8], [4, 4, 4, 4, 8, 8]),
        ({"view": View(packing=2)}, [8, 16], [4, 4, 8]),
    ],
)
def test_gs_updates_alone_have_more_images(options, of_g, of_d):
    gan = made(packing=options["view"].packing if "view" in options else 1)
    gan.discriminator.acts_row_by_row = False  # real and fake images in batches of their own
    trainer = trainer_of(gan, **options)
    seen = rows(gan.generator), rows(gan.discriminator)
    trainer.step(real_images())
    assert seen == (of_g, of_d)


def test_g_learns_from_the_best_of_all_its_images():
    trainer, kept = trainer_of(made(), top_share=0.25), []
    loss = trainer.game.objective.generator_loss
    trainer.game.objective = replace(
        trainer.game.objective,
        generator_loss=lambda fake, *rest: kept.append(fake.shape[0]) or loss(fake, *rest),
    )
    trainer.step(real_images())
    assert kept == [4]  # of 16


def test_labels_are_drawn_for_all_its_images():
    gan = ppgan_zoo.create("cgan", latent_dim=4, image_shape=(1, 4, 4), num_classes=3)
    seen = []
    gan.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1].shape[0]))
    trainer_of(gan).step(ppgan_zoo.data.Batch(real_images(), np.arange(8) % 3))
    assert seen == [8, 16]


def test_an_average_takes_its_statistics_of_batches_as_g_learns_from():
    trainer = trainer_of(made(), ema_decay=0.9, accumulate_steps=2, ema_statistics_batches=3)
    trainer.step(real_images())
    seen = rows(trainer.ema.net)
    assert trainer.best_generator is trainer.ema.net
    assert seen == [8] * 3


def test_a_resumed_run_does_what_it_would_have_done():
    def trainer():
        return trainer_of(
            made(packing=2), view=View(packing=2, noise_std=0.1), accumulate_steps=2,
            top_share=0.5, ema_decay=0.9, terms=[get_term("latent_consistency")], seed=5,
        )  # fmt: skip

    whole, first, second = trainer(), trainer(), trainer()
    for iteration in range(4):
        whole.step(real_images(seed=iteration))
    for iteration in range(2):
        first.step(real_images(seed=iteration))
    second.load_state(first.state(), first.iteration)
    for iteration in range(2, 4):
        second.step(real_images(seed=iteration))
    assert_same_state(whole.state(), second.state())


PAIRS = replace(get_term("wgan_gp"), name="pairs", net="generator", of_gradient=False)


@pytest.mark.parametrize(
    ("facts", "options", "words"),
    [
        ({}, {"objective": "relativistic_average"}, "relativistic_average compares real and fake"),
        ({}, {"objective": "relativistic_pairing"}, "relativistic_pairing compares real and fake"),
        ({"game": OwnLoss}, {}, "OwnLoss has a generator_loss of its own"),
        ({}, {"terms": [PAIRS]}, "term pairs takes each fake image together with a real one"),
    ],
)
def test_what_compares_each_fake_image_with_a_real_one_is_refused(facts, options, words):
    gan = made("gan_mlp", **facts)
    make_trainer(gan, **options)
    line = f"^training.generator_batch_multiple: 2 gives G's loss .*{words}.*; set it to 1$"
    with pytest.raises(ConfigError, match=line):
        trainer_of(gan, **options)


@pytest.mark.parametrize("term", ["wgan_gp", "r1", "latent_consistency", "orthogonal"])
def test_other_terms_go_with_it(term):
    scalars = trainer_of(made("gan_mlp"), terms=[term]).step(real_images())
    assert all(np.isfinite(value.item()) for value in scalars.values())


def test_an_encoders_term_goes_with_it():
    gan = ppgan_zoo.create("bigan", latent_dim=4, image_shape=(1, 4, 4))
    scalars = trainer_of(gan).step(real_images())
    assert "term/bidirectional" in scalars
