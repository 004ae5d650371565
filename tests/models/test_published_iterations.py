"""The nets that the papers publish, at work for one iteration of a small batch."""

import numpy as np
import pytest

import ppgan_zoo
from ppgan_zoo.data import ImageSet
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe, shipped_recipes
from ppgan_zoo.run.build import build_batches, build_model_and_trainer, facts_of
from ppgan_zoo.training.assemble import make_trainer

# Recipes of published sizes, and the classes of the data set that each is of.
RECIPES = {
    "sngan_cifar": 10,
    "wgan_gp_cifar": 10,
    "sagan_cifar": 10,
    "biggan_cifar": 10,
    "r3gan_cifar10": 10,
    "r3gan_ffhq64": 1,
    "r3gan_imagenet32": 1000,
    "stylegan2_cifar": 10,
    "stylegan2_auto_64": 1,
    "stylegan2_paper256": 1,
}
BATCH = 2


def made_images(count, size, classes):
    """Images of noise; the set has classes, of which a few have images."""
    rng = np.random.default_rng(0)
    return ImageSet.of(
        "made", rng.integers(0, 256, (count, 3, size, size), np.uint8), np.arange(count) % classes,
        source="folder", location="made here", classes=tuple(map(str, range(classes))),
    )  # fmt: skip


def weights(trainer):
    """Copies of all that learns, by net."""
    return {
        name: [p.numpy() for p in net.parameters() if not p.stop_gradient]
        for name, net in trainer.gan.nets.items()
    }


def check_step(trainer, batch):
    """Do an iteration: what it returns is finite, all terms are in it, and every net moves."""
    before = weights(trainer)
    scalars = trainer.step(batch)
    for key, value in scalars.items():
        assert np.isfinite(value.item()), key
    assert {"loss/generator", "loss/discriminator"} <= set(scalars)
    assert {f"term/{term.name}" for term in trainer.game.terms.terms} <= set(scalars)
    for net, after in weights(trainer).items():
        assert all(np.isfinite(array).all() for array in after), net
        # Not each weight: some have to wait for a factor after them that begins at 0.
        assert any((new != old).any() for old, new in zip(before[net], after, strict=True)), net
    assert np.isfinite(trainer.samples(1)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_one_iteration_of_a_recipe_of_a_published_size(name, monkeypatch):
    """The first one, in which all lazy terms are due; all but the batch is the recipe's."""
    # As on a GPU. To try other forms of so large products takes longer than the iteration.
    monkeypatch.setenv("PPGAN_ZOO_OPS", "off")
    recipe = load_recipe(find_recipe(name), [f"data.batch_size={BATCH}"])
    images = made_images(recipe.images_per_step, recipe.data.image_size, RECIPES[name])
    facts = facts_of(recipe, images.image_shape, images.num_classes, images.classes)
    trainer = build_model_and_trainer(recipe, facts, recipe.training.iterations)
    check_step(trainer, build_batches(recipe, images, facts)[0])


def test_every_recipe_that_wants_a_gpu_is_tried():
    """The others are for two cores, and for pictures of one's own."""
    published = {
        p.stem for p in shipped_recipes().values() if "Wants a GPU" in p.read_text("utf-8")
    }
    assert "stylegan2_paper256" in published
    assert published <= set(RECIPES)


@pytest.mark.slow
def test_one_iteration_of_fastgan_at_its_published_size():
    gan = ppgan_zoo.create(
        "fastgan", latent_dim=256, image_shape=(3, 256, 256),
        generator={"ngf": 64}, discriminator={"ndf": 64},
    )  # fmt: skip
    trainer = make_trainer(gan, shared_latent=True, generator_steps=1)
    check_step(trainer, np.random.default_rng(0).uniform(-1, 1, (2, 3, 256, 256)).astype("float32"))
