"""Several processes that train one model together.

Every draw is a function of (seed, iteration), so that each process draws for all and takes
its own rows: N processes then compute what one computes on N times the images each, up to
rounding, for nets in which each image is judged on its own (batch norm takes statistics of
the images of one process). Launcher and collectives are Paddle's:
``python -m paddle.distributed.launch --nproc_per_node 2 script.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppgan_zoo.errors import ConfigError


@dataclass(frozen=True)
class Group:
    """Which process this is, and of how many.

    Attributes:
        rank: 0 to ``size - 1``; the process of rank 0 is the one that writes.
        size: How many processes there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Group:
        """Return the group that Paddle's launcher started this process in, ready for use.

        A process that was started without it is a group of its own.
        """
        size = int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
        if size == 1:
            return cls()
        from paddle import distributed

        if not distributed.is_initialized():
            distributed.init_parallel_env()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def rows(self, count: int) -> slice:
        """Return which of `count` rows are this process's.

        Raises:
            ConfigError: They cannot be shared out evenly.
        """
        if count % self.size:
            raise ConfigError(
                f"data.batch_size: {count} images cannot be shared out to {self.size} processes; "
                f"give a multiple of {self.size}"
            )
        share = count // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def average_gradients(self, parameters: Iterable[Any]) -> None:
        """Replace each parameter's gradient by its mean over the processes."""
        if self.size == 1:
            return
        from paddle.distributed.fleet.utils.hybrid_parallel_util import fused_allreduce_gradients

        fused_allreduce_gradients([p for p in parameters if p.grad is not None], None)

    def mean(self, value: Any) -> Any:
        """Return the mean of a tensor over the processes."""
        if self.size == 1:
            return value
        from paddle import distributed

        total = value.clone()
        distributed.all_reduce(total)
        return total / self.size

    def generator(self, *key: int) -> Any:
        """Return numpy's generator of a key, as this process is to use it."""
        generator = np.random.default_rng(key)
        return generator if self.size == 1 else _SharedGenerator(generator, self)


class _SharedGenerator:
    """A generator of which each process gets its rows: the first axis is the images."""

    def __init__(self, generator: np.random.Generator, group: Group) -> None:
        self._generator = generator
        self._group = group

    def random(self, size: Any, **options: Any) -> Any:
        """As numpy's, of the whole batch; return this process's rows."""
        return self._own(self._generator.random(self._whole(size), **options))

    def standard_normal(self, size: Any, **options: Any) -> Any:
        """Likewise."""
        return self._own(self._generator.standard_normal(self._whole(size), **options))

    def integers(self, low: int, high: int, size: Any, **options: Any) -> Any:
        """Likewise."""
        return self._own(self._generator.integers(low, high, self._whole(size), **options))

    def _whole(self, size: Any) -> tuple[int, ...]:
        first, *rest = (size,) if isinstance(size, int) else size
        return (first * self._group.size, *rest)

    def _own(self, drawn: Any) -> Any:
        return drawn[self._group.rows(len(drawn))]
