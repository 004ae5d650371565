"""Inversion: the point of the latent space whose image is nearest to a given picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from PIL import ImageOps

from ppgan_zoo.data.pictures import WHITE, on_background, opened_picture, picture_to_pixels
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.latents.space import LatentSpace, Points
from ppgan_zoo.models.nets import in_mode
from ppgan_zoo.models.weights import frozen

LEARNING_RATE, BETAS = 0.05, (0.9, 0.999)
RAMP_UP, RAMP_DOWN = 0.05, 0.25
"""Shares of the steps in which the rate rises from 0, and falls to 0 along a cosine."""

PRIOR_WEIGHT = 0.01
"""Of the term that keeps a point as far from the centre as points are."""

FAR = 1e6
"""Further than any pixel is from the picture's."""

MOST_RESTARTS, MOST_STEPS = 1000, 100_000

Forward = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""A feature network: images float32 ``[N, C, H, W]`` of 0 to 255 to features and logits."""


@dataclass(frozen=True)
class Inversion:
    """What an inversion found, the best restart first.

    Attributes:
        points: float32 ``[R, dim]``, of z or of w.
        labels: int64 ``[R]``: the class of each, or None for a G without labels.
        images: uint8 ``[R, C, H, W]``.
        psnr: Of each image to the picture in dB, float64 ``[R]``; infinity if they are equal.
    """

    points: Points
    labels: NDArray[np.int64] | None
    images: NDArray[np.uint8]
    psnr: NDArray[np.float64]


def invert(
    space: LatentSpace,
    picture: NDArray[np.uint8],
    *,
    restarts: int = 8,
    steps: int = 500,
    seed: int = 0,
    label: int | None = None,
    features: Forward | None = None,
    feature_weight: float = 1.0,
) -> Inversion:
    """Find points whose images are near a picture, by gradient descent from several beginnings.

    Adam on ``mean((x - G(p))^2) + w_f mean((f(x) - f(G(p)))^2) + w_p (r - 1)^2``, images in units
    of half their range, r the mean square distance of p from the centre of the space in units of
    its spread: normal z keeps its length by that. Uniform z and codes are held within their bounds.
    G is in eval mode and its weights stay as they are.

    Args:
        space: The latent space.
        picture: uint8 ``[C, H, W]`` of the model's shape; :func:`read_picture` makes one.
        restarts: How many random beginnings, all of which are followed to the end.
        steps: Of Adam.
        seed: Of the beginnings.
        label: The class, of a G with labels; None for each class in its turn among the restarts.
        features: f, such as :attr:`ppgan_zoo.metrics.features.FeatureNetwork.forward`.
        feature_weight: w_f.

    Returns:
        The restarts by PSNR, the best first.

    Raises:
        ConfigError: The picture has another shape, or a number is out of range.
    """
    _check(space, picture, restarts, steps, seed, label)
    labels = None
    if space.num_classes:
        labels = space.labels(restarts, None if label is None else np.full(restarts, label))
    points = paddle.to_tensor(space.points(restarts, seed, labels=labels))
    points.stop_gradient = False
    loss_of = _loss(space, picture, labels, features, feature_weight)
    optimizer = paddle.optimizer.Adam(
        learning_rate=LEARNING_RATE, beta1=BETAS[0], beta2=BETAS[1], parameters=[points]
    )
    bounded = _bounded(space)
    with in_mode(space.generator, training=False), frozen(space.generator):
        for step in range(steps):
            optimizer.set_lr(LEARNING_RATE * _rate(step / steps))
            loss_of(points).backward()
            _let_only_free_numbers_move(points, space)
            optimizer.step()
            optimizer.clear_grad()
            if bounded is not None:
                _clip(points, bounded)
    found: Points = points.numpy()
    images = space.images(found, labels)
    psnr = np.array([peak_ratio(image, picture) for image in images])
    order = np.argsort(-psnr, kind="stable")
    return Inversion(
        found[order], None if labels is None else labels[order], images[order], psnr[order]
    )


def peak_ratio(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio in dB: ``10 log10(255^2 / mean square error)``."""
    error = float(np.square(image.astype(np.float64) - other).mean())
    return math.inf if error == 0.0 else 10.0 * math.log10(255.0**2 / error)


