"""Which real images, and which labels, each update is given."""

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.run.build import build_trainer
from ppgan_zoo.training.assemble import make_trainer


class Generator(nn.Layer):
    def __init__(self, *, latent_dim=3, image_shape=(1, 2, 2), num_classes=3):
        super().__init__()
        self.latent_dim, self.image_shape, self.num_classes = latent_dim, image_shape, num_classes
        self.layer = nn.Linear(latent_dim, 4)
        self.labels = []

    def forward(self, z, labels):
        self.labels.append(labels.tolist())
        return self.layer(z).reshape([-1, 1, 2, 2])


class Discriminator(nn.Layer):
    acts_row_by_row = False  # so that real and fake images come in batches of their own

    def __init__(self, *, image_shape=(1, 2, 2), num_classes=3):
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.seen = []

    def forward(self, images, labels):
        self.seen.append((images.numpy(), labels.tolist()))
        return self.layer(images.reshape([-1, 4]))


SPEC = GanSpec(
    name="noting", generator=Generator, discriminator=Discriminator, paper="none", labels="needs"
)


def trained(count, **options):
    """One iteration on numbered images; returns the nets and the labels of the images."""
    paddle.seed(1)
    gan = Gan(SPEC, Generator(), Discriminator())
    trainer = make_trainer(gan, **options)
    gan.generator.labels.clear()
    gan.discriminator.seen.clear()
    numbers = np.arange(count, dtype=np.float32)
    labels = np.arange(count) * 7 % 3
    trainer.step(Batch(np.tile(numbers[:, None, None, None], (1, 1, 2, 2)), labels))
    return gan, labels.tolist()


def real_numbers(gan):
    """The numbers of the images in each batch that D saw, None for a batch of G's."""
    return [
        images[:, 0, 0, 0].tolist() if (images == images.round()).all() else None
        for images, _ in gan.discriminator.seen
    ]


@pytest.mark.parametrize(
    ("options", "count", "batches"),
    [
        ({"generator_steps": 1}, 2, [[0, 1], None, [0, 1], None]),
        ({"generator_steps": 1, "fresh_reals": True}, 4, [[0, 1], None, [2, 3], None]),
        (
            {"generator_steps": 2, "fresh_reals": True, "first": "generator"},
            6,
            [[2, 3], None, [4, 5], None, [0, 1], None],
        ),
        (
            {"generator_steps": 1, "discriminator_steps": 2, "fresh_reals": True},
            6,
            [[0, 1], None, [2, 3], None, [4, 5], None],
        ),
    ],
)
def test_g_is_compared_with_ds_real_images_or_with_fresh_ones(options, count, batches):
    gan, labels = trained(count, objective="relativistic_pairing", **options)
    assert real_numbers(gan) == batches
    # In a pair both images have the label of the real one.
    seen = [found for _, found in gan.discriminator.seen]
    of_reals = [[labels[int(number)] for number in batch] for batch in batches if batch]
    assert seen[0::2] == of_reals
    assert seen[1::2] == of_reals
    assert [label for batch in gan.generator.labels for label in batch] == [
        label for batch in of_reals for label in batch
    ]


def test_other_games_draw_the_labels_of_gs_images():
    gan, labels = trained(16, objective="non_saturating", generator_steps=1)
    assert gan.discriminator.seen[0][1] == labels
    assert gan.discriminator.seen[1][1] != labels


def test_an_average_counts_the_images_that_d_learns_from():
    weights = []
    for options, count in ({}, 8), ({"fresh_reals": True}, 16):
        trainer = make_trainer(
            ppgan_zoo.create("gan_mlp", generator={"hidden_units": (8,)}),
            generator_steps=1, ema_half_life=8.0, ema_warmup=2.0, **options,
        )  # fmt: skip
        trainer.iteration = 100
        trainer.ema.follow = lambda *given: weights.append(trainer.ema.decay_at(10**6, given[2]))
        trainer.step(np.zeros((count, 1, 28, 28), np.float32))
    assert weights == pytest.approx([0.5, 0.5])


def recipe(**training):
    return recipe_from(
        {
            "model": {"name": "gan_mlp"},
            "data": {"name": "mnist", "batch_size": 4},
            "training": {"epochs": 1, **training},
        }
    )


def test_a_recipe_takes_as_many_images_as_its_updates_have():
    assert recipe(discriminator_steps=2).images_per_step == 8
    assert recipe(discriminator_steps=2, generator_steps=3, fresh_reals=True).images_per_step == 20


def test_fresh_images_without_effect_are_warned_of():
    gan = ppgan_zoo.create("gan_mlp")
    warnings = build_trainer(recipe(fresh_reals=True), gan, 1).warnings
    assert any("fresh_reals: has no effect on objective non_saturating" in w for w in warnings)
    assert not build_trainer(recipe(), gan, 1).warnings
