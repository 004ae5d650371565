"""Who takes part in the leaderboard, on which board, and for how many iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ppgan_zoo.callbacks.pace import seconds_of_an_iteration
from ppgan_zoo.errors import ConfigError, ZooError
from ppgan_zoo.leaderboard.length import stretched
from ppgan_zoo.models.outline import read_outline
from ppgan_zoo.recipe.base import Section
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.shipped import shipped_recipes
from ppgan_zoo.recipe.strict_yaml import to_yaml
from ppgan_zoo.registry import MODELS
from ppgan_zoo.run.job import JobBuilder
from ppgan_zoo.storage.files import read_regular, to_json, write_atomically

SETS = ("mnist", "fashion_mnist")
"""The image sets that there are boards of."""

METRICS = ("fid", "precision_recall", "density_coverage", "modes", "memorisation")
BUSY_SHARE = 0.95
"""Part of the budget that iterations may take; the rest is for checkpoints and a grid."""

TIMED_SECONDS, TIMED_MOST, MAX_BYTES = 5.0, 50, 1 << 20


@dataclass(frozen=True)
class Board:
    """One table: an image set, with labels or without.

    Attributes:
        data: Name of the set.
        labels: Whether the recipes on it are told the class of an image.
    """

    data: str
    labels: bool

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.data}_labels" if self.labels else self.data

    @property
    def metrics(self) -> list[str]:
        """What is measured."""
        return [*METRICS, *(["label_accuracy"] if self.labels else [])]


BOARDS = tuple(Board(data, labels) for data in SETS for labels in (False, True))


class Pace(Section):
    """How fast a recipe is on this machine, and what it is thus given.

    Attributes:
        seconds: Of an iteration, timed at the start.
        own: Iterations of the recipe as it is shipped.
        iterations: Those that fit into the budget.
        parameters: That learn, of each net.
        memory_mib: That training holds at once, estimated, beside Paddle itself.
    """

    seconds: Annotated[float, Field(gt=0.0)]
    own: Annotated[int, Field(ge=1)]
    iterations: Annotated[int, Field(ge=1)]
    parameters: dict[str, int]
    memory_mib: int


class Paces(Section):
    """What ``paces.json`` holds: the budget, and the pace of each recipe by its name."""

    minutes: float
    recipes: dict[str, Pace]


def competitors(board: Board, wanted: Iterable[str] | None = None) -> dict[str, Recipe]:
    """Return the recipes of a board by name: shipped ones for 28x28 grey images.

    Args:
        board: The board.
        wanted: Names to take; None for all.

    Raises:
        ConfigError: A name that no recipe for such images has.
    """
    known: dict[str, Recipe] = {}
    for name, path in shipped_recipes().items():
        recipe = load_recipe(path)
        if recipe.data.name in SETS and recipe.data.image_size in (None, 28):
            known[name] = recipe
    chosen = list(known) if wanted is None else list(wanted)
    for name in chosen:
        if name not in known:
            raise ConfigError(
                f"--recipes {name}: no shipped recipe for 28x28 images; known: {', '.join(known)}"
            )
    return {name: known[name] for name in chosen if is_told_labels(known[name]) is board.labels}


def is_told_labels(recipe: Recipe) -> bool:
    """Tell whether a recipe's nets get class labels."""
    source = MODELS.sources()[recipe.model.name]
    return recipe.model.conditional or read_outline(source.target).labels == "needs"


def find_paces(
    recipes: Mapping[str, Recipe],
    minutes: float,
    path: Path,
    *,
    offline: bool,
    directory: str | None,
    notify: Callable[[str], None],
) -> dict[str, Pace]:
    """Return how many iterations of each recipe fit into the budget, timing those not yet known.

    What was timed is kept, so that a leaderboard that is continued has the same lengths.

    Raises:
        ConfigError: The file is of another budget, or a recipe cannot be built.
    """
    known, builder = _read(path, minutes), JobBuilder(offline=offline)
    for name, recipe in recipes.items():
        if name in known:
            continue
        data = recipe.data.model_copy(update={"directory": directory})
        try:
            job = builder.build(recipe.model_copy(update={"data": data}))
        except ZooError as error:
            raise ConfigError(f"{name}: {error}") from None
        parameters, memory = job.parameters(), round(job.memory_bytes() / 2**20)
        seconds, _ = seconds_of_an_iteration(
            job.trainer, job.batches, seconds=TIMED_SECONDS, most=TIMED_MOST
        )
        fitting = max(1, int(BUSY_SHARE * 60 * minutes / seconds))
        known[name] = Pace(
            seconds=seconds,
            own=job.iterations,
            iterations=fitting,
            parameters=parameters,
            memory_mib=memory,
        )
        notify(f"{name}: {1000 * seconds:.0f} ms an iteration, {fitting:,} in {minutes:g} minutes")
        write_atomically(path, to_json(Paces(minutes=minutes, recipes=known).model_dump()))
    return known


def _read(path: Path, minutes: float) -> dict[str, Pace]:
    try:
        paces = Paces.model_validate_json(read_regular(path, MAX_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if paces.minutes != minutes:
        raise ConfigError(
            f"{path}: is of a budget of {paces.minutes:g} minutes, and --budget is {minutes:g}; "
            "give that one, or another --output"
        )
    return dict(paces.recipes)


def search_file(
    board: Board,
    recipes: Mapping[str, Recipe],
    paces: Mapping[str, Pace],
    minutes: float,
    seeds: Sequence[int],
) -> str:
    """Return the search that trains and measures a board, as YAML."""
    settings: dict[str, dict[str, Any]] = {}
    for name, recipe in recipes.items():
        pace = paces[name]
        settings[name] = {"recipe": name, **stretched(recipe, pace.own, pace.iterations)}
    end = max(paces[name].iterations for name in recipes)
    return to_yaml(
        {
            "recipe": next(iter(recipes)),
            # The lengths fit; a run that is much slower than it was timed is still ended.
            "minutes": 2 * minutes,
            "seeds": list(seeds),
            "overrides": {
                "data.name": board.data,
                "samples.every_steps": end,
                "checkpoint.every_steps": end,
                "checkpoint.best_by": None,
                "log.histogram_every_steps": None,
            },
            "settings": settings,
            "evaluate": {"num_samples": 10_000, "metrics": board.metrics},
        }
    )
