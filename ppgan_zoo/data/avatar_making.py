"""Making a set of avatars: a folder that appears when all is drawn, and is continued after a stop.

What is drawn before that lies beside it, in a folder of its name with ``.partial`` at the end
(:mod:`ppgan_zoo.storage.journal`). A line of its journal is the number of the drawing within its
style, the SHA-256 of its pixels, and its factors; class and split follow from how many lines there
are before it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.avatar_drawing import LICENCE, PACKAGES, Style, open_style
from ppgan_zoo.data.avatars import FILES, MANIFEST, STYLES
from ppgan_zoo.data.idx import MAX_BYTES, idx_header, write_idx
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.storage.files import as_argument, atomic_folder, sha256_file
from ppgan_zoo.storage.journal import PARTIAL, Journal, Place, discard, partial_folder
from ppgan_zoo.storage.ownership import is_sealed_folder, refuse_foreign_folder, sealed_json
from ppgan_zoo.storage.pictures import image_grid, sealed_png
from ppgan_zoo.storage.stages import RateBar

SHEET = "contact-sheet.png"
SPLITS = ("train", "test")
TEST_SHARE = 6  # one of so many pictures is held out
FEWEST, MOST = 60, 10_000_000
SMALLEST, LARGEST = 16, 512

_SAME_IN_A_ROW = 1000  # drawings after which a style has no more pictures
_SHEET_ROW = 12
_IMAGES = {split: f"{split}-{FILES['images']}" for split in SPLITS}


def make_avatars(
    folder: Path,
    count: int,
    size: int,
    seed: int,
    notify: Callable[[str], None] = print_to_stderr,
) -> None:
    """Make a set of avatars: a folder of IDX files, a manifest and a contact sheet.

    No two pictures of it are equal, and in a split the sizes of classes differ by one at most. One
    in six is in the test split. The same call goes on with what a stopped one left.

    Args:
        folder: Where to. One that this made, and nobody changed, is replaced.
        count: How many pictures, of both splits together.
        size: Height and width.
        seed: Of all drawings.
        notify: Called with a line of text for whatever the user should know.

    Raises:
        ConfigError: A bad count, size or seed, missing packages, or a folder that stays.
        DataError: A style has too few different pictures, or another process makes this set.
        OSError: It cannot be written.
    """
    check_request(count, size, seed)
    folder = Path(os.path.abspath(folder))
    refuse_foreign_set(folder)
    styles = [open_style(name) for name in STYLES]
    identity = {"count": count, "size": size, "seed": seed, "versions": _versions()}
    beginning = folder.with_name(folder.name + PARTIAL)
    with partial_folder(beginning, identity, _IMAGES.values(), notify) as begun:
        partial = _PartialAvatars(beginning, styles, count, size, seed)
        is_kept = True
        try:
            if begun and partial.done:
                notify(f"{folder}: continuing after {partial.done:,} of {count:,}")
            partial.draw_the_rest()
            partial.become(folder)
            is_kept = False
        except KeyboardInterrupt:
            if is_kept := partial.done > 0:
                notify(f"stopped; the same command continues with {as_argument(beginning)}")
            raise
        except DataError:
            is_kept = False  # the next run would end there as well
            raise
        finally:
            partial.close()
            if not is_kept:
                discard(beginning, _IMAGES.values())


def check_request(count: int, size: int, seed: int) -> None:
    """Refuse what no set can be made of.

    Raises:
        ConfigError: It is so.
    """
    if not FEWEST <= count <= MOST:
        raise ConfigError(f"-n {count}: give {FEWEST} to {MOST}")
    if not SMALLEST <= size <= LARGEST:
        raise ConfigError(f"--size {size}: give {SMALLEST} to {LARGEST} pixels")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give 0 or more")
    if count * 3 * size * size > MAX_BYTES:
        most = MAX_BYTES // (3 * size * size)
        raise ConfigError(
            f"-n {count} of {size} x {size}: give at most {most}, or a smaller --size"
        )


def is_own_set(folder: Path) -> bool:
    """Tell whether a folder is as :func:`make_avatars` left it."""
    return is_sealed_folder(folder, MANIFEST)


def refuse_foreign_set(folder: Path) -> None:
    """Refuse to write where something is that is not as :func:`make_avatars` left it.

    Raises:
        ConfigError: It is so.
    """
    refuse_foreign_folder(folder, is_own_set)


class _PartialAvatars:
    """Drawings that are done, in memory and on disk; the other arguments are those of the set."""

    def __init__(self, folder: Path, styles: list[Style], count: int, size: int, seed: int) -> None:
        self._folder, self._styles = folder, styles
        self._counts = {"train": count - count // TEST_SHARE, "test": count // TEST_SHARE}
        self._count, self._size, self._seed = count, size, seed
        self._width = max(len(style.factors) for style in styles)
        self._factors = bytearray()
        self._shown: list[NDArray[np.uint8]] = []
        self._seen: list[set[bytes]] = [set() for _ in styles]
        self._next = {split: [0] * len(styles) for split in SPLITS}  # numbers of the next drawings
        self.done = 0
        self._journal = Journal(
            folder, _IMAGES.values(), header_bytes=len(self._header("train")),
            row_bytes=3 * size * size, place=self._place, take_in=self._account,
        )  # fmt: skip

    def close(self) -> None:
        """Close the files."""
        self._journal.close()

    def draw_the_rest(self) -> None:
        """Draw what is missing, showing how far it is."""
        with RateBar(self._count, self.done, "pictures") as bar:
            while self.done < self._count:
                split, label = self._turn()
                line, row = self._unseen(split, label)
                self._account(line, row)
                self._journal.append([line], [(_IMAGES[split], row)])
                bar.update()

    def become(self, folder: Path) -> None:
        """Write everything else, and let the folder appear."""
        self._journal.seal({_IMAGES[split]: self._header(split) for split in SPLITS})
        factors = np.frombuffer(self._factors, np.uint8).reshape(self._count, self._width)
        labels = np.resize(np.arange(len(self._styles), dtype=np.uint8), self._counts["train"])
        parts = np.split(factors, [self._counts["train"]])
        rows = {name: self._folder / name for name in _IMAGES.values()}
        with atomic_folder(folder, is_own_set, rows.values()) as made:
            for split, values in zip(SPLITS, parts, strict=True):
                write_idx(made / f"{split}-{FILES['labels']}", labels[: len(values)])
                write_idx(made / f"{split}-{FILES['factors']}", values)
            (made / SHEET).write_bytes(self._sheet())
            names = [f"{split}-{name}" for split in SPLITS for name in FILES.values()]
            places = {name: made / name for name in (*names, SHEET)}
            places |= rows
            hashes = {name: sha256_file(path) for name, path in places.items()}
            (made / MANIFEST).write_text(sealed_json(self._manifest(hashes)), encoding="utf-8")

    def _turn(self) -> tuple[str, int]:
        """Return the split and the class of the next picture: each class in its turn."""
        within = self.done - self._counts["train"]
        split, place = ("train", self.done) if within < 0 else ("test", within)
        return split, place % len(self._styles)

    def _unseen(self, split: str, label: int) -> tuple[list[Any], bytes]:
        """Return line and row of a style's next drawing that is equal to none before."""
        style, first, seen = self._styles[label], self._next[split][label], self._seen[label]
        for number in range(first, first + _SAME_IN_A_ROW):
            drawing = style.draw(f"{style.name}-{split}-{self._seed}-{number}", self._size)
            row = np.ascontiguousarray(drawing.image.transpose(1, 2, 0)).tobytes()
            sha = hashlib.sha256(row)
            if sha.digest() not in seen:
                return [number, sha.hexdigest(), list(style.values(drawing, self._width))], row
        raise DataError(
            f"avatars: {style.name} has {len(seen)} different pictures of {self._size} x "
            f"{self._size} and hardly more; give a smaller -n or a larger --size"
        )

    def _place(self, line: list[Any]) -> Place:
        _, sha, _ = line
        return Place(_IMAGES[self._turn()[0]], bytes.fromhex(sha))

    def _account(self, line: list[Any], row: bytes) -> None:
        number, sha, factors = line
        split, label = self._turn()
        self._next[split][label] = number + 1
        self._seen[label].add(bytes.fromhex(sha))
        if self.done < _SHEET_ROW * len(self._styles) and split == "train":
            self._shown.append(np.frombuffer(row, np.uint8).reshape(self._size, self._size, 3))
        self._factors += bytes(factors)
        self.done += 1

    def _header(self, split: str) -> bytes:
        return idx_header((self._counts[split], self._size, self._size, 3), split)

    def _sheet(self) -> bytes:
        """Return a picture of the first training pictures, a row of each class."""
        styles = len(self._styles)
        sheet = np.array([shown for label in range(styles) for shown in self._shown[label::styles]])
        return sealed_png(image_grid(sheet.transpose(0, 3, 1, 2), -(-len(sheet) // styles)))

    def _manifest(self, hashes: dict[str, str]) -> dict[str, Any]:
        return {
            "format": 1, "name": "avatars", "count": self._count,
            "image_shape": [3, self._size, self._size], "seed": self._seed,
            "classes": list(STYLES), "licence": LICENCE, "versions": _versions(),
            "origin": {
                style.name: style.definition["meta"]["license"]["text"] for style in self._styles
            },
            "factors": {style.name: style.factors for style in self._styles},
            "sha256": hashes,
        }  # fmt: skip


def _versions() -> dict[str, str]:
    return {package: metadata.version(package) for package in PACKAGES}
