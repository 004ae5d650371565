"""The recipe: one YAML file that says what to train, on what and how.

Pure data, checked strictly before anything else happens: an unknown key, a wrong type
or an impossible value is one line with file, line, key and what is allowed. Importing
this module imports no Paddle, so the arguments of a model's own nets are checked
against their signatures later, in :mod:`ppgan_zoo.run.build`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ppgan_zoo.errors import ConfigError, UnknownNameError
from ppgan_zoo.recipe.explain import explain, kind_of
from ppgan_zoo.recipe.strict_yaml import (
    MAX_DEPTH,
    Document,
    lists_to_tuples,
    parse_scalar,
    read_yaml,
    to_yaml,
)

Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0.0, le=10.0, allow_inf_nan=False)]


class Section(BaseModel):
    """Base of every section: strict types, no unknown key, nothing changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Model(Section):
    """Which architecture, and the constructor arguments of its two nets."""

    name: str
    generator: dict[str, Any] = {}
    discriminator: dict[str, Any] = {}


class LatentSection(Section):
    """The latent prior. `shared`: one z an iteration for all its updates."""

    dim: Positive = 100
    prior: Literal["normal", "uniform"] | None = None
    shared: bool = False


class Data(Section):
    """What to train on. `image_size` and `channels` None leave a set as it is (folder: 32)."""

    name: Literal["mnist", "fashion_mnist", "folder"]
    directory: str | None = None
    batch_size: Positive
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    channels: Literal[1, 3] | None = None
    limit: Positive | None = None
    replacement: bool = False

    @model_validator(mode="after")
    def _folder_needs_a_directory(self) -> Data:
        if self.name == "folder" and self.directory is None:
            raise ValueError("directory: a folder of images needs one; set data.directory")
        return self


class Smoothing(Section):
    """Label smoothing: targets are ``1 - real``, ``fake`` and ``1 - generator``."""

    real: Annotated[float, Field(ge=0.0, lt=0.5, allow_inf_nan=False)] = 0.0
    fake: Annotated[float, Field(ge=0.0, lt=0.5, allow_inf_nan=False)] = 0.0
    generator: Annotated[float, Field(ge=0.0, lt=0.5, allow_inf_nan=False)] = 0.0


class ObjectiveSection(Section):
    """The game. `name` None takes the model's own."""

    name: (
        Literal[
            "non_saturating",
            "minimax",
            "least_squares",
            "hinge",
            "wasserstein",
            "relativistic_average",
            "relativistic_pairing",
        ]
        | None
    ) = None
    label_smoothing: Smoothing = Smoothing()


class PenaltySection(Section):
    """One term of D's loss. `weight` None takes the paper's (:mod:`ppgan_zoo.game.penalties`)."""

    name: Literal[
        "wgan_gp",
        "one_sided_gp",
        "zero_centered_gp",
        "dragan",
        "r1",
        "r2",
        "consistency",
        "lecam",
    ]
    weight: Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)] | None = None
    every_steps: Positive = 1


class SpectralNormSection(Section):
    """Which nets have the weights of their dense and convolution layers normalised."""

    discriminator: bool = False
    generator: bool = False


class InstanceNoise(Section):
    """Gaussian noise on what D is shown, falling from `std` to nothing at `until_step`."""

    std: Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)] = 0.0
    until_step: Positive | None = None


class Constraints(Section):
    """What holds D back, on any model. `packing`: how many images D judges together."""

    weight_clip: Annotated[float, Field(gt=0.0, le=1e3, allow_inf_nan=False)] | None = None
    penalties: tuple[PenaltySection, ...] = ()
    spectral_norm: SpectralNormSection = SpectralNormSection()
    instance_noise: InstanceNoise = InstanceNoise()
    packing: Annotated[int, Field(ge=1, le=16)] = 1
    augment: tuple[Literal["color", "translation", "cutout"], ...] = ()


