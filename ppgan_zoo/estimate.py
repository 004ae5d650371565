"""What a model costs before it is trained: parameters and memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from ppgan_zoo.optimizers import trainable_parameters
from ppgan_zoo.registry import Gan
from ppgan_zoo.trainer import generate

BYTES = 4  # float32


def count_parameters(layer: nn.Layer) -> int:
    """Return how many numbers of `layer` learn (batch norm's running statistics do not)."""
    return sum(math.prod(parameter.shape) for parameter in trainable_parameters(layer))


def estimate_memory(gan: Gan, batch_size: int, *, ema: bool = False, packing: int = 1) -> int:
    """Return about how many bytes training holds at once, beside Paddle itself.

    Weights, gradients and two optimizer moments of both nets, the moving average, and
    what a G update keeps for its backward: every layer's output in both nets, once more
    for the gradients. A rule of thumb: libraries add their own work space.
    """
    weights = [count_parameters(layer) for layer in (gan.generator, gan.discriminator)]
    state = 4 * sum(weights) + (weights[0] if ema else 0)
    activations = 2 * batch_size * _outputs_of_one_image(gan, packing)
    return BYTES * (state + activations)


def _outputs_of_one_image(gan: Gan, packing: int) -> int:
    """Count the numbers that all leaf layers put out for one image (of D: at most)."""
    total = 0

    def count(layer: nn.Layer, inputs: Any, output: Any) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += math.prod(output.shape)

    hooks = [
        leaf.register_forward_post_hook(count)
        for net in (gan.generator, gan.discriminator)
        for leaf in net.sublayers()
        if not leaf.sublayers()
    ]
    try:
        images = generate(gan.generator, np.zeros((1, gan.latent_dim), np.float32))
        gan.discriminator.eval()
        with paddle.no_grad():
            gan.discriminator(paddle.to_tensor(np.concatenate([images] * packing, axis=1)))
    finally:
        gan.discriminator.train()
        for hook in hooks:
            hook.remove()
    return total
