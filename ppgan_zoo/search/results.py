"""What is kept of every run of a search, and where."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ppgan_zoo.errors import ConfigError, os_errors, reason_of
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.search.plan import Run, Search
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.run_lock import LOCK
from ppgan_zoo.storage.scratch import clear_abandoned
from ppgan_zoo.storage.terminal import exit_text

IDENTITY = ".search.json"
MAX_BYTES = 1 << 24
"""Of what a search keeps of a run."""


def _proof(text: str) -> str:
    return hashlib.sha256(f"ppgan_zoo search {text}".encode()).hexdigest()


class Failure(Section):
    """How a run failed: the exit code (negative for a signal) and the last line it wrote."""

    stage: Literal["train", "evaluate"]
    exit_code: int
    message: str

    def __str__(self) -> str:
        return f"{self.stage} ({exit_text(self.exit_code)}): {self.message}"


class Training(Section):
    """What the training of a run took.

    Attributes:
        iterations: Done in the end.
        lost_iterations: Done before a restart or rollback and lost by it.
        images: Real images that all of them took, lost ones too.
        seconds: From the first iteration to the last, lost ones too, with all that is done in
            between: checkpoints, sample grids, evaluations.
        cpu_seconds: The same in processor time; None where it is not known.
        restarts: How often training began again, since G had not begun to learn.
        started: Time of the start, UTC.
        zoo: Version of the zoo.
        git_commit: Of the zoo.
        data_sha256: Of the training images.
        device: Paddle's name of it.
        threads: Of the math library.
        processor: Its name.
    """

    iterations: int
    images: int
    seconds: float
    started: str
    git_commit: str | None
    device: str
    threads: int
    processor: str
    lost_iterations: int = 0
    cpu_seconds: float | None = None
    restarts: int = 0
    zoo: str | None = None
    data_sha256: str | None = None

    @property
    def minutes(self) -> float:
        """The seconds in minutes."""
        return self.seconds / 60

    @property
    def cpu_minutes(self) -> float | None:
        """The processor time in minutes."""
        return None if self.cpu_seconds is None else self.cpu_seconds / 60

    @property
    def ms_per_iteration(self) -> float | None:
        """Milliseconds for an iteration, on average; None before the first."""
        done = self.iterations + self.lost_iterations
        return 1000 * self.seconds / done if done else None


class Result(Section):
    """What is kept of one run.

    Attributes:
        setting: Name of the setting.
        seed: Of everything random.
        recipe_sha256: Of what the recipe says.
        minutes_allowed: The budget.
        cut: Whether the budget ended the training, or the run was given up.
        pruned: Whether it was given up, being worse than others at the same iteration.
        failure: What went wrong, if anything.
        commands: The command lines, in order.
        training: None if it never began.
        measured_by: The section ``evaluate`` of the file.
        evaluation: What ``ppgan-zoo evaluate`` wrote; None if it did not.
        curve: Minutes, iteration and FID: of the kept checkpoints where `evaluate.curve_samples`
            asks for it, else as recorded in training.
    """

    setting: str
    seed: int
    recipe_sha256: str
    minutes_allowed: float
    cut: bool = False
    pruned: bool = False
    failure: Failure | None = None
    commands: tuple[tuple[str, ...], ...] = ()
    training: Training | None = None
    measured_by: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    curve: tuple[tuple[float, int, float], ...] = ()

    @property
    def status(self) -> str:
        """``"failed"``, ``"pruned"``, ``"cut"`` or ``"finished"``."""
        if self.failure:
            return "failed"
        return "pruned" if self.pruned else "cut" if self.cut else "finished"

    @property
    def is_restarted(self) -> bool:
        """Whether training began again, since G had not begun to learn."""
        return self.training is not None and self.training.restarts > 0

    @property
    def metrics(self) -> dict[str, float | None]:
        """The figures; none for a run that failed."""
        return self.evaluation["metrics"] if self.evaluation and not self.failure else {}

    def with_floor_of(self, other: Result) -> Result:
        """Return the same with the figures of real images that another run was given.

        Those of a run that was measured by other images, or in another way, are not its own.
        """
        mine, others = self.evaluation, other.evaluation
        if mine is None or others is None or self.measured_by != other.measured_by:
            return self
        if mine["features"] != others["features"] or mine["real"] != others["real"]:
            return self
        return self.model_copy(update={"evaluation": {**mine, "floor": others["floor"]}})

    @property
    def floor(self) -> dict[str, float | None] | None:
        """The figures of real images, if they were taken with this run's."""
        floor = self.evaluation["floor"] if self.evaluation else None
        return None if floor is None else floor["metrics"]


