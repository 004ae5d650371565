"""Which pictures of a model are to be made: what each is of, without any of them in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.latent import Code, Latent

MOST_PICTURES = 1_000_000
"""That are made at once."""

FEWEST_DIGITS = 6  # of the number in a file's name

_SEEDS = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


@dataclass(frozen=True, eq=False)
class Order:
    """Pictures to be made, each the ``index``-th one of a seed.

    Attributes:
        latent: The prior of z.
        seeds: Of each picture, int64 ``[N]``.
        indices: Which picture of its seed each is, from 0, int64 ``[N]``.
        labels: int64 ``[N]``, or None for a model without labels.
        classes: The names of the labels; none without labels.
        alone: Whether each picture has a seed, and passes through the net alone: then a seed has
            the same picture whatever it is asked for with. Otherwise all have one seed.
    """

    latent: Latent
    seeds: NDArray[np.int64]
    indices: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    alone: bool

    @classmethod
    def of_one_seed(
        cls,
        latent: Latent,
        count: int,
        seed: int,
        labels: NDArray[np.int64] | None,
        classes: tuple[str, ...] = (),
    ) -> Order:
        """Return an order of the first `count` pictures of a seed."""
        seeds, indices = np.full(count, seed, np.int64), np.arange(count, dtype=np.int64)
        return cls(latent, seeds, indices, labels, classes, alone=False)

    @classmethod
    def of_seeds(
        cls,
        latent: Latent,
        seeds: NDArray[np.int64],
        labels: NDArray[np.int64] | None,
        classes: tuple[str, ...] = (),
    ) -> Order:
        """Return an order of the first picture of each seed."""
        return cls(latent, seeds, np.zeros_like(seeds), labels, classes, alone=True)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.seeds)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """What tells each picture from the others: its seed, or its index."""
        return self.seeds if self.alone else self.indices

    @cached_property
    def _digits(self) -> int:
        return max(FEWEST_DIGITS, len(str(self.numbers.max())))

    def stem(self, place: int) -> str:
        """Return what the file of one picture is called: its number, all of one length."""
        return f"{self.numbers[place]:0{self._digits}d}"

    def describe(self, place: int) -> dict[str, Any]:
        """Return what one picture is made of, as plain data; z follows from seed and index."""
        facts: dict[str, Any] = {"seed": int(self.seeds[place]), "index": int(self.indices[place])}
        if self.labels is not None:
            label = int(self.labels[place])
            facts.update(label=label, **{"class": self.classes[label]})
        return facts

    def codes(self, size: int) -> Iterator[Code]:
        """Yield what the pictures are made of, at most `size` of them at once."""
        size = 1 if self.alone else size
        for start, z in zip(range(0, len(self), size), self.zs(size), strict=True):
            labels = None if self.labels is None else self.labels[start : start + size]
            yield Code(z, labels)

    def zs(self, size: int) -> Iterator[NDArray[np.float32]]:
        """Yield the z of all pictures, ``[n, dim]``, at most `size` of them at once."""
        if not self.alone:
            yield from self.latent.blocks(len(self), size, int(self.seeds[0]))
            return
        for seed in self.seeds:
            yield self.latent.sample(1, int(seed))


def parse_picture_seeds(text: str) -> NDArray[np.int64]:
    """Return the seeds of a list such as ``"3,17,40-60"``, in its order.

    Raises:
        ConfigError: It is no such list, names a seed twice, or is longer than
            :data:`MOST_PICTURES`.
    """
    found: list[range] = []
    for part in text.split(","):
        match = _SEEDS.fullmatch(part.strip())
        first, last = (0, -1) if match is None else (int(match[1]), int(match[2] or match[1]))
        if last < first:
            raise ConfigError(
                f"--seeds {text}: {part!r} is not a seed; give numbers and ranges from low to "
                "high, such as 3,17,40-60"
            )
        found.append(range(first, last + 1))
    if sum(map(len, found)) > MOST_PICTURES:
        raise ConfigError(f"--seeds {text}: more than {MOST_PICTURES} seeds; give fewer")
    seeds = np.concatenate([np.arange(part.start, part.stop, dtype=np.int64) for part in found])
    if len(np.unique(seeds)) < len(seeds):
        raise ConfigError(f"--seeds {text}: a seed is there twice; each has one picture")
    return seeds
