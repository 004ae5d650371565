"""The fault run: kills training at random moments, resumes it, and compares the bytes.

Every kill is a SIGKILL. Half of them wait for a checkpoint write to begin and land inside or
just after it. After each one every checkpoint that a reader can see must be whole and equal
to that of a run that nothing stopped; then the run is resumed. The last checkpoint of each
run must be equal too. Exit code 0 if all are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import _checkout  # noqa: F401

from ppgan_zoo import runtime
from ppgan_zoo.cli import main as command_line
from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.retention import checkpoint_folders
from ppgan_zoo.storage.scratch import PREFIX

# Dropout, shuffling, EMA, lazy and remembering penalties, schedules, the best by a figure.
COMMON = """\
latent: {dim: 8}
ema: {decay: 0.9}
log: {every_steps: 5, histogram_every_steps: 10}
samples: {every_steps: 10, grid: [2, 4], real_rows: 1}
"""
RECIPES = {
    "gan_mlp": """\
model: {name: gan_mlp, generator: {hidden_units: [64]}, discriminator: {hidden_units: [64]}}
data: {name: mnist, batch_size: 32, limit: 320}
terms: [{name: r1, every_steps: 3}, {name: lecam}]
optimizer: {generator: {schedule: {name: cosine}}, discriminator: {schedule: {name: linear}}}
training: {iterations: 60}
checkpoint: {every_steps: 3}
""",
    "dcgan_dropout": """\
model: {name: dcgan_dropout, generator: {channels: [8, 8, 4]},
  discriminator: {channels: [4, 8, 8]}}
data: {name: mnist, batch_size: 8, limit: 80}
training: {iterations: 16}
checkpoint: {every_steps: 2}
""",
}
SHARE_OF_FIRST = 0.8


class Process(Protocol):
    """A run that has been started."""

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""


class Fresh:
    """A run in an interpreter of its own, as a user starts it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ppgan_zoo", *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        self._process.kill()
        self._process.wait()


