"""Real images, spoilt on purpose and by a known amount: what a metric sees is measured by them.

A damage either changes every image (blur, noise, specks), or which images there are (copies, a
class that is missing, images of the training set), or the classes that they are said to be of.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.uint8]  # [N, C, H, W]
Labels = NDArray[np.int64]
Random = np.random.Generator
Spoil = Callable[[Images, float, Random], NDArray[Any]]

_FRAME = 2  # pixels


@dataclass(frozen=True)
class Pool:
    """Real images that samples are taken from.

    Attributes:
        images: uint8 ``[N, C, H, W]``, in random order.
        labels: int64 ``[N]``, the classes.
        training: Images that a model would have been trained on; others than `images`.
        training_labels: Their classes.
    """

    images: Images
    labels: Labels
    training: Images
    training_labels: Labels


@dataclass(frozen=True)
class Sample:
    """Damaged images and the classes that they are said to be of."""

    images: Images
    labels: Labels


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        name: What it is called.
        unit: Of its strength, with ``{}`` for the number.
        strengths: From the weakest to the strongest.
        spoil: Changes images; what comes out is clipped and rounded.
        take: Takes that many out of a pool; None for the first ones.
        relabel: Changes the labels.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    spoil: Spoil | None = None
    take: Callable[[Pool, int, float], Sample] | None = None
    relabel: Callable[[Labels, float, Random], Labels] | None = None

    def describe(self, strength: float) -> str:
        """Return name and strength in words."""
        return f"{self.name}, {self.unit.format(f'{strength:g}')}"

    def __call__(self, pool: Pool, count: int, strength: float, seed: int = 0) -> Sample:
        """Return `count` images of a pool with this damage, the same for the same arguments.

        Raises:
            ValueError: The pool has too few.
        """
        taken = undamaged(pool, count) if self.take is None else self.take(pool, count, strength)
        if len(taken.images) < count:
            raise ValueError(f"{self.name}: {len(taken.images)} images are left of {count}")
        images, labels = taken.images, taken.labels
        random = np.random.default_rng(seed)
        if self.spoil is not None:
            spoilt = self.spoil(images, strength, random)
            images = np.rint(np.clip(spoilt, 0, 255)).astype(np.uint8)
        if self.relabel is not None:
            labels = self.relabel(labels, strength, random)
        return Sample(np.ascontiguousarray(images), labels)


def undamaged(pool: Pool, count: int) -> Sample:
    """Return the first images of a pool as they are."""
    return Sample(pool.images[:count], pool.labels[:count])


def _noise(images: Images, deviation: float, random: Random) -> NDArray[np.floating]:
    return images + deviation * random.standard_normal(images.shape, np.float32)


def _blur(images: Images, deviation: float, _random: Random) -> NDArray[np.floating]:
    """Filter by a Gaussian that ends at three deviations; the border goes on outside."""
    reach = max(1, round(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    found = images.astype(np.float32)
    for axis in (2, 3):
        padded = np.pad(found, [(reach, reach) if a == axis else (0, 0) for a in range(4)], "edge")
        side = found.shape[axis]
        found = np.asarray(sum(
            weight * np.take(padded, range(start, start + side), axis=axis)
            for start, weight in enumerate(weights.astype(np.float32))
        ))  # fmt: skip
    return found


def _jpeg(images: Images, quality: float, _random: Random) -> Images:
    found = np.empty_like(images)
    for place, pixels in enumerate(images):
        file = io.BytesIO()
        picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
        picture.save(file, "JPEG", quality=int(quality))
        with Image.open(file, formats=("JPEG",)) as read:
            found[place] = np.asarray(read).reshape(*pixels.shape[1:], -1).transpose(2, 0, 1)
    return found


def _cut(images: Images, side: float, random: Random) -> Images:
    found, length = images.copy(), int(side)
    places = [random.integers(0, size - length + 1, len(images)) for size in images.shape[2:]]
    for image, top, left in zip(found, *places, strict=True):
        image[:, top : top + length, left : left + length] = 0
    return found


def _specks(images: Images, count: float, random: Random) -> Images:
    return _specked(images, count, random, np.ones(images.shape[2:], bool))


def _frame_specks(images: Images, count: float, random: Random) -> Images:
    inside = np.ones(images.shape[2:], bool)
    inside[_FRAME:-_FRAME, _FRAME:-_FRAME] = False
    return _specked(images, count, random, inside)


def _specked(images: Images, count: float, random: Random, where: NDArray[np.bool_]) -> Images:
    """Put grey specks of one pixel where it is allowed."""
    found = images.reshape(*images.shape[:2], -1).copy()
    allowed = np.flatnonzero(where)
    for image in found:
        chosen = random.choice(allowed, int(count), replace=False)
        image[:, chosen] = random.integers(30, 160, int(count))
    return found.reshape(images.shape)


def _copies(pool: Pool, count: int, times: float) -> Sample:
    rows = np.arange(count) % max(1, round(count / times))
    return Sample(pool.images[rows], pool.labels[rows])


def _missing(pool: Pool, count: int, classes: float) -> Sample:
    rows = np.flatnonzero(pool.labels >= classes)[:count]
    return Sample(pool.images[rows], pool.labels[rows])


def _of_training(pool: Pool, count: int, percent: float) -> Sample:
    """Return images of which a share are training images."""
    copied = round(count * percent / 100)
    order = np.random.default_rng(0).permutation(count)
    images = np.concatenate([pool.training[:copied], pool.images[copied:count]])
    labels = np.concatenate([pool.training_labels[:copied], pool.labels[copied:count]])
    return Sample(images[order], labels[order])


def _wrong(labels: Labels, percent: float, random: Random) -> Labels:
    """Give a share of the images the next class."""
    changed = random.random(len(labels)) < percent / 100
    return np.where(changed, (labels + 1) % (labels.max() + 1), labels)


DAMAGES = (
    Damage("blur", "{} pixels", (0.5, 0.7, 1.0, 1.5), spoil=_blur),
    Damage("noise", "{} grey levels", (5, 10, 20, 40), spoil=_noise),
    Damage("JPEG", "quality {}", (80, 50, 20, 5), spoil=_jpeg),
    Damage("a black square", "{} pixels", (4, 8, 12, 16), spoil=_cut),
    Damage("grey specks", "{}", (2, 8, 32), spoil=_specks),
    Damage("specks at the frame", "{}", (2, 8, 32), spoil=_frame_specks),
    Damage("missing classes", "{}", (1, 2, 5), take=_missing),
    Damage("copies", "each image {} times", (2, 10, 50), take=_copies),
    Damage("training images", "{} %", (10, 50, 100), take=_of_training),
    Damage("wrong labels", "{} %", (10, 50), relabel=_wrong),
)
"""All damages. Of JPEG the lower quality is the stronger damage."""

OF_IMAGES = tuple(damage for damage in DAMAGES if damage.name not in ("training images",
                                                                      "wrong labels"))  # fmt: skip
"""Those that a comparison of two sets of images can see at all."""


def rises(figures: list[float]) -> bool:
    """Tell whether each figure is above the one before."""
    return all(a < b for a, b in itertools.pairwise(figures))


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Return Spearman's rank correlation of two rows of different numbers, -1 to 1."""
    ranks = np.argsort(np.argsort([a, b], axis=1), axis=1)
    gaps, count = ranks[0] - ranks[1], len(a)
    return 1.0 - 6.0 * float(np.sum(gaps**2)) / (count * (count**2 - 1))
