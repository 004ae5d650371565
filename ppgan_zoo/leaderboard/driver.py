"""The leaderboard from beginning to end: checks, lengths, runs, pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.data import load_image_set
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError, Ended, ZooError, os_errors
from ppgan_zoo.leaderboard import board as boards
from ppgan_zoo.leaderboard.board import Leaderboard
from ppgan_zoo.leaderboard.contest import BOARDS, SETS, Board, Competitor, competitors, search_of
from ppgan_zoo.leaderboard.pacing import Pacer
from ppgan_zoo.leaderboard.page import title_of
from ppgan_zoo.leaderboard.publish import check_folder, publish, samples_of
from ppgan_zoo.leaderboard.record import Judged, Planned, Record, read_record
from ppgan_zoo.search import Conditions
from ppgan_zoo.search.driver import check, ended_by_signals
from ppgan_zoo.search.plan import Run, Search
from ppgan_zoo.search.results import SearchDirectory
from ppgan_zoo.search.running import Runner, carry_out, is_done
from ppgan_zoo.storage.progress import read_progress
from ppgan_zoo.storage.retention import prune_checkpoints
from ppgan_zoo.storage.run_lock import locked

Taking = Mapping[Board, Sequence[Competitor]]
"""Who takes part, by board."""


@dataclass(frozen=True)
class Contest:
    """What is to be run.

    Attributes:
        minutes: CPU minutes of a run.
        seeds: Of each recipe.
        data: Names of image sets.
        recipes: Names of shipped recipes and paths of others; None for all shipped ones.
        shard: Which part of the runs this machine does, from 0, and of how many parts.
    """

    minutes: float
    seeds: tuple[int, ...] = (0, 1, 2)
    data: tuple[str, ...] = SETS
    recipes: tuple[str, ...] | None = None
    shard: tuple[int, int] = (0, 1)


def run_leaderboard(
    contest: Contest,
    output: Path,
    conditions: Conditions,
    *,
    retry_failed: bool = False,
    retime: bool = False,
    notify: Callable[[str], None] = print_to_stderr,
) -> Leaderboard:
    """Train and measure what is missing, seed by seed, and write the pages after each run.

    Args:
        contest: What to run.
        output: The leaderboard's folder; one that holds the same leaderboard is continued.
        conditions: What all runs share.
        retry_failed: Whether to do runs again that failed.
        retime: Whether to time recipes anew that were timed on this processor.
        notify: Called with a line for whatever happens.

    Raises:
        ZooError: Something that would keep any recipe from being trained or measured, before
            anything is timed or trained.
    """
    check_folder(output)
    taking = {
        board: found
        for board in BOARDS
        if board.data in contest.data and (found := competitors(board, contest.recipes))
    }
    if not taking:
        raise ConfigError("nothing to run: none of --recipes is for a board of --data")
    conditions = replace(conditions, threads=1, cpu_minutes=True)
    with os_errors(ConfigError, f"--output {output}: cannot be made"):
        output.mkdir(parents=True, exist_ok=True)
    runtime.import_paddle()  # before handlers of signals are set, since it sets its own
    with locked(output), ended_by_signals() as is_hurried:
        record = _begin(contest, output, taking)
        plan = _plan(contest, output, taking)
        _set_older_aside(plan, output, notify)
        known = {
            board: SearchDirectory(output / board.name).results(search) for board, search, _ in plan
        }
        missing = [
            (board, run)
            for board, search, run in plan
            if not is_done(known[board].get(run), search, retry_failed=retry_failed)
        ]
        notify(_how_much(contest, len(plan), len(missing), conditions.jobs))
        wanted = {(board, run.setting) for board, run in missing}
        needed = {
            board: [each for each in found if (board, each.name) in wanted]
            for board, found in taking.items()
        }
        if missing:
            record = _check(record, needed, plan, conditions)
        record.write(output)
        leaderboard = publish(output)
        if not missing:
            return leaderboard
        pacer = Pacer(record, output, conditions, retime, notify)
        runners: dict[Board, Runner] = {}
        work = []
        for board, search, run in plan:
            if board not in runners:
                runners[board] = _runner(board, search, output, conditions, notify)
                runners[board].retry_failed, runners[board].is_hurried = retry_failed, is_hurried
                runners[board].prepare = _lengthening(pacer, board, taking[board])
            work.append((runners[board], run))
        try:
            for runner, run in carry_out(work, conditions.jobs):
                pacer.learn(runner.directory.path.name, runner.results[run])
                leaderboard = publish(output)
                _keep_one_checkpoint(runner, run)
        except (KeyboardInterrupt, Ended):
            if not is_hurried():  # the signal may have come while the pages were written
                publish(output)
            raise
        return leaderboard


def _begin(contest: Contest, output: Path, taking: Taking) -> Record:
    """Return what the folder keeps of its plan, with what is planned now.

    Raises:
        ConfigError: It is of another budget, or holds a merged leaderboard.
    """
    record = read_record(output)
    if record is None:
        if (output / boards.FILE).exists():
            raise ConfigError(
                f"--output {output}: holds a merged leaderboard; run into another, and merge it too"
            )
        record = Record(minutes=contest.minutes)
    if record.minutes != contest.minutes:
        raise ConfigError(
            f"{output}: is of a budget of {record.minutes:g} minutes, and --budget is "
            f"{contest.minutes:g}; give that one, or another --output"
        )
    planned = {board: dict(entries) for board, entries in record.boards.items()}
    for board, found in taking.items():
        entries = planned.setdefault(board.name, {})
        for each in found:
            known = entries.get(each.name)
            seeds = tuple(sorted({*(known.seeds if known else ()), *contest.seeds}))
            if known is None or known.recipe_sha256 != each.sha256:
                known = Planned(
                    recipe_sha256=each.sha256,
                    model=each.recipe.model.name,
                    settings=each.settings,
                    seeds=seeds,
                )
            entries[each.name] = known.model_copy(update={"seeds": seeds})
    return record.model_copy(update={"boards": planned})


def _plan(contest: Contest, output: Path, taking: Taking) -> list[tuple[Board, Search, Run]]:
    """Return this part's runs: a seed of all recipes of all boards, then the next.

    They have their own length so far.

    Raises:
        ConfigError: The part has no runs.
    """
    searches = {
        board: search_of(
            board, found, {}, minutes=contest.minutes, seeds=contest.seeds,
            place=output / board.name,
        )
        for board, found in taking.items()
    }  # fmt: skip
    whole = [
        (board, search, run)
        for seed in contest.seeds
        for board, search in searches.items()
        for run in search.runs
        if run.seed == seed
    ]
    part, parts = contest.shard
    if part >= len(whole):
        raise ConfigError(
            f"--shard {part + 1}/{parts}: has no run, for there are only {len(whole)}; divide them "
            "into fewer parts"
        )
    return whole[part::parts]


def _set_older_aside(
    plan: Sequence[tuple[Board, Search, Run]], output: Path, notify: Callable[[str], None]
) -> None:
    """Move what is kept of recipes that say something else by now, so that they run again."""
    for board, _, run in plan:
        aside = SearchDirectory(output / board.name).set_aside(run)
        if aside is not None:
            samples_of(output, board.name, run.setting, run.seed).unlink(missing_ok=True)
            notify(
                f"{title_of(board.name)}: {run.setting}, seed {run.seed}: the recipe has changed "
                f"since; it runs again, and its result of before is kept in {aside}"
            )


def _how_much(contest: Contest, runs: int, left: int, jobs: int) -> str:
    part, parts = contest.shard
    of = f" of part {part + 1} of {parts}" if parts > 1 else ""
    minutes = left * contest.minutes / jobs
    about = f"; the other {left} train for about {minutes:g} minutes in all" if left else ""
    return f"{runs} runs{of}, {runs - left} done{about}"


def _check(
    record: Record,
    needed: Taking,
    plan: Sequence[tuple[Board, Search, Run]],
    conditions: Conditions,
) -> Record:
    """Build all that is needed once, and open what it is measured by.

    Returns:
        The record, with the hashes of images and features.

    Raises:
        ZooError: Something cannot be had, or images or features are others than before.
    """
    runtime.start(conditions.device or "cpu", threads=1)
    judged = dict(record.data)
    for data in dict.fromkeys(board.data for board, found in needed.items() if found):
        now = _judge(data, conditions)
        if judged.setdefault(data, now) != now:
            raise ConfigError(
                f"{data}: images or feature network are not those of the runs so far; give "
                "--data-dir as before, or another --output"
            )
    for board, found in needed.items():
        runs = {run.setting: run for at, _, run in plan if at == board}
        search = next((search for at, search, _ in plan if at == board), None)
        if search is not None:
            check(search, [runs[each.name] for each in found], conditions)
    return record.model_copy(update={"data": judged})


def _judge(data: str, conditions: Conditions) -> Judged:
    from ppgan_zoo.metrics.network import open_network

    hashes = {}
    for split in ("train", "test"):
        try:
            images = load_image_set(
                data,
                split=split,
                directory=conditions.data_directory,
                offline=conditions.offline,
            )
        except ZooError as error:
            raise ConfigError(f"{error}; a leaderboard needs both splits of {data}") from None
        hashes[f"{split}_sha256"] = images.sha256
    network = open_network(data, None, None)
    return Judged(features=network.name, features_sha256=network.sha256, **hashes)


def _lengthening(pacer: Pacer, board: Board, found: Sequence[Competitor]) -> Callable[[Run], Run]:
    by_name = {each.name: each for each in found}
    return lambda run: pacer.lengthened(board, by_name[run.setting], run)


def _runner(
    board: Board,
    search: Search,
    output: Path,
    conditions: Conditions,
    notify: Callable[[str], None],
) -> Runner:
    directory = SearchDirectory(output / board.name)
    directory.check()
    directory.path.mkdir(exist_ok=True)
    directory.begin()
    return Runner(
        search, directory, conditions, retry_failed=False, notify=notify,
        results=directory.results(search), title=f"{title_of(board.name)}: ",
    )  # fmt: skip


def _keep_one_checkpoint(runner: Runner, run: Run) -> None:
    """Delete the checkpoints that were for the curve alone."""
    place = runner.directory.run(run)
    progress = read_progress(place.progress)
    if runner.results[run].evaluation is not None and progress is not None:
        prune_checkpoints(place.checkpoints, 1, progress.done)
