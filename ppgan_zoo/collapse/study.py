"""The folder of a study of the collapse suite, which the same command goes on with."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo import ops
from ppgan_zoo.collapse.modes import ModeCount
from ppgan_zoo.errors import CheckpointError, ConfigError, DataError, TrainingError, os_errors
from ppgan_zoo.run.identity import changes_of_machine, differences
from ppgan_zoo.run.recovery import bring_to
from ppgan_zoo.storage.checkpoint import first_non_finite, save_checkpoint
from ppgan_zoo.storage.files import open_regular, read_regular, to_json, write_atomically
from ppgan_zoo.storage.retention import (
    checkpoint_folders,
    load_newest,
    prune_checkpoints,
    remove_abandoned,
)
from ppgan_zoo.storage.run_lock import LOCK, locked
from ppgan_zoo.storage.scratch import clear_abandoned
from ppgan_zoo.storage.tolerance import reason
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.trainer import Trainer

IDENTITY, ROW, IMAGES, CHECKPOINTS = "study.json", "row.json", "samples.npy", "checkpoints"
EVERY_STEPS = 500
"""Iterations between two checkpoints of a run."""

KEPT_IMAGES = 2500
"""Samples of each seed that are kept, for the picture."""

WHERE = (".directory", ".location", ".source")
"""Ends of the keys that tell where the same digits lie."""

MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class SeedResult:
    """How one seed did: its figures, seconds of training, and its samples."""

    seed: int
    count: ModeCount
    seconds: float
    images: NDArray[np.float32]

    def row(self) -> dict[str, Any]:
        """Return plain data, without the samples."""
        return {"seed": self.seed, **dataclasses.asdict(self.count), "seconds": self.seconds}


@dataclass(frozen=True)
class Study:
    """What is kept of a setting's runs.

    Args:
        path: Its folder.
        setting: What its figures depend on, as plain data; another setting has another study.
        machine: What the last digits of its numbers depend on besides.
    """

    path: Path
    setting: Mapping[str, Any]
    machine: Mapping[str, Any]

    def check(self) -> None:
        """Make sure that the study can begin here, or go on.

        Raises:
            ConfigError: Something else is there, or a study of another setting.
        """
        clear_abandoned(self.path)  # of a process that was killed before the study began
        with os_errors(ConfigError, f"--output {self.path}: cannot be looked at"):
            there = self.path.is_dir() and {entry.name for entry in self.path.iterdir()} - {LOCK}
            file = self.path.exists() and not self.path.is_dir()
            begun = (self.path / IDENTITY).is_file()
        if file or (there and not begun):
            raise ConfigError(
                f"--output {self.path}: is no empty directory, and no study of the collapse suite; "
                "give another"
            )
        if begun:
            self._check_setting()

    def _check_setting(self) -> None:
        path = self.path / IDENTITY
        try:
            held = dict(json.loads(read_regular(path, MAX_BYTES)))
        except (OSError, ValueError, TypeError, RecursionError):
            raise ConfigError(f"{path}: cannot be read; give another --output") from None
        for key, was, now in differences(held, json.loads(json.dumps(self.setting))):
            if key.endswith(WHERE):
                continue
            raise ConfigError(
                f"--output {self.path}: holds a study whose {key} is {was}, and here it is {now}; "
                "give another --output, or the command that began it"
            )

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """Own the folder for a block.

        Raises:
            ConfigError: It cannot be made, or holds something else.
            CheckpointError: Another process owns it.
        """
        self.check()
        where = f"--output {self.path}: cannot be made"
        with os_errors(ConfigError, where, then="give another"):
            self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            self.check()
            self._check_links()
            clear_abandoned(self.path)
            with os_errors(ConfigError, f"--output {self.path}: cannot be written to"):
                if not (self.path / IDENTITY).exists():
                    write_atomically(self.path / IDENTITY, to_json(self.setting))
            yield

    def _check_links(self) -> None:
        """Make sure that what is written lies in the folder itself."""
        with os_errors(CheckpointError, f"{self.path}: cannot be looked at"):
            link = next((path for path in self.path.rglob("*") if path.is_symlink()), None)
        if link is not None:
            raise CheckpointError(
                f"{link}: is a symbolic link, and the study would write to where it leads; put in "
                "its place what it leads to"
            )

    def of_seed(self, seed: int) -> SeedFolder:
        """Return the folder of one run."""
        return SeedFolder(self.path / f"seed-{seed}", self.machine)


@dataclass(frozen=True)
class SeedFolder:
    """What is kept of one run: its newest checkpoint, and, when it is over, its figures."""

    path: Path
    machine: Mapping[str, Any]

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint, or the run is over."""
        return (self.path / ROW).exists() or bool(checkpoint_folders(self.checkpoints))

    def result(self) -> SeedResult | None:
        """Return how the run did; None if it is not over.

        Raises:
            DataError: What was kept is damaged.
        """
        if not (self.path / ROW).exists():
            return None
        try:
            row = json.loads(read_regular(self.path / ROW, MAX_BYTES))
            figures = (row["modes"], row["high_quality"], row["reverse_kl"])
            with open_regular(self.path / IMAGES) as file:
                images = np.load(file, allow_pickle=False)
            return SeedResult(row["seed"], ModeCount(*figures), row["seconds"], images)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(
                f"{self.path}: what was kept of this run cannot be read ({error}); delete the "
                "folder, and the run begins again"
            ) from None

    def keep(self, result: SeedResult) -> None:
        """Keep how the run did."""
        with os_errors(TrainingError, f"{self.path}: cannot be written to"):
            self.path.mkdir(exist_ok=True)
            content = io.BytesIO()
            np.save(content, result.images[:KEPT_IMAGES], allow_pickle=False)
            write_atomically(self.path / IMAGES, content.getvalue())
            write_atomically(self.path / ROW, to_json(result.row()))


