"""Several processes that train one model together: which this one is, and what all agree on.

Every draw is a function of (seed, iteration), so that each process draws for all and takes
its own rows: N processes then compute what one computes on N times the images each, up to
rounding. Launcher and collectives are Paddle's:
``python -m paddle.distributed.launch --nproc_per_node 2 script.py``.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ppgan_zoo.distributed.pulse import Pulse
from ppgan_zoo.distributed.streams import RANK, end_with_parent, processes
from ppgan_zoo.errors import ConfigError, TrainingError
from ppgan_zoo.storage.checkpoint import Arrays
from ppgan_zoo.storage.files import read_regular

LOGS = "PADDLE_LOG_DIR"
SPOKEN = "ppgan-zoo: "
"""What the line begins with that a process of the zoo ends with."""

FACTS = "facts"
"""Beside the arrays of a state that is sent: no net or part has a name without a slash."""

TROUBLE = ("gloo", "nccl", "connection")
"""In the words of a collective whose other side is gone."""


class ProcessLostError(TrainingError):
    """Another process of the group has ended, or failed, and this one cannot go on without it."""


@dataclass(frozen=True)
class Group:
    """Which process this is, and of how many.

    Attributes:
        rank: 0 to ``size - 1``; the process of rank 0 leads: it alone reads and writes the run.
        size: How many processes there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Group:
        """Return the group that Paddle's launcher started this process in, ready for use.

        A process that was started without it is a group of its own. To be called when the
        device has been chosen, which says how they exchange numbers.
        """
        if started() == cls():
            return cls()
        from paddle import distributed

        if not distributed.is_initialized():
            if by_gloo():
                os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"
            with contextlib.redirect_stderr(io.StringIO()):  # it tells of flags that it sets itself
                distributed.init_parallel_env()
            end_with_parent()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process is the one that reads and writes the run."""
        return self.rank == 0

    def check(self, count: int, parts: int = 1) -> None:
        """Make sure that a batch can be shared out.

        Args:
            count: Images of a batch.
            parts: What each batch is split into first (accumulated gradients, packing).

        Raises:
            ConfigError: It cannot be, evenly.
        """
        if count % (self.size * parts):
            of_parts = f", {parts} parts each" if parts > 1 else ""
            raise ConfigError(
                f"data.batch_size: {count} images cannot be shared out to {self.size} processes"
                f"{of_parts}; give a multiple of {self.size * parts}"
            )

    def own(self, rows: Any, parts: int = 1) -> Any:
        """Return this process's rows of an array or a tensor that all have, in each of its parts.

        Args:
            rows: ``[N, ...]``; part p of it is rows ``p N / parts`` and on.
            parts: How many parts its rows are computed with one after the other.

        Raises:
            ConfigError: They cannot be shared out evenly.
        """
        if self.size == 1:
            return rows
        count, *rest = rows.shape
        self.check(count, parts)
        share = count // (parts * self.size)
        own = rows.reshape([parts, self.size, share, *rest])[:, self.rank]
        return own.reshape([parts * share, *rest])

    def share(self, count: int) -> slice:
        """Return which of so many rows are this process's: as many as of the others, or one more.

        In order of the ranks.
        """
        first, last = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(first, last)

    def gathered(self, rows: Any, count: int) -> Any:
        """Return the rows of all processes, an array ``[count, ...]``, of those of this one.

        Args:
            rows: This process's :meth:`share`.
            count: Of all.
        """
        if self.size == 1:
            return rows
        import paddle

        whole = np.zeros((count, *rows.shape[1:]), rows.dtype)
        whole[self.share(count)] = rows
        return self.total(paddle.to_tensor(whole)).numpy()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Compute as one with the other processes inside; each must do the same there.

        What looks at a whole batch (:mod:`ppgan_zoo.distributed.collectives`) looks at the
        batches of all. Outside, each process computes by itself.
        """
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def average_gradients(self, parameters: Iterable[Any]) -> None:
        """Replace each parameter's gradient by its mean over the processes."""
        if self.size == 1:
            return
        from paddle.distributed.fleet.utils.hybrid_parallel_util import fused_allreduce_gradients

        fused_allreduce_gradients([p for p in parameters if p.grad is not None], None)

    def mean(self, scalars: Mapping[str, Any]) -> dict[str, Any]:
        """Return the means of scalars over the processes; all must have the same names."""
        if self.size == 1:
            return dict(scalars)
        import paddle

        together = paddle.concat(
            [value.reshape([1]).astype("float32") for value in scalars.values()]
        )
        means = self.total(together) / self.size
        return {
            key: means[index].reshape(value.shape)
            for index, (key, value) in enumerate(scalars.items())
        }

    def total(self, value: Any) -> Any:
        """Return the sum of a tensor over the processes, without a graph."""
        from paddle import distributed

        total = value.detach().clone()
        if self.size > 1:
            distributed.all_reduce(total)
        return total

    def agree(self, stop: bool, *, failed: bool = False) -> bool:
        """Tell the others, between two iterations, how it stands here; return whether to stop.

        Args:
            stop: Whether this process was asked to stop.
            failed: Whether something went wrong here, which this process says by itself.

        Raises:
            LeaderLeft: Something went wrong in the leader.
            ProcessLostError: In another process.
        """
        if self.size == 1:
            return stop
        with losses_told(self):
            stops, leader, other = self._meet(
                stop, failed and self.leads, failed and not self.leads
            )
        if not failed and leader:
            raise LeaderLeft
        if not failed and other:
            raise ProcessLostError(lost())
        return stops

    @contextlib.contextmanager
    def waited_for(self) -> Iterator[None]:
        """Let the others wait for the leader as long as it is in the block; others do nothing here.

        They must be where they meet it next (:meth:`agree`, :meth:`receive`), and the block must
        not exchange anything with them. By itself gloo waits for 30 seconds, nccl for 30 minutes.
        """
        if self.size > 1 and self.leads and by_gloo():
            with _pulse().wanted():
                yield
        else:
            yield

    def _meet(self, *flags: bool, later: bool = False) -> list[bool]:
        """Return which flags are set in any process, once all are here.

        Args:
            *flags: As many in each process.
            later: Whether the leader only says that it will come.
        """
        import paddle

        while True:
            *found, waits = self.total(paddle.to_tensor([*flags, later], "float32")).tolist()
            if later or not waits:
                return [bool(flag) for flag in found]

    def send(self, arrays: Mapping[str, Arrays] | None, facts: Mapping[str, Any]) -> None:
        """Hand a trainer's state to the others, who wait in :meth:`receive`; None: it is over.

        Args:
            arrays: The state, or None.
            facts: What JSON can hold.
        """
        if self.size == 1:
            return
        flat: dict[str, Any] = {
            f"{name}/{key}": array
            for name, part in (arrays or {}).items()
            for key, array in {"": np.zeros(0), **part}.items()  # so that an empty part is told
        }
        flat[FACTS] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        self._broadcast(b"" if arrays is None else save(flat))

    def receive(self) -> tuple[dict[str, Arrays], dict[str, Any]] | None:
        """Wait for what the leader sends: a state with the facts beside it; None: it is over."""
        data = self._broadcast()
        if not data:
            return None
        flat = load(data)
        facts: dict[str, Any] = json.loads(flat.pop(FACTS).tobytes())
        arrays: dict[str, Arrays] = {}
        for name, array in flat.items():
            part, _, key = name.partition("/")
            arrays.setdefault(part, {})
            if key:
                arrays[part][key] = array
        return arrays, facts

    def _broadcast(self, data: bytes = b"") -> bytes:
        """Return the leader's bytes, in each process."""
        import paddle
        from paddle import distributed

        self._meet(False, False, False)
        announced = paddle.to_tensor([len(data)], "int64")
        distributed.broadcast(announced, 0)
        length = int(announced.item())
        if not length:
            return b""
        mine = np.frombuffer(data, np.uint8) if self.leads else np.zeros(length, np.uint8)
        content = paddle.to_tensor(mine)
        distributed.broadcast(content, 0)
        return bytes(content.numpy().tobytes())

    def generator(self, *key: int) -> Any:
        """Return numpy's generator of a key, as this process is to use it."""
        generator = np.random.default_rng(key)
        return generator if self.size == 1 else _SharedGenerator(generator, self)


