"""A run directory: recipe, manifest, log, progress, VisualDL records, samples, checkpoints.

One process at a time owns it, by a lock that the system frees when that process ends,
however it ends.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgan_zoo import __version__
from ppgan_zoo.errors import CheckpointError, ConfigError, DataError, first_fault, os_errors
from ppgan_zoo.registry import LOGS
from ppgan_zoo.storage.files import (
    as_argument,
    atomic_folder,
    read_regular,
    to_json,
    write_atomically,
)
from ppgan_zoo.storage.pickles import refuse_pickle
from ppgan_zoo.storage.run_lock import LOCK, Lock, locked
from ppgan_zoo.storage.scratch import clear_abandoned, scratch_folder


class _Data(BaseModel):
    """What must stand in a manifest about the data."""

    model_config = ConfigDict(strict=True)

    name: str
    source: str
    location: str
    sha256: str
    count: Annotated[int, Field(ge=0)]
    image_shape: Annotated[list[int], Field(min_length=3, max_length=3)]


CLAIM = ".claim"
_BEFORE = {LOCK, CLAIM}  # what a directory may hold before its run begins
_OWN = re.compile(  # all that a run writes
    r"recipe\.yml|manifest\.json|progress\.json|train\.log|\.lock|\.claim"
    r"|samples(/step-\d{8,}\.png)?|visualdl(/\w+\.\d+\.log)?"
    r"|tensorboard(/superseded\.\d+\.log|/events\.out\.tfevents\.[\w.]+)?|swanlab(/.+)?"
    r"|checkpoints(/(best|good)\.json|/step-\d{8,}(/checkpoint\.json|/\w+\.safetensors)?)?"
)
MAX_MANIFEST_BYTES = 1 << 26
"""Of ``manifest.json``, which each start adds to."""


@dataclass(frozen=True)
class RunDirectory:
    """The paths inside one run directory."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yml"

    @property
    def manifest(self) -> Path:
        """Versions, seed, device, data, commit and command of every start."""
        return self.path / "manifest.json"

    @property
    def log(self) -> Path:
        """The plain log."""
        return self.path / "train.log"

    @property
    def progress(self) -> Path:
        """How far it is: :class:`ppgan_zoo.storage.progress.Progress`."""
        return self.path / "progress.json"

    @property
    def visualdl(self) -> Path:
        """The VisualDL records."""
        return self.path / "visualdl"

    @property
    def records(self) -> tuple[Path, ...]:
        """The folders of all kinds of logs, there or not."""
        return tuple(self.path / name for name in LOGS.names())

    @property
    def samples(self) -> Path:
        """The sample grids."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints."""
        return self.path / "checkpoints"

    def check_free(self) -> None:
        """Make sure that a new run can go here.

        Raises:
            ConfigError: Something exists already.
        """
        with os_errors(ConfigError, f"--output {self.path}: cannot be looked at"):
            clear_abandoned(self.path)  # of a process that was killed before the run began
            there = os.path.lexists(self.path)
            free = not there or (self.path.is_dir() and not set(os.listdir(self.path)) - _BEFORE)
        if not free:
            what = "is not empty; give another --output"
            if self.recipe.exists():
                what = (
                    "already holds a run; continue it with ppgan-zoo train --resume "
                    f"{as_argument(self.path)}, or give another --output"
                )
            raise ConfigError(f"--output {self.path}: {what}")

    @contextlib.contextmanager
    def begin(self) -> Iterator[Lock]:
        """Own the directory of a new run for a block, made and locked before anything slow.

        If the block fails before the run has a recipe, nothing of it is left.

        Raises:
            ConfigError: It cannot be made, or something exists already.
            CheckpointError: Another process begins a run there, or trains one.
        """
        self.check_free()
        made = [path for path in (self.path, *self.path.parents) if not os.path.lexists(path)]
        try:
            where = f"--output {self.path}: cannot be made"
            with os_errors(ConfigError, where, then="give another --output"):
                self.path.mkdir(parents=True, exist_ok=True)
            with self.lock() as lock:
                try:
                    self.check_free()
                    yield lock
                finally:
                    if not os.path.lexists(self.recipe):
                        lock.delete()
                        for folder in (self.samples, self.checkpoints):
                            with contextlib.suppress(OSError):
                                folder.rmdir()
        finally:
            for path in made:
                with contextlib.suppress(OSError):  # those that are not empty stay
                    path.rmdir()

    def create(self) -> None:
        """Make the folders of a new run.

        Raises:
            ConfigError: They cannot be made.
        """
        where = f"--output {self.path}: cannot be made"
        with os_errors(ConfigError, where, then="give another --output"):
            for folder in (self.samples, self.checkpoints):
                folder.mkdir(exist_ok=True)

    def check(self) -> None:
        """Make sure that this is a run.

        Raises:
            CheckpointError: It is not.
        """
        refuse_pickle(self.path)
        if not os.path.isfile(self.recipe):
            raise CheckpointError(
                f"{self.path}: not a run (it has no {self.recipe.name}); give the directory that "
                "'ppgan-zoo train --output' made"
            )

    def claim(self, mark: str) -> None:
        """Make the directory of a run that is to begin, with a mark that tells who made it.

        Raises:
            OSError: It cannot be made, or something is there.
        """
        with atomic_folder(self.path) as folder:
            (folder / CLAIM).write_text(mark, encoding="utf-8")

    def is_claimed_by(self, mark: str) -> bool:
        """Tell whether :meth:`claim` made the directory with this mark."""
        try:
            return read_regular(self.path / CLAIM, len(mark)) == mark.encode()
        except OSError:
            return False

    def delete(self) -> None:
        """Delete the run: whoever claimed it begins it again.

        Raises:
            CheckpointError: Another process trains it; or there is a file in it that no run
                writes, and nothing is deleted.
        """
        with self.lock():
            self.clear_scratch()
            with os_errors(CheckpointError, f"{self.path}: cannot be looked at"):
                foreign = next(self._foreign(), None)
            if foreign is not None:
                raise CheckpointError(
                    f"{foreign}: is in the way of a run that should start again, and no run "
                    "wrote it; move it away"
                )
            with scratch_folder(self.path.parent) as scratch:
                self.path.rename(scratch / "old")

    def _foreign(self) -> Iterator[Path]:
        for at, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = Path(at, name)
                if path.is_symlink() or not _OWN.fullmatch(str(path.relative_to(self.path))):
                    yield path

    def check_links(self) -> None:
        """Make sure that whatever a resume writes to lies in the run itself.

        Raises:
            CheckpointError: Something is a symbolic link, which may lead anywhere.
        """
        own = (self.recipe, self.manifest, self.log, self.progress, self.path / LOCK)
        folders = (self.samples, self.checkpoints, *self.records)
        with os_errors(CheckpointError, f"{self.path}: cannot be looked at"):
            inside = (Path(at, name) for folder in folders for at, dirs, files in os.walk(folder)
                      for name in (*dirs, *files))  # fmt: skip
            link = next((path for path in (*own, *folders, *inside) if path.is_symlink()), None)
        if link is not None:
            raise CheckpointError(
                f"{link}: is a symbolic link, and a resume would write to where it leads; put in "
                "its place what it leads to"
            )

    def clear_scratch(self) -> None:
        """Delete the half-written files that a killed owner left behind."""
        for folder in (self.path, self.samples, self.checkpoints, *self.records):
            clear_abandoned(folder)

    def lock(self) -> contextlib.AbstractContextManager[Lock]:
        """Own the run for a block; the system frees it when the process dies inside.

        Raises:
            CheckpointError: Another process owns it, or it cannot be locked.
        """
        return locked(self.path)

    def starts(self) -> list[dict[str, Any]]:
        """Return what the manifest records of every start, oldest first.

        Raises:
            CheckpointError: The manifest cannot be read.
        """
        starts: list[dict[str, Any]] = self._manifest()["starts"]
        return starts

    def restarts(self) -> int:
        """Return how often the run began again, since G had not begun to learn.

        Raises:
            CheckpointError: The manifest cannot be read.
        """
        return len(self._manifest().get("restarts", []))

    def record_start(self, facts: dict[str, Any]) -> None:
        """Add one start (a fresh one or a resume) to the manifest."""
        held = self._manifest()
        self._write_manifest({**held, "starts": [*held["starts"], facts]})

    def record_restart(self, number: int, iteration: int, distance: float) -> None:
        """Add to the manifest that the run began again, since G had not begun to learn.

        Args:
            number: Restarts, with this one; a run that is killed and repeats it counts it once.
            iteration: Iterations done by then.
            distance: What was found, see :mod:`ppgan_zoo.training.first_phase`; None is written
                for one that is infinite.
        """
        found = round(distance, 4) if math.isfinite(distance) else None
        facts = {"iteration": iteration, "distance": found}
        held = self._manifest()
        before = held.get("restarts", [])[: number - 1]
        self._write_manifest({**held, "restarts": [*before, facts]})

    def _write_manifest(self, content: dict[str, Any]) -> None:
        write_atomically(self.manifest, to_json(content))

    def _manifest(self) -> dict[str, Any]:
        """Return the manifest's ``starts`` and, if there were any, ``restarts``."""
        try:
            manifest = json.loads(read_regular(self.manifest, MAX_MANIFEST_BYTES))
            read = {key: list(manifest[key]) for key in ("starts", "restarts") if key in manifest}
            if not all(isinstance(entry, dict) for entries in read.values() for entry in entries):
                raise ValueError("a start or restart is no mapping")
            if "starts" not in read:
                raise ValueError("it has no key 'starts'")
            return read
        except FileNotFoundError:
            return {"starts": []}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise CheckpointError(f"{self.manifest}: cannot be read: {said}") from None

    def trained_on(self) -> dict[str, Any] | None:
        """Return what the manifest records of the data of the first start; None without one.

        Raises:
            CheckpointError: It was changed by hand.
        """
        starts = self.starts()
        if not starts:
            return None
        try:
            _Data.model_validate(starts[0]["data"])
        except (KeyError, TypeError, ValidationError) as error:
            inner = first_fault(error).key if isinstance(error, ValidationError) else ""
            key = f"starts.0.data.{inner}".rstrip(".")
            raise CheckpointError(
                f"{self.manifest}: key {key!r} is missing or not what belongs there; put the file "
                "back as it was, or start a new run"
            ) from None
        data: dict[str, Any] = starts[0]["data"]
        return data

    def check_data(self, data: dict[str, Any]) -> None:
        """Make sure that the data are those the run was started on.

        Raises:
            DataError: They are not.
        """
        before = self.trained_on()
        if before is None:
            return
        if before["sha256"] != data["sha256"]:
            raise DataError(
                f"{self.path}: was started on {before['count']:,} images of {before['name']} from "
                f"{before['source']} ({before['location']}), and found {data['count']:,} others "
                f"from {data['source']} ({data['location']}); give the same ones by --data-dir"
            )
        for key in ("class_names", "labels_sha256"):  # of models with labels
            if before.get(key, data.get(key)) != data.get(key):
                raise DataError(
                    f"{self.path}: was started on these images with other labels, and "
                    f"{data['location']} has changed since; put the labels back as they were, or "
                    "start a new run"
                )


