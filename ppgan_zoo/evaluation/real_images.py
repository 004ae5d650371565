"""The real images of an evaluation: which set, which split, which of its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ppgan_zoo.data import ImageSet, load_image_set
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.recipe.bounds import FEWEST_IMAGES
from ppgan_zoo.registry import DATA

REAL_IMAGES = 10_000
"""The most real images that samples are compared with: as many as the test sets have."""


@dataclass(frozen=True)
class DataSource:
    """The image set of an evaluation.

    Attributes:
        name: Of a kind of data.
        train_directory: Where its training split is; None for the known places.
        test_directory: Where its test split is; None for the known places. Of a kind without
            splits, where the images are that are held out.
        options: Of the kind itself.
        trained_on: What the run's manifest says of its images; None if there is no run.
        best_on_test: Whether the run chose its best checkpoint by the test images.
        limit_seed: Of the part that the run was trained on.
    """

    name: str
    train_directory: str | None
    test_directory: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    trained_on: Mapping[str, Any] | None = None
    best_on_test: bool = False
    limit_seed: int = 0


@dataclass(eq=False)
class RealImages:
    """The real images that an evaluation needs, each set loaded when it is asked for.

    Attributes:
        source: The image set.
        image_shape: Channels, height and width that all images are brought to.
        split: What samples are compared with: ``"test"`` or ``"train"``.
        offline: Whether to leave the network alone.
        notify: Called with a line of text for whatever the user should know.
    """

    source: DataSource
    image_shape: tuple[int, int, int]
    split: str
    offline: bool
    notify: Callable[[str], None]

    @cached_property
    def train(self) -> ImageSet:
        """The whole training split."""
        if self.source.train_directory is None and DATA.get(self.source.name).needs_directory:
            raise ConfigError(
                "no training pictures are known, only those of --data-dir; leave out what compares "
                "with them, such as memorisation"
            )
        return self._load("train", self.source.train_directory)

    @cached_property
    def test(self) -> ImageSet:
        """The whole test split."""
        directory = self.source.test_directory
        if directory is not None and not DATA.get(self.source.name).has_splits:
            return self._load("train", directory)  # all that it has
        try:
            return self._load("test", directory)
        except (ConfigError, DataError) as error:
            if self.split == "train":
                raise
            raise DataError(
                f"{error}; or compare with the training images, which proves less: --split train"
            ) from None

    def _load(self, split: str, directory: str | None) -> ImageSet:
        channels, height, width = self.image_shape
        return load_image_set(
            self.source.name,
            directory=directory,
            split=split,
            offline=self.offline,
            image_size=height if height == width else (height, width),
            channels=channels,
            notify=self.notify,
            options=self.source.options,
        )

    @property
    def whole(self) -> ImageSet:
        """The split that samples are compared with."""
        return self.test if self.split == "test" else self.train

    @cached_property
    def compared(self) -> ImageSet:
        """The images of it that samples are compared with.

        Raises:
            DataError: There are too few.
        """
        if len(self.whole) < FEWEST_IMAGES:
            found = f"{self.whole.location}: {len(self.whole)} images"
            raise DataError(
                f"{found}; metrics need {FEWEST_IMAGES}"
                if self.split == "train"
                else f"{found} are held out; metrics need {FEWEST_IMAGES}: hold back a larger "
                "share (of a prepared set: --held-out), or compare with the training images: "
                "--split train"
            )
        return choose(self.whole, REAL_IMAGES)

    @cached_property
    def trained_on(self) -> ImageSet:
        """What the run was trained on: the training split, or a part of it."""
        known = self.source.trained_on
        return (
            self.train
            if known is None
            else self.train.limit(int(known["count"]), self.source.limit_seed)
        )

    def is_known_to_be_trained_on(self) -> bool:
        """Tell whether :attr:`trained_on` has the SHA-256 that the run's manifest states."""
        known = self.source.trained_on
        if known is None:
            return False
        if list(known["image_shape"]) != list(self.image_shape):  # resized: by count alone
            return int(known["count"]) == len(self.trained_on)
        return bool(known["sha256"] == self.trained_on.sha256)

    def in_place_of_samples(self, count: int) -> ImageSet:
        """Return real images of the other split, to be measured as if they were samples."""
        return choose(self.train if self.split == "test" else self.test, count)


def choose(images: ImageSet, count: int) -> ImageSet:
    """Return `count` images (all, if there are fewer) in a fixed random order.

    The order matters to figures that are taken of parts, since data sets are sorted in
    some way; made from raw draws it is the same with every version of NumPy.
    """
    order = np.argsort(np.random.PCG64(0).random_raw(len(images)), kind="stable")[:count]
    labels = None if images.labels is None else images.labels[order]
    return images.replaced(images.images[order], labels)
