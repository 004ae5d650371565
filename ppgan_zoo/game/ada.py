"""Adaptive discriminator augmentation (ADA, Karras et al. 2020): its pipeline and its controller.

The pipeline is the paper's default, "bgc": pixel blitting, geometry and colour. Each
transformation befalls each image with one probability. Flip, turns, shifts, scalings and rotations
are put together into one affine map, and the image is resampled once: padded by its mirror image,
doubled, looked up between pixels, halved. Colour is one matrix. All draws are numpy's.
"""

from __future__ import annotations

import functools
from typing import Annotated, NamedTuple

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import functional as F
from pydantic import Field

from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.game.augmentation import Augmentation, tensor_like
from ppgan_zoo.models.fir import fir
from ppgan_zoo.storage.checkpoint import Arrays

Matrices = NDArray[np.float64]
Draws = NDArray[np.float64]
Factor = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

# Low-pass filter of the wavelet sym6 (Daubechies 1992): doubled and halved by it, an image is
# the same as before.
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
EDGE = len(SYM6) // 4  # pixels around the image that the filter looks at

SHIFT, SCALE_STD, SHIFT_STD = 0.125, 0.2, 0.125
BRIGHTNESS_STD, CONTRAST_STD, SATURATION_STD = 0.2, 0.5, 1.0


def bgc(
    images: Tensor,
    rng: np.random.Generator,
    probability: float,
    *,
    blit: Factor = 1.0,
    geometry: Factor = 1.0,
    color: Factor = 1.0,
) -> Tensor:
    """Return images ``[N, C, H, W]``, each transformation done to each with a probability.

    Args:
        images: Of 1 or 3 channels, or without colour of any number.
        rng: Drawn from.
        probability: Of each transformation, for each image.
        blit: Its factor for mirroring, quarter turns and whole shifts; 0 leaves them out.
        geometry: Likewise for scaling, rotation, uneven scaling and shifts.
        color: Likewise for brightness, contrast, inversion, hue and saturation.

    Raises:
        ConfigError: Colour is to change in images of another number of channels.
    """
    count, channels, height, width = images.shape
    blit, geometry, color = (probability * factor for factor in (blit, geometry, color))
    if blit or geometry:
        moves = drawn_moves(count, height, width, rng, blit, geometry)
        images = resampled(images, moves.inverse())
    if color:
        images = recoloured(images, drawn_colours(count, rng, color).maps(channels))
    return images


BGC = Augmentation("bgc", bgc, graded=True)


class Moves(NamedTuple):
    """How each of N images is moved, in this order; those not chosen keep their places.

    Attributes:
        flip: ``[N]``: -1 mirrors left to right, 1 does not.
        turns: ``[N]``: quarter turns, 0 to 3.
        steps: ``[N, 2]``: whole pixels to the right and down.
        size: ``[N]``: factor of both sides.
        first: ``[N]``: angle of the rotation before the uneven scaling.
        uneven: ``[N]``: factor of the width, and divisor of the height.
        second: ``[N]``: angle of the rotation after it.
        shift: ``[N, 2]``: pixels to the right and down.
    """

    flip: Draws
    turns: Draws
    steps: Draws
    size: Draws
    first: Draws
    uneven: Draws
    second: Draws
    shift: Draws

    def inverse(self) -> Matrices:
        """Return the maps from each new pixel's place to the old one: ``[N, 3, 3]``.

        In pixels from the middle of the image, x (to the right) before y (down).
        """
        parts = (
            scaling(self.flip, np.ones(len(self.flip))), turning(0.5 * np.pi * self.turns),
            moving(-self.steps), scaling(1.0 / self.size, 1.0 / self.size), turning(self.first),
            scaling(1.0 / self.uneven, self.uneven), turning(self.second), moving(-self.shift),
        )  # fmt: skip
        return functools.reduce(np.matmul, parts)


class Colours(NamedTuple):
    """How the colours of each of N images change, in this order.

    Attributes:
        brightness: ``[N]``: added to all channels.
        contrast: ``[N]``: factor of all channels.
        inverted: ``[N]``: whether the luma, the mean of the channels, changes its sign.
        hue: ``[N]``: angle about the luma axis.
        saturation: ``[N]``: factor of the distance from that axis.
    """

    brightness: Draws
    contrast: Draws
    inverted: NDArray[np.bool_]
    hue: Draws
    saturation: Draws

    def maps(self, channels: int) -> Matrices:
        """Return the maps of three colours, and of 1, to colours: ``[N, 3, 4]``.

        With one channel there is neither hue nor saturation.
        """
        grey, whole = np.full((3, 3), 1.0 / 3.0), np.eye(3)  # onto the luma axis; all of it
        maps = whole - 2.0 * grey * self.inverted[:, None, None]
        if channels > 1:
            across = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3.0)
            cosine, sine = np.cos(self.hue)[:, None, None], np.sin(self.hue)[:, None, None]
            maps = (cosine * whole + (1.0 - cosine) * grey + sine * across) @ maps
            maps = (grey + (whole - grey) * self.saturation[:, None, None]) @ maps
        maps = maps * self.contrast[:, None, None]
        added = maps @ np.ones((3, 1)) * self.brightness[:, None, None]
        return np.concatenate([maps, added], axis=2)


