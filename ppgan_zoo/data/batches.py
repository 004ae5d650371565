"""Batches, and the order of the data as a function of seed and step.

Nothing is drawn from a generator that lives between steps, so a resumed run sees
exactly the batches that the uninterrupted one would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.images import ImageSet, dequantised, scale_to_range
from ppgan_zoo.data.mapped import fetch, forget, is_mapped
from ppgan_zoo.errors import ConfigError

# Keep these streams apart from any other that is seeded with the same number.
_DATA_ORDER = 0x0DA7A
_FLIPS = 0xF11B5
_NOISE = 0xDE9A7


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images and, where there are any, their labels.

    Attributes:
        images: An array or a tensor, ``[N, C, H, W]``.
        labels: The same of int64, ``[N]``; None without labels.
        code: What G made the images of, a :class:`ppgan_zoo.models.latent.Code`; None for
            others.
    """

    images: Any
    labels: Any = None
    code: Any = None

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self.images.shape[0])

    def map(self, function: Callable[[Any], Any]) -> Batch:
        """Return the batch of `function` of images and, where there are any, labels and code."""
        return Batch(
            function(self.images),
            None if self.labels is None else function(self.labels),
            None if self.code is None else self.code.map(function),
        )

    def split(self, parts: int) -> list[Batch]:
        """Return `parts` batches of equal size, in order; one part is this very batch.

        Args:
            parts: 1, or for tensors any divisor of the number of images.
        """
        if parts == 1:
            return [self]
        images = self.images.split(parts)
        labels = [None] * parts if self.labels is None else self.labels.split(parts)
        codes = [None] * parts if self.code is None else self.code.split(parts)
        return [Batch(*part) for part in zip(images, labels, codes, strict=True)]


@dataclass(frozen=True, eq=False)
class Share(Batch):
    """One process's rows of a batch that several have rows of.

    Attributes:
        whole: Images of the whole batch.
    """

    whole: int = 0


def as_batch(images: Any) -> Batch:
    """Return a batch as it is, and images ``[N, C, H, W]`` as a batch without labels."""
    return images if isinstance(images, Batch) else Batch(images)


