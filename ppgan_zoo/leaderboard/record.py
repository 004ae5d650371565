"""What a leaderboard's folder keeps of its plan: ``contest.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from ppgan_zoo.errors import ConfigError, reason_of
from ppgan_zoo.leaderboard.contest import BOARDS
from ppgan_zoo.leaderboard.length import Pace
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically

FILE = "contest.json"
FORMAT = 1
MAX_BYTES = 1 << 24


def _known(board: str) -> str:
    if board not in (known := [each.name for each in BOARDS]):
        raise ValueError(f"unknown board {board!r}; known: {', '.join(known)}")
    return board


BoardName = Annotated[str, AfterValidator(_known)]  # becomes part of a file's name


class Judged(Section):
    """What the runs of an image set are trained on and measured by: names and SHA-256."""

    train_sha256: str
    test_sha256: str
    features: str
    features_sha256: str


class Planned(Section):
    """A recipe on a board.

    Attributes:
        recipe_sha256: Of the recipe, whatever its length and seed are made to be.
        model: Name of its architecture.
        settings: Where its settings are from: ``tuned``, ``published``, ``reduced``, ``own``.
        seeds: Those that were asked for, by any call.
        parameters: That learn, of each net; None before it was timed.
        memory_mib: That training holds at once, estimated, beside Paddle itself; None likewise.
        pace: On the machine that timed it last; None likewise.
    """

    recipe_sha256: str
    model: str
    settings: str
    seeds: tuple[int, ...]
    parameters: dict[str, int] | None = None
    memory_mib: int | None = None
    pace: Pace | None = None


class Record(Section):
    """The file: the budget, the image sets by name, and by board the recipes by name."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    minutes: float
    data: dict[str, Judged] = Field(default={})
    boards: dict[BoardName, dict[str, Planned]] = Field(default={})

    def write(self, folder: Path) -> None:
        """Write it into a leaderboard's folder."""
        write_atomically(folder / FILE, to_json(self.model_dump(mode="json")))


def read_record(folder: Path) -> Record | None:
    """Return what a leaderboard's folder keeps; None if it keeps nothing.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return Record.model_validate_json(read_regular(folder / FILE, MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{folder / FILE}: cannot be read: {reason_of(error)}") from None
