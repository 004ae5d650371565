"""The encoder's part of a game of pairs (Donahue et al. 2017, BiGAN; Dumoulin et al. 2017, ALI)."""

from __future__ import annotations

from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.game.terms import Term, TermInputs


def bidirectional(inputs: TermInputs) -> Tensor:
    """``E softplus(D(x, E(x)))``: the encoder makes D take a real pair for one of G's.

    D tells (x, E(x)) from (G(z), z). What the objective ``non_saturating`` makes G minimise,
    ``E softplus(-D(G(z), z))``, is one half of fooling it; this is the other, of the encoder.
    """
    return F.softplus(inputs.real_logits).mean()


BIDIRECTIONAL = Term(
    "bidirectional",
    "Donahue et al. 2017 (BiGAN)",
    bidirectional,
    1.0,
    net="generator",
    of_fakes=False,
    needs_encoder=True,
)
