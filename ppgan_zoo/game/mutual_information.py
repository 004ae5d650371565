"""Codes that can be read off an image (Chen et al. 2016, InfoGAN)."""

from __future__ import annotations

import math

from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.recipe.bounds import check_weight


class MutualInformation:
    """``-L_I(G, Q)``: how far Q's reading of ``G(z)`` is from the codes in z.

    The cross-entropy of each categorical code, and the negative log-likelihood of each
    continuous one under a Gaussian; less the codes' own entropy, which is constant, their sum
    is an upper bound of minus the mutual information of codes and images. The term is the same in
    both losses: in D's, Q and what it shares with D learn to read, in G's, G to write legibly.

    Args:
        categorical: Weight of the categorical codes.
        continuous: Weight of the continuous codes.

    Raises:
        ConfigError: A weight below 0, or above 1,000,000.
    """

    def __init__(self, *, categorical: float = 1.0, continuous: float = 0.1) -> None:
        for name, weight in (("categorical", categorical), ("continuous", continuous)):
            check_weight(f"terms: mutual_information: {name}", weight)
        self.categorical, self.continuous = categorical, continuous

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term."""
        assert inputs.gan is not None and inputs.code is not None
        latent, z = inputs.gan.latent(), inputs.code.z
        answer = inputs.fake_judgement.extras["code"]
        categorical, continuous = nll_of_codes(answer, z, latent)
        return self.categorical * categorical + self.continuous * continuous


def nll_of_codes(answer: Tensor, z: Tensor, latent: Latent) -> tuple[Tensor, Tensor]:
    """Return the negative log-likelihoods of categorical and of continuous codes.

    Each is the sum over such codes of the mean over the batch.

    Args:
        answer: Q's ``[N, numbers]``: logits of each categorical code, a mean of each
            continuous one and, if Q gives them, as many log-variances (of 1 if not).
        z: What the images were made of, ``[N, latent.dim]``.
        latent: Says where the codes stand in z.
    """
    categorical = continuous = answer.sum() * 0.0  # a term of no codes is 0, with a graph
    at = 0
    for place, size in zip(latent.codes().values(), latent.categorical, strict=False):
        log_share = F.log_softmax(answer[:, at : at + size], axis=1)
        categorical = categorical - (z[:, place] * log_share).sum(axis=1).mean()
        at += size
    count = latent.continuous
    if count:
        found = answer[:, at : at + count]
        learnt = answer.shape[1] > at + count
        log_variance = answer[:, at + count :] if learnt else found * 0.0
        error = gaussian_nll(z[:, latent.dim - count :], found, log_variance)
        continuous = error.sum(axis=1).mean()
    return categorical, continuous


def gaussian_nll(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return ``log(2 pi v) / 2 + (value - mean)^2 / (2 v)``, each of its own."""
    square = (value - mean).square()
    return 0.5 * (math.log(2.0 * math.pi) + log_variance + square * (-log_variance).exp())


MUTUAL_INFORMATION = Term(
    "mutual_information",
    "Chen et al. 2016 (InfoGAN)",
    MutualInformation,
    1.0,
    net="both",
    needs=("code",),
)
