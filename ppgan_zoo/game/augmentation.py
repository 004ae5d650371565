"""Differentiable augmentation (DiffAugment, Zhao et al. 2020) of what D is shown.

Each function maps images ``[N, C, H, W]`` in [-1, 1] to images of the same shape, every
image by its own draw from `rng`, and gradients flow through to the images. The draws
are numpy's, so that a resumed run repeats them on every version and device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

from ppgan_zoo.models.facts import check_arguments
from ppgan_zoo.ops.arrays import from_array
from ppgan_zoo.registry import AUGMENTATIONS


@dataclass(frozen=True)
class Augmentation:
    """One way of changing images, the same for real and fake ones.

    Attributes:
        name: Name in a recipe.
        function: ``(images [N, C, H, W], rng) -> images`` of the same shape; every image by
            its own draw, and gradients flow through. Its keyword-only arguments with defaults
            can be set in a recipe.
        graded: Whether the function takes the probability as a third argument, and itself sees
            to it that images stay as they are; otherwise an image is augmented or not.
        arguments: Set by :meth:`having`; the function gets them.
    """

    name: str
    function: Callable[..., Tensor]
    graded: bool = False
    arguments: tuple[tuple[str, Any], ...] = ()

    def having(self, **arguments: Any) -> Augmentation:
        """Return the augmentation with other arguments.

        Raises:
            ConfigError: An argument that it does not take, or of the wrong type.
        """
        place = f"constraints.augment: {self.name}"
        check_arguments(self.function, arguments, place, beside=("name",))
        return replace(self, arguments=tuple(arguments.items()))

    def __call__(self, images: Tensor, rng: np.random.Generator, probability: float) -> Tensor:
        """Return images ``[N, C, H, W]``, augmented with a probability."""
        arguments = dict(self.arguments)
        if self.graded:
            return self.function(images, rng, probability, **arguments)
        augmented = self.function(images, rng, **arguments)
        if probability == 1.0:
            return augmented
        chosen = tensor_like(rng.random((images.shape[0], 1, 1, 1)) < probability, images)
        return chosen * augmented + (1.0 - chosen) * images


def get_augmentation(name: str, **arguments: Any) -> Augmentation:
    """Return the augmentation called `name`; the rest is for :meth:`Augmentation.having`.

    Raises:
        UnknownNameError: No such augmentation.
        ConfigError: See :meth:`Augmentation.having`.
    """
    return AUGMENTATIONS.get(name).having(**arguments)


def color(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift brightness by up to 0.5; scale saturation by 0 to 2 and contrast by 0.5 to 1.5.

    Saturation is the distance of the channels from their mean; an image of one channel
    has none to scale.
    """
    count = images.shape[0]
    brightness, saturation, contrast = (
        tensor_like(values, images) for values in rng.random((count, 3, 1, 1, 1)).swapaxes(0, 1)
    )
    images = images + (brightness - 0.5)
    gray = images.mean(axis=1, keepdim=True)
    images = (images - gray) * (2.0 * saturation) + gray
    # Two reshapes and a mean over one axis: a mean over three is slower and less portable.
    mean = images.reshape([count, -1]).mean(axis=1).reshape([count, 1, 1, 1])
    return (images - mean) * (contrast + 0.5) + mean


def translation(images: Tensor, rng: np.random.Generator, *, mirror: bool = False) -> Tensor:
    """Move by up to an eighth of each side, filling up with 0 or with a `mirror` image."""
    count, _, height, width = images.shape
    rows, columns = (
        _shift_matrices(side, rng.integers(-_eighth(side), _eighth(side) + 1, count), mirror)
        for side in (height, width)
    )
    # A product with 0/1 matrices moves pixels exactly, whole batches at once.
    moved = paddle.matmul(tensor_like(rows, images), images)
    return paddle.matmul(moved, tensor_like(columns, images), transpose_y=True)


def cutout(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Set a square of half of each side, centred anywhere in the image, to 0."""
    count, _, height, width = images.shape
    inside = []
    for side in (height, width):
        length = (side + 1) // 2
        first = rng.integers(0, side + (1 - length % 2), count) - length // 2
        index = np.arange(side)
        inside.append((index >= first[:, None]) & (index < first[:, None] + length))
    rows, columns = inside
    mask = ~(rows[:, :, None] & columns[:, None, :])
    return images * tensor_like(mask[:, None], images)


COLOR = Augmentation("color", color)
TRANSLATION = Augmentation("translation", translation)
CUTOUT = Augmentation("cutout", cutout)


def augment(
    images: Tensor,
    augmentations: Iterable[str | Augmentation],
    rng: np.random.Generator,
    probability: float = 1.0,
) -> Tensor:
    """Apply augmentations, in their order.

    Args:
        images: ``[N, C, H, W]``.
        augmentations: Them, or names of the registry ``AUGMENTATIONS``.
        rng: Drawn from.
        probability: Of each image that it is augmented, by each of them on its own.

    Raises:
        UnknownNameError: No such augmentation.
    """
    for one in augmentations:
        augmentation = AUGMENTATIONS.get(one) if isinstance(one, str) else one
        images = augmentation(images, rng, probability)
    return images


def tensor_like(values: NDArray[np.generic], like: Tensor) -> Tensor:
    """Return `values` as a tensor of the type of `like`."""
    return from_array(values).astype(like.dtype)


def _eighth(side: int) -> int:
    return int(side * 0.125 + 0.5)


def _shift_matrices(side: int, shifts: NDArray[np.int64], mirror: bool) -> NDArray[np.float32]:
    """Return ``[N, 1, side, side]`` matrices M with ``(M x)[i] = x[i - shift]``.

    Beyond its ends, x is 0 or, as a `mirror` has it, ``x[-1] = x[1]`` and so on.
    """
    index = np.arange(side)
    source = index[:, None] - shifts[:, None, None]
    if mirror:
        source = side - 1 - np.abs(side - 1 - np.abs(source))
    matrices = source == index[None, :]
    return matrices[:, None].astype(np.float32)
