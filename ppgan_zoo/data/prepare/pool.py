"""Processes that decode pictures, as many as there are cores, and answers in the order of asking.

A process that a picture ends, as a flaw of a decoder can, is started again, and that picture is
named. No process outlives the one that started it: its input ends with that, see ``worker``.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.prepare.source import Entry
from ppgan_zoo.data.prepare.worker import read_frame, write_frame
from ppgan_zoo.errors import DataError
from ppgan_zoo.runtime import python_module

COMMAND = python_module("ppgan_zoo.data.prepare.worker")
BATCH_ENTRIES = 32
BATCH_BYTES = 16 << 20
"""A batch of entries holds no more bytes, but for one entry that has more by itself."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What became of an entry.

    Attributes:
        entry: It.
        pixels: uint8 ``[C, H, W]``; None if it cannot be read.
        notes: See :func:`ppgan_zoo.data.prepare.settings.prepare_picture`.
        reason: Why it cannot be read.
    """

    entry: Entry
    pixels: NDArray[np.uint8] | None
    notes: tuple[str, ...] = ()
    reason: str = ""


class Pool:
    """Decodes entries; to be used as a context, whose end ends the processes.

    Args:
        settings: ``size``, ``mode``, ``channels`` and ``ground``, as plain JSON values.
        jobs: How many processes.
    """

    def __init__(self, settings: dict[str, Any], jobs: int) -> None:
        """Start nothing yet: a process starts with the first batch that it gets."""
        self._settings = settings
        height, width = settings["size"]
        self._shape = (settings["channels"], height, width)
        self._jobs = jobs
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._processes = [_Process(settings) for _ in range(jobs)]
        for process in self._processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(jobs)

    def __enter__(self) -> Pool:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, whatever they are doing."""
        for process in self._processes:
            process.end()
        self._threads.shutdown(cancel_futures=True)

    def run(self, entries: Iterable[Entry]) -> Iterator[list[Prepared]]:
        """Yield what becomes of the entries, some at a time, in their order.

        Raises:
            DataError: The processes cannot be started, or the source cannot be read any more.
        """
        waiting: deque[Future[list[Prepared]]] = deque()
        for batch in _batches(entries):
            waiting.append(self._threads.submit(self._prepare, batch))
            if len(waiting) > 2 * self._jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _prepare(self, batch: list[Entry]) -> list[Prepared]:
        process = self._idle.get()
        try:
            try:
                return self._ask(process, batch)
            except (EOFError, OSError):
                return [self._alone(process, entry) for entry in batch]
        finally:
            self._idle.put(process)

    def _alone(self, process: _Process, entry: Entry) -> Prepared:
        """Prepare one entry, which may be the one that ended the process."""
        try:
            return self._ask(process, [entry])[0]
        except (EOFError, OSError):
            return Prepared(entry, None, reason="decoding it ended the process")

    def _ask(self, process: _Process, batch: list[Entry]) -> list[Prepared]:
        asked = [entry for entry in batch if not isinstance(entry.content, DataError)]
        told, pixels = process.ask(asked) if asked else ([], memoryview(b""))
        answers = iter(told)
        size = int(np.prod(self._shape))
        done = []
        for entry in batch:
            if isinstance(entry.content, DataError):
                reason = str(entry.content).removeprefix(f"{entry.name}: ")
                done.append(Prepared(entry, None, reason=reason))
                continue
            answer = next(answers)
            if "reason" in answer:
                done.append(Prepared(entry, None, reason=answer["reason"]))
                continue
            row, pixels = np.frombuffer(pixels[:size], np.uint8), pixels[size:]
            done.append(Prepared(entry, row.reshape(self._shape), tuple(answer["notes"])))
        return done


class _Process:
    """A process that decodes; started when it is first asked, and again after it has died."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._running: subprocess.Popen[bytes] | None = None
        self._is_over = False

    def ask(self, entries: list[Entry]) -> tuple[list[dict[str, Any]], memoryview]:
        """Return the answer to a batch.

        Raises:
            EOFError: The process died.
            DataError: It does not start.
        """
        if self._is_over:
            raise DataError("preparing was stopped")
        process = self._running or self._start()
        items = [_item(entry) for entry in entries]
        try:
            return _exchange(process, [item for item, _ in items], [held for _, held in items])
        except (EOFError, OSError):
            self._reap()
            raise EOFError from None

    def end(self) -> None:
        """End the process."""
        self._is_over = True
        if self._running is not None:
            self._running.kill()
            self._reap()

    def _start(self) -> subprocess.Popen[bytes]:
        # What the terminal sends on Ctrl-C is for the process that started this one.
        self._running = process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        try:
            _exchange(process, self._settings, [])
        except (EOFError, OSError):
            self._reap()
            raise DataError(
                f"a process that decodes pictures did not start ({' '.join(COMMAND[1:])}); see "
                "what it prints when it is started by hand"
            ) from None
        return process

    def _reap(self) -> None:
        process, self._running = self._running, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()


def _exchange(
    process: subprocess.Popen[bytes], told: Any, content: list[bytes]
) -> tuple[Any, memoryview]:
    """Write a request and return the answer."""
    write_frame(cast(BinaryIO, process.stdin), told, content)
    return read_frame(cast(BinaryIO, process.stdout))


def _item(entry: Entry) -> tuple[dict[str, Any], bytes]:
    """Return an entry as a worker is told of it, and the bytes that go with it."""
    content = entry.content
    if isinstance(content, Path):
        return {"name": entry.name, "path": str(content), "length": 0}, b""
    if isinstance(content, np.ndarray):
        held = content.tobytes()
        return {"name": entry.name, "shape": list(content.shape), "length": len(held)}, held
    assert isinstance(content, bytes)
    return {"name": entry.name, "length": len(content)}, content


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield the entries some at a time."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        content = entry.content
        held = content.nbytes if isinstance(content, np.ndarray) else 0
        held = len(content) if isinstance(content, bytes) else held
        if batch and (len(batch) == BATCH_ENTRIES or size + held > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += held
    if batch:
        yield batch