class ScheduleSection(Section):
    """The learning rate over the iterations.

    ``constant``; ``linear`` (from iteration `start` down to `final` times the rate at the
    end of training); ``cosine`` (down to `final` times the rate); ``inverse_time`` (the
    rate over ``1 + decay * iteration``).
    """

    name: Literal["constant", "linear", "cosine", "inverse_time"] = "constant"
    start: Annotated[int, Field(ge=0)] | None = None
    final: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] | None = None
    decay: Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _keys_of_this_schedule(self) -> ScheduleSection:
        takes = {
            "constant": set(),
            "linear": {"start", "final"},
            "cosine": {"final"},
            "inverse_time": {"decay"},
        }[self.name]
        given = {key for key in ("start", "final", "decay") if getattr(self, key) is not None}
        if given - takes:
            raise ValueError(
                f"{sorted(given - takes)[0]}: schedule {self.name} does not take it; "
                f"it takes {', '.join(sorted(takes)) or 'no other key'}"
            )
        if self.name == "inverse_time" and self.decay is None:
            raise ValueError("decay: schedule inverse_time needs it")
        return self


class OptimizerSection(Section):
    """One net's optimizer.

    Adam's and AdamW's betas are 0.5 and 0.999 if left out (Radford et al. 2016); other
    keys left out take Paddle's own values.
    """

    name: Literal["adam", "adamw", "rmsprop", "momentum", "sgd"] = "adam"
    learning_rate: Rate = 2e-4
    beta1: Fraction | None = None
    beta2: Fraction | None = None
    epsilon: Rate | None = None
    momentum: Fraction | None = None
    rho: Fraction | None = None
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)] | None = None
    schedule: ScheduleSection = ScheduleSection()

    @model_validator(mode="before")
    @classmethod
    def _betas(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("name", "adam") in ("adam", "adamw"):
            return {"beta1": 0.5, "beta2": 0.999, **data}
        return data

    @model_validator(mode="after")
    def _keys_of_this_optimizer(self) -> OptimizerSection:
        takes = {
            "adam": {"beta1", "beta2", "epsilon", "weight_decay"},
            "adamw": {"beta1", "beta2", "epsilon", "weight_decay"},
            "rmsprop": {"rho", "epsilon", "momentum", "weight_decay"},
            "momentum": {"momentum", "weight_decay"},
            "sgd": {"weight_decay"},
        }[self.name]
        for key in sorted(self.options()):
            if key not in takes:
                raise ValueError(
                    f"{key}: optimizer {self.name} does not take it; it takes "
                    f"{', '.join(sorted(takes))}"
                )
        return self

    def options(self) -> dict[str, float]:
        """Return the keys that were given, beside name, rate and schedule."""
        return self.model_dump(exclude={"name", "learning_rate", "schedule"}, exclude_none=True)


class Optimizers(Section):
    """The optimizers of the two nets."""

    generator: OptimizerSection = OptimizerSection(beta1=0.5, beta2=0.999)
    discriminator: OptimizerSection = OptimizerSection(beta1=0.5, beta2=0.999)


class Training(Section):
    """How long, and what one iteration is. Exactly one of `epochs` and `iterations`.

    `accumulate_steps`: parts that a batch goes through the nets in, to save memory.
    """

    epochs: Positive | None = None
    iterations: Positive | None = None
    discriminator_steps: Annotated[int, Field(ge=1, le=100)] = 1
    generator_steps: Annotated[int, Field(ge=1, le=100)] = 2
    first: Literal["discriminator", "generator"] = "discriminator"
    discriminator_batch: Literal["separate", "concatenated", "alternating"] = "separate"
    accumulate_steps: Annotated[int, Field(ge=1, le=1024)] = 1

    @model_validator(mode="after")
    def _one_length(self) -> Training:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                "give exactly one of epochs and iterations; to replace one by the other on the "
                "command line: -o training.epochs=null -o training.iterations=1000"
            )
        return self


