"""Consistency regularisation (bCR, Zhao et al. 2021)."""

from __future__ import annotations

from paddle import Tensor

from ppgan_zoo.game.augmentation import translation
from ppgan_zoo.game.terms import Term, TermInputs


def consistency(inputs: TermInputs) -> Tensor:
    """``E (D(real) - D(T(real)))^2 + E (D(fake) - D(T(fake)))^2``, T a random translation.

    Of the paper's T, flip and shift, only the shift is used: a flipped digit is another.
    """
    pairs = ((inputs.real, inputs.real_logits), (inputs.fake, inputs.fake_logits))
    terms = [
        (logits - inputs.logits(translation(batch.images, inputs.rng), batch.labels))
        .square()
        .mean()
        for batch, logits in pairs
    ]
    return terms[0] + terms[1]


CONSISTENCY = Term("consistency", "Zhao et al. 2021 (bCR)", consistency, 10.0)