class Forked:
    """A run in a copy of this process, which has imported Paddle and computed nothing.

    That saves the seconds of the import. It is sound since this process has one thread.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._code: int | None = None
        self._pid = os.fork()
        if self._pid == 0:
            code = 70
            try:
                silence = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silence, 1)
                os.dup2(silence, 2)
                code = command_line(arguments)
            finally:
                os._exit(code)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        self._code = os.waitstatus_to_exitcode(status)


@dataclass
class Tally:
    """What was counted for one recipe."""

    kills: int = 0
    in_a_write: int = 0
    checkpoints: int = 0
    good: int = 0
    runs: int = 0
    faults: int = 0


class FaultRun:
    """Kills and resumes runs of one recipe.

    Args:
        name: A key of :data:`RECIPES`.
        folder: Scratch folder of its own.
        start: :class:`Forked` or :class:`Fresh`.
        rng: Decides when to kill.
    """

    def __init__(
        self, name: str, folder: Path, start: type[Forked] | type[Fresh], rng: random.Random
    ) -> None:
        self.folder, self.start, self.rng = folder, start, rng
        self.recipe = folder / f"{name}.yml"
        self.recipe.write_text(RECIPES[name] + COMMON)
        self.tally = Tally()
        begun = time.monotonic()
        self.whole = folder / "whole"
        self._finish(start(self._arguments(self.whole, "-o", "checkpoint.keep_last=1000")))
        self.seconds = time.monotonic() - begun
        self.digests = {path.name: digest(path) for path in seen(self.whole)}
        self.step = number(seen(self.whole)[:1])  # iterations between two checkpoints

    def kill_times(self, kills: int) -> Tally:
        """Start, kill and resume until there were so many kills and the last run is done."""
        while self.tally.kills < kills:
            self._one_run(kills)
        return self.tally

    def _one_run(self, kills: int) -> None:
        run = self.folder / f"run{self.tally.runs}"
        process: Process = self.start(self._arguments(run))
        since = self.tally.kills
        wrong: list[str] = []
        left: set[str] = set()
        while self.tally.kills < kills and self._kill_somewhere(process, run, left):
            self.tally.kills += 1
            self.tally.in_a_write += bool(scratch(run) - left)
            left = scratch(run)
            wrong += self._wrong_checkpoints(run)
            process = self.start(["train", "--offline", "--resume", str(run)])
        self._finish(process)
        wrong += self._wrong_checkpoints(run)
        if number(seen(run)) != number(seen(self.whole)):
            wrong.append("the number of iterations")
        best = "checkpoints/best.json"
        if (run / best).read_bytes() != (self.whole / best).read_bytes():
            wrong.append(best)
        self.tally.runs += 1
        self.tally.faults += len(wrong)
        if wrong:
            print(f"{self.recipe.stem}, {run.name}: not as in the whole run: {', '.join(wrong)}")
        else:
            self.tally.good += self.tally.kills - since
            shutil.rmtree(run)  # a run that went wrong is kept to look at

    def _kill_somewhere(self, process: Process, run: Path, left: set[str]) -> bool:
        """Kill the process at a random moment; False if it came to its end before.

        `left` is the scratch of earlier kills, which a resume removes in time.
        """
        self._await(process, lambda: bool(seen(run)))  # before, there is nothing to resume
        one_save = self.seconds / len(self.digests)
        wanted = number(seen(run)) + self.rng.randint(0, 4) * self.step
        self._await(process, lambda: number(seen(run)) >= wanted)
        if self.rng.random() < 0.5:
            self._await(process, lambda: bool(scratch(run) - left))
            time.sleep(self.rng.uniform(0.0, one_save / 2))
        else:
            time.sleep(self.rng.uniform(0.0, 2 * one_save))
        if process.poll() is not None:
            return False
        process.kill()
        return True

    def _await(self, process: Process, happened: Callable[[], bool]) -> None:
        """Wait until something happened, or the process has ended."""
        while process.poll() is None and not happened():
            time.sleep(0.001)

    def _wrong_checkpoints(self, run: Path) -> list[str]:
        """Return the names of the visible checkpoints that are not those of the whole run."""
        found = seen(run)
        self.tally.checkpoints += len(found)
        return [path.name for path in found if digest(path) != self.digests.get(path.name)]

    def _arguments(self, run: Path, *more: str) -> list[str]:
        return ["train", "-c", str(self.recipe), "--output", str(run), "--offline", *more]

    def _finish(self, process: Process) -> None:
        while process.poll() is None:
            time.sleep(0.01)
        if process.poll() != 0:
            self.tally.faults += 1
            print(f"{self.recipe.stem}: a run ended with exit code {process.poll()}")


def seen(run: Path) -> list[Path]:
    """Return the checkpoints that a reader of the run sees."""
    return checkpoint_folders(run / "checkpoints")


def number(checkpoints: Sequence[Path]) -> int:
    """Return the iteration of the newest of these checkpoints; 0 if there are none."""
    return int(checkpoints[-1].name.partition("-")[2]) if checkpoints else 0


def scratch(run: Path) -> set[str]:
    """Return the names of the checkpoints that are being written, or were at a kill."""
    return {path.parent.name for path in (run / "checkpoints").glob(f"{PREFIX}*/new")}


def digest(path: Path) -> str | None:
    """Return the hashes of a checkpoint's files after checking them; None if one is wrong."""
    try:
        checkpoint = open_checkpoint(path)
        checkpoint.all_arrays()
    except CheckpointError as error:
        print(error)
        return None
    return json.dumps(dict(checkpoint.manifest), sort_keys=True)


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="start every run by a new interpreter")
    parser.add_argument("--folder", type=Path, help="where the runs go (default: a temporary one)")
    options = parser.parse_args()
    runtime.start("cpu")
    import ppgan_zoo.run.train  # noqa: F401  # Paddle, once for all forks

    if len(os.listdir("/proc/self/task")) != 1:
        options.fresh = True  # a fork would copy one thread of several, and maybe held locks
    kills = {"gan_mlp": round(options.kills * SHARE_OF_FIRST)}
    kills["dcgan_dropout"] = options.kills - kills["gan_mlp"]
    print(f"{'recipe':14} kills  in a write  checkpoints read  runs  wrong", flush=True)
    good = faults = 0
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        for name, count in kills.items():
            folder = Path(scratch) / name
            folder.mkdir()
            rng = random.Random(f"{options.seed} {name}")
            tally = FaultRun(name, folder, Fresh if options.fresh else Forked, rng).kill_times(
                count
            )
            good, faults = good + tally.good, faults + tally.faults
            print(
                f"{name:14} {tally.kills:5}  {tally.in_a_write:10}  {tally.checkpoints:16}  "
                f"{tally.runs:4}  {tally.faults:5}",
                flush=True,
            )
    print(f"{good} of {options.kills} kills: resumed to the bytes of the run that nothing stopped")
    return 0 if good == options.kills and not faults else 1


if __name__ == "__main__":
    sys.exit(main())
