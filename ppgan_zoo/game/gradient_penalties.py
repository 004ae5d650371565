"""Penalties on D's gradient at images, as terms of D's loss.

The norm of a gradient is over all dimensions of an image; only the batch is averaged over.
The images are those that D was shown (augmented, with noise and packed, if a recipe asks
for these).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import paddle
from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo import ops
from ppgan_zoo.distributed.collectives import whole
from ppgan_zoo.game.augmentation import tensor_like
from ppgan_zoo.game.terms import Side, Term, TermInputs, leaf

# The gradient of a norm has none at 0: this keeps it finite, far below float32's steps at 1.
TINY = 1e-12


def squared_gradient_norms(logits_of: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return ``||grad_x D(x)||^2`` of each image ``[N]``, over all dimensions but the batch."""
    images = leaf(images)
    with ops.input_gradients():
        logits = logits_of(images)
        (gradient,) = paddle.grad(logits.sum(), images, create_graph=True)
    return _squares(gradient)


def _squares(gradient: Tensor) -> Tensor:
    return gradient.square().reshape([gradient.shape[0], -1]).sum(axis=1)


def _squared_norms_at(inputs: TermInputs, side: Side) -> Tensor:
    """Return :func:`squared_gradient_norms` of images as D was shown them for its loss."""
    if side in inputs.gradients:
        return _squares(inputs.gradients[side])
    shown = inputs.shown(side)
    return _squared_norms(inputs, shown.images, shown.labels, inputs.z_of(shown))


def _squared_norms(inputs: TermInputs, images: Tensor, labels: Any, z: Tensor | None) -> Tensor:
    return squared_gradient_norms(lambda x: inputs.logits(x, labels, z), images)


def _squared_norms_between(inputs: TermInputs) -> Tensor:
    """Return them at one point on each straight line from a real to a fake image of its class.

    A D that judges pairs sees the z between theirs.
    """
    real, fake = inputs.real.images, inputs.fake.images
    u = tensor_like(inputs.rng.random((real.shape[0], 1, 1, 1)), real)
    z = inputs.z_of(inputs.real), inputs.z_of(inputs.fake)
    between = None if z[0] is None else z[0] + u.reshape([-1, 1]) * (z[1] - z[0])
    return _squared_norms(inputs, real + u * (fake - real), inputs.real.labels, between)


def _root(squares: Tensor) -> Tensor:
    return (squares + TINY).sqrt()


def wgan_gp(inputs: TermInputs) -> Tensor:
    """``E (||grad D(x)|| - 1)^2`` at x between real and fake."""
    return (_root(_squared_norms_between(inputs)) - 1.0).square().mean()


def one_sided_gp(inputs: TermInputs) -> Tensor:
    """``E max(0, ||grad D(x)|| - 1)^2`` at x between real and fake."""
    return F.relu(_root(_squared_norms_between(inputs)) - 1.0).square().mean()


def zero_centered_gp(inputs: TermInputs) -> Tensor:
    """``E ||grad D(x)||^2`` at x between real and fake."""
    return _squared_norms_between(inputs).mean()


def dragan(inputs: TermInputs) -> Tensor:
    """``E (||grad D(x)|| - 1)^2`` at x near real images: ``real + u std(real) / 2 * noise``.

    As in the authors' code: noise is U(0, 1) for each pixel, u is U(0, 1) for each image,
    the standard deviation is of the whole batch.
    """
    real, rng = inputs.real.images, inputs.rng
    u, noise = rng.random((real.shape[0], 1, 1, 1)), rng.random(real.shape)
    near = real + 0.5 * whole(real).std() * tensor_like(u * noise, real)
    squares = _squared_norms(inputs, near, inputs.real.labels, inputs.z_of(inputs.real))
    return (_root(squares) - 1.0).square().mean()


def r1(inputs: TermInputs) -> Tensor:
    """``E ||grad D(real)||^2 / 2``."""
    return 0.5 * _squared_norms_at(inputs, "real").mean()


def r2(inputs: TermInputs) -> Tensor:
    """``E ||grad D(fake)||^2 / 2``."""
    return 0.5 * _squared_norms_at(inputs, "fake").mean()


def _penalty(
    name: str, source: str, function: Callable[[TermInputs], Tensor], **is_so: Any
) -> Term:
    return Term(name, source, function, 10.0, of_gradient=True, **is_so)


_BETWEEN = {"of_single_images": True, "of_pairs": True}

WGAN_GP = _penalty("wgan_gp", "Gulrajani et al. 2017, equation 3", wgan_gp, **_BETWEEN)
ONE_SIDED_GP = _penalty("one_sided_gp", "Petzka et al. 2018", one_sided_gp, **_BETWEEN)
ZERO_CENTERED_GP = _penalty(
    "zero_centered_gp", "Thanh-Tung et al. 2019", zero_centered_gp, **_BETWEEN
)
DRAGAN = _penalty("dragan", "Kodali et al. 2017", dragan, of_fakes=False)
R1 = _penalty("r1", "Mescheder et al. 2018, equation 9", r1, of_fakes=False, gradient_at="real")
R2 = _penalty("r2", "Mescheder et al. 2018, equation 10", r2, gradient_at="fake")
