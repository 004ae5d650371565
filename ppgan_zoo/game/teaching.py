"""What no loss teaches: a head of D, or an encoder, that no term of the recipe is for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.compatibility import probe_batch
from ppgan_zoo.game.terms import Net, Term, TermInputs
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import UNSUITED, in_mode
from ppgan_zoo.registry import TERMS


def check_teaching(gan: Gan, terms: Sequence[Term], packing: int = 1) -> list[str]:
    """Look for layers of D, and for an encoder, that no loss teaches.

    They are those that D's logits do not depend on, such as layers that name the class of an image
    or read its codes. Only terms can teach them. Each is tried on noise: one that is 0 whatever D
    says teaches nothing. A D that answers with logits alone is not looked at.

    Returns:
        A line for each net that has some, with the term to add.
    """
    encoder = gan.spec.encoder
    learning: dict[str, Net] = {"discriminator": "discriminator"}
    if encoder is not None and gan.spec.trained_with.get(encoder) != "discriminator":
        learning[encoder] = "generator"  # the logits of real pairs teach one that learns with D
    lines = []
    random_state = paddle.get_rng_state()
    try:
        with in_mode(*gan.nets.values(), training=False):
            for role, net in learning.items():
                untaught, unused = _untaught(gan, role, net, terms, packing)
                if untaught and (unused or role == encoder):
                    lines.append(_line_on_untaught(gan, role, untaught, unused, terms))
    except UNSUITED:
        return []
    finally:
        paddle.set_rng_state(random_state)
    return lines


def _untaught(
    gan: Gan, role: str, net: Net, terms: Sequence[Term], packing: int
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights of a net that no loss teaches, and those of D's extras that no term uses.

    Args:
        gan: The nets, in eval mode.
        role: Name of the net: D or the encoder.
        net: In whose loss it learns.
        terms: Those of both losses.
        packing: Images that D judges together.
    """
    probe = probe_batch(gan, packing)
    z = paddle.to_tensor(gan.latent().sample(len(probe), 0)).astype(probe.images.dtype)
    code = Code(z, probe.labels)
    fake = Batch(probe.images, probe.labels, code)
    answer = gan.judge(probe.images, probe.labels, z if net == "generator" else None)
    unused = set(answer.extras)
    if not unused and role == "discriminator":
        return {}, []
    weights = {name: w for name, w in gan.nets[role].named_parameters() if not w.stop_gradient}
    untaught = _independent(weights, answer.logits)
    for term in terms:
        told = term.needs or term.needs_encoder
        if not (untaught and told and term.weight != 0 and term.net in (net, "both")):
            continue
        rng = np.random.default_rng(0)
        inputs = TermInputs(gan.judge, probe, fake, rng, gan, code, net=net)
        rest = _independent(untaught, term.ready()(inputs))
        if len(rest) < len(untaught):
            untaught, unused = rest, unused.difference(term.needs)
    return untaught, [name for name in answer.extras if name in unused]


def _independent(weights: dict[str, Tensor], value: Tensor) -> dict[str, Tensor]:
    """Return the weights that a value does not depend on; all of them, if all gradients are 0."""
    if not weights or value.stop_gradient:
        return weights
    gradients = paddle.grad(value.sum(), list(weights.values()), allow_unused=True)
    if not any(gradient is not None and (gradient != 0).any() for gradient in gradients):
        return weights
    return {
        name: weight
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        if gradient is None
    }


def _line_on_untaught(
    gan: Gan, role: str, weights: dict[str, Tensor], unused: Sequence[str], terms: Sequence[Term]
) -> str:
    """Return what no loss teaches, and what to do."""
    part, what = f"{gan.spec.name}'s {role}", "it"
    fitting = [term.name for term in TERMS.all() if term.needs_encoder]
    if role == "discriminator":
        layers = dict.fromkeys(name.partition(".")[0] for name in weights)
        part, what = f"the layers {', '.join(layers)} of {part}", f"its {', '.join(unused)}"
        fitting = [term.name for term in TERMS.all() if set(term.needs) & set(unused)]
    there = {term.name for term in terms}
    ways = [f"give {name} weights above 0" if name in there else f"add {name}" for name in fitting]
    return (
        f"terms: nothing teaches {part}, as no term with a weight above 0 uses {what}; "
        f"{' or '.join(ways) or 'add one'}"
    )