def drawn_moves(
    count: int, height: int, width: int, rng: np.random.Generator, blit: float, geometry: float
) -> Moves:
    """Draw how images are moved: the first three with probability `blit`, then `geometry`."""
    chosen = functools.partial(_chosen, rng, count)
    # Of two rotations, one on each side of the uneven scaling, one or the other happens.
    rotation = 1.0 - np.sqrt(1.0 - geometry)
    sides = np.array([width, height])

    flip = np.where(chosen(blit) * (rng.random(count) < 0.5), -1.0, 1.0)
    turns = np.floor(4.0 * rng.random(count)) * chosen(blit)
    steps = np.round(SHIFT * (2.0 * rng.random((count, 2)) - 1.0) * sides)
    steps = steps * chosen(blit)[:, None]
    size = 2.0 ** (SCALE_STD * rng.standard_normal(count) * chosen(geometry))
    first = np.pi * (2.0 * rng.random(count) - 1.0) * chosen(rotation)
    uneven = 2.0 ** (SCALE_STD * rng.standard_normal(count) * chosen(geometry))
    second = np.pi * (2.0 * rng.random(count) - 1.0) * chosen(rotation)
    shift = SHIFT_STD * rng.standard_normal((count, 2)) * sides
    shift = shift * chosen(geometry)[:, None]
    return Moves(flip, turns, steps, size, first, uneven, second, shift)


def drawn_colours(count: int, rng: np.random.Generator, probability: float) -> Colours:
    """Draw how colours change, each way with a probability."""
    chosen = functools.partial(_chosen, rng, count)
    brightness = BRIGHTNESS_STD * rng.standard_normal(count) * chosen(probability)
    contrast = 2.0 ** (CONTRAST_STD * rng.standard_normal(count) * chosen(probability))
    inverted = chosen(probability) & (rng.random(count) < 0.5)
    hue = np.pi * (2.0 * rng.random(count) - 1.0) * chosen(probability)
    saturation = 2.0 ** (SATURATION_STD * rng.standard_normal(count) * chosen(probability))
    return Colours(brightness, contrast, inverted, hue, saturation)


def recoloured(images: Tensor, maps: Matrices) -> Tensor:
    """Return images whose colours went through maps ``[N, 3, 4]``; of one channel, as grey."""
    count, channels, height, width = images.shape
    if channels == 1:
        maps = maps.mean(axis=1, keepdims=True)
        maps = np.concatenate([maps[:, :, :3].sum(axis=2, keepdims=True), maps[:, :, 3:]], axis=2)
    elif channels != 3:
        raise ConfigError(
            f"constraints.augment: bgc changes images of 1 or 3 channels, found {channels}; set "
            "its color to 0, or use translation and cutout"
        )
    pixels = images.reshape([count, channels, height * width])
    pixels = paddle.matmul(tensor_like(maps[:, :, :channels], images), pixels)
    return pixels.reshape(images.shape) + tensor_like(maps[:, :, channels:, None], images)


