"""The code that G makes an image of: z from the latent prior and, where G takes one, a label.

Both are pure functions of (seed, key), in numpy. Drawing outside Paddle makes the same seed
give the same bytes on every version and device, in training, in sampling and for an exported
model, and leaves no random state to be saved: a resumed run draws what the uninterrupted one
would have drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError

Prior = Literal["normal", "uniform"]
PRIORS: tuple[str, ...] = get_args(Prior)

# Added to a key, so that labels and codes share no random numbers with the z beside them.
_LABELS, _CODES, _AGAIN = 0x1ABE1, 0xC0DE5, 0xA6A15
_ROWS_SKIPPED = 4096  # at once

LEAST_TRUNCATION = 0.1
"""Below it nearly every number would be drawn again, and again."""


@dataclass(frozen=True)
class Code:
    """What G makes N images of: arrays or tensors, both of one kind.

    Attributes:
        z: float32 ``[N, latent_dim]``.
        labels: int64 ``[N]``, or None for a G without labels.
    """

    z: Any
    labels: Any = None

    def __len__(self) -> int:
        """Return N."""
        return int(self.z.shape[0])

    def __getitem__(self, rows: slice) -> Code:
        """Return some of the rows."""
        return Code(self.z[rows], None if self.labels is None else self.labels[rows])

    def map(self, function: Callable[[Any], Any]) -> Code:
        """Apply `function` to z and to the labels, where there are any."""
        return Code(function(self.z), None if self.labels is None else function(self.labels))

    def split(self, parts: int) -> list[Code]:
        """Return tensors in as many equal parts."""
        if parts == 1:  # split(1) would copy it
            return [self]
        zs = self.z.split(parts)
        labels = [None] * parts if self.labels is None else self.labels.split(parts)
        return [Code(*pair) for pair in zip(zs, labels, strict=True)]


@dataclass(frozen=True)
class Latent:
    """The distribution that z comes from: noise and, in some models, codes after it.

    A code is a part of z that a net learns to read off an image (Chen et al. 2016, InfoGAN).
    They are called c1, c2 and so on, the categorical ones first.

    Attributes:
        dim: Size of one z, codes included.
        prior: Of the noise: ``"normal"`` for N(0, 1), ``"uniform"`` for U(-1, 1).
        categorical: How many values each categorical code has, which are equally likely; in z
            it is a one-hot vector of that length.
        continuous: How many continuous codes there are: numbers from U(-1, 1).
        truncation: For sampling: each number of normal noise is drawn again as long as it is
            further from 0 than this (the truncation trick, Brock et al. 2019, section 3.1);
            None for none.

    Raises:
        ConfigError: An unknown prior, a code of fewer than two values, codes that are larger
            than z, or a truncation below 0.1 or of noise that is not normal.
    """

    dim: int
    prior: Prior = "normal"
    categorical: tuple[int, ...] = ()
    continuous: int = 0
    truncation: float | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no distribution."""
        if self.prior not in PRIORS:
            raise ConfigError(f"latent prior {self.prior!r}: known: {', '.join(PRIORS)}")
        if any(values < 2 for values in self.categorical) or self.continuous < 0:
            raise ConfigError(
                f"latent.categorical {list(self.categorical)}, continuous {self.continuous}: a "
                "categorical code has 2 values or more, and there are 0 continuous codes or more"
            )
        if self.noise_dim < 0:
            raise ConfigError(
                f"latent.dim: {self.dim}, and the codes in z take {self.dim - self.noise_dim}; "
                "give that or more, or fewer codes"
            )
        if self.truncation is None:
            return
        if self.prior != "normal":
            raise ConfigError(
                f"truncation: needs normal z, but this model's prior is {self.prior}; leave it out"
            )
        if not LEAST_TRUNCATION <= self.truncation < math.inf:  # NaN is refused too
            raise ConfigError(
                f"truncation {self.truncation:g}: give {LEAST_TRUNCATION:g} or more; 0.5 to 1 are "
                "usual"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain data: size, prior and, where there are any, codes."""
        plain: dict[str, Any] = {"dim": self.dim, "prior": self.prior}
        if self.codes():
            plain.update(categorical=list(self.categorical), continuous=self.continuous)
        return plain

    @property
    def noise_dim(self) -> int:
        """Size of the noise, which is what the codes leave of z."""
        return self.dim - sum(self.categorical) - self.continuous

    def codes(self) -> dict[str, slice]:
        """Return where each code stands in z, by name."""
        sizes = [*self.categorical, *[1] * self.continuous]
        ends = [self.noise_dim + sum(sizes[: place + 1]) for place in range(len(sizes))]
        return {
            f"c{place}": slice(end - size, end)
            for place, (size, end) in enumerate(zip(sizes, ends, strict=True), start=1)
        }

    def categories(self, z: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the values of the categorical codes of z ``[N, dim]``, int64 ``[N, codes]``."""
        places = list(self.codes().values())[: len(self.categorical)]
        values = [z[:, place].argmax(axis=1) for place in places]
        return np.array(values, np.int64).reshape(len(places), len(z)).T

    def first_category(self, z: NDArray[np.float32]) -> NDArray[np.int64] | None:
        """Return the value of c1, int64 ``[N]``; None if it is no categorical code."""
        return self.categories(z)[:, 0] if self.categorical else None

    def sample(self, count: int, *key: int) -> NDArray[np.float32]:
        """Draw z ``[count, dim]`` (float32).

        The first rows do not depend on `count`.

        Args:
            count: How many.
            *key: Non-negative integers (a seed, then whatever tells this draw from
                others, such as the iteration); equal keys give equal bytes. Zeros at the
                end do not count: numpy pads a key with them.
        """
        return _Draw(self, key)(count)

    def blocks(self, count: int, size: int, *key: int) -> Iterator[NDArray[np.float32]]:
        """Yield the rows of :meth:`sample` in blocks, so that they never are in memory together.

        Args:
            count: How many rows in all.
            size: Rows of a block; the last one may have fewer.
            *key: As for :meth:`sample`.
        """
        draw = _Draw(self, key)
        for start in range(0, count, size):
            yield draw(min(size, count - start))

    def sweep(self, name: str, steps: int, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """Let one code go through its values, all else of each z staying as it is.

        Args:
            name: Of the code.
            steps: Values of a continuous code, evenly from -1 to 1; a categorical one has all
                of its own.
            z: ``[N, dim]``.

        Returns:
            ``[N, values, dim]``.

        Raises:
            ConfigError: There is no such code.
        """
        codes = self.codes()
        if name not in codes:
            known = f"it has {', '.join(codes)}" if codes else "the model's z has none"
            raise ConfigError(f"--sweep {name}: no such code; {known}")
        size = codes[name].stop - codes[name].start
        values = np.linspace(-1.0, 1.0, steps)[:, None] if size == 1 else np.eye(size)
        swept = np.repeat(z[:, None, :], len(values), axis=1)
        swept[:, :, codes[name]] = values
        return swept


class _Draw:
    """Draws z block by block: together they are the rows that one block would have."""

    def __init__(self, latent: Latent, key: tuple[int, ...]) -> None:
        self._latent, self._key, self._drawn = latent, key, 0
        self._noise = np.random.default_rng(key)
        self._again: list[np.random.Generator] = []
        kinds = len(latent.categorical) + 1  # the last one is of all continuous codes
        self._codes = [np.random.default_rng((*key, _CODES, place)) for place in range(kinds)]

    def __call__(self, count: int) -> NDArray[np.float32]:
        """Return the next z, ``[count, dim]``."""
        latent, shape = self._latent, (count, self._latent.noise_dim)
        if latent.prior == "uniform":
            parts = [_uniform(self._noise, shape)]
        else:
            parts = [self._truncated(self._noise.standard_normal(shape, dtype=np.float32))]
        if latent.codes():
            *categorical, continuous = self._codes
            for generator, values in zip(categorical, latent.categorical, strict=True):
                drawn = generator.integers(0, values, count)
                parts.append(np.eye(values, dtype=np.float32)[drawn])
            parts.append(_uniform(continuous, (count, latent.continuous)))
        self._drawn += count
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _truncated(self, noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw again what is too far from 0, all at once, until nothing is."""
        if self._latent.truncation is None:
            return noise
        round_number = 0
        # A whole array each time: the first rows do not depend on how many there are. Every
        # stream is drawn from in each block, so that all stand at the same row.
        while (far := np.abs(noise) > self._latent.truncation).any() or (
            round_number < len(self._again)
        ):
            if round_number == len(self._again):
                self._again.append(self._late_stream(round_number, noise.shape[1]))
            drawn = self._again[round_number].standard_normal(noise.shape, dtype=np.float32)
            noise = np.where(far, drawn, noise)
            round_number += 1
        return noise

    def _late_stream(self, round_number: int, width: int) -> np.random.Generator:
        """Return the stream of one more round, brought to the row that is drawn next."""
        generator = np.random.default_rng((*self._key, _AGAIN, round_number))
        for start in range(0, self._drawn, _ROWS_SKIPPED):
            rows = min(_ROWS_SKIPPED, self._drawn - start)
            generator.standard_normal((rows, width), dtype=np.float32)
        return generator


def _uniform(generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    return 2.0 * generator.random(shape, dtype=np.float32) - np.float32(1.0)


def sample_labels(count: int, num_classes: int, *key: int) -> NDArray[np.int64]:
    """Draw labels ``int64 [count]``, every class as likely as every other.

    The first ones do not depend on `count`; arguments as for :meth:`Latent.sample`.
    """
    generator = np.random.default_rng((*key, _LABELS))
    return generator.integers(0, num_classes, count, dtype=np.int64)


def labels_in_turn(count: int, num_classes: int) -> NDArray[np.int64]:
    """Return labels ``int64 [count]``: 0, 1, 2, ..., then 0 again."""
    return np.arange(count, dtype=np.int64) % num_classes
