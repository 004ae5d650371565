"""Which of a run's checkpoints there are, which is the newest and the best, and which go.

Order is by iteration, never by a clock. What a kill leaves half done is cleared by the
next call, and a reader finds a whole checkpoint at every moment in between.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage.checkpoint import Arrays, Checkpoint, open_checkpoint, remove_checkpoint
from ppgan_zoo.storage.files import to_json, write_atomically

BEST = "best.json"


def checkpoint_folders(folder: Path) -> list[Path]:
    """Return the folders named as checkpoints, by iteration: no clock has a say in it."""
    named = [path for path in folder.glob("step-*") if path.name[5:].isdecimal()]
    return sorted(named, key=_iteration)


def _iteration(path: Path) -> int:
    return int(path.name[5:])


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the checkpoints of a run, oldest first; unreadable ones are left out."""
    found = []
    for path in checkpoint_folders(folder):
        try:
            found.append(open_checkpoint(path))
        except CheckpointError:
            continue
    return found


def newest_valid_checkpoint(folder: Path, notify: Callable[[str], object]) -> Checkpoint:
    """Return the newest checkpoint whose files all have their hashes.

    Args and errors are those of :func:`load_newest`, which also returns what it read.
    """
    return load_newest(folder, notify)[0]


def load_newest(
    folder: Path, notify: Callable[[str], object]
) -> tuple[Checkpoint, dict[str, Arrays]]:
    """Return the newest valid checkpoint and all its arrays, reading each file once.

    Args:
        folder: The run's ``checkpoints`` folder.
        notify: Called with one line for each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: There is none.
    """
    damaged: list[CheckpointError] = []
    for path in reversed(checkpoint_folders(folder)):
        try:
            checkpoint = open_checkpoint(path)
            arrays = checkpoint.all_arrays()
        except CheckpointError as error:
            damaged.append(error)
        else:
            for reason in damaged:
                notify(f"passed over a damaged checkpoint: {reason}")
            return checkpoint, arrays
    newest = f"; the newest of {len(damaged)}: {damaged[0]}" if damaged else ""
    raise CheckpointError(
        f"{folder}: no valid checkpoint; nothing to resume or sample from{newest}"
    )


def remember_best(folder: Path, checkpoint: Checkpoint, figure: str, value: float) -> None:
    """Write ``best.json``, which names the best checkpoint so far."""
    best = {"checkpoint": checkpoint.path.name, "figure": figure, "value": value}
    write_atomically(folder / BEST, to_json(best))


def read_best(folder: Path) -> dict[str, Any] | None:
    """Return what ``best.json`` says, or None if there is none."""
    try:
        best = json.loads((folder / BEST).read_bytes())
        return {
            "checkpoint": str(best["checkpoint"]),
            "figure": str(best["figure"]),
            "value": float(best["value"]),
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / BEST}: cannot be read: {error}") from None


def remove_abandoned(folder: Path, newest: int) -> None:
    """Delete what a run that goes on from iteration `newest` has left behind.

    That is scratch of a killed process, checkpoints beyond `newest` (of a course that the
    run does not take again, or damaged), and ``best.json`` if it is damaged or names one of these.
    """
    for path in checkpoint_folders(folder):
        if _iteration(path) > newest:
            remove_checkpoint(path)
    _remove_scratch(folder)
    try:
        best = read_best(folder)
        known = best is None or (folder / best["checkpoint"]).is_dir()
    except CheckpointError:
        known = False
    if not known:
        (folder / BEST).unlink()


def prune_checkpoints(
    folder: Path, keep_last: int, newest: int, good_until: int | None = None
) -> None:
    """Delete all checkpoints but the last `keep_last` and the best, and abandoned scratch.

    Where `good_until` is given, the last one up to that iteration is kept too.

    Checkpoints beyond iteration `newest` belong to a course of the run that was abandoned
    (it was resumed from an older checkpoint) and are deleted too.
    """
    best = read_best(folder)
    paths = checkpoint_folders(folder)
    kept = [path for path in paths if _iteration(path) <= newest]
    keep = {path.name for path in kept[-keep_last:]} | ({best["checkpoint"]} if best else set())
    if good_until is not None:
        good = [path.name for path in kept if _iteration(path) <= good_until]
        keep |= set(good[-1:])
    for path in paths:
        if path.name not in keep:
            remove_checkpoint(path)
    _remove_scratch(folder)


def _remove_scratch(folder: Path) -> None:
    for scratch in (*folder.glob(".step-*"), *folder.glob(f".{BEST}-*")):
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)
