"""A sign of life to processes that wait, from a thread beside the work that they wait for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

EVERY = 10.0
"""Seconds between two signs. Gloo waits for 30, which Paddle gives no way to change."""


class Pulse:
    """A thread that gives a sign of life every few seconds while it is wanted.

    Args:
        beat: Gives it. An error of it is passed over: the next thing that the processes do
            together fails as well, and says so.
    """

    def __init__(self, beat: Callable[[], object]) -> None:
        self._beat = beat
        self._since: float | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    @contextlib.contextmanager
    def wanted(self) -> Iterator[None]:
        """Give signs while the block runs; none is under way before it or after it."""
        with self._lock:
            self._since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._since = None

    def _run(self) -> None:
        while True:
            time.sleep(EVERY / 10)
            with self._lock:
                if self._since is not None and time.monotonic() - self._since >= EVERY:
                    with contextlib.suppress(Exception):
                        self._beat()
                    self._since = time.monotonic()
