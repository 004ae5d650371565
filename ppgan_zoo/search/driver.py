"""A search from beginning to end: check, train, measure, compare."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from ppgan_zoo import runtime
from ppgan_zoo.data import load_image_set
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import INTERRUPTED, ConfigError, Ended, ZooError, os_errors
from ppgan_zoo.search.conditions import Conditions
from ppgan_zoo.search.plan import Run, Search
from ppgan_zoo.search.results import Result, SearchDirectory
from ppgan_zoo.search.running import Runner, complete, is_done
from ppgan_zoo.search.summary import as_json, report, table
from ppgan_zoo.search.trials import Trials, ends
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically
from ppgan_zoo.storage.run_lock import locked


def run_search(
    search: Search,
    output: Path,
    conditions: Conditions,
    *,
    retry_failed: bool = False,
    notify: Callable[[str], None] = print_to_stderr,
) -> str:
    """Do all runs of a search that have no result yet, and write down what came of them.

    Args:
        search: What to compare.
        output: Its directory; one that holds the same search is continued.
        conditions: What all runs share.
        retry_failed: Whether to do runs again that failed.
        notify: Called with a line for every run.

    Returns:
        The table.

    Raises:
        ZooError: Anything that would keep a setting from being trained or measured, before
            any run; or that not one run could be measured.
    """
    directory = SearchDirectory(output)
    directory.check()
    with os_errors(ConfigError, f"--output {output}: cannot be made"):
        output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        directory.check()
        trials = Trials(search, output) if search.spaces else None
        runs_in_all = len(search.runs) + (0 if trials is None else trials.count)
        at_ends = ends(search) if trials is not None else []
        search = trials.planned() if trials is not None else search
        results = directory.results(search)
        missing = [
            run
            for run in search.runs
            if not is_done(results.get(run), search, retry_failed=retry_failed)
        ]
        left = runs_in_all - len(search.runs) + len(missing)
        for run in missing:
            directory.check_run(run, results.get(run))
        check(search, [*missing, *(at_ends if left else [])], conditions)
        directory.begin()
        write_atomically(output / "search.yml", read_regular(search.path))
        notify(
            f"{runs_in_all} runs, {runs_in_all - left} done; the others train "
            f"for at most {left * search.file.minutes / conditions.jobs:g} minutes in all"
        )
        with ended_by_signals() as is_hurried:
            while True:
                runner = Runner(search, directory, conditions, retry_failed, notify, is_hurried)
                if trials is not None:
                    runner.is_hopeless = trials.is_hopeless
                for done in runner.carry_out(results):
                    results = done
                    _write(search, complete(search, results), output)
                more = None if trials is None else trials.draw(results, conditions.jobs)
                if more is None:
                    break
                search, retry_failed = more, False
        results = complete(search, results)
        _write(search, results, output)
        _draw(search, results, directory, notify)
    if not any(result.metrics for result in results.values()):
        failure = next(result.failure for result in results.values() if result.failure)
        raise ConfigError(
            f"{output}: all {len(results)} runs failed, the first in {failure.stage}: "
            f"{failure.message}"
        )
    return table(search, results)


def check(search: Search, runs: list[Run], conditions: Conditions) -> None:
    """Build every setting of `runs` once, and open what they are measured by.

    Raises:
        ConfigError: Something cannot be had.
    """
    if not runs:
        return
    runtime.import_paddle()
    from ppgan_zoo.metrics.metric import check_metrics
    from ppgan_zoo.metrics.network import open_network
    from ppgan_zoo.run.job import JobBuilder

    settings = search.file.evaluate
    weights = None if settings.weights is None else Path(settings.weights)
    name = runs[0].recipe.data.name
    try:
        network = open_network(name, settings.features, weights)
        check_metrics(
            settings.names(name),
            classes=network.classes is not None,
            labels=True,
            categories=True,
            network=network.name,
        )
    except ZooError as error:
        raise ConfigError(f"{search.path}: evaluate: {error}") from None
    if settings.split == "test":
        section = conditions.apply(runs[0].recipe).data
        try:
            load_image_set(
                name,
                split="test",
                directory=section.directory,
                offline=conditions.offline,
                options=section.options,
            )
        except ZooError as error:
            raise ConfigError(
                f"{search.path}: evaluate.split: {error}; or compare with training images, which "
                "proves less: set it to train"
            ) from None
    # Once for all seeds: the last two arguments of a run are --seed and its number.
    recipes = {(run.setting, run.arguments[:-2]): conditions.apply(run.recipe) for run in runs}
    builder = JobBuilder(offline=conditions.offline, threads=conditions.threads)
    for (setting, _), recipe in recipes.items():
        try:
            if settings.best and recipe.checkpoint.best_by is None:
                raise ConfigError(
                    "checkpoint.best_by is null, so there is no best checkpoint, and evaluate.best "
                    "is true; set one of the two"
                )
            job = builder.build(recipe)
            check_metrics(
                settings.names(name),
                classes=network.classes is not None,
                labels=bool(job.facts.num_classes),
                categories=bool(job.facts.latent.categorical),
            )
        except ZooError as error:
            raise ConfigError(f"{search.path}: settings.{setting}: {error}") from None
        if job.evaluator is not None:
            _ = job.evaluator.real  # cached now, so that no run's minutes go by on it


@contextlib.contextmanager
def ended_by_signals() -> Iterator[Callable[[], bool]]:
    """Let the first signal end the block, and no further one cut its end short.

    Yields:
        Whether a further signal has come: then whoever ends is to be quick about it.
    """
    came: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            return
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(INTERRUPTED + number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                before[number] = signal.signal(number, end)
    try:
        yield lambda: len(came) > 1
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _write(search: Search, results: dict[Run, Result], output: Path) -> None:
    write_atomically(output / "results.json", to_json(as_json(search, results)))
    write_atomically(output / "table.md", report(search, results))


def _draw(
    search: Search,
    results: dict[Run, Result],
    directory: SearchDirectory,
    notify: Callable[[str], None],
) -> None:
    from ppgan_zoo.search.pictures import draw_samples, plot_fid, write_samples

    plot_fid(search, results, directory.path / "fid_by_minutes.png")
    runtime.start("cpu")
    pixels = draw_samples(search, results, directory, notify)
    if pixels is not None:
        write_samples(pixels, directory.path / "samples.png")
