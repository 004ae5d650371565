"""Objectives and terms of the newer models in plain PyTorch, as their papers have them."""

import math
from dataclasses import dataclass

import torch
from reference import style_torch
from reference.modern_cases import BATCH, CASES
from reference.torch_net import flat
from torch.nn import functional as F

# Objectives: D's loss of real and fake logits, G's of fake ones (and real ones).


def margins(logits, draws):
    return 1.0 - 0.2 * torch.tensor(draws().uniform(tuple(logits.shape))).double()


OBJECTIVES = {
    "non_saturating": (
        lambda real, fake, draws: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda fake, real: F.softplus(-fake).mean(),
    ),
    "hinge": (
        lambda real, fake, draws: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda fake, real: -fake.mean(),
    ),
    "random_margins": (
        lambda real, fake, draws: (
            F.relu(margins(real, draws) - real).mean() + F.relu(margins(fake, draws) + fake).mean()
        ),
        lambda fake, real: -fake.mean(),
    ),
    "wasserstein": (
        lambda real, fake, draws: fake.mean() - real.mean(),
        lambda fake, real: -fake.mean(),
    ),
    "pairing": (
        lambda real, fake, draws: F.softplus(-(real - fake)).mean(),
        lambda fake, real: F.softplus(real - fake).mean(),
    ),
}


@dataclass
class Moment:
    """What a term sees: nets, iteration, images with labels, D's answers, z, chance."""

    training: object
    t: int
    real: tuple
    fake: tuple
    z: object
    of_real: tuple = None
    of_fake: tuple = None


# Terms.


def slopes(moment, images, labels):
    """Squared norm of D's gradient at each image, with a graph."""
    images = images.detach().requires_grad_()
    logits, _ = moment.training.judge(images, labels)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return flat(gradient).square().sum(1)


def r1(moment):
    return slopes(moment, *moment.real).mean() / 2


def r1_and_r2(gamma):
    """gamma / 2 times the squared slopes at real and at fake images."""

    def term(moment):
        both = slopes(moment, *moment.real).mean() + slopes(moment, *moment.fake).mean()
        return gamma(moment.t) / 2 * both

    return term


def gradient_penalty(moment):
    (real, labels), (fake, _) = moment.real, moment.fake
    share = torch.tensor(moment.training.rng.uniform((len(real), 1, 1, 1))).double()
    norm = slopes(moment, real + share * (fake - real), labels).sqrt()
    return 10 * ((norm - 1) ** 2).mean()


def classes_of_real(moment):
    return F.cross_entropy(moment.of_real[1]["class_logits"], moment.real[1])


def classes_of_fakes(moment):
    return F.cross_entropy(moment.of_fake[1]["class_logits"], moment.fake[1])


def classes_of_both(moment):
    return classes_of_real(moment) + classes_of_fakes(moment)


def read_codes(moment):
    """Cross-entropy of the categorical code, a tenth of the Gaussian NLL of the others."""
    values, continuous = CASES[moment.training.name].codes
    read, z = moment.of_fake[1]["code"], moment.z[:, -values - continuous :]
    chosen = z[:, :values].argmax(1)
    error = (z[:, values:] - read[:, values:]) ** 2 / 2 + math.log(2 * math.pi) / 2
    return F.cross_entropy(read[:, :values], chosen) + 0.1 * error.sum(1).mean()


def orthogonality(moment):
    total = 0.0
    for name, weight in moment.training.nets["generator"].parameters.items():
        if name.endswith("weight_orig"):
            matrix = weight.T if weight.ndim == 2 else weight.reshape(len(weight), -1)
            product = matrix @ matrix.T
            total = total + (product * (1 - torch.eye(len(matrix)))).square().sum()
    return 1e-4 / 2 * total


def controlled(moment):
    """BEGAN: k instead of 1 for the fakes; then k moves."""
    of_real, of_fake = (-said[0].mean() for said in (moment.of_real, moment.of_fake))
    k = moment.training.memory.setdefault("k", 0.0)
    moved = k + 0.02 * (of_real - of_fake).item()
    moment.training.memory["k"] = min(max(moved, 0.0), 1.0)
    return (1 - k) * of_fake  # the objective has L(x) - L(G(z))


def encoder_part(moment):
    return F.softplus(moment.training.judge(*moment.real)[0]).mean()


def redrawing(moment):
    """Of the last map, of the half-size copy's, and of a quadrant of the 16x16 map."""
    d, images = moment.training.nets["discriminator"], moment.real[0]
    row, column = (moment.training.rng.integer(0, 2) for _ in range(2))
    said = moment.of_real[1]
    part = said["of_16"][:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
    target = images[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
    small = F.interpolate(images, size=(16, 16), mode="area")
    total = 0.0
    for index, (maps, wanted) in enumerate(
        ((said["last"], small), (said["small"], small), (part, target))
    ):
        picture = style_torch.redrawn(d, maps, f"decoders.{index}", d.facts["ndf"], images.shape[1])
        total = total + ((picture - wanted) ** 2).mean()
    return total


def path_length(moment):
    g, memory = moment.training.nets["generator"], moment.training.memory
    half = BATCH // 2
    ws = style_torch.styles(g, moment.z[:half], None, **g.facts)
    images = style_torch.synthesis(g, ws, **g.facts)
    noise = torch.tensor(moment.training.rng.normal(tuple(images.shape))).double()
    noise = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    lengths = gradient.square().sum(2).mean(1).sqrt()
    before = memory.setdefault("target", torch.zeros((), dtype=torch.float64))
    target = before + 0.01 * (lengths.mean() - before)
    memory["target"] = target.detach()
    return 2 * ((lengths - target) ** 2).mean()
