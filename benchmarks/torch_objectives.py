"""Losses, penalties and augmentation in plain PyTorch, as the models' own code writes them."""

import math

import torch
from torch.nn import functional as F


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


class NonSaturating:
    """Cross-entropy, with smoothed labels if a recipe has them."""

    def __init__(self, smoothing):
        self.smoothing = smoothing

    def of_real(self, logits):
        return bce(logits, 1.0 - self.smoothing["real"])

    def of_fake(self, logits):
        return bce(logits, self.smoothing["fake"])

    def discriminator(self, real, fake):
        return self.of_real(real) + self.of_fake(fake)

    def generator(self, fake):
        return bce(fake, 1.0 - self.smoothing["generator"])


class Wasserstein(NonSaturating):
    def of_real(self, logits):
        return -logits.mean()

    def of_fake(self, logits):
        return logits.mean()

    def generator(self, fake):
        return -fake.mean()


class Hinge(Wasserstein):
    def of_real(self, logits):
        return F.relu(1.0 - logits).mean()

    def of_fake(self, logits):
        return F.relu(1.0 + logits).mean()


class RandomMargins(Hinge):
    """FastGAN's: margins of U(0.8, 1)."""

    def of_real(self, logits):
        return F.relu(torch.rand_like(logits) * 0.2 + 0.8 - logits).mean()

    def of_fake(self, logits):
        return F.relu(torch.rand_like(logits) * 0.2 + 0.8 + logits).mean()


class RelativisticPairing(NonSaturating):
    relativistic = True

    def discriminator(self, real, fake):
        return F.softplus(fake - real).mean()

    def generator(self, fake, real):
        return F.softplus(real - fake).mean()


OBJECTIVES = {
    "non_saturating": NonSaturating,
    "wasserstein": Wasserstein,
    "hinge": Hinge,
    "hinge_random_margins": RandomMargins,
    "relativistic_pairing": RelativisticPairing,
}


def zero_centred_penalty(images, logits):
    """Half the squared norm of D's gradient at each image: R1 of real ones, R2 of fake ones."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2


class PathLength:
    """StyleGAN2's: on half of a batch."""

    def __init__(self):
        self.mean = torch.zeros(())

    def __call__(self, generator, z, labels):
        half = len(z) // 2
        styles = generator.styles(z[:half], None if labels is None else labels[:half])
        images = generator.synthesis(styles)
        noise = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
        (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
        lengths = gradient.square().sum(2).mean(1).sqrt()
        mean = self.mean.lerp(lengths.mean(), 0.01)
        self.mean = mean.detach()
        return (lengths - mean).square().mean()


# DiffAugment (Zhao et al. 2020).


def color(x):
    def random():
        return torch.rand(len(x), 1, 1, 1)

    x = x + (random() - 0.5)
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * (random() * 2) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (random() + 0.5) + mean


def translation(x):
    n, _, height, width = x.shape
    down, right = (int(side / 8 + 0.5) for side in (height, width))
    dy = torch.randint(-down, down + 1, (n, 1, 1))
    dx = torch.randint(-right, right + 1, (n, 1, 1))
    images, rows, columns = torch.meshgrid(
        torch.arange(n), torch.arange(height), torch.arange(width), indexing="ij"
    )
    rows = (rows + dy + 1).clamp(0, height + 1)
    columns = (columns + dx + 1).clamp(0, width + 1)
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    return padded[images, rows, columns].permute(0, 3, 1, 2)


AUGMENTATIONS = {"color": color, "translation": translation}
