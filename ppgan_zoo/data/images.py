"""Images in memory, and the way between uint8 pixels and the range of a network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppgan_zoo.data.part import choose_part
from ppgan_zoo.data.pictures import picture_to_pixels
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.recipe.bounds import LEAST_COUNT

MAX_BYTES = 8 << 30
"""The most that an image set may take in memory: 8 GiB."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A named set of images and where it came from.

    `ImageSet.of` computes `sha256` and is the way to make one from arrays.

    Attributes:
        name: Name of the set, such as ``"mnist"``.
        images: uint8 ``[N, C, H, W]``, C-contiguous, values 0 to 255.
        labels: int64 ``[N]``, 0 and up, or None if the set has none.
        source: How it was found: ``"directory"``, ``"environment"``, ``"paddle-cache"``,
            ``"debian"``, ``"download"``, ``"embedded"`` or ``"folder"``.
        location: Path that it came from.
        sha256: SHA-256 of the bytes of `images`, hex.
        classes: Names of the classes, in the order of the labels; None if they have no names,
            or if the set has no labels.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    source: str
    location: str
    sha256: str
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check that the arrays are of the promised form."""
        images = self.images
        if images.ndim != 4 or images.dtype != np.uint8 or not images.flags.c_contiguous:
            raise DataError(
                f"{self.location}: images are {images.dtype} {list(images.shape)}; "
                "give a C-contiguous uint8 array [N, C, H, W]"
            )
        if images.size == 0:
            raise DataError(f"{self.location}: no images; at least one is needed")
        self._check_labels()

    def _check_labels(self) -> None:
        count, labels, classes = len(self), self.labels, self.classes
        if labels is None:
            if classes is not None:
                raise DataError(f"{self.location}: classes without labels; leave out the classes")
            return
        if labels.shape != (count,) or labels.dtype != np.int64:
            raise DataError(
                f"{self.location}: labels are {labels.dtype} {list(labels.shape)} for "
                f"{count} images; give int64 [{count}]"
            )
        if labels.min() < 0 or (classes is not None and labels.max() >= len(classes)):
            allowed = "0 and up" if classes is None else f"0 to {len(classes) - 1}"
            raise DataError(
                f"{self.location}: labels from {labels.min()} to {labels.max()}; give {allowed}"
            )
        if classes is not None and len(set(classes)) < len(classes):
            raise DataError(f"{self.location}: two classes have one name; give each its own")

    @classmethod
    def of(
        cls,
        name: str,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64] | None = None,
        *,
        source: str,
        location: str,
        classes: tuple[str, ...] | None = None,
    ) -> ImageSet:
        """Make a set from arrays; arguments as for the class, `sha256` is computed.

        Raises:
            DataError: The arrays are not of the promised form.
        """
        images = np.ascontiguousarray(images)
        digest = hashlib.sha256(images.data).hexdigest()
        return cls(name, images, labels, source, location, digest, classes)

    def replaced(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64] | None = None
    ) -> ImageSet:
        """Return a set of other arrays that has this one's name, origin and classes.

        Raises:
            DataError: The arrays are not of the promised form.
        """
        return ImageSet.of(
            self.name,
            images,
            labels,
            source=self.source,
            location=self.location,
            classes=None if labels is None else self.classes,
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """How many classes the labels tell apart: 0 without labels."""
        if self.labels is None:
            return 0
        return int(self.labels.max()) + 1 if self.classes is None else len(self.classes)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def describe(self) -> dict[str, str | int | list[int]]:
        """Return what a manifest records, as plain JSON values."""
        described: dict[str, str | int | list[int]] = {
            "name": self.name,
            "source": self.source,
            "location": self.location,
            "count": len(self),
            "image_shape": list(self.image_shape),
            "sha256": self.sha256,
        }
        if self.labels is not None:
            described["classes"] = self.num_classes
        return described

    def limit(self, n: int, seed: int = 0) -> ImageSet:
        """Return a part of `n` images in memory, or this set if it has no more than `n`.

        Which ones is told by :func:`ppgan_zoo.data.part.choose_part`.

        Raises:
            ConfigError: `n` is less than 1.
            DataError: The part would not fit in memory.
        """
        check_limit(n)
        if n >= len(self):
            return self
        check_memory(self.location, n, self.image_shape[0], self.image_shape[1:])
        chosen = choose_part(len(self), n, seed, self.labels)
        # Copies, so that the full set can be freed.
        return self.replaced(
            self.images[chosen], None if self.labels is None else self.labels[chosen]
        )

    def resized(self, image_size: int | tuple[int, int], channels: int) -> ImageSet:
        """Return the set at another size (cropped, Lanczos) and number of channels.

        Args:
            image_size: Height and width, at least 1; one number for a square.
            channels: 1, or 3; grey becomes three equal channels, colour becomes luma.

        Raises:
            ConfigError: `image_size` or `channels` is not allowed.
            DataError: The result would not fit in memory.
        """
        check_form(image_size, channels)
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        if self.image_shape == (channels, *size):
            return self
        check_memory(self.location, len(self), channels, size)
        resized = np.empty((len(self), channels, *size), np.uint8)
        for target, pixels in zip(resized, self.images, strict=True):
            picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
            target[:] = picture_to_pixels(picture, image_size, channels)
        return self.replaced(resized, self.labels)


def check_limit(limit: int | None) -> None:
    """Raise ConfigError unless a number of images, where given, is one or more."""
    if limit is not None and limit < LEAST_COUNT:
        raise ConfigError(
            f"data.limit: {limit} images; give at least {LEAST_COUNT}, or leave it out"
        )


def check_form(image_size: int | tuple[int, int] | None, channels: int | None) -> None:
    """Raise ConfigError unless size and channels, where given, are ones that are supported."""
    if image_size is not None and np.min(image_size) < 1:
        raise ConfigError(f"data.image_size: {image_size}; give at least 1 pixel")
    if channels not in (None, 1, 3):
        raise ConfigError(f"data.channels: {channels}; give 1 (grey) or 3 (RGB)")


def check_memory(location: str, count: int, channels: int, size: tuple[int, int]) -> None:
    """Raise DataError if so many images of this form take more than `MAX_BYTES`."""
    taken = count * channels * size[0] * size[1]
    if taken > MAX_BYTES:
        raise DataError(
            f"{location}: {count} images of {channels} x {size[0]} x {size[1]} take "
            f"{taken / 2**30:.1f} GiB; at most {MAX_BYTES / 2**30:g} GiB are allowed: set "
            "data.limit or a smaller data.image_size, or prepare a set, which stays in its file: "
            "ppgan-zoo data prepare"
        )


def scale_to_range(
    pixels: NDArray[np.uint8], image_range: tuple[float, float]
) -> NDArray[np.float32]:
    """Map 0..255 linearly to `image_range`: ``pixel / 127.5 - 1`` for ``(-1, 1)``.

    Args:
        pixels: uint8, any shape.
        image_range: The values that 0 and 255 become, low then high.

    Returns:
        float32 of the same shape, C-contiguous; each value is the correctly rounded one.

    Raises:
        ConfigError: `image_range` is empty or not finite.
    """
    low, high = image_range
    return _scaled_pixels(low, high).take(pixels)


def dequantised(
    pixels: NDArray[np.uint8], noise: NDArray[np.uint16], image_range: tuple[float, float]
) -> NDArray[np.float32]:
    """Map each grey level to its 256th of `image_range`, and each pixel to a place within it.

    ``low + (high - low) (pixel + u) / 256``, u uniform in [0, 1): as the authors of WGAN-GP
    train, for whom ``2 (pixel / 256 - 0.5) + U(0, 1/128)``. Then D cannot tell real images by
    their values being of a grid that G's are not of.

    Args:
        pixels: uint8, any shape.
        noise: u in steps of 1/65536, the same shape.
        image_range: The range, low then high.

    Returns:
        float32 of the same shape.

    Raises:
        ConfigError: `image_range` is empty or not finite.
    """
    low, high = check_range(*image_range)
    steps = (pixels.astype(np.uint32) << 16) | noise  # 24 bits, which float32 has exactly
    return steps.astype(np.float32) * np.float32((high - low) / 2**24) + np.float32(low)


def to_uint8(values: NDArray[np.floating], image_range: tuple[float, float]) -> NDArray[np.uint8]:
    """Map `image_range` to 0..255, to the nearest; the inverse of `scale_to_range`.

    Args:
        values: Floating point, any shape; what lies outside the range is clipped.
        image_range: The values that become 0 and 255, low then high.

    Returns:
        uint8 of the same shape.

    Raises:
        ConfigError: `image_range` is empty or not finite.
        DataError: A value is NaN, which no pixel can show.
    """
    low, high = check_range(*image_range)
    scaled = np.clip(values, low, high)
    if np.isnan(scaled).any():
        raise DataError(
            f"images: {int(np.isnan(scaled).sum())} of {scaled.size} values are NaN; "
            f"values from {low:g} to {high:g} are expected: the generator has diverged"
        )
    scaled = (scaled - low) * (255.0 / (high - low))
    pixels: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return pixels


@lru_cache(maxsize=8)
def _scaled_pixels(low: float, high: float) -> NDArray[np.float32]:
    """Return what the 256 pixel values become, as a read-only table."""
    low, high = check_range(low, high)
    table: NDArray[np.float32] = (np.arange(256) / (255.0 / (high - low)) + low).astype(np.float32)
    table.flags.writeable = False
    return table


def check_range(low: float, high: float) -> tuple[float, float]:
    """Return the range as floats, or raise ConfigError if it is empty or not finite."""
    if not (np.isfinite([low, high]).all() and low < high):
        raise ConfigError(f"image range ({low}, {high}); give finite numbers, low before high")
    return float(low), float(high)
