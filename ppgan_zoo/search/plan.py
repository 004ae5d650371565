"""The file of a search, and the runs that follow from it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from ppgan_zoo.errors import ConfigError, ZooError
from ppgan_zoo.recipe.base import FeaturesName, MetricName, Section
from ppgan_zoo.recipe.bounds import FEWEST_IMAGES, MOST_SAMPLES
from ppgan_zoo.recipe.explain import explain, first_of, kind_of
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.recipe.strict_yaml import Document, lists_to_tuples, read_yaml
from ppgan_zoo.registry import DATA, FEATURES
from ppgan_zoo.runtime import check_installed
from ppgan_zoo.search.space import Space, space_of

SETTING_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # becomes the name of a folder
SET_BY_THE_SEARCH = {"seed": "the key seeds", "data.directory": "--data-dir"}


class Evaluate(Section):
    """How every run is measured: by FID, and modes where the network knows the classes.

    `curve_samples`: of each kept checkpoint, for FID along the run; None for no such curve.
    """

    features: FeaturesName | None = None
    weights: str | None = None
    num_samples: Annotated[int, Field(ge=FEWEST_IMAGES, le=MOST_SAMPLES)] = 10_000
    split: Literal["test", "train"] = "test"
    metrics: tuple[MetricName, ...] = ("fid",)
    best: bool = False
    curve_samples: Annotated[int, Field(ge=FEWEST_IMAGES, le=MOST_SAMPLES)] | None = None

    @model_validator(mode="after")
    def _memorisation_needs_held_out_images(self) -> Evaluate:
        if self.split == "train" and "memorisation" in self.metrics:
            raise ValueError(
                "metrics: memorisation compares with held-out images; set split to test"
            )
        return self

    def names(self, data: str) -> list[str]:
        """Return the metrics to take of samples of an image set's kind."""
        network = self.features or DATA.get(data).features
        counted = network is None or FEATURES.get(network).tells_classes
        needed = ("fid", "modes") if counted else ("fid",)
        return list(dict.fromkeys((*needed, *self.metrics)))


class SearchFile(Section):
    """The whole file. `minutes`: of training, at most, for each run.

    `trials`: how many settings to draw from each setting that has ranges.
    """

    recipe: str
    minutes: Annotated[float, Field(gt=0.0, le=10_080.0, allow_inf_nan=False)]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...], Field(min_length=1, max_length=100)
    ]
    settings: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    overrides: dict[str, Any] = Field(default={})
    trials: Annotated[int, Field(ge=1, le=10_000)] = 1
    evaluate: Evaluate = Evaluate()

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"found {list(seeds)}; give each seed once")
        return seeds

    @field_validator("settings")
    @classmethod
    def _names_of_folders(cls, settings: dict[str, Any]) -> dict[str, Any]:
        for name in settings:
            if not SETTING_NAME.fullmatch(name):
                raise ValueError(
                    f"found the name {name!r}; allowed: letters, digits, '-', '_' and '.', the "
                    "first a letter or digit"
                )
        return settings


@dataclass(frozen=True)
class Run:
    """One training to be done.

    Attributes:
        setting: Name of the setting.
        seed: Of everything random.
        recipe: The resolved recipe.
        arguments: What follows ``ppgan-zoo train``, but for where data and output are.
        identity: What its result is known by; None for the hash of the recipe.
    """

    setting: str
    seed: int
    recipe: Recipe = field(compare=False)  # it follows from the rest, and has no hash
    arguments: tuple[str, ...]
    identity: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.setting}-{self.seed}"

    @property
    def recipe_sha256(self) -> str:
        """What tells a run of this recipe from one of another, in any version of the zoo."""
        return self.identity or sha256_of(self.recipe)


def sha256_of(recipe: Recipe) -> str:
    """Return the hash of what a recipe says, the same in any version of the zoo."""
    chosen = recipe.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def without_paths(recipe: Recipe) -> Recipe:
    """Return a recipe that names no files: where they lie is not what is trained."""
    data = recipe.data.model_copy(update={"directory": None})
    evaluation = recipe.evaluation.model_copy(update={"weights": None})
    return recipe.model_copy(update={"data": data, "evaluation": evaluation})


@dataclass(frozen=True)
class Search:
    """A search that may be begun.

    Attributes:
        path: The file.
        file: What it holds.
        runs: All runs, seed by seed, so that a search that is stopped has compared all
            settings.
        spaces: The settings that have ranges, by name; they have no runs until trials are drawn.
    """

    path: Path
    file: SearchFile
    runs: tuple[Run, ...]
    spaces: Mapping[str, Space] = field(default_factory=dict)


