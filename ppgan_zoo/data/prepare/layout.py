"""The files of a prepared set: which there are, and how they are called."""

from __future__ import annotations

import os
from pathlib import Path

MANIFEST, REPORT, SHEET = "manifest.json", "report.json", "contact_sheet.png"
SPLITS = ("train", "test")


def images_file(split: str) -> str:
    """Return the name of the file that holds the images of a split, uint8 ``[N, C, H, W]``."""
    return f"{split}_images.npy"


def labels_file(split: str) -> str:
    """Return the name of the file that holds the labels of a split, int64 ``[N]``."""
    return f"{split}_labels.npy"


def is_prepared(path: Path) -> bool:
    """Tell whether a path looks like a prepared set, whole or damaged.

    A damaged one may lack a file or two; its contact sheet is no picture to train on.
    """
    shown, named = (images_file("train"), SHEET), (MANIFEST, REPORT)
    there = [name for name in (*shown, *named) if os.path.isfile(os.path.join(path, name))]
    return len(there) >= 2 and there[0] in shown
