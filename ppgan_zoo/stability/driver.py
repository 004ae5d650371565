"""Trains the first phase of a recipe over many seeds; no Paddle in this process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.distributed.streams import as_parent
from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.ops import SWITCH
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.runtime import cpu_threads, python_module
from ppgan_zoo.stability.process import Request
from ppgan_zoo.stability.report import Row, data_in_words, summarise
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.scratch import clear_abandoned
from ppgan_zoo.storage.terminal import exit_text

RESULTS = "stability.json"
POLL_SECONDS = 0.1
FORMAT = 2


@dataclass(frozen=True)
class Study:
    """What to try.

    Attributes:
        recipe: A file or a shipped name.
        overrides: ``key=value`` texts.
        seeds: Of everything random; one run each.
        iterations: A run that has not begun to learn by then has failed.
        every_steps: Iterations between two looks at the samples.
        ops: Ways to compute, values of ``PPGAN_ZOO_OPS``; all seeds by each. They round
            differently, and rounding alone can decide whether a run begins.
    """

    recipe: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = tuple(range(40))
    iterations: int = 500
    every_steps: int = 25
    ops: tuple[str, ...] = ("auto",)

    def sha256(self, path: Path) -> str:
        """Return what tells this study's runs from others': all but seeds and ways.

        Nor where the images are: whether they are the same is told by their own hash.
        """
        chosen = load_recipe(path, self.overrides).model_dump(mode="json", exclude_defaults=True)
        chosen.get("data", {}).pop("directory", None)
        facts = [chosen, self.iterations, self.every_steps]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


Key = tuple[str, int]
"""A way to compute, and a seed."""


def run_study(
    study: Study,
    output: Path,
    *,
    jobs: int = 1,
    notify: Callable[[str], None] = print_to_stderr,
) -> list[Row]:
    """Train all first phases that have no answer yet, and return what came of all of them.

    Args:
        study: What to try.
        output: Its directory: ``stability.json``, and a picture of every run's last samples. One
            that holds the same study is continued.
        jobs: Runs at the same time, each with its part of the threads.
        notify: Called with a line for every run.

    Raises:
        ConfigError: The recipe is not in order, a run's process ended twice without an answer, or
            `output` holds something else, such as runs on other data.
    """
    path = find_recipe(study.recipe)
    sha256 = study.sha256(path)
    with os_errors(ConfigError, f"--output {output}: cannot be made"):
        output.mkdir(parents=True, exist_ok=True)
    with RunDirectory(output).lock():
        answers = _known(output, sha256)
        if not answers:  # so that the folder is known by it before there is a picture
            _write(output, path.stem, sha256, study, answers)
        wanted = [(ops, seed) for ops in study.ops for seed in study.seeds]
        missing = [key for key in wanted if key not in answers]
        notify(f"{len(wanted)} runs, {len(wanted) - len(missing)} done")
        for (ops, seed), answer in _carry_out(study, path, output, missing, jobs, notify):
            _check_same_data(output, answer, answers)
            answers[ops, seed] = answer
            _write(output, path.stem, sha256, study, answers)
            count = len(wanted) - sum(key not in answers for key in wanted)
            fate = "begun" if answer["begun"] else "NOT BEGUN"
            notify(
                f"[{count}/{len(wanted)}] {ops}, seed {seed}: {fate} after {answer['iteration']} "
                f"iterations ({answer['seconds']:.0f} s)"
            )
    return [
        summarise(path.stem, ops, {seed: answers[ops, seed] for seed in study.seeds})
        for ops in study.ops
    ]


def _carry_out(
    study: Study,
    path: Path,
    output: Path,
    missing: Sequence[Key],
    jobs: int,
    notify: Callable[[str], None],
) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Yield each answer as it comes; however this ends, no process is left behind.

    A process that ends without an answer, such as one that the system killed for its memory,
    is started again, once.
    """
    waiting = deque(missing)
    active: dict[Key, _Process] = {}
    again: set[Key] = set()
    threads = str(max(1, cpu_threads() // jobs))
    try:
        while waiting or active:
            while waiting and len(active) < jobs:
                key = ops, seed = waiting.popleft()
                request = Request(
                    recipe=str(path),
                    seed=seed,
                    iterations=study.iterations,
                    every_steps=study.every_steps,
                    overrides=list(study.overrides),
                    picture=str(output / f"{ops}-{seed}.png"),
                )
                environment = {
                    **os.environ, **as_parent(), SWITCH: ops, "PPGAN_ZOO_THREADS": threads,
                }  # fmt: skip
                active[key] = _Process(request, environment)
            for key, process in list(active.items()):
                if not process.has_ended:
                    continue
                answer, how = process.answer(), process.how_it_ended()
                active.pop(key).close()
                name = f"{path.stem}, {key[0]}, seed {key[1]}"
                if answer is not None and "error" in answer:
                    raise ConfigError(f"{path.stem}: {answer['error']}")
                if answer is not None:
                    yield key, answer
                elif key in again:
                    raise ConfigError(
                        f"{name}: its process ended twice without an answer, with {how}; the other "
                        "runs are kept, and the same command goes on"
                    )
                else:
                    notify(f"{name}: its process ended with {how}; it is started again")
                    again.add(key)
                    waiting.appendleft(key)
            time.sleep(POLL_SECONDS)
    finally:
        for process in active.values():
            process.close()


class _Process:
    """One run: its process, and the file that its standard error goes to."""

    def __init__(self, request: Request, environment: dict[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [*python_module("ppgan_zoo.stability.process"), json.dumps(asdict(request))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, env=environment,
        )  # fmt: skip

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def answer(self) -> dict[str, Any] | None:
        """Return what it printed, a line of JSON; None if it ended before."""
        assert self._process.stdout is not None
        lines = self._process.stdout.read().strip().splitlines()
        if self._process.returncode or not lines:
            return None
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer

    def how_it_ended(self) -> str:
        """Return its exit code, or the signal, and the last line that it wrote."""
        self._errors.seek(0)
        written = [line.strip() for line in self._errors if line.strip()]
        return f"{exit_text(self._process.returncode)}{f': {written[-1]}' if written else ''}"

    def close(self) -> None:
        """End it, if it has not ended, and close its files: a study may have thousands of runs."""
        with self._errors, self._process:  # waits for it, and closes its output
            self._process.kill()


def _check_same_data(
    output: Path, answer: dict[str, Any], answers: dict[Key, dict[str, Any]]
) -> None:
    """Refuse to count runs on different data together, such as the full set and a part of it."""
    for other in answers.values():
        if other["data"]["sha256"] != answer["data"]["sha256"]:
            raise ConfigError(
                f"{output / RESULTS}: its runs were trained on {data_in_words(other)}, and now "
                f"there is {data_in_words(answer)}; give the same by --data-dir, or another "
                "--output"
            )


def _known(output: Path, sha256: str) -> dict[Key, dict[str, Any]]:
    """Return the answers that a directory holds, none if it is new.

    Raises:
        ConfigError: It holds something else.
    """
    path = output / RESULTS
    if not path.exists():
        clear_abandoned(output)  # of a process that was killed before its first answer
        if any(entry.name != ".lock" for entry in output.iterdir()):
            raise ConfigError(f"--output {output}: is not empty and holds no study; give another")
        return {}
    try:
        held = json.loads(read_regular(path))
        if held["format"] != FORMAT or (held["runs"] and held["study_sha256"] != sha256):
            raise ConfigError(
                f"{path}: has another recipe, other overrides or another number of iterations, or "
                "is of an older version; give another --output"
            )
        return {(run.pop("ops"), run.pop("seed")): run for run in held["runs"]}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: cannot be read as a study ({error}); delete it") from None


def _write(
    output: Path, recipe: str, sha256: str, study: Study, answers: dict[Key, dict[str, Any]]
) -> None:
    content = {
        "format": FORMAT,
        "recipe": recipe,
        "overrides": list(study.overrides),
        "iterations": study.iterations,
        "every_steps": study.every_steps,
        "study_sha256": sha256,
        "runs": [{"ops": ops, "seed": seed, **run} for (ops, seed), run in sorted(answers.items())],
    }
    write_atomically(output / RESULTS, to_json(content))
