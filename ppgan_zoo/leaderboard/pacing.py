"""Gives each run of a leaderboard its length, just before it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppgan_zoo import runtime
from ppgan_zoo.leaderboard.contest import Board, Competitor, search_of
from ppgan_zoo.leaderboard.length import Pace, stretched, time_job
from ppgan_zoo.leaderboard.page import title_of
from ppgan_zoo.leaderboard.record import Record
from ppgan_zoo.search import Conditions
from ppgan_zoo.search.plan import Run

if TYPE_CHECKING:
    from ppgan_zoo.run.job import JobBuilder
    from ppgan_zoo.search.results import Result


@dataclass
class Pacer:
    """Knows how fast each recipe is here: by its runs so far, or else by a few iterations.

    What it knows is kept in the leaderboard's folder, so that a leaderboard that is continued on
    such a machine need not time again.

    Attributes:
        record: What the folder keeps.
        output: The folder.
        conditions: What all runs share.
        retime: Whether to time recipes anew that were timed on this processor before this call.
        notify: Called with a line for each recipe that is timed.
    """

    record: Record
    output: Path
    conditions: Conditions
    retime: bool
    notify: Callable[[str], None]
    _known: set[tuple[str, str]] = field(default_factory=set, init=False)
    _builder: JobBuilder | None = field(default=None, init=False)

    def lengthened(self, board: Board, competitor: Competitor, run: Run) -> Run:
        """Return a run with as many iterations as fit into the budget."""
        pace = self._pace(board, competitor)
        length = stretched(competitor.recipe, pace.own, pace.iterations)
        search = search_of(
            board, [competitor], {competitor.name: length}, minutes=self.record.minutes,
            seeds=[run.seed], place=self.output / board.name,
        )  # fmt: skip
        return search.runs[0]

    def learn(self, board: str, result: Result) -> None:
        """Take in what a run took that was done here."""
        name, training = result.setting, result.training
        pace = self.record.boards[board][name].pace
        if (board, name) in self._known and training and pace and not result.failure:
            self._keep(board, name, {"pace": pace.after(training, self.record.minutes)})

    def _pace(self, board: Board, competitor: Competitor) -> Pace:
        """Return how fast a recipe is on this processor, timing it if that is not known."""
        key = (board.name, competitor.name)
        planned = self.record.boards[board.name][competitor.name]
        pace, here = planned.pace, runtime.processor()
        is_of_here = pace is not None and pace.model_dump(include=set(here)) == here
        if pace is None or not is_of_here or (self.retime and key not in self._known):
            pace = self._time(board, competitor)
        self._known.add(key)
        return pace

    def _time(self, board: Board, competitor: Competitor) -> Pace:
        from ppgan_zoo.run.job import JobBuilder

        if self._builder is None:
            shared = self.conditions
            self._builder = JobBuilder(offline=shared.offline, threads=shared.threads)
        job = self._builder.build(self.conditions.apply(competitor.recipe))
        counted = {
            "parameters": job.parameters(),
            "memory_mib": round(job.memory_bytes() / 2**20),
        }
        pace = time_job(job, self.record.minutes)
        self._keep(board.name, competitor.name, {**counted, "pace": pace})
        self.notify(
            f"{title_of(board.name)}: {competitor.name}: {1000 * pace.cpu_seconds:.0f} ms an "
            f"iteration, {pace.iterations:,} in {self.record.minutes:g} CPU minutes"
        )
        return pace

    def _keep(self, board: str, name: str, found: Mapping[str, Any]) -> None:
        entries = self.record.boards[board]
        entries[name] = entries[name].model_copy(update=found)
        self.record.write(self.output)
