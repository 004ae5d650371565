"""Who takes part in the leaderboard, on which board, and the runs that follow from it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.outline import read_outline
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.shipped import shipped_recipes
from ppgan_zoo.registry import MODELS
from ppgan_zoo.search.plan import (
    SETTING_NAME,
    Evaluate,
    Search,
    SearchFile,
    sha256_of,
    with_settings,
)

SETS = ("mnist", "fashion_mnist")
"""The image sets that there are boards of."""

METRICS = ("fid", "precision_recall", "density_coverage", "sharpness", "modes", "memorisation")
SAMPLES, CURVE_SAMPLES = 10_000, 2_000
CURVE_POINTS = 5
LIMIT = 1.5
"""Budgets after which a run is stopped: lengths fit, but a machine may become slower."""

Settings = Literal["tuned", "published", "reduced", "own"]

TUNED = frozenset({
    "demo", "demo_fashion", "mnist_tuned", "fashion_tuned", "mnist_conditional",
    "fashion_conditional", "gan_mlp_mnist", "cgan_mnist", "sngan_mnist",
    "wgan_gp_resnet_mnist",
})  # fmt: skip
"""Shipped recipes whose settings the zoo found by search."""

PUBLISHED = frozenset({
    "gan_mlp_mnist_published", "gan_mlp_mnist_relu", "gan_mlp_mnist_wasserstein",
    "gan_mlp_bn_fashion", "dcgan_mnist", "dcgan_fashion", "dcgan_dropout_mnist",
    "dcgan_keras_mnist",
})  # fmt: skip
"""Shipped recipes with settings that somebody published for such images.

All other shipped recipes are reduced: models that were published for other images, made small.
"""


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
    def evaluate(self) -> Evaluate:
        """How its runs are measured."""
        metrics = (*METRICS, *(["label_accuracy"] if self.labels else []))
        return Evaluate(num_samples=SAMPLES, metrics=metrics, curve_samples=CURVE_SAMPLES)


BOARDS = tuple(Board(data, labels) for data in SETS for labels in (False, True))


@dataclass(frozen=True)
class Competitor:
    """A recipe on a board.

    Attributes:
        name: In the table.
        source: What ``train -c`` takes: the name of a shipped recipe, or a path.
        recipe: With the board's image set.
        settings: Where its settings are from.
    """

    name: str
    source: str
    recipe: Recipe
    settings: Settings

    @property
    def sha256(self) -> str:
        """The hash of the recipe, whatever its length and seed are made to be."""
        return sha256_of(self.recipe)


def settings_of(name: str) -> Settings:
    """Return where the settings of a shipped recipe are from."""
    return "tuned" if name in TUNED else "published" if name in PUBLISHED else "reduced"


def competitors(board: Board, wanted: Iterable[str] | None = None) -> list[Competitor]:
    """Return the recipes of a board: those for 28x28 grey images.

    Args:
        board: The board.
        wanted: Names of shipped recipes, and paths of others; None for all shipped ones.

    Raises:
        ConfigError: One that is not for such images, or is named like another.
    """
    known = _shipped()
    chosen: dict[str, Competitor] = {}
    for word in known if wanted is None else wanted:
        competitor = known[word] if word in known else _own(word, known)
        if competitor.name in chosen:
            raise ConfigError(f"--recipes {word}: a recipe named {competitor.name} is there twice")
        chosen[competitor.name] = competitor
    return [
        replace(each, recipe=_with_data(each.recipe, board.data))
        for each in chosen.values()
        if is_told_labels(each.recipe) is board.labels
    ]


@functools.cache  # to read them takes seconds
def _shipped() -> dict[str, Competitor]:
    found = {}
    for name, path in shipped_recipes().items():
        recipe = load_recipe(path)
        if _fits(recipe):
            found[name] = Competitor(name, name, recipe, settings_of(name))
    return found


def _own(word: str, known: Mapping[str, Competitor]) -> Competitor:
    """Return the recipe at a path."""
    path = Path(word)
    if path.suffix not in (".yml", ".yaml"):
        raise ConfigError(
            f"--recipes {word}: no shipped recipe for 28x28 images; give the path of a .yml file, "
            f"or one of: {', '.join(known)}"
        )
    recipe = load_recipe(path)
    if not _fits(recipe):
        raise ConfigError(
            f"--recipes {word}: is not for 28x28 images; data.name must be one of "
            f"{', '.join(SETS)}, data.image_size 28 or left out, and data.limit left out"
        )
    if path.stem in known or not SETTING_NAME.fullmatch(path.stem):
        raise ConfigError(
            f"--recipes {word}: rename the file: its name must be unlike those of shipped recipes, "
            "and of letters, digits, '-', '_' and '.'"
        )
    MODELS.check_name(recipe.model.name, where=f"{path}: model.name")
    return Competitor(path.stem, str(path.absolute()), recipe, "own")


def _fits(recipe: Recipe) -> bool:
    data = recipe.data
    return data.name in SETS and data.image_size in (None, 28) and data.limit is None


def _with_data(recipe: Recipe, name: str) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"name": name})})


def is_told_labels(recipe: Recipe) -> bool:
    """Tell whether a recipe's nets get class labels."""
    source = MODELS.sources()[recipe.model.name]
    return recipe.model.conditional or read_outline(source.target).labels == "needs"


def search_of(
    board: Board,
    taking_part: Sequence[Competitor],
    lengths: Mapping[str, Mapping[str, Any]],
    *,
    minutes: float,
    seeds: Sequence[int],
    place: Path,
) -> Search:
    """Return the search that trains and measures a board, seed by seed.

    Args:
        board: The board.
        taking_part: Its recipes.
        lengths: Of recipes by name: what :func:`ppgan_zoo.leaderboard.length.stretched` returned.
            Others keep their own length.
        minutes: The budget.
        seeds: Of each recipe.
        place: The board's folder, for messages.
    """
    settings: dict[str, dict[str, Any]] = {}
    for each in taking_part:
        settings[each.name] = {"recipe": each.source, "data.name": board.data}
        if each.name in lengths:
            length = lengths[each.name]
            end = int(length["training.iterations"])
            settings[each.name] |= {
                **length,
                "samples.every_steps": end,
                "checkpoint.every_steps": -(-end // CURVE_POINTS),
                "checkpoint.keep_last": CURVE_POINTS,
                "checkpoint.best_by": None,
                "log.histogram_every_steps": None,
            }
    file = SearchFile(
        recipe=taking_part[0].source,
        minutes=LIMIT * minutes,
        seeds=tuple(seeds),
        settings=settings,
        evaluate=board.evaluate,
    )
    search = with_settings(Search(place, file, ()), settings)
    known = {each.name: each.sha256 for each in taking_part}
    runs = tuple(replace(run, identity=known[run.setting]) for run in search.runs)
    return replace(search, runs=runs)
