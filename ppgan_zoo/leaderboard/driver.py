"""The leaderboard from beginning to end: lengths, searches, pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.leaderboard.board import (
    BoardResult,
    Entry,
    Leaderboard,
    lines_of,
    score,
)
from ppgan_zoo.leaderboard.contest import (
    BOARDS,
    Board,
    Pace,
    competitors,
    find_paces,
    search_file,
)
from ppgan_zoo.leaderboard.page import markdown, page, plot, title_of
from ppgan_zoo.search import Conditions, load_search, run_search
from ppgan_zoo.search.plan import Search
from ppgan_zoo.search.results import Result, SearchDirectory
from ppgan_zoo.search.summary import floor_of
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically
from ppgan_zoo.storage.run_lock import locked

OWN = {"leaderboard.json", "leaderboard.md", "leaderboard.html", "paces.json",
       *(f"{board.name}{end}" for board in BOARDS for end in ("", ".yml", ".png", "_samples.png")),
       ".lock"}  # fmt: skip
"""What a leaderboard's folder may hold."""


@dataclass(frozen=True)
class Contest:
    """What is to be run.

    Attributes:
        minutes: Budget of a run.
        seeds: Of each recipe.
        data: Names of image sets.
        recipes: Names of recipes; None for all.
        shard: Which part of the runs this machine does, from 0, and of how many parts.
    """

    minutes: float
    seeds: tuple[int, ...] = (0, 1, 2)
    data: tuple[str, ...] = ("mnist", "fashion_mnist")
    recipes: tuple[str, ...] | None = None
    shard: tuple[int, int] = (0, 1)


def run_leaderboard(
    contest: Contest,
    output: Path,
    conditions: Conditions,
    *,
    directories: dict[str, str],
    notify: Callable[[str], None] = print_to_stderr,
) -> Leaderboard:
    """Train and measure what is missing, and write the pages after each board.

    Args:
        contest: What to run.
        output: The leaderboard's folder; one that holds the same leaderboard is continued.
        conditions: What all runs share, but for where the data are.
        directories: Where each image set lies, by its name; one that is left out is looked for.
        notify: Called with a line for whatever happens.

    Raises:
        ZooError: Something that would keep all from being run.
    """
    check_folder(output)
    with os_errors(ConfigError, f"--output {output}: cannot be made"):
        output.mkdir(parents=True, exist_ok=True)
    boards: dict[str, BoardResult] = {}
    with locked(output):
        for board in BOARDS:
            if board.data not in contest.data:
                continue
            here = replace(conditions, data_directory=directories.get(board.data))
            result = _run_board(board, contest, output, here, notify)
            if result is not None:
                boards[board.name] = result
                write_pages(Leaderboard(minutes=contest.minutes, boards=boards), output)
    if not boards:
        raise ConfigError("nothing to run: none of --recipes is for a board of --data")
    return Leaderboard(minutes=contest.minutes, boards=boards)


def check_folder(output: Path) -> None:
    """Refuse a folder with anything in it that no leaderboard writes.

    Raises:
        ConfigError: There is something.
    """
    with os_errors(ConfigError, f"--output {output}: cannot be looked at"):
        if output.exists() and not output.is_dir():
            raise ConfigError(f"--output {output}: is a file; give a folder")
        strange = {path.name for path in output.iterdir()} - OWN if output.exists() else set()
    if strange:
        raise ConfigError(
            f"--output {output}: holds {min(strange)!r}, which no leaderboard writes; give another"
        )


def _run_board(
    board: Board,
    contest: Contest,
    output: Path,
    conditions: Conditions,
    notify: Callable[[str], None],
) -> BoardResult | None:
    """Run this machine's part of a board; None if it has none."""
    recipes = competitors(board, contest.recipes)
    if not recipes:
        return None
    runtime.start("cpu" if conditions.device is None else conditions.device, threads=1)
    paces = find_paces(
        {
            name: recipe.model_copy(
                update={"data": recipe.data.model_copy(update={"name": board.data})}
            )
            for name, recipe in recipes.items()
        },
        contest.minutes,
        output / "paces.json",
        offline=conditions.offline,
        directory=conditions.data_directory,
        notify=notify,
    )
    path = output / f"{board.name}.yml"
    write_atomically(path, search_file(board, recipes, paces, contest.minutes, contest.seeds))
    whole = load_search(path)
    part, parts = contest.shard
    search = replace(whole, runs=whole.runs[part::parts])
    if not search.runs:
        return None
    notify(f"{title_of(board.name)}: {len(search.runs)} of {len(whole.runs)} runs are of this part")
    run_search(search, output / board.name, conditions, notify=notify)
    return _result(search, output / board.name, paces)


def _result(search: Search, folder: Path, paces: Mapping[str, Pace]) -> BoardResult:
    results = SearchDirectory(folder).results(search)
    floor = floor_of(results.values())
    entries: dict[str, Entry] = {}
    for name in dict.fromkeys(run.setting for run in search.runs):
        own = [(run, result) for run, result in results.items() if run.setting == name]
        if own:
            scores = [score(result, floor) for _, result in own]
            entries[name] = Entry(
                recipe=name,
                model=own[0][0].recipe.model.name,
                parameters=paces[name].parameters,
                memory_mib=paces[name].memory_mib,
                runs=tuple(sorted(scores, key=lambda run: run.seed)),
            )
    return BoardResult(
        features=_features(list(results.values())),
        floor=None if floor is None else dict(floor),
        entries=entries,
    )


def _features(results: Sequence[Result]) -> str | None:
    names = [result.evaluation["features"]["name"] for result in results if result.evaluation]
    return str(names[0]) if names else None


def write_pages(leaderboard: Leaderboard, output: Path) -> None:
    """Write ``leaderboard.json``, the pages and the plots into a folder."""
    pictures: dict[str, list[Path]] = {}
    for name, board in leaderboard.boards.items():
        picture = output / f"{name}.png"
        if lines_of(board):
            write_atomically(picture, plot(board, f"{title_of(name)}: FID of every run"))
            pictures[name] = [picture]
        samples = output / name / "samples.png"
        if samples.is_file():
            own = output / f"{name}_samples.png"
            write_atomically(own, read_regular(samples))
            pictures.setdefault(name, []).append(own)
    names = {name: [path.name for path in paths] for name, paths in pictures.items()}
    write_atomically(output / "leaderboard.json", to_json(leaderboard.model_dump(mode="json")))
    write_atomically(output / "leaderboard.md", markdown(leaderboard, names))
    write_atomically(output / "leaderboard.html", page(leaderboard, pictures))