def read_picture(path: Path, image_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return a picture in the form of a model's images, uint8 ``[C, H, W]``.

    It is cut to the model's proportions around its middle, then brought to its size (Lanczos);
    what is transparent becomes white.

    Args:
        path: PNG, JPEG or BMP.
        image_shape: Channels (1 or 3), height and width of the model's images.

    Raises:
        DataError: It cannot be read.
        ConfigError: The model makes neither grey nor RGB.
    """
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise ConfigError(f"{path}: the model's images have {channels} channels; 1 or 3 are needed")
    with opened_picture(path) as opened:
        picture = on_background(ImageOps.exif_transpose(opened), WHITE)[0]
        return picture_to_pixels(picture, (height, width), channels)


def _check(
    space: LatentSpace,
    picture: NDArray[np.uint8],
    restarts: int,
    steps: int,
    seed: int,
    label: int | None,
) -> None:
    wanted = tuple(int(side) for side in space.generator.image_shape)
    if picture.shape != wanted or picture.dtype != np.uint8:
        raise ConfigError(
            f"invert: the picture is {picture.dtype} {list(picture.shape)}, and {space.model} "
            f"makes uint8 {list(wanted)}; bring it to that"
        )
    for name, value, least, most in (
        ("restarts", restarts, 1, MOST_RESTARTS),
        ("steps", steps, 1, MOST_STEPS),
        ("seed", seed, 0, 2**63 - 1),
        ("label", 0 if label is None else label, 0, max(space.num_classes - 1, 0)),
    ):
        if not least <= value <= most:
            raise ConfigError(f"invert: {name} {value}: give {least} to {most}")


def _loss(
    space: LatentSpace,
    picture: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    features: Forward | None,
    feature_weight: float,
) -> Callable[[Tensor], Tensor]:
    """Return the sum over the restarts of their losses, as a function of their points."""
    low, high = space.image_range
    wanted = paddle.to_tensor(picture[None].astype(np.float32))
    above = paddle.to_tensor(np.where(picture[None] == 255, 0.0, FAR).astype(np.float32))
    below = paddle.to_tensor(np.where(picture[None] == 0, 0.0, -FAR).astype(np.float32))
    centre, spread = paddle.to_tensor(space.centre), space.spread
    told = None if labels is None else paddle.to_tensor(labels)
    with paddle.no_grad():
        shown = None if features is None else features(wanted)[0]

    def loss(points: Tensor) -> Tensor:
        made = (space.forward(points, told) - low) * (255.0 / (high - low))
        # A pixel at an end of the range is right however far beyond it G goes: it is cut there.
        error = paddle.maximum(paddle.minimum(made - wanted, above), below)
        total = (error * (2.0 / 255.0)).square().mean(axis=[1, 2, 3])
        if features is not None:
            total = total + feature_weight * (features(made)[0] - shown).square().mean(axis=1)
        if space.is_normal or space.name == "w":
            noise = points[:, : space.free_dim] - centre[: space.free_dim]
            total = total + PRIOR_WEIGHT * ((noise / spread).square().mean(axis=1) - 1.0).square()
        return total.sum()

    return loss


def _rate(progress: float) -> float:
    """Return the share of the learning rate at a time from 0 to 1 (StyleGAN2's projector)."""
    down = min(1.0, (1.0 - progress) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(down * math.pi)) * min(1.0, (progress + 1e-3) / RAMP_UP)


def _let_only_free_numbers_move(points: Tensor, space: LatentSpace) -> None:
    """Leave the categorical codes of z as the restarts began: they have no values between."""
    fixed = sum(space.latent.categorical) if space.name == "z" else 0
    if fixed:
        mask = np.ones([1, space.dim], np.float32)
        mask[:, space.free_dim : space.free_dim + fixed] = 0.0
        points.grad.set_value(points.grad * paddle.to_tensor(mask))


def _bounded(space: LatentSpace) -> NDArray[np.bool_] | None:
    """Return which numbers of a point lie in [-1, 1]; None if none has bounds."""
    if space.name == "w":
        return None
    bounded = np.zeros(space.dim, bool)
    bounded[space.free_dim :] = True
    bounded[: space.free_dim] = space.latent.prior == "uniform"
    return bounded if bounded.any() else None


@paddle.no_grad()
def _clip(points: Tensor, bounded: NDArray[np.bool_]) -> None:
    limit = np.where(bounded, np.float32(1.0), np.float32(np.inf))
    points.set_value(np.clip(points.numpy(), -limit, limit))
