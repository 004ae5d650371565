"""The form of each product that was found to be the fastest, for this process and the next.

What is found is kept in a file for each kind of machine, a line for each product, so that a trial
is made once, and all processes on a machine compute the same: rounding differs from form to form.
A checkpoint keeps what its run was computed by, and a resume takes that.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from ppgan_zoo import runtime
from ppgan_zoo.ops.onednn import Library
from ppgan_zoo.ops.trial import ROUGH, Run, fastest
from ppgan_zoo.storage.files import open_inside, user_cache

Content = TypeVar("Content", dict[str, Any], list[Any])

FORMAT = "ppgan_zoo forms of products, 3"
LARGEST_FILE = 4 << 20
LEAST_WORK = 1_000_000
"""Multiply-adds from which a trial pays; for less the usual form is used."""


class Choices:
    """A form for each product.

    Args:
        machine: What the fastest form depends on, besides the product and the threads.
        folder: Where choices are kept for other processes; None for nowhere.
    """

    def __init__(self, machine: Mapping[str, str], folder: Path | None) -> None:
        self.machine = dict(machine)
        self.used: dict[str, str] = {}
        self._given: dict[str, str] = {}
        text = json.dumps(self.machine, sort_keys=True)
        name = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.jsonl"
        self.file = None if folder is None else folder / name
        self._kept: dict[str, str] | None = None
        self._size = 0  # of the file, when it was read or written
        self._remembered: dict[tuple[Hashable, int], str] = {}
        self._lock = threading.RLock()

    def adopt(self, choices: Mapping[str, str]) -> None:
        """Use these, as those of a checkpoint, before any that are found or kept."""
        with self._lock:
            self._given = dict(choices)
            self.used = dict(choices)
            self._remembered.clear()

    def remembered(self, product: Hashable, choose: Callable[[], str]) -> str:
        """Return what `choose` said of a product when it was first asked."""
        key = product, runtime.threads()
        if key not in self._remembered:
            self._remembered[key] = choose()
        return self._remembered[key]

    def of(
        self,
        product: str,
        names: tuple[str, ...],
        make: Callable[[tuple[str, ...]], Mapping[str, Run]],
        rough: bool = False,
    ) -> str:
        """Return the name of the form to compute a product by.

        Args:
            product: What it is, in words that say all that its time depends on but the threads.
            names: Of the forms that there are; the usual one first.
            make: Returns the forms of these names, for a trial.
            rough: Whether there is also one that rounds the factors to bfloat16.
        """
        key = f"{product}, threads {runtime.threads()}"
        if rough:
            names, key = (*names, ROUGH), f"{key}, or {ROUGH}"
        with self._lock:
            found = self._given.get(key) or self._of_others().get(key)
            if found not in names:  # not known yet, or of another version
                found = self._share(key, fastest(make(names), names[0]), names)
            self.used[key] = found
            return found

    def _of_others(self) -> dict[str, str]:
        if self._kept is None:
            self._kept = {}
            with contextlib.suppress(OSError), self._opened() as file:
                self._read(file)
        return self._kept

    def _share(self, key: str, form: str, names: tuple[str, ...]) -> str:
        """Keep a choice for other processes, or take theirs if they were faster."""
        kept = self._of_others()
        with contextlib.suppress(OSError), self._opened() as file:
            if os.fstat(file.fileno()).st_size != self._size:
                kept = self._read(file)
                if kept.get(key) in names:
                    return kept[key]
            line = json.dumps([key, form]) + "\n"
            if not self._size:
                line = json.dumps({"format": FORMAT, "machine": self.machine}) + "\n" + line
            file.write(line.encode())
            self._size += len(line)
        kept[key] = form
        return form

    @contextlib.contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """Open the file, which no other process writes to meanwhile; wait for one that does."""
        if self.file is None:
            raise FileNotFoundError
        self.file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_inside(
            self.file.parent, self.file.name, os.O_RDWR | os.O_APPEND | os.O_CREAT
        )
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            yield file

    def _read(self, file: BinaryIO) -> dict[str, str]:
        """Read what is kept; a file that is no such file, or has grown too large, is emptied."""
        file.seek(0)
        head, *lines = file.read(LARGEST_FILE).split(b"\n")
        self._size = os.fstat(file.fileno()).st_size
        kept = self._kept = {}
        if self._size >= LARGEST_FILE or _parsed(head, dict).get("format") != FORMAT:
            file.truncate(0)
            self._size = 0
            return kept
        for line in lines:
            entry = _parsed(line, list)
            if len(entry) == 2:
                kept[str(entry[0])] = str(entry[1])
        if lines[-1:] != [b""]:  # of a process that was killed
            self._size += file.write(b"\n")
        return kept


def _parsed(line: bytes, kind: type[Content]) -> Content:
    """Return what a line of JSON holds; nothing, if it is damaged."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return kind()
    return content if isinstance(content, kind) else kind()


class Forms(NamedTuple):
    """What products are computed by.

    Attributes:
        library: oneDNN.
        choices: What was found to be the fastest; None for the usual form always.
        rough: Whether factors may be rounded to bfloat16 where that is faster.
    """

    library: Library
    choices: Choices | None = None
    rough: bool = False


def folder() -> Path | None:
    """Return where choices are kept; None without a home."""
    cache = user_cache()
    return None if cache is None else cache / "products"
