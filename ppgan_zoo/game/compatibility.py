"""What goes with what: which objective, terms and nets make no sense together."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence

import numpy as np
import paddle

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.objectives import Objective
from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import BATCH_NORMS, in_mode
from ppgan_zoo.models.weights import has_spectral_norm, scales_weights

# Functions with bounded values, by the nodes that Paddle's graph has for them.
BOUNDED = {"sigmoid", "tanh", "softmax", "softsign", "hardsigmoid", "hardtanh", "clip"}
SAME_VALUES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
WITHOUT_BATCH_NORM = (
    "one without it: gan_mlp's, or dcgan_fashion's with model.discriminator.batch_norm false"
)


def check_combination(
    gan: Gan,
    objective: Objective,
    terms: Sequence[Term],
    *,
    weight_clip: float | None = None,
    packing: int = 1,
) -> list[str]:
    """Refuse what makes no sense together.

    Returns:
        A line for each thing that works and is not advised.

    Raises:
        ConfigError: One line: what does not go together, why, and what to use instead.
    """
    name, discriminator = gan.spec.name, gan.discriminator
    of_gradient = [term for term in terms if term.of_gradient and term.net == "discriminator"]
    comparing = [term for term in terms if term.compares]
    normalised = has_spectral_norm(discriminator)
    if weight_clip is not None:
        if weight_clip <= 0.0:
            raise ConfigError(f"constraints.weight_clip: must be above 0, found {weight_clip}")
        if of_gradient:
            raise ConfigError(
                f"constraints.weight_clip: clipping and the gradient penalty {of_gradient[0].name} "
                "do the same job and fight over the weights; leave one of them out"
            )
        if normalised:
            raise ConfigError(
                "constraints.weight_clip: spectral norm rescales the weights after they are "
                "clipped, which undoes it; leave one of them out"
            )
        if scales_weights(discriminator):
            raise ConfigError(
                f"constraints.weight_clip: {name}'s discriminator has an equalised learning rate, "
                "which scales its weights in use; leave weight_clip out, or use r1"
            )
    warnings = []
    if any(isinstance(part, BATCH_NORMS) for part in discriminator.sublayers()):
        for term in of_gradient:
            line = (
                f"terms: {term.name} uses D's gradient at single images, and "
                f"{name}'s discriminator has batch norm, which mixes the images of a batch; "
            )
            if term.of_single_images:
                raise ConfigError(
                    f"{line}use {WITHOUT_BATCH_NORM}, or spectral_norm in place of the term"
                )
            warnings.append(f"{line}better use {WITHOUT_BATCH_NORM}")
        warnings += [
            f"terms: {term.name} compares what D says of two versions of an image, and {name}'s "
            "discriminator has batch norm, by which that depends on the rest of the batch; better "
            f"use {WITHOUT_BATCH_NORM}"
            for term in comparing
        ]
    if packing > 1:
        _check_packing(gan, packing)
    _check_calls(gan, terms)
    _check_needs(gan, terms, packing)
    _check_double_gradient(gan, [term for term in terms if term.of_gradient], packing)
    bounded = any(term.bounds_critic for term in terms)
    if objective.of_critic and not (weight_clip or of_gradient or normalised or bounded):
        warnings.append(
            f"objective.name: {objective.name} needs a D of bounded slope, and nothing bounds it: "
            "its loss can fall for ever; set constraints.weight_clip, a gradient penalty such as "
            "wgan_gp, or constraints.spectral_norm.discriminator"
        )
    return warnings


def check_output(gan: Gan, objective: Objective, packing: int = 1) -> list[str]:
    """Refuse a D whose last operation bounds its output.

    Returns:
        A line, where the objective can live with that.

    Raises:
        ConfigError: The objective takes logits of any size.
    """
    with in_mode(*gan.nets.values(), training=False):  # running statistics must stay as they are
        probe = probe_batch(gan, packing)
        node = gan.judge(probe.images, probe.labels).logits.grad_fn
    while node is not None and node.name().startswith(SAME_VALUES) and node.next_functions:
        node = node.next_functions[0]
    operation = "" if node is None else node.name().removesuffix("GradNode").lower()
    if operation not in BOUNDED:
        return []
    line = (
        f"model.name: {gan.spec.name}'s discriminator ends in {operation}, and objective "
        f"{objective.name} takes logits of any size"
    )
    if not objective.takes_bounded_output:
        raise ConfigError(f"{line}; let D return what it now hands to {operation}")
    return [f"{line}; better let D return what it now hands to {operation}"]


def probe_batch(gan: Gan, packing: int = 1, count: int = 2) -> Batch:
    """Return `count` images of noise ``[N, packing * C, H, W]`` to try D with, and labels."""
    channels, height, width = gan.image_shape
    shape = (count, packing * channels, height, width)
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, shape)
    parameters = gan.discriminator.parameters()
    images = paddle.to_tensor(noise).astype(parameters[0].dtype if parameters else "float32")
    if not gan.num_classes:
        return Batch(images)
    return Batch(images, paddle.to_tensor(np.arange(count) % gan.num_classes))


def _check_packing(gan: Gan, packing: int) -> None:
    """Refuse to pack images of which each has something of its own that D or a term needs."""
    own, instead = None, "leave packing out"
    if gan.num_classes:
        own = "takes labels"
        if gan.spec.labels != "needs":
            instead = "leave packing or model.conditional out"
    elif gan.spec.encoder is not None:
        own = "judges an image together with its z"
    elif gan.latent().codes():
        own = "has codes in its z"
    if own is not None:
        raise ConfigError(
            f"constraints.packing: {gan.spec.name} {own}, and {packing} images packed together "
            f"have one each; {instead}"
        )


def _check_calls(gan: Gan, terms: Sequence[Term]) -> None:
    """Refuse a term that calls what G does not have."""
    for term in terms:
        for name in term.calls:
            if not hasattr(gan.generator, name):
                raise ConfigError(
                    f"terms: {term.name} needs a generator with the method {name!r}, and "
                    f"{gan.spec.name}'s has none; leave the term out or use another model, such "
                    "as stylegan2"
                )


def _check_needs(gan: Gan, terms: Sequence[Term], packing: int) -> None:
    """Refuse a term that needs an answer which D does not give."""
    for term in terms:
        if term.needs_encoder and gan.spec.encoder is None:
            raise ConfigError(
                f"terms: {term.name} needs a D that judges pairs of an image and its z, and "
                f"{gan.spec.name}'s judges images; leave the term out or use bigan"
            )
    needed = [(term, name) for term in terms for name in term.needs]
    if not needed:
        return
    probe = probe_batch(gan, packing)
    with in_mode(*gan.nets.values(), training=False), paddle.no_grad():
        extras = gan.judge(probe.images, probe.labels).extras
    for term, name in needed:
        if name not in extras:
            raise ConfigError(
                f"terms: {term.name} needs a D that answers with {name!r}, and "
                f"{gan.spec.name}'s answers with {', '.join(('logits', *extras))}; leave the "
                "term out or use another model"
            )


def _check_double_gradient(gan: Gan, terms: Sequence[Term], packing: int) -> None:
    """Try each term on copies: which operations lack one depends on Paddle's version."""
    twin = Gan(gan.spec, **{name: copy.deepcopy(net) for name, net in gan.nets.items()})
    for term in terms:
        probe = probe_batch(gan, packing)
        z = np.random.default_rng(0).standard_normal((len(probe) * packing, gan.latent_dim))
        code = Code(paddle.to_tensor(z).astype(probe.images.dtype), probe.labels)
        inputs = TermInputs(twin.judge, probe, probe, np.random.default_rng(0), twin, code)
        try:
            term.ready()(inputs).backward()
        except (RuntimeError, SystemError, ValueError) as error:
            raise ConfigError(
                f"terms: {term.name} needs the double gradient of {gan.spec.name}'s "
                f"{term.net}, and Paddle {paddle.__version__} has none of "
                f"{_operation(error)}; use gan_mlp or dcgan_fashion, or a constraint without "
                "one: weight_clip, spectral_norm, consistency, lecam"
            ) from None


def _operation(error: Exception) -> str:
    """Return the operation that Paddle complains of, or its whole complaint in one line."""
    found = re.search(r"The Op (\w+)_grad doesn't", str(error))
    return found[1] if found else "one of its operations: " + " ".join(str(error).split())[:100]
