"""Long work says what it is at, how far it is, and how long it will still take.

A library function names its stages by :func:`stage`. Nothing is shown of them unless a program,
such as a command, asks for it by :func:`shown`: then a bar on a terminal, and elsewhere a line
about once a minute.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped]

from ppgan_zoo.storage.durations import HEARTBEAT_S, MEASURED_S, WORTH_S, in_time
from ppgan_zoo.storage.terminal import tell

Advance = Callable[[int], None]
"""To be called with how many more are done."""

Show = Callable[[str, int | None], AbstractContextManager[Advance]]

BAR_FORMAT = "{percentage:3.0f}%|{bar}| {remaining} left, {desc}{n_fmt}/{total_fmt}{postfix}"
"""The time left comes first: on a narrow terminal the end of the line is cut off."""

_show: ContextVar[Show | None] = ContextVar("_show", default=None)


class Bar(tqdm):  # type: ignore[misc]
    """A bar with the time left, on standard error, without the thread that tqdm starts.

    Args:
        total: What it ends at; None for a line without a bar.
        what: In a few words what it is of, or "".
        options: As tqdm has them.
    """

    monitor_interval = 0

    def __init__(self, total: int | None, what: str = "", **options: Any) -> None:
        known = total is not None
        super().__init__(
            total=total,
            desc=f"{what}: " if known and what else what,
            bar_format=BAR_FORMAT if known else "{desc} ...",
            dynamic_ncols=True,
            disable=None,
            **options,
        )


class RateBar(tqdm):  # type: ignore[misc]
    """A bar that also says how many are done a second; shown on a terminal alone.

    Args:
        total: What it ends at.
        done: How many are done already.
        unit: What they are: ``"files"``.
    """

    monitor_interval = 0

    def __init__(self, total: int, done: int, unit: str) -> None:
        super().__init__(
            total=total, initial=done, unit=f" {unit}", file=sys.stderr, disable=None,
            dynamic_ncols=True,
        )  # fmt: skip


def is_on_terminal() -> bool:
    """Tell whether standard error is a terminal, where a bar can be drawn."""
    return sys.stderr is not None and sys.stderr.isatty()


def tell_above_bars(line: str) -> None:
    """Print a line to standard error without tearing a bar that is there."""
    # The bar that is put aside writes too, and the terminal may be gone.
    with contextlib.suppress(OSError, ValueError), tqdm.external_write_mode(file=sys.stderr):
        tell(line)


@contextlib.contextmanager
def stage(what: str, total: int | None = None) -> Iterator[Advance]:
    """Do one stage of long work inside the block; a stage of it is not shown beside it.

    Args:
        what: In a few words, such as ``"10,000 samples"``.
        total: How many steps it has; None where that is not known.

    Yields:
        What to call with the number of steps that were done.
    """
    show = _show.get()
    if show is None:
        yield lambda count: None
        return
    token = _show.set(None)
    try:
        with show(what, total) as advance:
            yield advance
    finally:
        _show.reset(token)


@contextlib.contextmanager
def shown(
    *,
    has_bar: Callable[[], bool] = is_on_terminal,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Show the stages of what is done inside the block.

    Args:
        has_bar: Whether there is a terminal for bars.
        clock: Returns seconds; for tests.
    """
    show: Show = _bar if has_bar() else lambda what, total: _lines(what, total, clock)
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


@contextlib.contextmanager
def _bar(what: str, total: int | None) -> Iterator[Advance]:
    bar = Bar(total, what, leave=False)

    def advance(count: int) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; the work is to go on
            bar.update(count)

    try:
        yield advance
    finally:
        with contextlib.suppress(OSError):
            bar.close()


@contextlib.contextmanager
def _lines(what: str, total: int | None, clock: Callable[[], float]) -> Iterator[Advance]:
    began, told, done = clock(), 0.0, 0

    def advance(count: int) -> None:
        nonlocal told, done
        done += count
        now = clock()
        if not total or not 0 < done < total:
            return
        left = (now - began) / done * (total - done)
        begins = not told and now - began >= MEASURED_S and left >= WORTH_S
        if begins or (told and now - told >= HEARTBEAT_S):
            told = now
            share = 100 * done // total
            tell(f"{what}: {done:,} of {total:,} ({share} %), about {in_time(left)} left")

    yield advance
