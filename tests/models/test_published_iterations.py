"""The largest nets that the papers publish, at work for one iteration of a small batch."""

import numpy as np
import pytest

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.training.assemble import make_trainer

R3GAN = {"widths": (768, 768, 768, 768), "blocks": 2}
PUBLISHED = {
    "r3gan CIFAR-10": (
        "r3gan",
        {"latent_dim": 64, "image_shape": (3, 32, 32), "num_classes": 10, **R3GAN},
        {"terms": [get_term("r1", 0.05), get_term("r2", 0.05)], "fresh_reals": True},
    ),
    "fastgan 256": (
        "fastgan",
        {"latent_dim": 256, "image_shape": (3, 256, 256), "ngf": 64, "ndf": 64},
        {"shared_latent": True},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_one_iteration(name):
    model, arguments, options = PUBLISHED[name]
    trainer = make_trainer(ppgan_zoo.create(model, **arguments), generator_steps=1, **options)
    count = 4 if options.get("fresh_reals") else 2
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (count, *trainer.gan.image_shape)).astype(np.float32)
    labels = np.arange(count) if trainer.gan.num_classes else None
    for key, value in trainer.step(Batch(images, labels)).items():
        assert np.isfinite(value.item()), key
    assert trainer.samples(1).shape == (1, *trainer.gan.image_shape)
