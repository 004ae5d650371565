"""What the general feature network is trained on: avatars, digits, clothes and textures.

All of it is in the package or drawn, 32 x 32 in colour. Digits and clothes are grey, so each is
put at a random place in a random size and gets two random colours; one in four stays white on
black. A picture's factors (:mod:`ppgan_zoo.metrics.factor_training`) are its colours, the scale
and direction of a texture, or the parts of an avatar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppgan_zoo.data import ImageSet, load_image_set
from ppgan_zoo.data.avatars import STYLES, load_factors
from ppgan_zoo.data.mnist import embedded_part
from ppgan_zoo.data.textures import TEXTURES, colour_names, draw_textures, mix, two_colours
from ppgan_zoo.metrics.factor_training import NO_VALUE

SIZE = 32
SOURCES = ("avatars", "mnist", "fashion_mnist", "textures")
"""Where the classes come from; those of each source stand side by side in this order."""

COUNTS = {"avatars": len(STYLES), "mnist": 10, "fashion_mnist": 10, "textures": len(TEXTURES)}
"""How many classes each source has."""

CLASSES = sum(COUNTS.values())

# Classes that share the meaning of factors: each style has its own, each other source has one.
GROUPS = (*range(10), *(10,) * 10, *(11,) * 10, *(12,) * len(TEXTURES))

_HELD_OUT = 1000  # of each source, for the accuracy that the file of weights records
_TEXTURES = {"train": 20_000, "test": _HELD_OUT}
_TIMES = {"train": 2, "test": 1}  # each digit and piece of clothing, in other colours
_SEEDS = {"train": 0, "test": 1}
_SMALLEST_SIDE = 24


@dataclass(frozen=True, eq=False)
class GeneralImages:
    """A split of them.

    Attributes:
        images: With labels of 0 to :data:`CLASSES` - 1, ordered by source.
        factors: uint8 ``[N, K]``.
        counts: How many are of each source, by name.
    """

    images: ImageSet
    factors: NDArray[np.uint8]
    counts: dict[str, int]


def load_general_images(split: str) -> GeneralImages:
    """Return the images of a split, the same every time.

    The embedded sets of digits and clothes hold 10,000 images each, of which the last thousand are
    the test split.

    Args:
        split: ``"train"`` or ``"test"``.
    """
    parts = {
        "avatars": _avatars(split),
        **{name: _coloured(name, split) for name in ("mnist", "fashion_mnist")},
        "textures": _textures(split),
    }
    width = max(factors.shape[1] for _, _, factors in parts.values())
    starts = dict(zip(SOURCES, np.cumsum([0, *COUNTS.values()]), strict=False))
    images = ImageSet.of(
        "general",
        np.concatenate([parts[name][0] for name in SOURCES]),
        np.concatenate([parts[name][1] + starts[name] for name in SOURCES]),
        source="embedded",
        location="general images",
    )
    factors = np.concatenate([_widened(parts[name][2], width) for name in SOURCES])
    return GeneralImages(images, factors, {name: len(parts[name][0]) for name in SOURCES})


Part = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8]]  # images, labels, factors


def _avatars(split: str) -> Part:
    whole = load_image_set("avatars", split=split)
    assert whole.labels is not None
    times = _TIMES[split]
    shown = (whole.images, whole.labels, load_factors(split))
    images, labels, factors = (np.concatenate([part] * times) for part in shown)
    return images, labels, factors


def _textures(split: str) -> Part:
    drawn = draw_textures(_TEXTURES[split], SIZE, _SEEDS[split])
    return drawn.images, drawn.labels, drawn.factors


def _coloured(name: str, split: str) -> Part:
    """Return grey images of an embedded set in colour, and their two colours as factors."""
    whole = embedded_part(name)
    assert whole.labels is not None
    rows = slice(None, -_HELD_OUT) if split == "train" else slice(-_HELD_OUT, None)
    random = np.random.default_rng((_SEEDS[split], SOURCES.index(name)))
    parts = []
    for _ in range(_TIMES[split]):
        shades = np.stack([_placed(image[0], random) for image in whole.images[rows]]) / 255
        if name == "fashion_mnist":
            mirrored = random.random(len(shades)) < 0.5
            shades[mirrored] = shades[mirrored, :, ::-1]
        colours = two_colours(len(shades), random)
        colours[random.random(len(shades)) < 0.25] = np.array([[0] * 3, [255] * 3])
        parts.append((mix(shades, colours), whole.labels[rows], colour_names(colours)))
    images, labels, factors = (np.concatenate(column) for column in zip(*parts, strict=True))
    return images, labels, factors


def _placed(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a grey image in a random size at a random place on black, ``[SIZE, SIZE]``."""
    side = int(random.integers(_SMALLEST_SIDE, SIZE, endpoint=True))
    top, left = random.integers(0, SIZE - side, 2, endpoint=True)
    placed = np.zeros((SIZE, SIZE), np.uint8)
    resized = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    placed[top : top + side, left : left + side] = np.asarray(resized)
    return placed


def _widened(factors: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    missing = width - factors.shape[1]
    return np.pad(factors, ((0, 0), (0, missing)), constant_values=NO_VALUE)