class LeaderLeft(Exception):
    """The leader has left training by an error; it says next what becomes of the run."""


def by_gloo() -> bool:
    """Tell whether the processes exchange numbers by gloo, as they do on CPUs."""
    import paddle

    return str(paddle.get_device()) == "cpu"


@functools.cache
def _pulse() -> Pulse:
    """Return what tells the others, in the leader, that they are to wait on."""
    group = Group.current()
    return Pulse(lambda: group._meet(False, False, False, later=True))


_active: ContextVar[Group | None] = ContextVar("group", default=None)


def active() -> Group:
    """Return the group that computes together now: this process alone, outside of a step."""
    return _active.get() or Group()


def started() -> Group:
    """Return the group that Paddle's launcher started this process in; nothing is set up."""
    size = processes()
    return Group(int(os.environ.get(RANK, "0")), size) if size > 1 else Group()


def lost() -> str:
    """Return the line of an end that another process brought about: with its last words, if any.

    Paddle's launcher keeps what each process of this machine says in a folder.
    """
    line = "another process has ended, or failed, and training cannot go on without it"
    logs = sorted(Path(os.environ.get(LOGS, os.devnull)).glob("workerlog.*"))
    for log in logs:
        with contextlib.suppress(OSError):
            for said in reversed(read_regular(log).decode(errors="replace").splitlines()):
                if said.startswith(SPOKEN) and line not in said:
                    return f"process {log.suffix[1:]} of this machine: {said.removeprefix(SPOKEN)}"
    return line


