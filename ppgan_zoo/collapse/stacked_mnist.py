"""Stacked MNIST: three random digits as the channels of one image, 1,000 modes.

Metz et al. 2017 (Unrolled GAN), by the protocol of Lin et al. 2018 (PacGAN, section 4.2):
128,000 training images of 28x28x3; 26,000 samples; a classifier of MNIST names the digit
of each channel; modes found is the number of different triples, and the figure is
KL(p || uniform over the 1,000 triples).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.collapse.modes import ModeCount, count_modes
from ppgan_zoo.data import ImageSet, scale_to_range, to_uint8

if TYPE_CHECKING:
    from ppgan_zoo.metrics.features import FeatureNetwork

TRAINING_IMAGES = 128_000
MODES = 1000
CLASSIFIED_AT_ONCE = 1000

_STACKS = 0x57AC  # told apart from the order of other data


class StackedDigits:
    """A set of stacked images of which none is stored: image i is a function of (seed, i).

    Args:
        digits: Grey images, one digit each.
        count: Images in the set.
        seed: Of which digits are stacked.
    """

    def __init__(self, digits: ImageSet, count: int, seed: int) -> None:
        self.digits = digits
        # Raw draws, since NumPy promises that they never change. Modulo favours no digit by
        # more than one part in 10^14.
        sequence = np.random.SeedSequence(seed, spawn_key=(_STACKS,))
        draws = np.random.PCG64(sequence).random_raw(3 * count)
        self.chosen = (draws % np.uint64(len(digits))).astype(np.int64).reshape(count, 3)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.chosen)

    def images(self, positions: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images ``uint8 [N, 3, H, W]`` of these positions."""
        return self.digits.images[self.chosen[positions], 0]

    def modes(self) -> NDArray[np.int64] | None:
        """Return the true mode of every image, 0 to 999; None if the digits have no labels."""
        labels = self.digits.labels
        return None if labels is None else labels[self.chosen] @ np.array([100, 10, 1])


class StackedBatches:
    """Batches of stacked images in the order of the set, which is random already.

    Args:
        images: The set.
        size: Images in an iteration.
        image_range: What pixel values 0 and 255 become.
    """

    def __init__(self, images: StackedDigits, size: int, image_range: tuple[float, float]) -> None:
        self.images = images
        self.size = size
        self.image_range = image_range
        self.steps_per_epoch = max(1, len(images) // size)

    def __getitem__(self, iteration: int) -> NDArray[np.float32]:
        """Return the images of one iteration ``[size, 3, H, W]``."""
        first = iteration % self.steps_per_epoch * self.size
        positions = np.arange(first, first + self.size) % len(self.images)
        return scale_to_range(self.images.images(positions), self.image_range)


def classify(images: NDArray[np.uint8], network: FeatureNetwork) -> NDArray[np.int64]:
    """Return the mode of each stacked image ``uint8 [N, 3, H, W]``, 0 to 999."""
    count, channels, height, width = images.shape
    probabilities = network(images.reshape(count * channels, 1, height, width)).probabilities
    assert probabilities is not None  # of a classifier they are not
    digits = probabilities.argmax(axis=1).reshape(count, channels)
    return np.asarray(digits @ np.array([100, 10, 1]), dtype=np.int64)


def score_images(
    images: NDArray[np.float32], image_range: tuple[float, float], network: FeatureNetwork
) -> ModeCount:
    """Count the modes of generated images ``[N, 3, H, W]``; of NaN there are none."""
    if not np.isfinite(images).all():
        return ModeCount(0, None, None)
    return count_modes(classify(to_uint8(images, image_range), network), MODES)


def score_real(digits: ImageSet, count: int, network: FeatureNetwork) -> ModeCount:
    """Count the modes of real stacked images: the floor of every figure."""
    real = StackedDigits(digits, count, seed=0)
    classes = [
        classify(real.images(np.arange(start, min(start + CLASSIFIED_AT_ONCE, count))), network)
        for start in range(0, count, CLASSIFIED_AT_ONCE)
    ]
    return count_modes(np.concatenate(classes), MODES)
