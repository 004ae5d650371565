"""The latent prior: z as a pure function of (seed, key), in numpy.

Drawing z outside Paddle makes the same seed give the same bytes on every version and
device, in training, in sampling and for an exported model, and leaves no random state
to be saved: a resumed run draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.errors import ConfigError

Prior = Literal["normal", "uniform"]
PRIORS: tuple[str, ...] = get_args(Prior)


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
