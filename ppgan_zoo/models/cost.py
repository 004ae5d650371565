"""What a model costs before it is trained: parameters and memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.gan import Gan, check_bits
from ppgan_zoo.models.nets import generate, hooked, in_mode
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.models.weights import trainable_parameters
from ppgan_zoo.runtime import available_memory

BYTES = 4  # float32
MAX_ITEMS = 1000  # of a list of layers, which is then built in seconds

LeafShapes = tuple[nn.Layer, list[int], list[int]]


def count_parameters(layer: nn.Layer) -> int:
    """Return how many numbers of `layer` learn (batch norm's running statistics do not)."""
    return sum(math.prod(parameter.shape) for parameter in trainable_parameters(layer))


def check_size(spec: GanSpec, arguments_of: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse nets that this machine cannot hold, before any memory is taken for them.

    Paddle would fill the machine's memory and be killed. A layer that cannot be built
    without its values is let through.

    Args:
        spec: The architecture.
        arguments_of: All constructor arguments of each net.

    Raises:
        ConfigError: A tensor without values, or weights above the memory there is.
    """
    for role, cls in spec.nets.items():
        arguments = arguments_of.get(role, {})
        for key, value in arguments.items():
            check_bits(role, key, value)
            if isinstance(value, tuple) and len(value) > MAX_ITEMS:
                raise ConfigError(
                    f"model.{role}.{key}: a list of {len(value)}; at most {MAX_ITEMS} are allowed"
                )
        try:
            with paddle.LazyGuard(), paddle.utils.unique_name.guard():
                tensors = cls(**arguments).parameters()
        except (ArithmeticError, AssertionError, RuntimeError, SystemError, TypeError, ValueError):
            continue  # building it for good tells what is wrong
        shapes = [[int(side) for side in tensor.shape] for tensor in tensors]
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        for shape in shapes:
            if 0 in shape:
                raise ConfigError(
                    f"model.{role}: a tensor of shape {shape} has no values ({given}); every "
                    "width must be at least 1"
                )
        size, memory = BYTES * sum(map(math.prod, shapes)), available_memory()
        if size > memory:
            raise ConfigError(
                f"model.{role}: weights of {size / 2**30:,.1f} GiB ({given}); this machine has "
                f"{memory / 2**30:,.1f} GiB of memory: make the net smaller"
            )


def estimate_memory(gan: Gan, batch_size: int, *, ema: bool = False, packing: int = 1) -> int:
    """Return about how many bytes training holds at once, beside Paddle itself.

    Weights, gradients and two optimizer moments of both nets, the moving average, and
    what a G update keeps for its backward: every layer's output in both nets, once more
    for the gradients. A rule of thumb: libraries add their own work space.
    """
    weights = {name: count_parameters(layer) for name, layer in gan.nets.items()}
    state = 4 * sum(weights.values()) + (weights["generator"] if ema else 0)
    activations = 2 * batch_size * _outputs_of_one_image(gan, packing)
    return BYTES * (state + activations)


def multiply_adds(gan: Gan) -> tuple[int, int]:
    """Return the multiply-adds of G and of D for one image, forward.

    Dense layers and convolutions only, which are nearly all of the work. A convolution
    uses each of its weights once per place of its output, a transposed one once per
    place of its input (padding is counted as if it were pixels).
    """
    generator, discriminator = _multiply_adds_of_layers(gan)
    return sum(generator), sum(discriminator)


def iteration_flop(
    gan: Gan,
    batch_size: int,
    *,
    discriminator_steps: int = 1,
    generator_steps: int = 1,
    generator_batch_multiple: int = 1,
    relativistic: bool = False,
    packing: int = 1,
) -> int:
    """Return the floating-point operations that one iteration cannot do without.

    What the mathematics asks for, whatever the code does, so that a share of the
    machine's ceiling falls when work is wasted. A multiply-add is two operations. With g
    and d those of one image forward, the backward of a layer costs as much for its
    weights' gradient and as much again for its input's:

    - an update of D: G forward (g), D on real and fake images (2 d), both backward (4 d,
      less the gradient of the images, which nobody needs);
    - an update of G: forward through both (g + d), D's input gradients (d), G's backward
      (2 g, less the gradient of z); a relativistic objective also shows D real images (d).
      All of it `generator_batch_multiple` times.

    Not counted: norms, activations, losses, optimizers, augmentation and penalties.
    """
    generator, discriminator = _multiply_adds_of_layers(gan, packing)
    g, d, first_of_d = sum(generator), sum(discriminator) / packing, discriminator[0] / packing
    of_discriminator = g + 6 * d - 2 * first_of_d
    of_generator = 3 * g - generator[0] + (3 if relativistic else 2) * d
    of_generator *= generator_batch_multiple
    all_updates = discriminator_steps * of_discriminator + generator_steps * of_generator
    return round(2 * batch_size * all_updates)


def _multiply_adds_of_layers(gan: Gan, packing: int = 1) -> tuple[list[int], list[int]]:
    """Return the multiply-adds of every dense layer and convolution of G and of D, in order."""
    found: tuple[list[int], list[int]] = ([], [])
    for leaves, counts in zip(_shapes_of_one_image(gan, packing), found, strict=True):
        for layer, inputs, outputs in leaves:
            if isinstance(layer, nn.Linear):
                counts.append(math.prod(layer.weight.shape))
            elif isinstance(layer, nn.Conv2D):
                counts.append(math.prod(layer.weight.shape) * math.prod(outputs[2:]))
            elif isinstance(layer, nn.Conv2DTranspose):
                counts.append(math.prod(layer.weight.shape) * math.prod(inputs[2:]))
    return found


def _outputs_of_one_image(gan: Gan, packing: int) -> int:
    """Count the numbers that all leaf layers put out for one image (of D: at most)."""
    shapes = _shapes_of_one_image(gan, packing)
    return sum(math.prod(outputs) for leaves in shapes for _, _, outputs in leaves)


def _shapes_of_one_image(gan: Gan, packing: int = 1) -> list[list[LeafShapes]]:
    """Send one image through G and then D; return every leaf layer's input and output shape."""
    found: list[list[LeafShapes]] = [[], []]

    def note_in(leaves: list[LeafShapes]) -> Callable[..., None]:
        def note(layer: nn.Layer, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                leaves.append((layer, list(inputs[0].shape), list(output.shape)))

        return note

    def leaves_of(net: nn.Layer) -> list[nn.Layer]:
        return [layer for layer in net.sublayers() if not layer.sublayers()]

    generator, discriminator = gan.generator, gan.discriminator
    with (
        hooked(leaves_of(generator), note_in(found[0])),
        hooked(leaves_of(discriminator), note_in(found[1])),
        in_mode(*gan.nets.values(), training=False),
        paddle.no_grad(),
    ):
        labels = np.zeros(1, np.int64) if gan.num_classes else None
        images = generate(generator, np.zeros((1, gan.latent_dim), np.float32), labels)
        shown = paddle.to_tensor(np.concatenate([images] * packing, axis=1))
        gan.judge(shown, None if labels is None else paddle.to_tensor(labels))
    return found