def load_search(path: Path) -> Search:
    """Read the file of a search, and every recipe that it leads to.

    Raises:
        ConfigError: Anything wrong with any of them, in one line.
    """
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise ConfigError(
            f"{path}: a search must be a mapping of keys, found {kind_of(document.data)}"
        )
    try:
        file = SearchFile.model_validate(lists_to_tuples(document.data))
    except ValidationError as error:
        first = first_of(error)
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{_place(path, document, tuple(first['loc']))}: {explain(first, key, SearchFile)}"
        ) from None
    _find(path, document, ("recipe",), file.recipe)
    spaces = _spaces(path, document, file)
    ends = {name: space.ends() for name, space in spaces.items()}
    runs = []
    for seed in file.seeds:
        for name, setting in file.settings.items():
            try:
                runs += [
                    _plan_run(path, file, name, each, seed) for each in ends.get(name, [setting])
                ]
            except ZooError as error:
                place = _place(path, document, ("settings", name))
                raise ConfigError(f"{place}: settings.{name}: {error}") from None
    sets = {run.recipe.data.name for run in runs}
    if len(sets) > 1:
        raise ConfigError(
            f"{path}: settings: they train on {' and '.join(sorted(sets))}, whose figures do not "
            "compare; make a search for each"
        )
    (name,) = sets
    if file.evaluate.split == "test" and not DATA.get(name).has_splits:
        raise ConfigError(f"{path}: evaluate.split: {name} has no test split; set it to train")
    return Search(path, file, tuple(run for run in runs if run.setting not in spaces), spaces)


def with_settings(search: Search, settings: Mapping[str, Mapping[str, Any]]) -> Search:
    """Return a search of these settings, none of which has ranges.

    Raises:
        ConfigError: One of them is no recipe.
    """
    runs = []
    for seed in search.file.seeds:
        for name, setting in settings.items():
            try:
                runs.append(_plan_run(search.path, search.file, name, setting, seed))
            except ZooError as error:
                raise ConfigError(f"{search.path}: {name}: {error}") from None
    file = search.file.model_copy(update={"settings": dict(settings)})
    return replace(search, file=file, runs=tuple(runs))


def _spaces(path: Path, document: Document, file: SearchFile) -> dict[str, Space]:
    """Return the settings that have ranges.

    Raises:
        ConfigError: A range that is none, no or too many trials, or no optuna.
    """
    found: dict[str, Space] = {}
    for name, setting in file.settings.items():
        place = f"{_place(path, document, ('settings', name))}: settings.{name}"
        try:
            space = space_of(name, setting)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None
        if space is None:
            continue
        if "trials" not in file.model_fields_set:
            raise ConfigError(f"{place}: has ranges; say by trials how often to draw from them")
        if len(file.seeds) > 1:
            raise ConfigError(
                f"{place}: has ranges, and seeds are {list(file.seeds)}; draw with one seed, then "
                "compare the best few as settings of their own with more"
            )
        check_installed(("optuna",), "optuna", place)
        if file.evaluate.curve_samples is not None:
            raise ConfigError(
                f"{place}: has ranges, and evaluate.curve_samples is set; leave it out: trials are "
                "given up by the FID that training records, and that of samples is another"
            )
        found[name] = space
        taken = next((each for each in file.settings if space.number_of(each) is not None), None)
        if taken is not None:
            raise ConfigError(
                f"{_place(path, document, ('settings', taken))}: settings.{taken}: is the name of "
                f"a trial of settings.{name}; give it another"
            )
    if "trials" in file.model_fields_set and not found:
        line = _place(path, document, ("trials",))
        raise ConfigError(f"{line}: trials: no setting has a range to draw from; leave it out")
    return found


def _plan_run(
    path: Path, file: SearchFile, name: str, setting: Mapping[str, Any], seed: int
) -> Run:
    own = dict(setting)
    other = own.pop("recipe", None)
    if other is not None and not isinstance(other, str):
        raise ConfigError(f"recipe: found {kind_of(other)}; give a name or a path")
    recipe = _resolve(path, file.recipe if other is None else other)
    overrides = []
    common = {key: value for key, value in file.overrides.items() if key not in own}
    for key, value in {**common, **own}.items():
        if key in SET_BY_THE_SEARCH:
            raise ConfigError(f"{key}: is set by {SET_BY_THE_SEARCH[key]}; leave it out")
        # JSON is YAML, but for characters that JSON would write as two escapes.
        overrides.append(f"{key}={json.dumps(value, ensure_ascii=False)}")
    resolved = load_recipe(find_recipe(recipe), [*overrides, f"seed={seed}"])
    if resolved.evaluation.every_steps is not None and "visualdl" not in resolved.log.to:
        raise ConfigError("log.to: a search reads the curve of FID from visualdl; add it")
    words = [word for override in overrides for word in ("-o", override)]
    return Run(name, seed, resolved, ("-c", recipe, *words, "--seed", str(seed)))


def _find(path: Path, document: Document, key: tuple[str, ...], recipe: str) -> None:
    try:
        find_recipe(_resolve(path, recipe))
    except ConfigError as error:
        raise ConfigError(f"{_place(path, document, key)}: {'.'.join(key)}: {error}") from None


def _resolve(path: Path, recipe: str) -> str:
    """Return what ``train -c`` takes: paths in the file are relative to the file."""
    beside = path.parent / recipe
    return str(beside) if beside.is_file() else recipe


def _place(path: Path, document: Document, key: tuple[Any, ...]) -> str:
    line = document.line_of(key)
    return f"{path}:{line}" if line else str(path)
