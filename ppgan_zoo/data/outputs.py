"""Folders that the zoo made: whatever pictures lie in them are none of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

from ppgan_zoo.data.prepare.layout import is_prepared
from ppgan_zoo.storage.journal import IDENTITY, JOURNAL
from ppgan_zoo.storage.ownership import is_sealed

_TOLD_BY = (
    ("recipe.yml", "manifest.json"),  # a run
    (IDENTITY, JOURNAL),  # a set that is being made
    ("checkpoint.json", "samples.png"),  # a published model
)
_SAMPLES = "samples.json"  # of a folder of samples; it is sealed


def is_output(folder: Path) -> bool:
    """Tell whether a folder is a run, a published model, a prepared set, or one of samples."""
    if is_prepared(folder) or is_sealed(folder / _SAMPLES):
        return True
    return any(all(os.path.isfile(folder / name) for name in names) for names in _TOLD_BY)
