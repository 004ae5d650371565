"""Trains small models for some iterations, alone or as one of several processes, and saves them.

``trained_together.py OUTPUT TYPE ITERATIONS NAME...``: the state of each case NAME, as the process
of rank 0 has it, goes to ``OUTPUT/NAME.npz``, and that of the others to ``OUTPUT/NAME-RANK.npz``.
In float32 the order of a sum shows after some iterations: where a ReLU is near 0, and in weights
whose gradient is rounding alone, which Adam moves all the same. In float64 both are out of sight,
and what is left is what the processes compute.
"""

import os
import sys
from pathlib import Path

import numpy as np

from ppgan_zoo import runtime

runtime.start("cpu", 1)

import paddle  # noqa: E402

from ppgan_zoo.data.batches import Batch  # noqa: E402
from ppgan_zoo.distributed.group import Group  # noqa: E402
from ppgan_zoo.evaluation.subject import Subject  # noqa: E402
from ppgan_zoo.game.ada import AdaptiveProbability  # noqa: E402
from ppgan_zoo.game.terms import get_term  # noqa: E402
from ppgan_zoo.game.view import View  # noqa: E402
from ppgan_zoo.models.latent import Latent  # noqa: E402
from ppgan_zoo.registry import MODELS  # noqa: E402
from ppgan_zoo.training.assemble import make_trainer  # noqa: E402

BATCH = 8

# Arguments beside the size of z: images as small as the nets take them.
SHARED = {
    "infogan": {"categorical": (3,), "continuous": 2},
    "fastgan": {"image_shape": (1, 32, 32)},
}

BGC = ("color", "translation", "cutout", "bgc")


def adaptive():
    probability = AdaptiveProbability(images=1000, target=-0.9)
    probability.probability = 0.6
    return probability


# Cases beside the models: a model, and what its trainer is made with.
CASES = {
    "everything": ("gan_mlp", lambda: {
        "objective": "non_saturating",
        "discriminator_steps": 2,
        "terms": [
            get_term("r1", 0.1, every_steps=2), get_term("wgan_gp", 0.1), get_term("lecam", 1.0)
        ],
        "view": View(augment=BGC, noise_std=0.1, augment_probability=adaptive()),
    }),
    "dragan": ("gan_mlp", lambda: {"terms": [get_term("dragan", 1.0)]}),
    "relativistic_average": ("gan_mlp", lambda: {"objective": "relativistic_average"}),
    "relativistic_pairing": ("gan_mlp", lambda: {"objective": "relativistic_pairing"}),
    "top_share": ("gan_mlp", lambda: {"top_share": 0.5}),
    "accumulated": ("gan_mlp", lambda: {
        "accumulate_steps": 2, "view": View(augment=("translation",)),
    }),
    "larger_batch_of_g": ("gan_mlp_bn", lambda: {
        "generator_batch_multiple": 2, "accumulate_steps": 2, "top_share": 0.5,
        "view": View(noise_std=0.1),
    }),
    "fresh_reals": ("gan_mlp_bn", lambda: {
        "objective": "relativistic_pairing", "fresh_reals": True, "generator_steps": 2,
    }),
    "batch_norm_penalised": ("dcgan_keras", lambda: {"terms": [get_term("r1", 0.1)]}),
    "alternating": ("dcgan", lambda: {"discriminator_batch": "alternating"}),
    "concatenated": ("dcgan", lambda: {"discriminator_batch": "concatenated"}),
    "consistency": ("gan_mlp", lambda: {"terms": [
        get_term("consistency", 1.0), get_term("latent_consistency", 1.0),
        get_term("orthogonal", 1e-2),
    ]}),
    "path_length": ("stylegan2", lambda: {"terms": [
        get_term("r1", 1.0, every_steps=2), get_term("path_length", 2.0, every_steps=2),
    ]}),
    "local_in_two": ("gan_mlp_bn", lambda: {"accumulate_steps": 2}),
    "local": ("gan_mlp_bn", lambda: {"batch_norm": "local"}),
}  # fmt: skip


def train(name, group, iterations):
    model, more = CASES.get(name, (name, dict))
    subject = Subject(
        MODELS.get(model),
        {"latent_dim": 16, "image_shape": (1, 16, 16), **SHARED.get(model, {})},
        target=model,
    )
    gan = subject.build()
    trainer = make_trainer(gan, ema_decay=0.9, seed=3, group=group, **more())
    for iteration in range(iterations):
        rng = np.random.default_rng(iteration)
        count = BATCH * trainer._batches_per_step
        low, high = gan.image_range
        images = rng.uniform(low, high, (count, *gan.image_shape)).astype(
            paddle.get_default_dtype()
        )
        labels = rng.integers(0, gan.num_classes, count) if gan.num_classes else None
        trainer.step(Batch(images, labels))
    return trainer


def main(output, dtype, iterations, names):
    group = Group.current()
    paddle.set_default_dtype(dtype)
    if dtype == "float64":
        os.environ["PPGAN_ZOO_OPS"] = "off"  # it is of float32 alone
    sample = Latent.sample
    Latent.sample = lambda *arguments: sample(*arguments).astype(dtype)
    for name in names:
        trainer = train(name, group, int(iterations))
        flat = {f"{f}/{k}": a for f, part in trainer.state().items() for k, a in part.items()}
        suffix = f"-{group.rank}" if group.rank else ""
        np.savez(Path(output, f"{name}{suffix}.npz"), **flat)


if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4:])
