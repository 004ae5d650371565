"""The newer models at small widths: their sizes, weights, data and draws.

Shared by ``record_modern.py`` (PyTorch) and ``test_three_iterations.py`` (Paddle), so it is numpy
alone. A tensor has the name and the shape that it has in a checkpoint of the zoo, and values that
depend on both; what is random in an iteration comes from one stream that both sides draw from in
the order in which the model's description names it.
"""

from dataclasses import dataclass, field

import numpy as np
from reference.cases import stream

BATCH, ITERATIONS = 6, 3
KEPT, OF_IMAGES, OF_AVERAGE = 48, 300, 12
"""Values that are recorded of a larger tensor, of images and of an average, drawn from all."""


@dataclass(frozen=True)
class Case:
    """One model at small widths, trained as a shipped recipe says.

    Attributes:
        model: Name in the registry.
        recipe: The shipped recipe whose losses, terms and optimizers it has.
        course: Its iterations, which schedules go by.
        image_shape: Channels, height, width.
        latent: Size of z.
        generator, discriminator: Constructor arguments here.
        classes: Classes that both nets take labels of.
        overrides: Of the recipe, ``key=value``.
        nets: Its nets by name; the others learn with G.
        low: The lowest pixel; the highest is 1.
        codes: InfoGAN's codes: values of the categorical one, and continuous ones.
        shared: Further arguments that several nets take.
        d_steps, g_multiple, fresh_reals, shared_latent, g_first: Of an iteration, as in the recipe.
    """

    model: str
    recipe: str
    course: int
    image_shape: tuple
    latent: int
    generator: dict
    discriminator: dict
    classes: int = 0
    overrides: tuple = ()
    nets: tuple = ("generator", "discriminator")
    low: float = -1.0
    codes: tuple = ()
    d_steps: int = 1
    g_multiple: int = 1
    fresh_reals: bool = False
    shared_latent: bool = False
    g_first: bool = False
    shared: dict = field(default_factory=dict)


GREY, COLOUR = (1, 8, 8), (3, 8, 8)
WITHOUT_ADA = ("constraints={}", "training.clean_gradients=false")
CASES = {
    "cgan": Case(
        "cgan", "cgan_mnist", 15000, (1, 4, 4), 5,
        {"z_units": 4, "label_units": 5, "hidden_units": 6, "dropout": 0.0},
        {"image_units": 4, "label_units": 3, "hidden_units": 4, "dropout": 0.0},
        classes=3, low=0.0, fresh_reals=True,
    ),
    "acgan": Case(
        "acgan", "acgan_mnist", 6000, (1, 14, 14), 5,
        {"channels": (4, 3)}, {"channels": (3, 4, 3, 4)}, classes=3,
    ),
    "infogan": Case(
        "infogan", "infogan_mnist", 8000, GREY, 8,
        {"hidden_units": 6, "channels": (4, 3)},
        {"channels": (3, 4), "hidden_units": 6, "code_units": 5},
        codes=(3, 2), shared={"categorical": (3,), "continuous": 2},
    ),
    "sngan": Case(
        "sngan", "sngan_mnist", 3000, GREY, 5,
        {"channels": (4, 5)}, {"channels": (4, 4, 5)}, classes=3,
    ),
    "wgan_gp": Case(
        "wgan_gp", "wgan_gp_mnist", 8000, (1, 12, 12), 5,
        {"channels": 2}, {"channels": 2}, low=0.0, d_steps=2,
    ),
    "wgan_gp_resnet": Case(
        "wgan_gp_resnet", "wgan_gp_cifar", 100000, COLOUR, 5,
        {"channels": (4, 5)}, {"channels": (4, 4, 5)}, d_steps=5, g_multiple=2,
    ),
    "sngan_modulated": Case(
        "sngan", "sngan_mnist", 3000, GREY, 5,
        {"channels": (4, 5), "self_modulation": 3}, {"channels": (4, 4, 5)},
    ),
    "wgan_gp_projection": Case(
        "wgan_gp_resnet", "wgan_gp_resnet_mnist", 2500, GREY, 5,
        {"channels": (4, 5)}, {"channels": (4, 4, 5)}, classes=3, d_steps=2,
    ),
    "wgan_gp_classifier": Case(
        "wgan_gp_resnet", "wgan_gp_resnet_mnist", 2500, GREY, 5,
        {"channels": (4, 5)}, {"channels": (4, 4, 5), "labels_by": "classifier"},
        classes=3, d_steps=2, overrides=("terms=[{name: wgan_gp, weight: 10}, "
                                         "{name: auxiliary_classifier, fake: 0, generator: 0.1}]",),
    ),
    "sagan": Case(
        "sagan", "sagan_mnist", 4500, GREY, 5,
        {"channels": (5, 8), "attention_after": 1},
        {"channels": (8, 5, 5), "attention_after": 1}, classes=3,
    ),
    "biggan": Case(
        "biggan", "biggan_mnist", 2700, GREY, 7,
        {"channels": (5, 8), "shared_dim": 4, "attention_after": 1},
        {"channels": (8, 5, 6), "attention_after": 1}, classes=3, d_steps=2,
    ),
    "r3gan": Case(
        "r3gan", "r3gan_mnist", 2000, GREY, 5,
        {"widths": (8, 4), "group_channels": 4, "label_dim": 3},
        {"widths": (8, 4), "group_channels": 4}, classes=3, fresh_reals=True,
    ),
    "stylegan2": Case(
        "stylegan2", "stylegan2_mnist", 3000, GREY, 5,
        {"channels": (5, 4), "w_dim": 3, "style_mixing": 0.0},
        {"channels": (5, 4), "mapping_layers": 2}, classes=3,
    ),
    "stylegan2_paths": Case(
        "stylegan2", "stylegan2_auto_64", 781250, COLOUR, 5,
        {"channels": (5, 4), "w_dim": 3}, {"channels": (5, 4)},
        overrides=("terms=[{name: r1, weight: 0.0256, every_steps: 2}, "
                   "{name: path_length, every_steps: 2}]", *WITHOUT_ADA), g_first=True,
    ),
    "stylegan2_cifar": Case(
        "stylegan2", "stylegan2_cifar", 1562500, COLOUR, 5,
        {"channels": (5, 4), "w_dim": 3, "style_mixing": 0.0},
        {"channels": (5, 4), "architecture": "orig", "group_size": 3},
        overrides=("optimizer.generator.learning_rate=2.5e-3", "optimizer.generator.beta2=0.99",
                   *WITHOUT_ADA), g_first=True,
    ),
    "fastgan": Case(
        "fastgan", "fastgan_folder", 5000, (1, 32, 32), 3, {"ngf": 1}, {"ndf": 2},
        overrides=("constraints.augment=[]",), shared_latent=True,
    ),
    "began": Case(
        "began", "began_fashion", 6000, GREY, 4,
        {"channels": 3, "halvings": 1}, {"channels": 3, "code_units": 4, "halvings": 1},
    ),
    "bigan": Case(
        "bigan", "bigan_mnist", 12000, (1, 4, 4), 3,
        {"hidden_units": 6}, {"hidden_units": 6, "batch_norm": False},
        nets=("generator", "discriminator", "encoder"), low=0.0,
        shared={"hidden_units": 6},
    ),
}  # fmt: skip


