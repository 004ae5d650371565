"""From a source of pictures to a prepared set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import __version__ as pillow_version

from ppgan_zoo.data.mapped import map_npy
from ppgan_zoo.data.npy import header
from ppgan_zoo.data.prepare import manifest
from ppgan_zoo.data.prepare.layout import (
    MANIFEST,
    REPORT,
    SHEET,
    SPLITS,
    images_file,
    is_prepared,
    labels_file,
)
from ppgan_zoo.data.prepare.open_source import open_source
from ppgan_zoo.data.prepare.partial import FILES, PartialSet
from ppgan_zoo.data.prepare.pool import Pool
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.data.prepare.sheet import save_sheet
from ppgan_zoo.data.prepare.source import Source
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.runtime import available_cores
from ppgan_zoo.storage.files import (
    absolute,
    as_argument,
    atomic_folder,
    to_json,
    write_atomically,
)
from ppgan_zoo.storage.journal import PARTIAL, discard, partial_folder
from ppgan_zoo.storage.stages import RateBar

ENOUGH_TO_HOLD_OUT = 1000
"""A source of fewer pictures is used whole: metrics need 100 that are held out."""

HELD_OUT = 0.1

_NOTES = {
    "enlarged": "are smaller than {size} and were enlarged",
    "transparent": "are transparent in places, which are filled with the colour {ground}; --ground "
    "chooses another",
    "animated": "have several images; the first was taken",
    "warned": "were read with a warning",
}


@dataclass(frozen=True)
class Result:
    """A prepared set.

    Attributes:
        folder: Where it is.
        manifest: What it holds.
        unreadable: How many pictures could not be read.
        duplicates: How many are equal to an earlier one.
    """

    folder: Path
    manifest: manifest.Manifest
    unreadable: int
    duplicates: int


def prepare(
    source: Path | Source,
    output: Path,
    settings: Settings,
    *,
    max_unreadable: float = 0.05,
    jobs: int | None = None,
    notify: Callable[[str], None] = print_to_stderr,
) -> Result:
    """Make a prepared set: a folder that appears when all of it is done.

    What is done of it before that lies beside it, in a folder of its name with ``.partial`` at
    the end; the same call goes on with that. The same source and settings give the same bytes.

    Args:
        source: Of the pictures, see :func:`ppgan_zoo.data.prepare.open_source.open_source`.
        output: The folder to make; of a link, the one that it leads to.
        settings: How.
        max_unreadable: The share of pictures that may be unreadable.
        jobs: Processes that decode; None for as many as there are cores.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        ConfigError: An argument that is not allowed.
        DataError: The source cannot be read, more of its pictures than allowed cannot be, or
            something exists already.
        OSError: It cannot be written, as on a full disk.
    """
    if not 0 <= max_unreadable <= 1:
        raise ConfigError(f"--max-unreadable {max_unreadable}: give a share from 0 to 1")
    if jobs is not None and not 1 <= jobs <= 1024:
        raise ConfigError(f"--jobs {jobs}: give 1 to 1024")
    output = absolute(Path(os.path.expanduser(output)))
    if os.path.lexists(output) and not (output.is_dir() and not any(output.iterdir())):
        advice = ", or delete that set" if is_prepared(output) else ""
        raise DataError(f"{output}: exists already; give another --output{advice}")
    opened = source if isinstance(source, Source) else open_source(source, notify)
    if opened.has_splits and settings.held_out is not None:
        raise ConfigError(
            f"--held-out {settings.held_out:g}: {opened.where} says itself which pictures are for "
            "testing; leave --held-out out"
        )
    folder = output.with_name(output.name + PARTIAL)
    work = _Work(opened, settings, max_unreadable, jobs or available_cores(), notify)
    identity = {
        "source": opened.identity,
        "settings": settings.describe(),
        "pillow": pillow_version,
    }
    with partial_folder(folder, identity, FILES, notify) as begun:
        work.is_worth_keeping = begun
        try:
            return work.carry_out(folder, output, begun)
        except KeyboardInterrupt:
            if work.is_worth_keeping:
                notify(f"stopped; the same command continues with what is in {as_argument(folder)}")
            raise
        finally:
            if not work.is_worth_keeping:
                discard(folder, FILES)


@dataclass
class _Work:
    """One set being made."""

    source: Source
    settings: Settings
    max_unreadable: float
    jobs: int
    notify: Callable[[str], None]
    is_worth_keeping: bool = False

    @property
    def channels(self) -> int:
        return self.settings.channels or self.source.channels

    @property
    def held_out(self) -> float:
        if self.source.has_splits:
            return 0.0
        if self.settings.held_out is not None:
            return self.settings.held_out
        return HELD_OUT if self.source.count >= ENOUGH_TO_HOLD_OUT else 0.0

    @property
    def _told(self) -> dict[str, Any]:
        """What the processes that decode are told."""
        return {**self.settings.describe(), "channels": self.channels}

    def carry_out(self, folder: Path, output: Path, begun: bool) -> Result:
        partial = self._begun(folder)
        try:
            if begun and partial.done:
                self.notify(f"{output}: continuing after {partial.done:,} of {self.source.count:,}")
            self._go_through(partial)
            self._check(partial)
            partial.seal()
            described = self._finish(partial, output)
        finally:
            partial.close()
        self.is_worth_keeping = False
        self._say(partial, described, output)
        return Result(output, described, len(partial.unreadable), len(partial.duplicates))

    def _begun(self, folder: Path) -> PartialSet:
        """Go on with what a folder holds, up to the first picture that can be read only now."""
        with Pool(self._told, 1) as pool:  # which starts no process before it is asked
            return PartialSet(
                folder,
                (self.channels, *self.settings.size),
                held_out=self.held_out,
                seed=self.settings.seed,
                drop_duplicates=self.settings.drop_duplicates,
                can_be_read=lambda number: self.source.is_files and self._can_be_read(number, pool),
            )

    def _can_be_read(self, number: int, pool: Pool) -> bool:
        """Try an entry."""
        ((tried,),) = pool.run([next(self.source.entries(number))])
        return tried.pixels is not None

    def _go_through(self, partial: PartialSet) -> None:
        """Prepare what is left of the source."""
        count, start = self.source.count, partial.done
        self.is_worth_keeping = partial.count("train") > 0
        with (
            Pool(self._told, min(self.jobs, max(1, (count - start) // 8))) as pool,
            RateBar(count, start, "files") as bar,
        ):
            for done in pool.run(self.source.entries(start)):
                partial.append(done)
                self.is_worth_keeping |= partial.count("train") > 0
                bar.update(len(done))
                if len(partial.unreadable) > self.max_unreadable * count:
                    self._check(partial)

    def _check(self, partial: PartialSet) -> None:
        """Refuse a set of which too much is missing."""
        bad, where = partial.unreadable, self.source.where
        if bad and (len(bad) > self.max_unreadable * self.source.count or len(bad) == partial.done):
            name, reason = bad[0]
            raise DataError(
                f"{where}: {len(bad)} of the first {partial.done} pictures cannot be read, the "
                f"first is {name}: {reason}; {self._advice(len(bad))}"
            )
        if not partial.count("train"):
            reason = "; give more, or a lower --held-out"
            if self.source.has_splits:
                reason = ", for the source says that all are for testing; give one with others too"
            raise DataError(f"{where}: no picture for training{reason}")

    def _advice(self, bad: int) -> str:
        """Say what to do where so many pictures cannot be read."""
        if bad == self.source.count:
            return "repair them, or give other pictures"
        return (
            "repair or remove them, or let ppgan-zoo data prepare leave out more: --max-unreadable"
        )

    def _finish(self, partial: PartialSet, output: Path) -> manifest.Manifest:
        """Write everything else, and let the folder appear."""
        splits = [split for split in SPLITS if partial.count(split)]
        rows = [partial.folder / images_file(split) for split in splits]
        with atomic_folder(output, move_in=rows) as new:
            parts = {}
            for split in splits:
                labels = self._labels(partial, split)
                if labels is not None:
                    write_atomically(
                        new / labels_file(split),
                        header(labels.shape, "<i8") + labels.astype("<i8").tobytes(),
                    )
                parts[split] = self._part(partial, split, labels)
            images = map_npy(partial.folder / images_file("train"))
            save_sheet(new / SHEET, images, self._labels(partial, "train"))
            write_atomically(new / REPORT, to_json(self._report(partial)))
            described = self._manifest(partial, parts)
            write_atomically(new / MANIFEST, to_json(described))
        return manifest.read_manifest(output)

    def _labels(self, partial: PartialSet, split: str) -> NDArray[np.int64] | None:
        if not self.source.labelled:
            return None
        return np.array(partial.labels[split], np.int64)

    def _part(
        self, partial: PartialSet, split: str, labels: NDArray[np.int64] | None
    ) -> dict[str, Any]:
        classes = self._classes(partial)
        return {
            "count": partial.count(split),
            "sha256": partial.sha256(split),
            "labels_sha256": None
            if labels is None
            else hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest(),
            "classes": None if labels is None else np.bincount(labels, minlength=classes).tolist(),
        }

    def _classes(self, partial: PartialSet) -> int:
        """Return how many classes the labels of all splits tell apart."""
        if self.source.classes is not None:
            return len(self.source.classes)
        return 1 + max((max(labels) for labels in partial.labels.values() if labels), default=0)

    def _manifest(self, partial: PartialSet, parts: dict[str, Any]) -> dict[str, Any]:
        classes = self.source.classes
        if self.source.labelled and classes is None:  # so that both splits agree on their number
            classes = tuple(map(str, range(self._classes(partial))))
        return {
            "format": manifest.FORMAT,
            "image_shape": list(partial.shape),
            "classes": None if classes is None else list(classes),
            "splits": parts,
            "settings": {**self.settings.describe(), "held_out": self.held_out},
            "source": {
                "kind": self.source.kind,
                "entries": self.source.count,
                "unreadable": len(partial.unreadable),
                "duplicates": len(partial.duplicates),
            },
        }

    def _report(self, partial: PartialSet) -> dict[str, Any]:
        return {
            "unreadable": [{"name": name, "reason": reason} for name, reason in partial.unreadable],
            "duplicates": [{"name": name, "of": first} for name, first in partial.duplicates],
            "notes": dict(sorted(partial.notes.items())),
        }

    def _say(self, partial: PartialSet, described: manifest.Manifest, output: Path) -> None:
        """Tell what a user should know of the set."""
        shown = as_argument(output)
        count = f"{self.source.count:,} pictures"
        height, width = self.settings.size
        for note, text in _NOTES.items():
            if partial.notes[note]:
                said = text.format(size=f"{height}x{width}", ground=list(self.settings.ground))
                self.notify(f"{shown}: {partial.notes[note]:,} of {count} {said}")
        if partial.unreadable:
            name, reason = partial.unreadable[0]
            self.notify(
                f"{shown}: {len(partial.unreadable):,} of {count} cannot be read, the first is "
                f"{name}: {reason}; all are listed in {REPORT}"
            )
        if partial.duplicates:
            name, first = partial.duplicates[0]
            kept = (
                "left out" if self.settings.drop_duplicates else "kept; --drop-duplicates does not"
            )
            self.notify(
                f"{shown}: {len(partial.duplicates):,} of {count} are equal to an earlier one, as "
                f"{name} is to {first}; they are {kept}, and listed in {REPORT}"
            )
