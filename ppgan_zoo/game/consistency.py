"""Consistency regularisation (bCR, Zhao et al. 2021)."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo.game.augmentation import tensor_like, translation
from ppgan_zoo.game.terms import Term, TermInputs


def consistency(inputs: TermInputs, *, flip: bool = False) -> Tensor:
    """``E (D(real) - D(T(real)))^2 + E (D(fake) - D(T(fake)))^2``, T a random change.

    T moves an image by up to an eighth of its sides and, with `flip`, mirrors every other one left
    to right, as the paper does. It is off unless asked for: a mirrored digit is another.

    Args:
        inputs: What D was shown.
        flip: Whether T may mirror images.
    """
    pairs = ((inputs.real, inputs.real_logits), (inputs.fake, inputs.fake_logits))
    terms = []
    for batch, logits in pairs:
        images = mirrored(batch.images, inputs.rng) if flip else batch.images
        changed = inputs.logits(translation(images, inputs.rng), batch.labels)
        terms.append((logits - changed).square().mean())
    return terms[0] + terms[1]


def mirrored(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirror each image ``[N, C, H, W]`` left to right with probability one half."""
    chosen = tensor_like(rng.random((images.shape[0], 1, 1, 1)) < 0.5, images)
    return chosen * paddle.flip(images, axis=[3]) + (1.0 - chosen) * images


CONSISTENCY = Term("consistency", "Zhao et al. 2021 (bCR)", consistency, 10.0)