class Checkpoints(Callback):
    """Saves a run every :data:`EVERY_STEPS` iterations and when it is stopped.

    A state that is not finite is not saved: there is nothing to go on with.

    Args:
        folder: Of the run.
        model: What rebuilds it, for the manifest.
    """

    def __init__(self, folder: SeedFolder, model: Mapping[str, Any]) -> None:
        self.folder = folder
        self.model = dict(model)
        self._before = 0.0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Of training in all, those before the run was continued included."""
        return self._before + time.monotonic() - self._began

    def resume(self, trainer: Trainer, notify: Callable[[str], None]) -> None:
        """Bring a fresh trainer to the newest checkpoint, if there is one.

        Args:
            trainer: Of the run, as yet without an iteration.
            notify: Called with a line of text for whatever the user should know.
        """
        with os_errors(TrainingError, f"{self.folder.path}: cannot be written to"):
            self.folder.checkpoints.mkdir(parents=True, exist_ok=True)
        if checkpoint_folders(self.folder.checkpoints):
            try:
                checkpoint, arrays = load_newest(self.folder.checkpoints, notify)
            except CheckpointError as error:
                raise CheckpointError(f"{error}; delete it, and the run begins again") from None
            machine = self.folder.machine
            changed = changes_of_machine(checkpoint.manifest.get("runtime"), machine)
            if changed is None:
                ops.adopt(checkpoint.products)
            else:
                notify(changed)
            bring_to(trainer, checkpoint, arrays)
            self._before = float(checkpoint.manifest.get("seconds", 0.0))
            notify(f"goes on from iteration {trainer.iteration:,}")
        remove_abandoned(self.folder.checkpoints, trainer.iteration, notify)
        self._began = time.monotonic()

    def on_step_end(self, trainer: Trainer, scalars: dict[str, Any]) -> None:
        """Save, if it is time to."""
        if trainer.iteration % EVERY_STEPS == 0:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, error: BaseException | None) -> None:
        """Save what was done since."""
        if error is None and trainer.iteration % EVERY_STEPS:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        state = trainer.state()
        if any(first_non_finite(arrays) is not None for arrays in state.values()):
            return
        facts = {
            "seconds": self.seconds,
            "products": ops.choices_used(),
            "runtime": dict(self.folder.machine),
        }
        try:
            save_checkpoint(self.folder.checkpoints, state, trainer.iteration, self.model, **facts)
            prune_checkpoints(self.folder.checkpoints, 1, trainer.iteration)
        except OSError as error:
            raise TrainingError(
                f"iteration {trainer.iteration}: checkpoint not saved: {reason(error)}; make room, "
                "then give the same command again"
            ) from None
