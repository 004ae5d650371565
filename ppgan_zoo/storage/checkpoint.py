"""Checkpoints: a folder of safetensors files and one ``checkpoint.json``.

``checkpoint.json`` names the model with all its arguments, so that a checkpoint can be
sampled and exported on its own, the SHA-256 of every file beside it, checked before any
of them is parsed, and the SHA-256 of what it says itself. A checkpoint appears under its
name only when it is whole, holds finite numbers only, and is never replaced by another.
Which of a run's checkpoints stay is a matter of :mod:`ppgan_zoo.storage.retention`.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ppgan_zoo import __version__
from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage.files import atomic_folder, read_regular, to_json
from ppgan_zoo.storage.half_precision import HALF, widened
from ppgan_zoo.storage.half_precision import Arrays as Arrays
from ppgan_zoo.storage.scratch import scratch_folder

FORMAT = 1
MANIFEST = "checkpoint.json"
MAX_MANIFEST_BYTES = 1 << 20
STORED_AS = "stored_as"
"""Key of a manifest whose large tensors are of another type on disk: ``"float16"``."""

_ANOTHER = "the file is damaged: use another checkpoint of the run"


class DamagedError(CheckpointError):
    """A checkpoint without the hashes that it should have, or with NaN in it.

    No other error is damage: not a disk that cannot be read, not a newer format.
    """


class GoneError(CheckpointError):
    """A checkpoint that is not there any more: the run that it is of goes on."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose manifest has been read.

    Attributes:
        path: Its folder.
        manifest: What ``checkpoint.json`` says.
        sha256: Of ``checkpoint.json``, which holds the hashes of all other files.
        held: Arrays that have been read, by name; they stay when the run prunes its files.
    """

    path: Path
    manifest: Mapping[str, Any]
    sha256: str
    held: Mapping[str, Arrays] = field(default_factory=dict, repr=False, compare=False)

    @property
    def iteration(self) -> int:
        """Iterations done when it was written."""
        return int(self.manifest["iteration"])

    @property
    def rollbacks(self) -> int:
        """How often the run had gone back to a checkpoint before."""
        return int(self.manifest.get("rollbacks", 0))

    @property
    def restarts(self) -> int:
        """How often the run had begun again from other weights before."""
        return int(self.manifest.get("restarts", 0))

    @property
    def products(self) -> Mapping[str, str]:
        """How the run computed its products, as :func:`ppgan_zoo.ops.choices_used` returns it."""
        found = self.manifest.get("products", {})
        return found if isinstance(found, Mapping) else {}

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
            DamagedError: The file is missing or changed, or holds NaN or infinity.
            GoneError: The checkpoint was deleted in the meantime.
            CheckpointError: The file cannot be read.
        """
        if name in self.held:
            return self.held[name]
        path = self.path / f"{name}.safetensors"
        wanted = self.manifest["files"].get(path.name)
        if wanted is None:
            raise CheckpointError(f"{self.path}: holds no {path.name}")
        content = _read(path, wanted.get("bytes"))
        found = hashlib.sha256(content).hexdigest()
        if found != wanted["sha256"]:
            raise DamagedError(
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
            raise DamagedError(
                f"{path}: tensor {bad!r} holds NaN or infinity, which no weight or moment may; "
                "use an earlier checkpoint of the run"
            )
        return widened(arrays) if self.manifest.get(STORED_AS) == HALF else arrays

    def all_arrays(self) -> dict[str, Arrays]:
        """Return every file's arrays, by name without suffix."""
        names = [name.removesuffix(".safetensors") for name in self.manifest["files"]]
        return {name: self.arrays(name) for name in names}


def _read(path: Path, limit: int | None) -> bytes:
    """Return a file's content; only what a hash would show too is called damage."""
    try:
        return read_regular(path, limit)
    except OSError as error:
        said = f"{path}: cannot be read: {error.strerror or error}"
        if isinstance(error, FileNotFoundError):
            there = os.path.isdir(path.parent)
            raise (DamagedError if there else GoneError)(said) from None
        if error.errno == errno.EFBIG and limit is not None:  # its hash is another, too
            raise DamagedError(f"{said}, so of another SHA-256; {_ANOTHER}") from None
        raise CheckpointError(said) from None


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

    One that exists already is not replaced, so that at no moment a valid one is missing:
    if it is the same it stays, if it is damaged it makes way (see :func:`remove_checkpoint`).

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
        try:
            there = open_checkpoint(target)
            return _same_or_refused(there, there.all_arrays(), arrays)
        except DamagedError:
            remove_checkpoint(target)
    with atomic_folder(target) as scratch:
        written = fill_checkpoint(scratch, arrays, iteration, model, **facts)
    return replace(written, path=target)


def fill_checkpoint(
    folder: Path, arrays: Mapping[str, Arrays], iteration: int, model: Mapping[str, Any],
    **facts: Any,
) -> Checkpoint:  # fmt: skip
    """Write the files of a checkpoint into a folder that the caller has made for it.

    Args:
        folder: The folder.
        arrays: As for :func:`save_checkpoint`.
        iteration: Iterations done.
        model: What rebuilds the model.
        **facts: More plain data for the manifest.

    Raises:
        OSError: It cannot be written.
    """
    files: dict[str, Any] = {}
    for name, tensors in arrays.items():
        # safetensors writes a view's memory as it lies: only contiguous arrays are right.
        content = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
        file = f"{name}.safetensors"
        (folder / file).write_bytes(content)
        files[file] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = {
        "format": FORMAT,
        "ppgan_zoo": __version__,
        "iteration": iteration,
        "model": dict(model),
        **facts,
        "files": files,
    }
    text = to_json({**manifest, "sha256": _digest(manifest)}).encode()
    (folder / MANIFEST).write_bytes(text)
    return Checkpoint(folder, manifest, hashlib.sha256(text).hexdigest())


def _same_or_refused(
    there: Checkpoint, found: Mapping[str, Arrays], arrays: Mapping[str, Arrays]
) -> Checkpoint:
    if {name: _content(part) for name, part in found.items()} != {
        name: _content(part) for name, part in arrays.items()
    }:
        raise CheckpointError(
            f"{there.path}: not saved: it exists already, valid and with other content; "
            "move it away first"
        )
    return there


def _content(arrays: Arrays) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {key: (str(a.dtype), a.shape, a.tobytes()) for key, a in arrays.items()}


def remove_checkpoint(path: Path) -> Path | None:
    """Delete a checkpoint, so that no reader ever sees a part of it under its name.

    Deleted are the files that its manifest names. A folder whose manifest is damaged, or that
    holds anything else, may be somebody's: it is not deleted, but renamed to ``aside-NAME.N``.
    One that cannot be looked at stays where it is.

    Returns:
        What it was renamed to, or None.

    Raises:
        OSError: It cannot be moved.
    """
    try:
        own = {MANIFEST, *open_checkpoint(path).manifest["files"]}
    except DamagedError:
        own = set()
    except CheckpointError:
        return None
    with os.scandir(path) as entries:
        known = all(e.name in own and e.is_file(follow_symlinks=False) for e in entries)
    if not (own and known):
        names = (path.with_name(f"aside-{path.name}.{n}") for n in itertools.count(1))
        aside = next(name for name in names if not os.path.lexists(name))
        path.rename(aside)
        return aside
    with scratch_folder(path.parent) as scratch:
        path.rename(scratch / path.name)
    return None


def open_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's manifest.

    Raises:
        DamagedError: It is missing or changed.
        GoneError: The folder is not there.
        CheckpointError: It cannot be read, or is not a manifest of this format.
    """
    file = path / MANIFEST
    raw = _read(file, MAX_MANIFEST_BYTES)
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{file}: not JSON: {error}; {_ANOTHER}") from None
    if not isinstance(manifest, dict):
        raise DamagedError(f"{file}: not a checkpoint of format {FORMAT}; {_ANOTHER}")
    found = manifest.get("format")
    if type(found) is int and found > FORMAT:
        raise CheckpointError(
            f"{file}: not a checkpoint of format {FORMAT}, but of {found}, which a newer ppgan_zoo "
            "wrote; install that one"
        )
    claimed = manifest.pop("sha256", None)
    if claimed is not None and claimed != _digest(manifest):
        raise DamagedError(
            f"{file}: does not have the SHA-256 that it says; it is damaged or was changed: use "
            "another checkpoint of the run"
        )
    if found != FORMAT:
        raise CheckpointError(f"{file}: not a checkpoint of format {FORMAT}")
    iteration, files = manifest.get("iteration"), manifest.get("files")
    counts = {key: manifest.get(key, 0) for key in ("rollbacks", "restarts")}
    whole = {
        "iteration": type(iteration) is int and iteration >= 0,
        **{key: type(count) is int and count >= 0 for key, count in counts.items()},
        "model": isinstance(manifest.get("model"), dict),
        "files": isinstance(files, dict) and all(map(_is_file_entry, files.items())),
    }
    for key, right in whole.items():
        if not right:
            raise CheckpointError(f"{file}: key {key!r} is missing or not what belongs there")
    return Checkpoint(path, manifest, hashlib.sha256(raw).hexdigest())


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def _is_file_entry(item: tuple[str, Any]) -> bool:
    name, facts = item
    return (
        re.fullmatch(r"\w+\.safetensors", name) is not None
        and isinstance(facts, dict)
        and isinstance(facts.get("sha256"), str)
        and (facts.get("bytes") is None or type(facts["bytes"]) is int)
    )