@contextlib.contextmanager
def losses_told(group: Group) -> Iterator[None]:
    """Turn the failure of a collective whose other side is gone into a line of the zoo's.

    Raises:
        ProcessLostError: That happened inside.
    """
    try:
        yield
    except (RuntimeError, SystemError, OSError) as error:
        words = f"{error} {error.__cause__ or ''}".lower()
        if group.size == 1 or not any(word in words for word in TROUBLE):
            raise
        raise ProcessLostError(lost()) from None


class _SharedGenerator:
    """A generator of which each process gets its rows: the first axis is the images.

    A number without a size is the same one in all processes. It has the methods of numpy's that
    draw each number by itself.
    """

    def __init__(self, generator: np.random.Generator, group: Group) -> None:
        self._generator = generator
        self._group = group

    def random(self, size: Any = None, **options: Any) -> Any:
        """As numpy's, of the whole batch; return this process's rows."""
        return self._own(self._generator.random, size, options)

    def standard_normal(self, size: Any = None, **options: Any) -> Any:
        """Likewise."""
        return self._own(self._generator.standard_normal, size, options)

    def integers(self, low: int, high: int | None = None, size: Any = None, **options: Any) -> Any:
        """Likewise."""
        return self._own(self._generator.integers, size, {"low": low, "high": high, **options})

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
        """Likewise."""
        return self._own(self._generator.uniform, size, {"low": low, "high": high})

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Any = None) -> Any:
        """Likewise."""
        return self._own(self._generator.normal, size, {"loc": loc, "scale": scale})

    def __getattr__(self, name: str) -> Any:
        """Refuse the rest of numpy's.

        Raises:
            AttributeError: Always.
        """
        known = ", ".join(method for method in vars(type(self)) if not method.startswith("_"))
        raise AttributeError(f"rng.{name}: of several processes rng has only {known}")

    def _own(self, draw: Callable[..., Any], size: Any, options: dict[str, Any]) -> Any:
        if size is None:
            return draw(**options)
        first, *rest = (size,) if isinstance(size, (int, np.integer)) else size
        drawn = draw(size=(first * self._group.size, *rest), **options)
        return self._group.own(drawn)
