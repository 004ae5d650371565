"""The form of each product that was found to be the fastest, for this process and the next.

What is found is kept in a file for each kind of machine, so that a trial is made once, and all
processes on a machine compute the same: rounding differs from form to form. A checkpoint keeps
what its run was computed by, and a resume takes that.
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
from typing import NamedTuple

from ppgan_zoo import runtime
from ppgan_zoo.ops.onednn import Library
from ppgan_zoo.ops.trial import ROUGH, Run, fastest
from ppgan_zoo.storage.files import read_regular, user_cache, write_atomically

FORMAT = "ppgan_zoo forms of products, 1"
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
        name = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        self.file = None if folder is None else folder / name
        self._kept: dict[str, str] | None = None
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
            self._kept = self._read()
        return self._kept

    def _read(self) -> dict[str, str]:
        if self.file is None:
            return {}
        try:
            content = json.loads(read_regular(self.file, LARGEST_FILE))
            choices = content["choices"] if content["format"] == FORMAT else {}
            return {str(key): str(form) for key, form in choices.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # not there yet, or damaged: it is written anew

    def _share(self, key: str, form: str, names: tuple[str, ...]) -> str:
        """Keep a choice for other processes, or take theirs if they were faster."""
        if self.file is not None:
            with contextlib.suppress(OSError), _alone(self.file):
                kept = self._kept = self._read()
                if kept.get(key) in names:
                    return kept[key]
                kept[key] = form
                choices = dict(sorted(kept.items()))
                content = {"format": FORMAT, "machine": self.machine, "choices": choices}
                write_atomically(self.file, json.dumps(content, indent=1) + "\n")
        self._of_others()[key] = form
        return form


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Let no other process write a file meanwhile; wait for one that does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(file.with_suffix(".lock"), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
