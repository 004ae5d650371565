"""Which of a run's checkpoints there are, which is the newest and the best, and which go.

Order is by iteration, never by a clock. What a kill leaves half done is cleared by the
next call, and a reader finds a whole checkpoint at every moment in between.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ppgan_zoo.errors import CheckpointError, os_errors
from ppgan_zoo.storage.checkpoint import (
    Arrays,
    Checkpoint,
    DamagedError,
    GoneError,
    open_checkpoint,
    remove_checkpoint,
)
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically
from ppgan_zoo.storage.scratch import clear_abandoned

BEST = "best.json"
GOOD = "good.json"
MAX_BYTES = 1 << 16
LOOKS = 20
"""How often to look for a checkpoint in a run that deletes old ones while it trains."""


def checkpoint_folders(folder: Path) -> list[Path]:
    """Return the folders named as checkpoints, by iteration: no clock has a say in it.

    Raises:
        CheckpointError: `folder` is there and cannot be read.
    """
    with os_errors(CheckpointError, f"{folder}: cannot be read"):
        names = os.listdir(folder) if os.path.lexists(folder) else []
    named = [name for name in names if name.startswith("step-") and name[5:].isdecimal()]
    return sorted((folder / name for name in named), key=_iteration)


def _iteration(path: Path) -> int:
    return int(path.name[5:])


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the checkpoints of a run, oldest first; damaged ones are left out.

    Raises:
        CheckpointError: One cannot be read, which is no damage.
    """
    found = []
    for path in checkpoint_folders(folder):
        try:
            found.append(open_checkpoint(path))
        except (DamagedError, GoneError):
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

    The run may go on meanwhile and delete checkpoints: then the next is tried.

    Args:
        folder: The run's ``checkpoints`` folder.
        notify: Called with one line for each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: There is none; or one cannot be read, which is no damage.
    """
    for _ in range(LOOKS):
        damaged: list[CheckpointError] = []
        gone = False
        for path in reversed(checkpoint_folders(folder)):
            try:
                checkpoint = open_checkpoint(path)
                arrays = checkpoint.all_arrays()
            except GoneError:
                gone = True
            except DamagedError as error:
                damaged.append(error)
            else:
                _check_name(checkpoint)
                for reason in damaged:
                    notify(f"skipped a damaged checkpoint: {reason}")
                return checkpoint, arrays
        if not gone:
            break
    newest = f"; the newest of {len(damaged)}: {damaged[0]}" if damaged else ""
    raise CheckpointError(
        f"{folder}: no valid checkpoint; nothing to resume or sample from{newest}"
    )


def _check_name(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that was renamed: names are what the order is told by."""
    if checkpoint.iteration != _iteration(checkpoint.path):
        raise CheckpointError(
            f"{checkpoint.path}: is the checkpoint of iteration {checkpoint.iteration}; give it "
            f"its name step-{checkpoint.iteration:08d}, or move it away"
        )


def remember_best(folder: Path, checkpoint: Checkpoint, figure: str, value: float) -> None:
    """Write ``best.json``, which names the best checkpoint so far."""
    best = {"checkpoint": checkpoint.path.name, "figure": figure, "value": value}
    write_atomically(folder / BEST, to_json(best))


def read_best(folder: Path) -> dict[str, Any] | None:
    """Return what ``best.json`` says, or None if there is none.

    Raises:
        DamagedError: It is not what the zoo wrote.
        CheckpointError: It cannot be read.
    """
    try:
        best = _read_json(folder / BEST)
        return None if best is None else {
            "checkpoint": str(best["checkpoint"]),
            "figure": str(best["figure"]),
            "value": float(best["value"]),
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{folder / BEST}: cannot be read: {error}") from None


def remember_good(folder: Path, iteration: int) -> None:
    """Write ``good.json``: the run showed no trouble up to this iteration."""
    if read_good(folder) != iteration:
        write_atomically(folder / GOOD, to_json({"iteration": iteration}))


def read_good(folder: Path) -> int | None:
    """Return what ``good.json`` says; None if there is none, or it is damaged.

    Raises:
        CheckpointError: It cannot be read.
    """
    try:
        good = _read_json(folder / GOOD)
        return None if good is None else int(good["iteration"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _read_json(path: Path) -> Any:
    """Return what a small file holds, or None if there is none."""
    if not os.path.lexists(path):
        return None
    with os_errors(CheckpointError, f"{path}: cannot be read"):
        raw = read_regular(path, MAX_BYTES)
    return json.loads(raw)


def remove_abandoned(folder: Path, newest: int, notify: Callable[[str], object]) -> None:
    """Delete what a run that goes on from iteration `newest` has left behind.

    That is scratch of a killed process, checkpoints beyond `newest` (of a course that the
    run does not take again, or damaged), and ``best.json`` if it is damaged or names one of these.

    Args:
        folder: The run's ``checkpoints`` folder.
        newest: Iterations done.
        notify: Called with one line for each folder that is set aside instead.
    """
    for path in checkpoint_folders(folder):
        if _iteration(path) > newest:
            _remove(path, notify)
    clear_abandoned(folder)
    try:
        best = read_best(folder)
        known = best is None or (folder / best["checkpoint"]).is_dir()
    except DamagedError:
        known = False
    if not known:
        (folder / BEST).unlink()


def prune_checkpoints(
    folder: Path,
    keep_last: int,
    newest: int,
    good_until: int | None = None,
    notify: Callable[[str], object] = lambda line: None,
) -> None:
    """Delete all checkpoints but the last `keep_last` and the best, and abandoned scratch.

    Where `good_until` is given, the last one up to that iteration is kept too.

    Checkpoints beyond iteration `newest` belong to a course of the run that was abandoned
    (it was resumed from an older checkpoint) and are deleted too. What may be somebody's is set
    aside instead (:func:`ppgan_zoo.storage.checkpoint.remove_checkpoint`), which `notify` is told.
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
            _remove(path, notify)
    clear_abandoned(folder)


def _remove(path: Path, notify: Callable[[str], object]) -> None:
    aside = remove_checkpoint(path)
    if aside is not None:
        notify(
            f"{path}: not deleted, since it is damaged or holds what the run did not write: "
            f"renamed to {aside.name}"
        )
