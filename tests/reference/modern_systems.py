"""Each newer model's nets, losses, terms and optimizers, as its recipe or its paper has them.

``SYSTEMS[name]`` builds the nets and says what an iteration is; ``modern_training.py`` does it.
"""

import math
from dataclasses import dataclass

from reference import label_nets, residual_torch, style_torch
from reference.modern_cases import CASES
from reference.modern_losses import (
    classes_of_both,
    classes_of_fakes,
    classes_of_real,
    controlled,
    encoder_part,
    gradient_penalty,
    orthogonality,
    path_length,
    r1,
    r1_and_r2,
    read_codes,
    redrawing,
)
from reference.torch_net import Net


def cosine(first, last, course):
    return lambda t: last + (first - last) * (1 + math.cos(math.pi * min(t / course, 1))) / 2


def straight(first, last, course):
    return lambda t: first + (last - first) * min(t / course, 1)


def fixed(value):
    return lambda t: value


@dataclass
class System:
    """What an iteration is.

    Attributes:
        nets: From a function that gives the draws of the moment to the nets.
        objective: A key of ``OBJECTIVES``.
        of_d, of_g: Terms of each update: functions of a :class:`Moment`.
        lazy_d, lazy_g: Terms with a step of their own, and every how many iterations.
        rate_d, rate_g, beta1, beta2, weight_decay: Of Adam; rates and beta2 by iteration.
        decay: Of the average of G, by iteration and real images; None for none.
    """

    nets: object
    objective: str
    of_d: tuple = ()
    of_g: tuple = ()
    lazy_d: tuple = ()
    lazy_g: tuple = ()
    rate_d: object = fixed(2e-4)
    rate_g: object = fixed(2e-4)
    beta1: float = 0.5
    beta2: object = fixed(0.999)
    weight_decay: float = 0.0
    decay: object = lambda t, images: min(0.999, (1 + t) / (10 + t))  # as TensorFlow warms up


# The models.


def two(name, generator, discriminator, of_g=None, of_d=None, spectral_g=(), spectral_d=()):
    """Return what makes the two nets of a model: they take what they need of its case."""

    def nets(draws):
        case = CASES[name]
        facts = {"classes": case.classes, "image_shape": case.image_shape, "codes": case.codes,
                 "latent": case.latent, "draws": draws}  # fmt: skip
        g = {**facts, **case.generator, **(of_g or {})}
        d = {**facts, **case.discriminator, **(of_d or {})}
        return {
            "generator": Net(name, "generator", generator, spectral_g, **g),
            "discriminator": Net(name, "discriminator", discriminator, spectral_d, **d),
        }

    return nets


def three(draws):
    """BiGAN's."""
    nets = two("bigan", label_nets.bigan_generator, label_nets.bigan_discriminator)(draws)
    facts = nets["generator"].facts
    return {**nets, "encoder": Net("bigan", "encoder", label_nets.bigan_encoder, **facts)}


def half_life(schedule):
    return lambda t, images: 0.5 ** (images / schedule(t))


SPECTRAL = ("dense", "conv", "table")


def sngan(name):
    nets = two(name, residual_torch.generator, residual_torch.discriminator,
               {"epsilon": 2e-5}, {"head_bias": False}, spectral_d=SPECTRAL)  # fmt: skip
    return System(
        nets, "hinge", rate_g=fixed(6e-4), rate_d=fixed(1.2e-3), beta1=0.0, beta2=fixed(0.9)
    )


def labelled_critic(name, of_d=(), of_g=()):
    """WGAN-GP's, with further terms where D classifies."""
    return System(
        two(name, residual_torch.generator, residual_torch.critic, {"epsilon": 1e-5}),
        "wasserstein", of_d=(gradient_penalty, *of_d), of_g=of_g, rate_d=fixed(6e-4), rate_g=fixed(6e-4),
        beta1=0.0, beta2=fixed(0.9),
    )  # fmt: skip


