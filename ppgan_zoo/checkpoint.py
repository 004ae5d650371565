"""Checkpoints: a folder of safetensors files and one ``checkpoint.json``.

``checkpoint.json`` names the model with all its arguments, so that a checkpoint can be
sampled and exported on its own, the SHA-256 of every file beside it, checked before any
of them is parsed, and the SHA-256 of what it says itself. A checkpoint appears under its
name only when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ppgan_zoo import __version__
from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.files import atomic_folder, sha256_file, to_json, write_atomically
from ppgan_zoo.optimizers import Arrays

FORMAT = 1
MANIFEST = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose manifest has been read.

    Attributes:
        path: Its folder.
        manifest: What ``checkpoint.json`` says.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def iteration(self) -> int:
        """Iterations done when it was written."""
        return int(self.manifest["iteration"])

    @property
    def model(self) -> Mapping[str, Any]:
        """Name, constructor arguments, image range and latent of the model."""
        model: Mapping[str, Any] = self.manifest["model"]
        return model

    def has(self, name: str) -> bool:
        """Tell whether it holds the arrays called `name`."""
        return f"{name}.safetensors" in self.manifest["files"]

    def arrays(self, name: str) -> Arrays:
        """Return one file's arrays, after checking its hash.

        Raises:
            CheckpointError: The file is missing, changed or unreadable.
        """
        path = self.path / f"{name}.safetensors"
        wanted = self.manifest["files"].get(path.name)
        if wanted is None:
            raise CheckpointError(f"{self.path}: holds no {path.name}")
        try:
            found = sha256_file(path)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
        if found != wanted["sha256"]:
            raise CheckpointError(
                f"{path}: its SHA-256 is {found[:12]}..., and {MANIFEST} says "
                f"{wanted['sha256'][:12]}...; the file is damaged or was changed: use another "
                "checkpoint of the run"
            )
        try:
            return load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path}: not a safetensors file: {error}") from None

    def all_arrays(self) -> dict[str, Arrays]:
        """Return every file's arrays, by name without suffix."""
        names = [name.removesuffix(".safetensors") for name in self.manifest["files"]]
        return {name: self.arrays(name) for name in names}


def checkpoint_name(iteration: int) -> str:
    """Return the folder name of the checkpoint after `iteration` iterations."""
    return f"step-{iteration:08d}"


def save_checkpoint(
    folder: Path, arrays: Mapping[str, Arrays], iteration: int, model: Mapping[str, Any],
    **facts: Any,
) -> Checkpoint:  # fmt: skip
    """Write a checkpoint under `folder`, whole or not at all.

    Args:
        folder: The run's ``checkpoints`` folder.
        arrays: Arrays by file name without suffix.
        iteration: Iterations done.
        model: What rebuilds the model, as :attr:`Checkpoint.model`.
        **facts: More plain data for the manifest.

    Returns:
        The checkpoint, as read back by :func:`open_checkpoint`.
    """
    target = folder / checkpoint_name(iteration)
    with atomic_folder(target) as scratch:
        files: dict[str, Any] = {}
        for name, tensors in arrays.items():
            path = scratch / f"{name}.safetensors"
            # safetensors writes a view's memory as it lies: only contiguous arrays are right.
            save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, path)
            files[path.name] = {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        manifest = {
            "format": FORMAT,
            "ppgan_zoo": __version__,
            "iteration": iteration,
            "model": dict(model),
            **facts,
            "files": files,
        }
        signed = {**manifest, "sha256": _digest(manifest)}
        (scratch / MANIFEST).write_text(to_json(signed), encoding="utf-8")
    return Checkpoint(target, manifest)


def open_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's manifest.

    Raises:
        CheckpointError: It is missing, changed or not a manifest of this format.
    """
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"{file}: not a checkpoint of format {FORMAT}")
    claimed = manifest.pop("sha256", None)
    if claimed is not None and claimed != _digest(manifest):
        raise CheckpointError(
            f"{file}: does not have the SHA-256 that it says; it is damaged or was changed: use "
            "another checkpoint of the run"
        )
    iteration, files = manifest.get("iteration"), manifest.get("files")
    whole = {
        "iteration": type(iteration) is int and iteration >= 0,
        "model": isinstance(manifest.get("model"), dict),
        "files": isinstance(files, dict) and all(map(_is_file_entry, files.items())),
    }
    for key, right in whole.items():
        if not right:
            raise CheckpointError(f"{file}: key {key!r} is missing or not what belongs there")
    return Checkpoint(path, manifest)


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def _is_file_entry(item: tuple[str, Any]) -> bool:
    name, facts = item
    return (
        re.fullmatch(r"\w+\.safetensors", name) is not None
        and isinstance(facts, dict)
        and isinstance(facts.get("sha256"), str)
    )


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the checkpoints of a run, oldest first; unreadable ones are left out."""
    found = []
    for path in sorted(folder.glob("step-*")):
        try:
            found.append(open_checkpoint(path))
        except CheckpointError:
            continue
    return found


def newest_valid_checkpoint(folder: Path, notify: Any) -> Checkpoint:
    """Return the newest checkpoint whose files all have their hashes.

    Args:
        folder: The run's ``checkpoints`` folder.
        notify: Called with one line for each damaged checkpoint that is passed over.

    Raises:
        CheckpointError: There is none.
    """
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            checkpoint = open_checkpoint(path)
            checkpoint.all_arrays()
            return checkpoint
        except CheckpointError as error:
            notify(f"passed over a damaged checkpoint: {error}")
    raise CheckpointError(f"{folder}: no valid checkpoint; nothing to resume or sample from")


def remember_best(folder: Path, checkpoint: Checkpoint, figure: str, value: float) -> None:
    """Write ``best.json``, which names the best checkpoint so far."""
    best = {"checkpoint": checkpoint.path.name, "figure": figure, "value": value}
    write_atomically(folder / "best.json", to_json(best))


def read_best(folder: Path) -> dict[str, Any] | None:
    """Return what ``best.json`` says, or None if there is none."""
    try:
        best = json.loads((folder / "best.json").read_bytes())
        return {
            "checkpoint": str(best["checkpoint"]),
            "figure": str(best["figure"]),
            "value": float(best["value"]),
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / 'best.json'}: cannot be read: {error}") from None


def prune_checkpoints(
    folder: Path, keep_last: int, newest: int, good_until: int | None = None
) -> None:
    """Delete all checkpoints but the last `keep_last` and the best, and abandoned scratch.

    Where `good_until` is given, the last one up to that iteration is kept too.

    Checkpoints beyond iteration `newest` belong to a course of the run that was abandoned
    (it was resumed from an older checkpoint) and are deleted too.
    """
    best = read_best(folder)
    kept = [path for path in sorted(folder.glob("step-*")) if path.name <= checkpoint_name(newest)]
    keep = {path.name for path in kept[-keep_last:]} | ({best["checkpoint"]} if best else set())
    if good_until is not None:
        good = [path.name for path in kept if path.name <= checkpoint_name(good_until)]
        keep |= set(good[-1:])
    for path in folder.iterdir():
        if path.name.startswith((".step-", "step-")) and path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)