class Ema(Section):
    """The moving average of G's weights; `decay` per iteration, None for none.

    In iteration t the decay is no more than ``(1 + t) / (warmup + t)``. Its batch norms have
    statistics of their own, of `statistics_batches` batches of z.
    """

    decay: Fraction | None = None
    warmup: Annotated[float, Field(ge=2.0, le=1000.0, allow_inf_nan=False)] = 10.0
    statistics_batches: Annotated[int, Field(ge=1, le=1000)] = 16


class Samples(Section):
    """Sample grids from a constant z; `real_rows` rows of real images stand above."""

    every_steps: Positive | None = None
    grid: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (8, 8)
    real_rows: Annotated[int, Field(ge=0, le=64)] = 0


class Log(Section):
    """How often scalars and weight histograms are recorded for VisualDL."""

    every_steps: Positive = 10
    histogram_every_steps: Positive | None = None


class Checkpoints(Section):
    """When to save, how many of the last to keep, and by what figure the best is chosen."""

    every_steps: Positive | None = None
    keep_last: Annotated[int, Field(ge=1, le=1000)] = 2
    best_by: Literal["sliced_wasserstein", "fid"] | None = "sliced_wasserstein"


Metric = Literal[
    "fid",
    "kid",
    "class_score",
    "precision_recall",
    "density_coverage",
    "modes",
    "memorisation",
]


class EvaluationSection(Section):
    """Metrics while training goes on. `features` None takes the image set's own network."""

    every_steps: Positive | None = None
    metrics: tuple[Metric, ...] = ("fid",)
    num_samples: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    features: Literal["digits-v1", "fashion-v1", "inception-v3"] | None = None
    weights: str | None = None
    split: Literal["train", "test"] = "train"

    @model_validator(mode="after")
    def _memorisation_needs_held_out_images(self) -> EvaluationSection:
        if "memorisation" in self.metrics and self.split == "train":
            raise ValueError(
                "metrics: memorisation compares with held-out images; set evaluation.split to test"
            )
        return self


class Recovery(Section):
    """What a run does about NaN or infinity, and about a checkpoint that cannot be written."""

    non_finite: Literal["stop", "rollback"] = "stop"
    max_rollbacks: Annotated[int, Field(ge=1, le=1000)] = 3
    write_error: Literal["stop", "continue"] = "stop"


class Health(Section):
    """The watch for trouble. `every_steps` None: none. `stop_on`: what ends the run."""

    every_steps: Positive | None = 100
    stop_on: tuple[
        Literal["strong_discriminator", "identical_samples", "vanishing_gradient", "memorisation"],
        ...,
    ] = ()

    @model_validator(mode="after")
    def _stops_only_on_what_it_watches(self) -> Health:
        if self.stop_on and self.every_steps is None:
            raise ValueError("every_steps: stop_on needs checks; set it to a number of iterations")
        return self


class Recipe(Section):
    """A whole recipe. `every_steps` left out in `samples`, `checkpoint`: after every epoch."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|gpu(:\d+)?)$")] = "auto"
    model: Model
    latent: LatentSection = LatentSection()
    data: Data
    objective: ObjectiveSection = ObjectiveSection()
    constraints: Constraints = Constraints()
    optimizer: Optimizers = Optimizers()
    training: Training
    ema: Ema = Ema()
    samples: Samples = Samples()
    log: Log = Log()
    checkpoint: Checkpoints = Checkpoints()
    evaluation: EvaluationSection = EvaluationSection()
    recovery: Recovery = Recovery()
    health: Health = Health()

    @model_validator(mode="after")
    def _batch_divides(self) -> Recipe:
        parts, packing = self.training.accumulate_steps, self.constraints.packing
        if self.data.batch_size % (parts * packing):
            raise ValueError(
                f"data.batch_size: {self.data.batch_size} is no multiple of {parts * packing}, the "
                "product of training.accumulate_steps and constraints.packing; change one of them"
            )
        return self

    def to_yaml(self) -> str:
        """Return the recipe as YAML that :func:`load_recipe` reads back to an equal one."""
        return to_yaml(self.model_dump(mode="json"))


AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with the zoo, by bare name."""
    folder = Path(str(resources.files("ppgan_zoo"))) / "configs"
    if not folder.is_dir():  # a checkout, not yet installed
        folder = folder.parent.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yml"))}


