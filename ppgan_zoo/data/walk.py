"""What lies below a folder, and which classes the names of pictures tell."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.outputs import is_output
from ppgan_zoo.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
"""What the name of a picture ends in, in either case."""

COPY = " (to take what they lead to, copy the folder by cp -RL)"

MADE = " (a run, a prepared set or samples)"

MOST_ENDINGS = 4  # of file names that are named where they are passed over


@dataclass
class Found:
    """The pictures of a folder, and what else lies there.

    Attributes:
        names: Paths of the pictures from the folder on, sorted part by part.
        links: How many links lead to folders.
        outside: How many pictures are links that lead out of the folder.
        broken: How many links lead to nothing.
        hidden: How many names begin with a dot.
        outputs: How many folders are what the zoo made, such as runs.
        others: How many files are no pictures by their names, by what these end in.
    """

    names: list[str] = field(default_factory=list)
    links: int = 0
    outside: int = 0
    broken: int = 0
    hidden: int = 0
    outputs: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def passed_over(self) -> str:
        """Say what was passed over and why; an empty text if nothing was."""
        others = sum(self.others.values())
        endings = [
            f"{count} {ending or 'without an ending'}"
            for ending, count in self.others.most_common(MOST_ENDINGS)
        ]
        more = ", ..." if len(self.others) > MOST_ENDINGS else ""
        counts = (
            (self.links, "link to a folder", "links to folders", ""),
            (self.outside, "link out of the folder", "links out of the folder", COPY),
            (self.broken, "link to nothing", "links to nothing", ""),
            (self.hidden, "hidden name", "hidden names", " (they begin with a dot)"),
            (self.outputs, "folder of ppgan-zoo", "folders of ppgan-zoo", MADE),
            (others, "other file", "other files", f" ({', '.join(endings)}{more})"),
        )
        return ", ".join(
            f"{count} {one if count == 1 else many}{why}"
            for count, one, many, why in counts
            if count
        )


def look_through(folder: Path, suffixes: tuple[str, ...]) -> Found:
    """Return what lies below a folder; links to other folders and out of it are not followed.

    A set that is made of a folder is given away, and its pictures with it. So what lies in it is
    taken, and not what a link in it, which an archive may have brought, leads to. What the zoo
    itself wrote below it is passed over: the folder is the same after a training as before.

    Args:
        folder: The folder.
        suffixes: What the name of a picture ends in, in lower case.

    Raises:
        DataError: No such folder, one that cannot be read, or no pictures.
    """
    if not os.path.isdir(folder):
        found = "not a folder" if os.path.exists(folder) else "no such folder"
        raise DataError(f"{folder}: {found}; give a folder of pictures ({', '.join(suffixes)})")

    def refuse(error: OSError) -> None:
        raise DataError(
            f"{error.filename}: folder cannot be read ({error.strerror}); check its permissions"
        ) from error

    seen = Found()
    above = len(os.path.join(folder, ""))
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        if parent != os.fspath(folder) and is_output(Path(parent)):
            seen.outputs += 1
            subfolders.clear()
            continue
        for name in list(subfolders):
            if name.startswith("."):
                seen.hidden += 1
                subfolders.remove(name)
            elif os.path.islink(os.path.join(parent, name)):  # which os.walk does not follow
                seen.links += 1
        for name in names:
            path = os.path.join(parent, name)
            if name.startswith("."):
                seen.hidden += 1
            elif name.lower().endswith(suffixes):
                if os.path.islink(path) and not _is_below(path, folder):
                    seen.outside += 1
                else:
                    seen.names.append(path[above:])
            elif not os.path.exists(path):
                seen.broken += 1
            else:
                seen.others[os.path.splitext(name)[1].lower()] += 1
    if not seen.names:
        passed = f" (skipped: {seen.passed_over()})" if seen.passed_over() else ""
        raise DataError(
            f"{folder}: no pictures found{passed}; put files ending in {', '.join(suffixes)} there"
        )
    seen.names.sort(key=lambda name: name.split(os.sep))
    return seen


def _is_below(path: str, folder: Path) -> bool:
    """Tell whether what a path leads to lies in a folder, or below it."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


MOST_FOLDERS = 100  # that are looked into for a first picture


def holds_pictures(folder: Path) -> bool:
    """Tell whether pictures lie in a folder, or in one of the first folders below it."""
    if not os.path.isdir(folder):  # os.walk raises where a name holds a NUL
        return False
    for number, (_, _, names) in enumerate(os.walk(folder)):
        if any(name.lower().endswith(PICTURES) for name in names):
            return True
        if number == MOST_FOLDERS:
            break
    return False


def classes_of(
    names: Sequence[str], where: str, notify: Callable[[str], None]
) -> tuple[tuple[str, ...] | None, NDArray[np.int64] | None]:
    """Return classes and labels, if the pictures lie in two or more folders and in no other place.

    Args:
        names: Paths of the pictures, with ``/`` between their parts.
        where: What to call the whole, in messages.
        notify: Called with a line of text for whatever the user should know.

    Returns:
        The classes in the order of their names, and int64 ``[N]``; None and None for no classes.
    """
    folders = [name.partition("/")[0] if "/" in name else None for name in names]
    beside = folders.count(None)
    if 0 < beside < len(folders):
        notify(
            f"{where}: {beside} of {len(folders)} pictures lie beside its sub-folders, so these "
            "are not classes; move such pictures into one to get labels"
        )
    found = sorted({folder for folder in folders if folder is not None})
    if len(found) < 2 or beside:
        return None, None
    label_of = {folder: label for label, folder in enumerate(found)}
    labels = [label_of[folder] for folder in folders if folder is not None]
    # A name that is not UTF-8 could be neither printed nor written to a file.
    raw = (name.encode("utf-8", "surrogateescape") for name in found)
    classes = tuple(name.decode("utf-8", "backslashreplace") for name in raw)
    return classes, np.array(labels, np.int64)
