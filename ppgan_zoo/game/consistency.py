"""Consistency regularisation: CR (Zhang et al. 2020) and bCR (Zhao et al. 2021)."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.augmentation import tensor_like, translation
from ppgan_zoo.game.terms import Side, Term, TermInputs
from ppgan_zoo.recipe.bounds import PartWeight


def consistency(
    inputs: TermInputs, *, flip: bool = False, real: PartWeight = 1.0, fake: PartWeight = 1.0
) -> Tensor:
    """``real * E (D(x) - D(T(x)))^2 + fake * E (D(y) - D(T(y)))^2`` of real x and fake y.

    T moves an image by up to an eighth of its sides, where its mirror image at the edge fills up,
    and, with `flip`, mirrors every other one left to right, as the papers do. That is off unless
    asked for: a mirrored digit is another.

    Args:
        inputs: What D was shown.
        flip: Whether T may mirror images.
        real: Weight of the real images.
        fake: Weight of the fake ones; 0 is CR, which is of real images alone.

    Raises:
        ConfigError: No weight above 0.
    """
    if not real + fake > 0.0:
        raise ConfigError("terms: consistency: real and fake are 0; give one above 0")
    weights: dict[Side, float] = {"real": real, "fake": fake}
    terms = [weight * _of_side(inputs, side, flip) for side, weight in weights.items() if weight]
    return sum(terms[1:], terms[0])


def _of_side(inputs: TermInputs, side: Side, flip: bool) -> Tensor:
    batch = inputs.shown(side)
    changed = translation(batch.images, inputs.rng, mirror=True)
    if flip:
        changed = mirrored(changed, inputs.rng)
    z = None if batch.code is None else inputs.z_of(batch)
    again = inputs.logits(changed, batch.labels, z)
    return (inputs.judgement(side).logits - again).square().mean()


def mirrored(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirror each image ``[N, C, H, W]`` left to right with probability one half."""
    chosen = tensor_like(rng.random((images.shape[0], 1, 1, 1)) < 0.5, images)
    return chosen * paddle.flip(images, axis=[3]) + (1.0 - chosen) * images


CONSISTENCY = Term(
    "consistency",
    "Zhang et al. 2020 (CR); Zhao et al. 2021 (bCR)",
    consistency,
    10.0,
    compares=True,
)
