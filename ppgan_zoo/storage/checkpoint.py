"""Checkpoints: a folder of safetensors files and one ``checkpoint.json``.

``checkpoint.json`` names the model with all its arguments, so that a checkpoint can be
sampled and exported on its own, the SHA-256 of every file beside it, checked before any
of them is parsed, and the SHA-256 of what it says itself. A checkpoint appears under its
name only when it is whole, holds finite numbers only, and is never replaced by another.
Which of a run's checkpoints stay is a matter of :mod:`ppgan_zoo.storage.retention`.
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
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ppgan_zoo import __version__
from ppgan_zoo.errors import CheckpointError, os_errors
from ppgan_zoo.storage.files import atomic_folder, read_regular, to_json

FORMAT = 1
MANIFEST = "checkpoint.json"
MAX_MANIFEST_BYTES = 1 << 20

Arrays = dict[str, NDArray[Any]]
"""The tensors of one net or optimizer, by structured name."""

_ANOTHER = "the file is damaged: use another checkpoint of the run"


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
    def rollbacks(self) -> int:
        """How often the run had gone back to a checkpoint before."""
        return int(self.manifest.get("rollbacks", 0))

    @property
    def model(self) -> Mapping[str, Any]:
        """Name, constructor arguments, image range and latent of the model."""
        model: Mapping[str, Any] = self.manifest["model"]
        return model

    def has(self, name: str) -> bool:
        """Tell whether it holds the arrays called `name`."""
        return f"{name}.safetensors" in self.manifest["files"]

    def arrays(self, name: str) -> Arrays:
        """Return one file's arrays, after checking its hash; the file is read once.

        Raises:
            CheckpointError: The file is missing, changed or unreadable, or holds NaN or
                infinity.
        """
        path = self.path / f"{name}.safetensors"
        wanted = self.manifest["files"].get(path.name)
        if wanted is None:
            raise CheckpointError(f"{self.path}: holds no {path.name}")
        with os_errors(CheckpointError, f"{path}: cannot be read"):
            content = read_regular(path)
        found = hashlib.sha256(content).hexdigest()
        if found != wanted["sha256"]:
            raise CheckpointError(
                f"{path}: its SHA-256 is {found[:12]}..., and {MANIFEST} says "
                f"{wanted['sha256'][:12]}...; the file is damaged or was changed: use another "
                "checkpoint of the run"
            )
        try:
            arrays = load(content)
        except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: not a safetensors file for numpy: {error}") from None
        bad = first_non_finite(arrays)
        if bad is not None:
            raise CheckpointError(
                f"{path}: tensor {bad!r} holds NaN or infinity, which no weight or moment may; "
                "use an earlier checkpoint of the run"
            )
        return arrays

    def all_arrays(self) -> dict[str, Arrays]:
        """Return every file's arrays, by name without suffix."""
        names = [name.removesuffix(".safetensors") for name in self.manifest["files"]]
        return {name: self.arrays(name) for name in names}


def first_non_finite(arrays: Arrays) -> str | None:
    """Return the name of the first array that holds NaN or infinity, or None."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return name
    return None


def checkpoint_name(iteration: int) -> str:
    """Return the folder name of the checkpoint after `iteration` iterations."""
    return f"step-{iteration:08d}"


def save_checkpoint(
    folder: Path, arrays: Mapping[str, Arrays], iteration: int, model: Mapping[str, Any],
    **facts: Any,
) -> Checkpoint:  # fmt: skip
    """Write a checkpoint under `folder`, whole or not at all.

    One that is there already is not replaced, so that at no moment a valid one is missing:
    if it is the same it stays, if it is damaged it makes way.

    Args:
        folder: The run's ``checkpoints`` folder.
        arrays: Arrays by file name without suffix.
        iteration: Iterations done.
        model: What rebuilds the model, as :attr:`Checkpoint.model`.
        **facts: More plain data for the manifest.

    Returns:
        The checkpoint, as read back by :func:`open_checkpoint`.

    Raises:
        CheckpointError: An array is not finite, or a valid checkpoint of another course of
            the run has that iteration.
        OSError: It cannot be written; nothing is left behind.
    """
    target = folder / checkpoint_name(iteration)
    for name, tensors in arrays.items():
        bad = first_non_finite(tensors)
        if bad is not None:
            raise CheckpointError(f"{target}: not saved: {name}: {bad!r} holds NaN or infinity")
    if target.exists():
        there = _valid_or_removed(target)
        if there is not None:
            return _same_or_refused(there, arrays)
    with atomic_folder(target) as scratch:
        files: dict[str, Any] = {}
        for name, tensors in arrays.items():
            # safetensors writes a view's memory as it lies: only contiguous arrays are right.
            content = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
            file = f"{name}.safetensors"
            (scratch / file).write_bytes(content)
            files[file] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
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


def _valid_or_removed(path: Path) -> tuple[Checkpoint, dict[str, Arrays]] | None:
    """Return what a folder holds, or None after removing one that is damaged."""
    try:
        checkpoint = open_checkpoint(path)
        return checkpoint, checkpoint.all_arrays()
    except CheckpointError:
        remove_checkpoint(path)
        return None


def _same_or_refused(
    there: tuple[Checkpoint, dict[str, Arrays]], arrays: Mapping[str, Arrays]
) -> Checkpoint:
    checkpoint, found = there
    if {name: _content(part) for name, part in found.items()} != {
        name: _content(part) for name, part in arrays.items()
    }:
        raise CheckpointError(
            f"{checkpoint.path}: not saved: it is there already, valid and with other content; "
            "move it away first"
        )
    return checkpoint


def _content(arrays: Arrays) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {key: (str(a.dtype), a.shape, a.tobytes()) for key, a in arrays.items()}


def remove_checkpoint(path: Path) -> None:
    """Delete a checkpoint, so that no reader ever sees a part of it under its name."""
    hidden = path.with_name(f".{path.name}-removed")
    shutil.rmtree(hidden, ignore_errors=True)
    path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def open_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's manifest.

    Raises:
        CheckpointError: It is missing, changed or not a manifest of this format.
    """
    file = path / MANIFEST
    with os_errors(CheckpointError, f"{file}: cannot be read"), file.open("rb") as opened:
        raw = opened.read(MAX_MANIFEST_BYTES + 1)
    if len(raw) > MAX_MANIFEST_BYTES:
        raise CheckpointError(f"{file}: larger than {MAX_MANIFEST_BYTES} bytes; {_ANOTHER}")
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not JSON: {error}; {_ANOTHER}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"{file}: not a checkpoint of format {FORMAT}")
    claimed = manifest.pop("sha256", None)
    if claimed is not None and claimed != _digest(manifest):
        raise CheckpointError(
            f"{file}: does not have the SHA-256 that it says; it is damaged or was changed: use "
            "another checkpoint of the run"
        )
    iteration, files = manifest.get("iteration"), manifest.get("files")
    rollbacks = manifest.get("rollbacks", 0)
    whole = {
        "iteration": type(iteration) is int and iteration >= 0,
        "rollbacks": type(rollbacks) is int and rollbacks >= 0,
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