class Batches:
    """Batches of real images; batch `step` depends on nothing but the seed and `step`.

    Every epoch is a fresh permutation of which the last, partial batch is skipped. With
    replacement every image of every batch is drawn from the whole set.

    Args:
        images: Where the images come from.
        batch_size: Images per batch, 1 to ``len(images)``.
        seed: At least 0.
        replacement: Whether images are drawn independently.
        flip: Whether every second image, by chance, is mirrored: left becomes right.
        dequantise: Whether each value is moved to a random place within its grey level
            (:func:`ppgan_zoo.data.images.dequantised`).
        image_range: Range of the values that the batches hold.
        labels: Whether a batch is a :class:`Batch` of images and labels, and not just an
            array of images.

    Attributes:
        batch_size: As above.
        steps_per_epoch: ``len(images) // batch_size``, with replacement too.

    Raises:
        ConfigError: A batch size, seed or range that is not allowed, or labels of a set that
            has none.
    """

    def __init__(
        self,
        images: ImageSet,
        batch_size: int,
        *,
        seed: int,
        replacement: bool = False,
        flip: bool = False,
        dequantise: bool = False,
        image_range: tuple[float, float] = (-1.0, 1.0),
        labels: bool = False,
    ) -> None:
        """Check the arguments; see the class."""
        if not 1 <= batch_size <= len(images):
            raise ConfigError(
                f"data.batch_size: {batch_size} for the {len(images)} images of {images.name} "
                f"({images.location}); give 1 to {len(images)}"
            )
        if seed < 0:
            raise ConfigError(f"seed: {seed}; give 0 or more")
        if labels and images.labels is None:
            raise ConfigError(
                f"data: {images.name} ({images.location}) has no labels, which this model needs; "
                "use a set that has some, such as a folder with one sub-folder for each class"
            )
        scale_to_range(images.images[:1], image_range)  # a bad range fails here, not at step 0
        self._pixels = images.images
        self._is_mapped = is_mapped(images.images)
        self._labels = images.labels if labels else None
        self.batch_size = batch_size
        self._seed = seed
        self._replacement = replacement
        self._flip = flip
        self._dequantise = dequantise
        self._image_range = image_range
        self._cached: tuple[int, NDArray[np.int64]] | None = None
        self.steps_per_epoch = len(images) // batch_size

    def indices(self, step: int) -> NDArray[np.int64]:
        """Return which images batch `step` holds.

        Args:
            step: Number of the batch since the start of training, from 0, without end.

        Returns:
            int64 ``[batch_size]``, values 0 to ``len(images) - 1``.

        Raises:
            IndexError: `step` is negative.
        """
        if step < 0:
            raise IndexError(f"step {step}: steps count from 0")
        epoch, batch = divmod(step, self.steps_per_epoch)
        cached = self._cached
        if cached is None or cached[0] != epoch:
            cached = self._cached = (epoch, self._epoch_order(epoch))
        start = batch * self.batch_size
        chosen: NDArray[np.int64] = cached[1][start : start + self.batch_size].copy()
        return chosen

    def __getitem__(self, step: int) -> Any:
        """Return batch `step`: float32 ``[batch_size, C, H, W]`` within the image range.

        With labels a :class:`Batch` of these images and of labels int64 ``[batch_size]``.

        Raises:
            IndexError: `step` is negative.
        """
        images, labels = self._rows(step, slice(None))
        return images if labels is None else Batch(images, labels)

    def share(self, step: int, rows: NDArray[np.int64]) -> Share:
        """Return some rows of batch `step`; the others are not read.

        Args:
            step: As of :meth:`indices`.
            rows: Which, int64 ``[n]``, values 0 to ``batch_size - 1``.
        """
        return Share(*self._rows(step, rows), whole=self.batch_size)

    def _rows(
        self, step: int, rows: NDArray[np.int64] | slice
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        chosen = self.indices(step)[rows]
        pixels = self._pixels[chosen]
        if self._is_mapped:
            forget(self._pixels)
            # Is read while this step computes.
            fetch(self._pixels, self.indices(step + 1)[rows])
        if self._flip:
            mirrored = self._flips(step)[rows]
            pixels[mirrored] = pixels[mirrored, :, :, ::-1]
        if self._dequantise:
            noise = self._noise(step, pixels.shape[1:])[rows]
            images = dequantised(pixels, noise, self._image_range)
        else:
            images = scale_to_range(pixels, self._image_range)
        return images, None if self._labels is None else self._labels[chosen]

    def _flips(self, step: int) -> NDArray[np.bool_]:
        """Return which images of a batch are mirrored: the upper bit of a raw draw for each."""
        return np.asarray(self._raw(self.batch_size, _FLIPS, step) >> np.uint64(63), dtype=bool)

    def _noise(self, step: int, shape: tuple[int, ...]) -> NDArray[np.uint16]:
        """Return the noise of a batch of such images: a raw draw makes that of four values."""
        shape = self.batch_size, *shape
        count = math.prod(shape)
        draws = self._raw(-(-count // 4), _NOISE, step)
        return draws.astype("<u8", copy=False).view("<u2")[:count].reshape(shape)

    def _raw(self, count: int, *key: int) -> NDArray[np.uint64]:
        """Return raw draws of the stream of this seed and a key."""
        # NumPy promises that the raw stream of a bit generator never changes, but not that of
        # Generator's methods: made from raw draws, batches survive NumPy's updates.
        sequence = np.random.SeedSequence(self._seed, spawn_key=key)
        draws: NDArray[np.uint64] = np.random.PCG64(sequence).random_raw(count)
        return draws

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        """Return the images of one epoch in order, int64, at least all its batches."""
        draws = self._raw(len(self._pixels), _DATA_ORDER, epoch)
        if self._replacement:
            return np.asarray(draws % np.uint64(len(self._pixels)), dtype=np.int64)
        return np.asarray(np.argsort(draws, kind="stable"), dtype=np.int64)


class Shares:
    """Batches of which one process reads its rows alone.

    Args:
        batches: The whole ones.
        rows: Which rows are its own, int64 ``[n]``.
    """

    def __init__(self, batches: Batches, rows: NDArray[np.int64]) -> None:
        self._batches = batches
        self._rows = rows
        self.steps_per_epoch = batches.steps_per_epoch

    def __getitem__(self, step: int) -> Share:
        """Return this process's rows of batch `step`."""
        return self._batches.share(step, self._rows)