def find_recipe(name_or_path: str) -> Path:
    """Return the file that `-c` means: a path, or the bare name of a shipped recipe.

    Raises:
        ConfigError: No such file.
        UnknownNameError: No shipped recipe has that name.
    """
    path = Path(name_or_path)
    if os.path.isfile(path):  # Path.is_file raises where a name is too long
        return path
    shipped = shipped_recipes()
    if name_or_path in shipped:
        return shipped[name_or_path]
    if path.suffix in {".yml", ".yaml"} or len(path.parts) > 1:
        raise ConfigError(
            f"{name_or_path}: no such recipe file; give an existing .yml file or one of the "
            f"shipped names: {', '.join(shipped)}"
        )
    raise UnknownNameError("recipe", name_or_path, shipped)


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: The YAML file.
        overrides: ``"key.path=value"`` texts, applied in order; the value is read as YAML.

    Raises:
        ConfigError: Anything wrong, in one line.
    """
    document = read_yaml(Path(path))
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a recipe must be a mapping of keys, found {kind_of(data)}")
    set_by = _apply_overrides(data, overrides)
    return _validate(data, str(path), document, set_by, Recipe)


def recipe_from(
    data: Mapping[str, Any],
    where: str = "recipe",
    overrides: Iterable[str] = (),
    schema: type[AnyRecipe] = Recipe,  # type: ignore[assignment]
) -> AnyRecipe:
    """Check a recipe given as plain data, such as one built by a program.

    Args:
        data: The keys; left as they are.
        where: What to call it in a message.
        overrides: As for :func:`load_recipe`.
        schema: The kind of recipe.

    Raises:
        ConfigError: Anything wrong, in one line.
    """
    own = copy.deepcopy(dict(data))
    set_by = _apply_overrides(own, overrides)
    return _validate(own, where, Document(own, {}), set_by, schema)


def _apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, str]:
    """Apply overrides in order; return which one set each key."""
    set_by: dict[str, str] = {}
    for override in overrides:
        key = _apply_override(data, override)
        set_by.pop(key, None)
        set_by[key] = override
    return set_by


def _apply_override(data: dict[str, Any], override: str) -> str:
    key, equals, text = override.partition("=")
    parts = key.split(".")
    place = _place(override)
    if not equals or not all(parts) or not key.isprintable():
        raise ConfigError(f"{place}: write it as key.path=value, such as -o seed=1")
    if len(parts) > MAX_DEPTH:
        raise ConfigError(f"{place}: {len(parts)} parts; a recipe has at most {MAX_DEPTH} levels")
    section = data
    for depth, part in enumerate(parts[:-1], start=1):
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            raise ConfigError(
                f"{place}: {'.'.join(parts[:depth])} is {kind_of(section)}, not a section"
            )
    section[parts[-1]] = parse_scalar(text, place)
    return key


def _validate(
    data: dict[str, Any],
    where: str,
    document: Document,
    set_by: Mapping[str, str],
    schema: type[AnyRecipe],
) -> AnyRecipe:
    try:
        return schema.model_validate(lists_to_tuples(data))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        override = _override_of(key, set_by, in_file=tuple(first["loc"]) in document.lines)
        line = document.line_of(tuple(first["loc"]))
        place = _place(override) if override else f"{where}:{line}" if line else where
        message = explain(first, key, schema)
        raise ConfigError(f"{place}: {message}") from None


def _override_of(key: str, set_by: Mapping[str, str], *, in_file: bool) -> str | None:
    """Return the last override that set `key`, or a section around it, or made it."""
    found = None
    for name, override in set_by.items():
        inside = f"{key}.".startswith(f"{name}.")
        if inside or (not in_file and name.startswith(f"{key}.")):
            found = override
    return found


def _place(override: str) -> str:
    return f"-o {override if override.isprintable() else repr(override)}"