def newest_run(root: Path) -> RunDirectory:
    """Return the run under `root` (or `root` itself) that was written to last.

    Raises:
        CheckpointError: There is none.
    """
    runs = [recipe.parent for recipe in (*root.glob("recipe.yml"), *root.glob("*/recipe.yml"))]
    if not runs:
        raise CheckpointError(f"{root}: holds no run to resume; name one: --resume RUN")
    return RunDirectory(max(runs, key=lambda run: (run / "recipe.yml").stat().st_mtime))


def start_facts(command: list[str], **facts: Any) -> dict[str, Any]:
    """Return what a manifest records of one start: time, versions, commit, command."""
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str | None] = {}
    for package in ("numpy", "safetensors", "pillow", "visualdl", "pydantic"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "ppgan_zoo": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "versions": versions,
        **facts,
    }


def _git_commit() -> str | None:
    """Return the commit of the zoo's own checkout, or None when it is an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def command_line() -> list[str]:
    """Return the command that started this process, program name without its folder."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]


def run_of(path: Path) -> RunDirectory | None:
    """Return the run that a path is, or that it is a checkpoint of; None of anything else."""
    is_inside = path.parent.name == RunDirectory(path).checkpoints.name
    for folder in (path, *((path.parent.parent,) if is_inside else ())):
        if RunDirectory(folder).recipe.is_file():
            return RunDirectory(folder)
    return None
