"""The folder of a leaderboard: what it may hold, its pages, and several put together in one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.errors import CheckpointError, ConfigError, os_errors
from ppgan_zoo.leaderboard import board as boards
from ppgan_zoo.leaderboard import record as records
from ppgan_zoo.leaderboard.board import Leaderboard, gather, merge, read_leaderboard
from ppgan_zoo.leaderboard.contest import BOARDS, SETS
from ppgan_zoo.leaderboard.page import markdown, page, plot_title
from ppgan_zoo.leaderboard.pictures import draw_samples, grid, plot
from ppgan_zoo.leaderboard.record import read_record
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically
from ppgan_zoo.storage.pictures import encode_png, save_png
from ppgan_zoo.storage.run_lock import LOCK, locked
from ppgan_zoo.storage.scratch import clear_abandoned

SAMPLES = "samples"
"""The folder with a picture of every run."""

PAGES = (boards.FILE, "leaderboard.md", "leaderboard.html")
OWN = {*PAGES, records.FILE, SAMPLES, LOCK, *(board.name for board in BOARDS),
       *(f"{name}.png" for name in SETS), *(f"{board.name}_samples.png" for board in BOARDS),
       }  # fmt: skip
"""What a leaderboard's folder may hold."""


def check_folder(output: Path) -> None:
    """Refuse a folder with anything in it that no leaderboard writes.

    Raises:
        ConfigError: There is something.
    """
    with os_errors(ConfigError, f"--output {output}: cannot be looked at"):
        if output.exists() and not output.is_dir():
            raise ConfigError(f"--output {output}: is a file; give a folder")
        clear_abandoned(output)  # of a process that was killed
        strange = {path.name for path in output.iterdir()} - OWN if output.exists() else set()
    if strange:
        raise ConfigError(
            f"--output {output}: holds {min(strange)!r}, which no leaderboard writes; give another"
        )


def publish(output: Path) -> Leaderboard:
    """Write JSON and pages from what a folder holds: runs, or a merged leaderboard.

    Args:
        output: The folder.

    Raises:
        ConfigError: It holds no leaderboard.
    """
    record = read_record(output)
    if record is None:
        leaderboard = read_leaderboard(output)
    else:
        leaderboard = gather(record, output)
        _draw_missing(leaderboard, output)
    write_pages(leaderboard, output)
    return leaderboard


def _draw_missing(leaderboard: Leaderboard, output: Path) -> None:
    """Draw samples of the runs that have none yet, but for those without a checkpoint."""
    for name, board in leaderboard.boards.items():
        for entry in board.entries.values():
            for run in entry.runs:
                path = samples_of(output, name, entry.recipe, run.seed)
                at = output / name / "runs" / f"{entry.recipe}-{run.seed}"
                if run.outcome == "failed" or path.exists() or not at.is_dir():
                    continue
                runtime.start("cpu", threads=1)
                path.parent.mkdir(exist_ok=True)
                with contextlib.suppress(CheckpointError):
                    save_png(path, draw_samples(at))


def samples_of(output: Path, board: str, recipe: str, seed: int) -> Path:
    """Return where the picture of a run is."""
    return output / SAMPLES / f"{board}-{recipe}-{seed}.png"


def write_pages(leaderboard: Leaderboard, output: Path) -> None:
    """Write ``leaderboard.json``, the pages, plots and grids into a folder."""
    pictures: dict[str, Path] = {}
    for data in SETS:
        shown = {
            board.labels: leaderboard.boards[board.name]
            for board in BOARDS
            if board.data == data and board.name in leaderboard.boards
        }
        drawn = plot(shown, plot_title(data)) if shown else None
        if drawn is not None:
            pictures[data] = output / f"{data}.png"
            write_atomically(pictures[data], drawn)
    for name, board in leaderboard.boards.items():
        if any(entry.runs for entry in board.entries.values()):
            paths = {
                (entry.recipe, run.seed): path
                for entry in board.entries.values()
                for run in entry.runs
                if (path := samples_of(output, name, entry.recipe, run.seed)).exists()
            }
            pictures[f"{name}_samples"] = output / f"{name}_samples.png"
            write_atomically(pictures[f"{name}_samples"], encode_png(grid(board, paths)))
    write_atomically(output / boards.FILE, to_json(leaderboard.model_dump(mode="json")))
    write_atomically(output / "leaderboard.md", markdown(leaderboard, pictures))
    write_atomically(output / "leaderboard.html", page(leaderboard, pictures))


def merge_folders(inputs: Sequence[Path], output: Path) -> Leaderboard:
    """Put the leaderboards of several folders together in another one.

    Args:
        inputs: Folders, of which ``leaderboard.json`` and ``samples`` are read.
        output: The folder; a leaderboard that was merged there before is replaced.

    Raises:
        ConfigError: They do not go together, or `output` holds runs, or is one of them.
    """
    check_folder(output)
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise ConfigError(f"--output {output}: is one of those to be merged; give another")
    if (output / records.FILE).exists():
        raise ConfigError(f"--output {output}: holds runs of its own; give another")
    whole = merge([(str(path), read_leaderboard(path)) for path in inputs])
    with os_errors(ConfigError, f"--output {output}: cannot be made"):
        (output / SAMPLES).mkdir(parents=True, exist_ok=True)
    with locked(output):
        _clear_merged(output)
        for name, board in whole.boards.items():
            for entry in board.entries.values():
                for run in entry.runs:
                    there = [samples_of(path, name, entry.recipe, run.seed) for path in inputs]
                    made = next((path for path in there if path.is_file()), None)
                    if made is not None:
                        write_atomically(output / SAMPLES / made.name, read_regular(made))
        write_pages(whole, output)
    return whole


def _clear_merged(output: Path) -> None:
    """Delete the pictures of a leaderboard that was merged into a folder before."""
    if not (output / boards.FILE).exists():
        return
    for name, board in read_leaderboard(output).boards.items():
        for entry in board.entries.values():
            for run in entry.runs:
                samples_of(output, name, entry.recipe, run.seed).unlink(missing_ok=True)
        for picture in (f"{name}_samples.png", f"{name.removesuffix('_labels')}.png"):
            (output / picture).unlink(missing_ok=True)
