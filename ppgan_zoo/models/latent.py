"""The code that G makes an image of: z from the latent prior and, where G takes one, a label.

Both are pure functions of (seed, key), in numpy. Drawing outside Paddle makes the same seed
give the same bytes on every version and device, in training, in sampling and for an exported
model, and leaves no random state to be saved: a resumed run draws what the uninterrupted one
would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError

Prior = Literal["normal", "uniform"]
PRIORS: tuple[str, ...] = get_args(Prior)

# Added to a key, so that labels share no random numbers with the z beside them.
_LABELS = 0x1ABE1


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
    """The distribution that z comes from.

    Attributes:
        dim: Size of one z.
        prior: ``"normal"`` for N(0, 1), ``"uniform"`` for U(-1, 1).
    """

    dim: int
    prior: Prior = "normal"

    def __post_init__(self) -> None:
        """Refuse a prior that is not known."""
        if self.prior not in PRIORS:
            raise ConfigError(f"latent prior {self.prior!r}: known: {', '.join(PRIORS)}")

    def sample(self, count: int, *key: int) -> NDArray[np.float32]:
        """Draw z ``[count, dim]`` (float32).

        The first rows do not depend on `count`.

        Args:
            count: How many.
            *key: Non-negative integers (a seed, then whatever tells this draw from
                others, such as the iteration); equal keys give equal bytes. Zeros at the
                end do not count: numpy pads a key with them.
        """
        generator = np.random.default_rng(key)
        if self.prior == "uniform":
            return 2.0 * generator.random((count, self.dim), dtype=np.float32) - np.float32(1.0)
        return generator.standard_normal((count, self.dim), dtype=np.float32)


def sample_labels(count: int, num_classes: int, *key: int) -> NDArray[np.int64]:
    """Draw labels ``int64 [count]``, every class as likely as every other.

    The first ones do not depend on `count`; arguments as for :meth:`Latent.sample`.
    """
    generator = np.random.default_rng((*key, _LABELS))
    return generator.integers(0, num_classes, count, dtype=np.int64)


def labels_in_turn(count: int, num_classes: int) -> NDArray[np.int64]:
    """Return labels ``int64 [count]``: 0, 1, 2, ..., then 0 again."""
    return np.arange(count, dtype=np.int64) % num_classes