def resampled(images: Tensor, inverse: Matrices) -> Tensor:
    """Return images moved by affine maps; `inverse` ``[N, 3, 3]``: from new places to old ones."""
    _, channels, height, width = images.shape
    left, top, right, bottom = _margins(inverse, height, width)
    images = F.pad(images, [left, right, top, bottom], mode="reflect")
    middle = np.array([[(left - right) / 2.0, (top - bottom) / 2.0]])
    inverse = moving(middle) @ inverse
    taps = len(SYM6)
    images = fir(images, up=2, padding=(taps // 2, taps // 2 - 1), gain=4.0, taps=SYM6)
    # Twice the size; an even number of pixels has its middle between two.
    half = np.array([[-0.5, -0.5]])
    inverse = moving(half) @ _scaled(2.0, 2.0) @ inverse @ _scaled(0.5, 0.5) @ moving(-half)
    rows, columns = 2 * (height + 2 * EDGE), 2 * (width + 2 * EDGE)
    inverse = (
        _scaled(2.0 / images.shape[3], 2.0 / images.shape[2])
        @ inverse
        @ _scaled(columns / 2.0, rows / 2.0)
    )
    grid = F.affine_grid(
        tensor_like(inverse[:, :2], images),
        [images.shape[0], channels, rows, columns],
        align_corners=False,
    )
    images = F.grid_sample(images, grid, align_corners=False)[:, :, 1:-1, 1:-1]
    return fir(images, down=2, taps=SYM6[::-1])


def scaling(x: Matrices, y: Matrices) -> Matrices:
    """Return the matrices ``[N, 3, 3]`` that multiply x and y."""
    matrices = np.zeros((len(x), 3, 3))
    matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, 2, 2] = x, y, 1.0
    return matrices


def turning(angle: Matrices) -> Matrices:
    """Return the matrices ``[N, 3, 3]`` that turn from x towards y."""
    matrices = scaling(np.cos(angle), np.cos(angle))
    matrices[:, 1, 0], matrices[:, 0, 1] = np.sin(angle), -np.sin(angle)
    return matrices


def moving(steps: Matrices) -> Matrices:
    """Return the matrices ``[N, 3, 3]`` that add steps ``[N, 2]`` of x and y."""
    matrices = scaling(np.ones(len(steps)), np.ones(len(steps)))
    matrices[:, :2, 2] = steps
    return matrices


def _scaled(x: float, y: float) -> Matrices:
    return scaling(np.array([x]), np.array([y]))


def _chosen(rng: np.random.Generator, count: int, probability: float) -> NDArray[np.bool_]:
    drawn: NDArray[np.bool_] = rng.random(count) < probability
    return drawn


def _margins(inverse: Matrices, height: int, width: int) -> list[int]:
    """Return how far the farthest image looks beyond its edges: left, top, right, bottom."""
    x, y = (width - 1) / 2.0, (height - 1) / 2.0
    corners = np.array([[-x, -y, 1.0], [x, -y, 1.0], [x, y, 1.0], [-x, y, 1.0]]).T
    places = (inverse @ corners)[:, :2].transpose(1, 0, 2).reshape(2, -1)
    beyond = np.concatenate([-places, places]).max(axis=1) + 2 * EDGE - np.array([x, y, x, y])
    # A mirror image is no larger than the image.
    return [int(side) for side in np.ceil(beyond.clip(0, [width - 1, height - 1] * 2))]


class AdaptiveProbability:
    """A probability of augmentation that rises while D knows the real images too well.

    r is the mean sign of D's logits of real images, as D is shown them, in D's last update of an
    iteration. Every four iterations the probability goes up if r is above the target, and down if
    it is below, by the share that their real images are of `images`.

    Args:
        target: What r is to be.
        images: Real images in which the probability could go from 0 to 1.
        most: The highest; the paper has 1, but far above 0.8 G begins to draw augmented images.

    Attributes:
        probability: What it is now.

    Raises:
        ConfigError: A number is out of range.
    """

    INTERVAL = 4

    def __init__(self, *, target: float = 0.6, images: int = 500_000, most: float = 0.8) -> None:
        if not -1.0 < target < 1.0 or images < 1 or not 0.0 < most <= 1.0:
            raise ConfigError(
                "constraints.augment_probability: target must be between -1 and 1, images 1 or "
                f"more, most above 0 and at most 1; found {target}, {images} and {most}"
            )
        self.target = target
        self.images = images
        self.most = most
        self.probability = 0.0
        self._signs: list[Tensor] = []
        self._seen = 0

    def __call__(self, iteration: int) -> float:
        """Return it, as a schedule does."""
        return self.probability

    def follow(self, sign: Tensor, images: int) -> None:
        """Take a batch into account.

        Args:
            sign: The mean sign of D's logits of real images, of all processes.
            images: How many there were, in all processes.
        """
        self._signs.append(sign.detach().reshape([1]))
        self._seen += images
        if len(self._signs) == self.INTERVAL:
            r = paddle.concat(self._signs).mean().item()
            if np.isfinite(r):  # or the probability would be lost for good
                step = np.sign(r - self.target) * self._seen / self.images
                self.probability = float(np.clip(self.probability + step, 0.0, self.most))
            self._signs, self._seen = [], 0

    def state(self) -> Arrays:
        """Return the probability, and what came since it last moved."""
        signs = np.zeros(self.INTERVAL, np.float32)
        signs[: len(self._signs)] = [sign.item() for sign in self._signs]
        counts = np.array([len(self._signs), self._seen], np.int64)
        return {"probability": np.array([self.probability]), "signs": signs, "counts": counts}

    def load_state(self, arrays: Arrays) -> None:
        """Put them back.

        Raises:
            CheckpointError: They are of a run without ADA.
        """
        if set(arrays) != {"probability", "signs", "counts"}:
            raise CheckpointError(
                "checkpoint holds no state of an adaptive augment_probability; continue with "
                "the recipe that it was trained with"
            )
        count, self._seen = (int(value) for value in arrays["counts"])
        self.probability = float(arrays["probability"][0])
        self._signs = [paddle.to_tensor(arrays["signs"][i : i + 1]) for i in range(count)]