@dataclass(frozen=True)
class SearchDirectory:
    """The paths inside the output directory of a search."""

    path: Path

    def check(self) -> None:
        """Make sure that a search can go here, or on from here.

        Raises:
            ConfigError: Something else is there.
        """
        clear_abandoned(self.path)  # of a process that was killed before the search began
        with os_errors(ConfigError, f"--output {self.path}: cannot be looked at"):
            there = os.path.lexists(self.path)
            free = not there or (self.path.is_dir() and not set(os.listdir(self.path)) - {LOCK})
        if not free and self._identity() is None:
            raise ConfigError(
                f"--output {self.path}: is not empty and holds no search (no {IDENTITY}); give "
                "another one"
            )

    def begin(self) -> None:
        """Make the folder of the runs and the mark by which a search knows its own."""
        if self._identity() is None:
            identity = secrets.token_hex(16)
            write_atomically(
                self.path / IDENTITY, to_json({"id": identity, "sha256": _proof(identity)})
            )
        self.runs.mkdir(exist_ok=True)

    def mark(self, run: Run) -> str:
        """Return what a run's directory is marked with: nothing else is ever deleted."""
        return _proof(f"{self._identity()} {run.name}")

    def _identity(self) -> str | None:
        """Return what was drawn when the search began; None where none did."""
        try:
            known = json.loads(read_regular(self.path / IDENTITY, MAX_BYTES))
            return str(known["id"]) if known["sha256"] == _proof(str(known["id"])) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    @property
    def runs(self) -> Path:
        """The run directories, and beside each its log, evaluation and result."""
        return self.path / "runs"

    def run(self, run: Run) -> RunDirectory:
        """The run directory of one run."""
        return RunDirectory(self.runs / run.name)

    def log(self, run: Run) -> Path:
        """What the processes of a run wrote to standard error."""
        return self.runs / f"{run.name}.log"

    def evaluation(self, run: Run) -> Path:
        """What ``ppgan-zoo evaluate`` wrote."""
        return self.runs / f"{run.name}.evaluation.json"

    def result(self, run: Run) -> Path:
        """What is kept of a run."""
        return self.runs / f"{run.name}.json"

    def check_run(self, run: Run, result: Result | None) -> None:
        """Make sure that a run that was trained, and is to be measured, is still there.

        Raises:
            ConfigError: It is gone.
        """
        is_trained = result is not None and (not result.failure or result.failure.stage != "train")
        if is_trained and not self.run(run).path.is_dir():
            raise ConfigError(
                f"{self.run(run).path}: is gone, and is to be measured; put it back, or delete "
                f"{self.result(run)} to train it again"
            )

    def write_result(self, run: Run, result: Result) -> None:
        """Keep the result of a run."""
        write_atomically(self.result(run), to_json(result.model_dump(mode="json")))

    def read_result(self, run: Run, minutes: float) -> Result | None:
        """Return what is kept of a run; None if there is nothing.

        Raises:
            ConfigError: It cannot be read, or belongs to another recipe or budget.
        """
        path = self.result(run)
        again = f"give another --output, or delete {path} to train it again"
        result = _read(path)
        if result is None:
            return None
        if result.recipe_sha256 != run.recipe_sha256:
            raise ConfigError(f"{path}: is of another recipe than this run's now; {again}")
        if result.minutes_allowed != minutes:
            raise ConfigError(
                f"{path}: was given {result.minutes_allowed:g} minutes, and minutes is now "
                f"{minutes:g}; {again}"
            )
        return result

    def set_aside(self, run: Run) -> Path | None:
        """Move the result of a run away if it is of another recipe than the run's now.

        Returns:
            Where it is now; None if there was none of another recipe.

        Raises:
            ConfigError: It cannot be read.
        """
        path = self.result(run)
        result = _read(path)
        if result is None or result.recipe_sha256 == run.recipe_sha256:
            return None
        aside = self.runs / "older" / f"{run.name}-{result.recipe_sha256[:12]}.json"
        with os_errors(ConfigError, f"{path}: cannot be moved to {aside}"):
            aside.parent.mkdir(exist_ok=True)
            path.replace(aside)
        return aside

    def all_results(self) -> list[Result]:
        """Return the results of all runs that were measured or failed, by whatever search.

        Raises:
            ConfigError: One of them cannot be read.
        """
        found = []
        for path in sorted(self.runs.glob("*.json")):
            if not path.name.endswith(".evaluation.json"):
                result = _read(path)
                if result is not None and (result.failure or result.measured_by):
                    found.append(result)
        return found

    def results(self, search: Search) -> dict[Run, Result]:
        """Return the results that there are, in the order of the runs.

        Raises:
            ConfigError: One of them cannot be used.
        """
        read = ((run, self.read_result(run, search.file.minutes)) for run in search.runs)
        found = {run: result for run, result in read if result is not None}
        if any(result.floor for result in found.values()):
            return found
        # The run that it was measured with is of no setting any more.
        for other in [result for result in self.all_results() if result.floor] if found else []:
            found = {run: result.with_floor_of(other) for run, result in found.items()}
        return found


def _read(path: Path) -> Result | None:
    try:
        return Result.model_validate_json(read_regular(path, MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{path}: cannot be read: {reason_of(error)}") from None
