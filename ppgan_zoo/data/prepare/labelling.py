"""Labels of pictures that have names: by their folders, or by StyleGAN's ``dataset.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ppgan_zoo.data.walk import classes_of
from ppgan_zoo.errors import DataError

LABELS_FILE = "dataset.json"
"""Where StyleGAN's dataset tool writes labels: ``{"labels": [["00000/img.png", 3], ...]}``."""

MOST_BYTES = 64 << 20
MOST_CLASSES = 1 << 20

Labels = list[int | None]


class Written(NamedTuple):
    """What ``dataset.json`` holds, and the folder that it lies in: ``""``, or one with a ``/``."""

    content: bytes
    folder: str


def labels_by_name(
    names: Sequence[str], written: Written | None, where: str, notify: Callable[[str], None]
) -> tuple[tuple[str, ...] | None, Labels | None]:
    """Return classes and labels of pictures.

    Args:
        names: Paths within the source, with ``/`` between their parts.
        written: ``dataset.json``; None if there is none: then folders are classes.
        where: What to call the source in messages.
        notify: Called with a line of text for whatever the user should know.

    Returns:
        Names of classes, if they have some, and a label for each picture: None for one that
        ``dataset.json`` does not name. None and None for a source without classes.

    Raises:
        DataError: ``dataset.json`` is damaged.
    """
    if written is None:
        classes, labels = classes_of(without_root(names), where, notify)
        return classes, None if labels is None else labels.tolist()
    label_of = _read(written.content, f"{where}: {written.folder}{LABELS_FILE}")
    if label_of is None:
        return None, None
    names = [name.removeprefix(written.folder) for name in names]
    known = set(names)
    missing = sum(name not in known for name in label_of)
    if missing:
        notify(f"{where}: {LABELS_FILE} names {missing} pictures that are not there")
    return None, [label_of.get(name) for name in names]


def all_have_labels(parts: Mapping[str, bool], notify: Callable[[str], None]) -> bool:
    """Tell whether all parts of a source have labels; if only some have, say that these are lost.

    Args:
        parts: Whether each has labels, by what to call it in messages.
        notify: Called with that line.
    """
    having = [name for name, has_labels in parts.items() if has_labels]
    if having and len(having) < len(parts):
        without = next(name for name in parts if name not in having)
        notify(
            f"{without}: has no labels, so those of {having[0]} are left out; give labels of both "
            "to keep them"
        )
    return len(having) == len(parts)


def without_root(names: Sequence[str]) -> Sequence[str]:
    """Return names without the folders that all of them lie in."""
    root = shared_folders(names)[-1]
    return [name.removeprefix(root) for name in names]


def shared_folders(names: Sequence[str]) -> list[str]:
    """Return the folders that all names lie in, from ``""`` inwards: ``["", "a/", "a/b/"]``."""
    folders = [""]
    while names and "/" in names[0][len(folders[-1]) :]:
        inner = folders[-1] + names[0][len(folders[-1]) :].partition("/")[0] + "/"
        if not all(name.startswith(inner) for name in names):
            break
        folders.append(inner)
    return folders


def no_label(name: str) -> DataError:
    """Return the error of a picture that ``dataset.json`` does not name."""
    return DataError(f"{name}: has no label in {LABELS_FILE}")


def _read(written: bytes, where: str) -> dict[str, int] | None:
    """Return the label of each name; None if the file says that there are none."""
    try:
        told = json.loads(written)["labels"]
        pairs = None if told is None else dict(told)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f'{where}: not the labels of a data set; give {{"labels": [["a.png", 0], ...]}}, or '
            "remove the file"
        ) from error
    if pairs is None:
        return None
    for name, label in pairs.items():
        if type(label) is not int or not 0 <= label < MOST_CLASSES:
            raise DataError(
                f"{where}: label {str(label)[:40]!r} of {str(name)[:80]!r}; the number of a "
                f"class is allowed, 0 to {MOST_CLASSES - 1}"
            )
    return pairs