SYSTEMS = {
    "cgan": System(
        two("cgan", label_nets.cgan_generator, label_nets.cgan_discriminator), "pairing",
        of_d=(r1_and_r2(cosine(0.5, 0.1, 15000)),),
        rate_d=cosine(4e-4, 4e-5, 15000), rate_g=cosine(4e-4, 4e-5, 15000),
        beta1=0.0, beta2=fixed(0.99),
    ),
    "acgan": System(
        two("acgan", label_nets.acgan_generator, label_nets.acgan_discriminator),
        "non_saturating", of_d=(classes_of_both,), of_g=(classes_of_fakes,),
    ),
    "infogan": System(
        two("infogan", label_nets.infogan_generator, label_nets.infogan_discriminator),
        "non_saturating", of_d=(read_codes,), of_g=(read_codes,), rate_g=fixed(1e-3),
    ),
    "sngan": sngan("sngan"),
    "wgan_gp": System(
        two("wgan_gp", residual_torch.mnist_generator, residual_torch.mnist_critic),
        "wasserstein", of_d=(gradient_penalty,), rate_d=fixed(4e-4), beta2=fixed(0.9),
    ),
    "wgan_gp_resnet": System(
        two("wgan_gp_resnet", residual_torch.generator, residual_torch.critic, {"epsilon": 1e-5}),
        "wasserstein", of_d=(gradient_penalty,), rate_d=straight(2e-4, 0.0, 100000),
        rate_g=straight(2e-4, 0.0, 100000), beta1=0.0, beta2=fixed(0.9), decay=None,
    ),
    "sngan_modulated": sngan("sngan_modulated"),
    "wgan_gp_projection": labelled_critic("wgan_gp_projection"),
    "wgan_gp_classifier": labelled_critic(
        "wgan_gp_classifier", (classes_of_real,), (lambda moment: 0.1 * classes_of_fakes(moment),)
    ),
    "sagan": System(
        two("sagan", residual_torch.generator, residual_torch.discriminator,
            {"epsilon": 1e-5, "momentum": 0.999}, {},
            spectral_g=("dense", "conv"), spectral_d=SPECTRAL),
        "hinge", rate_d=fixed(8e-4), beta1=0.0, beta2=fixed(0.9),
    ),
    "biggan": System(
        two("biggan", residual_torch.generator, residual_torch.discriminator,
            {"epsilon": 1e-5}, {"wide": True},
            spectral_g=("dense", "conv"), spectral_d=SPECTRAL),
        "hinge", of_g=(orthogonality,), rate_d=fixed(4e-4), beta1=0.0,
    ),
    "r3gan": System(
        two("r3gan", style_torch.r3gan_generator, style_torch.r3gan_discriminator), "pairing",
        of_d=(r1_and_r2(cosine(0.5, 0.05, 2000)),),
        rate_d=cosine(1e-3, 2.5e-4, 2000), rate_g=cosine(1e-3, 2.5e-4, 2000),
        beta1=0.0, beta2=cosine(0.9, 0.99, 2000), decay=half_life(cosine(100, 20000, 2000)),
    ),
    "stylegan2": System(
        two("stylegan2", style_torch.style_generator, style_torch.style_discriminator),
        "non_saturating", lazy_d=(16, lambda moment: 0.5 * r1(moment)),
        rate_d=fixed(2.5e-3), rate_g=fixed(2.5e-3), beta1=0.0, beta2=fixed(0.99),
        decay=half_life(straight(1, 20000, 6250)),
    ),
    "stylegan2_cifar": System(
        two("stylegan2_cifar", style_torch.style_generator, style_torch.style_discriminator),
        "non_saturating",
        lazy_d=(16, lambda moment: 0.01 * r1(moment)),
        rate_d=fixed(2.5e-3),
        rate_g=fixed(2.5e-3),
        beta1=0.0,
        beta2=fixed(0.99),
        decay=half_life(straight(1, 500000, 156250)),
    ),
    "stylegan2_paths": System(
        two("stylegan2_paths", style_torch.style_generator, style_torch.style_discriminator,
            {"style_mixing": 0.9}),
        "non_saturating", lazy_d=(2, lambda moment: 0.0256 * r1(moment)), lazy_g=(2, path_length),
        rate_d=fixed(2.5e-3), rate_g=fixed(2.5e-3), beta1=0.0, beta2=fixed(0.99),
        decay=half_life(straight(1, 10000, 6250)),
    ),
    "fastgan": System(
        two("fastgan", style_torch.fast_generator, style_torch.fast_discriminator,
            spectral_g=SPECTRAL, spectral_d=SPECTRAL),
        "random_margins", of_d=(redrawing,),
    ),
    "began": System(
        two("began", label_nets.began_generator, label_nets.began_discriminator), "wasserstein",
        of_d=(controlled,), rate_d=fixed(1e-3), rate_g=fixed(1e-3),
    ),
    "bigan": System(
        three, "non_saturating", of_g=(encoder_part,), rate_d=fixed(1e-4), weight_decay=2.5e-5,
    ),
}  # fmt: skip
