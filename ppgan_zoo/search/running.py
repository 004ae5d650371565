"""Trains and measures the runs of a search, each in processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ppgan_zoo.errors import INTERRUPTED
from ppgan_zoo.runtime import python_module
from ppgan_zoo.search import trainings
from ppgan_zoo.search.conditions import Conditions
from ppgan_zoo.search.plan import Evaluate, Run, Search
from ppgan_zoo.search.results import MAX_BYTES, Failure, Result, SearchDirectory
from ppgan_zoo.search.words import describe
from ppgan_zoo.storage.files import APPENDING, open_inside, open_regular, read_regular
from ppgan_zoo.storage.progress import read_progress

ZOO = python_module("ppgan_zoo.child")
POLL_SECONDS = 0.1
ATTEMPTS = 2
"""Of a command that a signal of somebody else ended: a machine goes down, or has no memory left."""
LONGEST_LINE = 1 << 16  # bytes: of what a process writes last

Steps = Generator[None, None, Result]
Hopeless = Callable[[Run, Sequence[tuple[int, float]], Mapping[Run, Result]], bool]
"""Tells of a run, by iteration and FID so far and the results of others, whether to give it up."""


def is_done(result: Result | None, search: Search, *, retry_failed: bool) -> bool:
    """Tell whether nothing is left to do for a run."""
    if result is None:
        return False
    if result.failure is not None:
        return not retry_failed
    return is_measured(result, search)


def is_measured(result: Result, search: Search) -> bool:
    """Tell whether a run was measured as the file says now."""
    known = Evaluate().model_dump(mode="json")  # keys that are new since, as they were before
    wanted = search.file.evaluate.model_dump(mode="json")
    return result.measured_by is not None and {**known, **result.measured_by} == wanted


def was_ended(code: int) -> bool:
    """Tell by its exit code whether a command was ended by a signal of somebody else's."""
    asked = {INTERRUPTED + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    return code in {*asked, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}


def complete(search: Search, results: Mapping[Run, Result]) -> dict[Run, Result]:
    """Return the results that compare, in the order of the runs.

    Left out are those of another protocol, and trainings that were not measured yet.
    """
    return {
        run: results[run]
        for run in search.runs
        if run in results and is_done(results[run], search, retry_failed=False)
    }


@dataclass(eq=False)
class Runner:
    """Carries out the runs of a search that have no result yet.

    A run that was interrupted is begun again, so that the minutes of a result are always
    those of one training without a break.

    Attributes:
        search: The search.
        directory: Its output.
        conditions: What all runs share.
        retry_failed: Whether runs that failed are to be done again.
        notify: Called with a line for every run.
        is_hurried: Tells whether processes that are ended get no time to save.
        is_hopeless: Tells whether a run is to be given up.
        prepare: Gives a run its last settings, just before its training begins.
        results: Those that there are; each that is done is added.
        title: Begins every line.
    """

    search: Search
    directory: SearchDirectory
    conditions: Conditions
    retry_failed: bool
    notify: Callable[[str], None]
    is_hurried: Callable[[], bool] = lambda: False
    is_hopeless: Hopeless = lambda run, curve, results: False
    prepare: Callable[[Run], Run] = lambda run: run
    results: dict[Run, Result] = field(default_factory=dict)
    title: str = ""
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)
    _asked_to_end: set[int] = field(default_factory=set, init=False)

    def carry_out(self, results: dict[Run, Result]) -> Iterator[dict[Run, Result]]:
        """Do what is missing in `results`; yield all results after each run.

        However this ends, no process is left behind.
        """
        self.results = dict(results)
        for _ in carry_out([(self, run) for run in self.search.runs], self.conditions.jobs):
            yield self.results

    def is_done(self, run: Run) -> bool:
        """Tell whether nothing is left to do for a run."""
        return is_done(self.results.get(run), self.search, retry_failed=self.retry_failed)

    def begin(self, run: Run) -> Steps:
        """Return the steps of a run, of which the last has its result."""
        with_floor = not any(
            is_measured(result, self.search) and result.floor for result in self.results.values()
        )
        return self._steps(run, self.results.get(run), with_floor)

    def keep(self, run: Run, result: Result) -> None:
        """Write a result down."""
        self.results[run] = result
        self.directory.write_result(run, result)

    def ask_to_end(self) -> None:
        """Ask all processes to end."""
        for process in self._processes:
            self._ask_to_end(process)

    def _steps(self, run: Run, known: Result | None, with_floor: bool) -> Steps:
        if known is None or (known.failure and known.failure.stage == "train"):
            known = yield from self._train(self.prepare(run))
            if known.failure is not None:
                return known
            self.directory.write_result(run, known)  # the longest part need not be done again
        return (yield from self._evaluate(run, known, with_floor))

    def _train(self, run: Run) -> Steps:
        place = self.directory.run(run)
        command = ["train", *run.arguments, "--output", str(place.path), *self._options()]
        budget, cpu = 60 * self.search.file.minutes, self.conditions.cpu_minutes
        for _ in range(ATTEMPTS):
            trainings.begin(place, self.directory.mark(run))
            with self._process(run, command) as process:
                stopped = yield from trainings.watch(
                    process, place, budget, lambda: self._is_hopeless(run), cpu=cpu
                )
            code = process.returncode
            if stopped is not None or not was_ended(code):
                break
        if code == 0:
            trainings.check_recipe(place, self.conditions.apply(run.recipe))
        cut = stopped is not None and not trainings.all_done(place)
        failure = None
        if code != 0 and stopped is None:
            failure = Failure(stage="train", exit_code=code, message=self._last_line(run))
        return Result(
            setting=run.setting,
            seed=run.seed,
            recipe_sha256=run.recipe_sha256,
            minutes_allowed=self.search.file.minutes,
            cut=cut,
            pruned=cut and stopped == "given up",
            failure=failure,
            commands=(("ppgan-zoo", *command),),
            training=trainings.training(run, place),
            curve=() if failure else trainings.curve(place),
        )

    def _evaluate(self, run: Run, trained: Result, with_floor: bool) -> Steps:
        settings, place = self.search.file.evaluate, self.directory.evaluation(run)
        command = [
            "evaluate", str(self.directory.run(run).path), "--output", str(place),
            "--metrics", ",".join(settings.names(run.recipe.data.name)),
            "--num-samples", str(settings.num_samples),
            "--split", settings.split, *self._options(),
            *(("--features", settings.features) if settings.features else ()),
            *(("--weights", settings.weights) if settings.weights else ()),
            *(("--best",) if settings.best else ()),
            *(("--curve", str(settings.curve_samples)) if settings.curve_samples else ()),
            *(() if with_floor else ("--no-floor",)),
        ]  # fmt: skip
        for _ in range(ATTEMPTS):
            with self._process(run, command) as process:
                while process.poll() is None:
                    yield
            if not was_ended(process.returncode):
                break
        evaluation = None
        if process.returncode == 0:
            evaluation = json.loads(read_regular(place, MAX_BYTES))
        message = None if evaluation else self._last_line(run)
        if evaluation and evaluation["metrics"]["fid"] is None:
            message = "FID is not defined: the samples are not finite or all the same"
        failure = None
        if message is not None:
            failure = Failure(stage="evaluate", exit_code=process.returncode, message=message)
        return trained.model_copy(
            update={
                "failure": failure,
                "commands": (trained.commands[0], ("ppgan-zoo", *command)),
                "measured_by": settings.model_dump(mode="json"),
                "evaluation": evaluation,
                **({"curve": self._curve_of(run, evaluation)} if settings.curve_samples else {}),
            }
        )

    def _curve_of(
        self, run: Run, evaluation: Mapping[str, Any] | None
    ) -> tuple[tuple[float, int, float], ...]:
        """Return the FIDs of the kept checkpoints that were measured, with their minutes."""
        progress = read_progress(self.directory.run(run).progress)
        points = []
        for point in evaluation["curve"] if evaluation and progress else ():
            step, cpu = point["iteration"], self.conditions.cpu_minutes
            seconds = progress.seconds_at(step, cpu=cpu) if progress else None
            if seconds is not None and point["fid"] is not None:
                points.append((round(seconds / 60, 4), step, point["fid"]))
        return tuple(points)

    def _is_hopeless(self, run: Run) -> bool:
        curve = [(step, value) for _, step, value in trainings.curve(self.directory.run(run))]
        return bool(curve) and self.is_hopeless(run, curve, self.results)

    def _options(self) -> list[str]:
        shared = self.conditions
        return [
            *(("--data-dir", shared.data_directory) if shared.data_directory else ()),
            *(("--device", shared.device) if shared.device else ()),
            *(("--offline",) if shared.offline else ()),
        ]

    @contextlib.contextmanager
    def _process(self, run: Run, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run one command of the zoo; end it if the block is left before it ends."""
        path = self.directory.log(run)
        with os.fdopen(open_inside(path.parent, path.name, APPENDING, follow=True), "ab") as log:
            log.write(f"$ {shlex.join(['ppgan-zoo', *command])}\n".encode())
            log.flush()
            process = subprocess.Popen(
                [*ZOO, *command],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                env=self.conditions.of_a_process(),
                start_new_session=True,  # Ctrl-C is for the search, which then ends its runs
            )  # fmt: skip
        self._processes.append(process)
        try:
            yield process
        except BaseException:  # the search ends
            self._ask_to_end(process)
            end = time.monotonic() + trainings.SAVE_SECONDS
            while process.poll() is None and time.monotonic() < end and not self.is_hurried():
                time.sleep(POLL_SECONDS)
            raise
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            self._processes.remove(process)

    def _ask_to_end(self, process: subprocess.Popen[bytes]) -> None:
        """Send SIGTERM, once: a second one would keep a run from saving."""
        if process.pid not in self._asked_to_end:
            self._asked_to_end.add(process.pid)
            process.terminate()

    def _last_line(self, run: Run) -> str:
        with open_regular(self.directory.log(run)) as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - LONGEST_LINE))
            lines = log.read(LONGEST_LINE).decode("utf-8", errors="replace").split("\n")
        written = [line.strip() for line in lines if line.strip()]
        last = written[-1]
        return "wrote nothing" if last.startswith("$ ") else last.removeprefix("ppgan-zoo: ")


def carry_out(plan: Sequence[tuple[Runner, Run]], jobs: int) -> Iterator[tuple[Runner, Run]]:
    """Do the runs of one or several searches in the order of a plan; yield each that is done.

    However this ends, no process is left behind.

    Args:
        plan: All runs, also those that have their result, which are passed over.
        jobs: Runs at the same time.
    """
    waiting = deque(
        (f"[{number}/{len(plan)}] {runner.title}", runner, run)
        for number, (runner, run) in enumerate(plan, start=1)
        if not runner.is_done(run)
    )
    active: dict[tuple[str, Runner, Run], Steps] = {}
    try:
        while waiting or active:
            while waiting and len(active) < jobs:
                place, runner, run = waiting.popleft()
                runner.notify(f"{place}{run.setting}, seed {run.seed} ...")
                active[place, runner, run] = runner.begin(run)
            for (place, runner, run), steps in list(active.items()):
                try:
                    next(steps)
                except StopIteration as ended:
                    del active[place, runner, run]
                    runner.keep(run, ended.value)
                    runner.notify(f"{place}{describe(ended.value)}")
                    yield runner, run
            time.sleep(POLL_SECONDS)
    finally:
        for _, runner, _ in active:  # all at once, so that they save at the same time
            runner.ask_to_end()
        for steps in active.values():
            steps.close()