def drawn(name, net, tensor, shape):
    """One tensor of one net before the first iteration, float32."""
    rng, leaf = stream(name, net, tensor), tensor.rpartition(".")[2]
    x = rng.randn(*shape)
    if leaf == "_variance":
        x = rng.uniform(0.5, 1.5, shape)
    elif leaf in ("weight_u", "weight_v"):
        x = x / np.sqrt((x * x).sum())
    elif leaf in ("_mean", "average", "gamma", "strength", "noise_strength"):
        x = 0.3 * x
    elif leaf == "bias":
        x = 0.1 * x
    elif len(shape) == 1 or tensor.endswith("gamma.weight"):
        x = 1.0 + 0.2 * x
    elif CASES[name].model == "stylegan2":
        x = 100.0 * x if "mapping.layers" in tensor else x
    elif leaf == "window":
        x = 0.3 * x
    elif leaf.startswith("weight"):
        x = 1.3 * x / np.sqrt(shape[0] if len(shape) == 2 else np.prod(shape[1:]))
    return x.astype(np.float32)


def kept(name, net, tensor, array, most=KEPT):
    """The values of a tensor that are recorded: all, or so many drawn ones."""
    array = np.asarray(array).reshape(-1)
    if array.size <= most:
        return array
    places = stream("kept", name, net, tensor, most).permutation(array.size)[:most]
    return array[places]


def real_images(name, iteration, number):
    """A batch of real images, and their labels; `number` of those of the iteration."""
    case, rng = CASES[name], stream(name, "real", iteration, number)
    images = rng.uniform(case.low, 1.0, (BATCH, *case.image_shape)).astype(np.float32)
    return images, labels_of(case, rng, BATCH)


def codes(name, iteration, number, count=BATCH):
    """A batch of z and, for models with labels, theirs."""
    case = CASES[name]
    rng = stream(name, "code", iteration, 0 if case.shared_latent else number)
    z = rng.randn(count, case.latent)
    if case.codes:
        values, continuous = case.codes
        noise = case.latent - values - continuous
        z[:, noise : noise + values] = np.eye(values)[rng.randint(0, values, count)]
        z[:, noise + values :] = rng.uniform(-1.0, 1.0, (count, continuous))
    return z.astype(np.float32), labels_of(case, rng, count)


def labels_of(case, rng, count):
    return rng.randint(0, case.classes, count).astype(np.int64) if case.classes else None


class Draws:
    """All else that is random in an iteration, in the order in which it is asked for."""

    def __init__(self, name, iteration, purpose):
        self.rng = stream(name, purpose, iteration)

    def normal(self, shape):
        return self.rng.randn(*shape).astype(np.float32)

    def uniform(self, shape):
        return self.rng.uniform(0.0, 1.0, shape).astype(np.float32)

    def integer(self, low, high):
        return int(self.rng.randint(low, high))
