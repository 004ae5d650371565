"""Running one setting of the collapse suite over several seeds."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import paddle
from numpy.typing import NDArray

from ppgan_zoo import __version__
from ppgan_zoo.callbacks.pace import Pace
from ppgan_zoo.callbacks.progress import ProgressBar
from ppgan_zoo.callbacks.stop import StopOnSignal
from ppgan_zoo.collapse.mixtures import MIXTURES, REAL_DRAW, Mixture, MixtureBatches
from ppgan_zoo.collapse.modes import ModeCount
from ppgan_zoo.collapse.recipes import SETTING, CollapseRecipe
from ppgan_zoo.collapse.stacked_mnist import (
    MODES,
    TRAINING_IMAGES,
    StackedBatches,
    StackedDigits,
    score_images,
    score_real,
)
from ppgan_zoo.collapse.study import Checkpoints, SeedFolder, SeedResult, Study
from ppgan_zoo.data import ImageSet
from ppgan_zoo.errors import INTERRUPTED, Ended
from ppgan_zoo.run.build import build_model_and_trainer, facts_of, total_iterations
from ppgan_zoo.storage.stages import tell_above_bars
from ppgan_zoo.training.loop import BatchSource, Callback

if TYPE_CHECKING:
    from ppgan_zoo.metrics.features import FeatureNetwork

FIGURES = ("modes", "high_quality", "reverse_kl")


class KnownModes(Protocol):
    """Data of known modes, and how samples are held against them."""

    name: str
    modes: int
    samples: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""

    def batches(self, size: int, seed: int, image_range: tuple[float, float]) -> BatchSource:
        """Return the training data, `size` images an iteration."""

    def score(self, images: NDArray[np.float32], image_range: tuple[float, float]) -> ModeCount:
        """Count the modes of generated images."""

    def floor(self) -> ModeCount:
        """Count the modes of as many real images: the best that a generator can do."""

    def facts(self) -> dict[str, Any]:
        """Return what else the figures depend on, as plain data."""


class MixtureModes:
    """The ring or the grid."""

    image_shape = (2, 1, 1)
    samples = 2500  # PacGAN's and VEEGAN's

    def __init__(self, name: str) -> None:
        self.name = name
        self.mixture: Mixture = MIXTURES[name]
        self.modes = len(self.mixture.means)

    def batches(self, size: int, seed: int, image_range: tuple[float, float]) -> BatchSource:
        """Return ever new points."""
        return MixtureBatches(self.mixture, size, seed)

    def score(self, images: NDArray[np.float32], image_range: tuple[float, float]) -> ModeCount:
        """Count the modes of points."""
        return self.mixture.score(self.mixture.to_points(images))

    def floor(self) -> ModeCount:
        """Count the modes of new points of the mixture itself."""
        return self.mixture.score(
            self.mixture.points(self.samples, np.random.default_rng(REAL_DRAW))
        )

    def facts(self) -> dict[str, Any]:
        """Return the mixture's spread."""
        return {"std": self.mixture.std}


@dataclass
class StackedMnistModes:
    """Stacked MNIST.

    Attributes:
        digits: Training images of MNIST.
        held_out: Images that the floor is taken of.
        network: The classifier.
        samples: Generated images to classify.
    """

    digits: ImageSet
    held_out: ImageSet
    network: FeatureNetwork
    samples: int = 26_000

    name = "stacked_mnist"
    modes = MODES

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Three channels of the digits' size."""
        _, height, width = self.digits.image_shape
        return 3, height, width

    def batches(self, size: int, seed: int, image_range: tuple[float, float]) -> BatchSource:
        """Return batches of 128,000 stacked images, which the seed chooses."""
        return StackedBatches(StackedDigits(self.digits, TRAINING_IMAGES, seed), size, image_range)

    def score(self, images: NDArray[np.float32], image_range: tuple[float, float]) -> ModeCount:
        """Count the modes by the classifier."""
        return score_images(images, image_range, self.network)

    def floor(self) -> ModeCount:
        """Count the modes of stacked held-out images by the same classifier."""
        return score_real(self.held_out, self.samples, self.network)

    def facts(self) -> dict[str, Any]:
        """Return classifier and data."""
        return {
            "classifier": self.network.name,
            "classifier_sha256": self.network.sha256,
            "classifier_accuracy": self.network.accuracy,
            "digits": self.digits.describe(),
            "floor_digits": self.held_out.describe(),
        }


@dataclass(frozen=True)
class SettingResult:
    """How a setting did over all its seeds, beside the figures of real data."""

    test: KnownModes
    recipe: CollapseRecipe
    seeds: tuple[SeedResult, ...]
    floor: ModeCount

    def over_seeds(self, figure: Callable[[list[float]], float]) -> dict[str, float | None]:
        """Apply `figure` to each figure's values over the seeds that have one."""
        columns = {
            key: [value for seed in self.seeds if (value := getattr(seed.count, key)) is not None]
            for key in FIGURES
        }
        return {key: figure(values) if values else None for key, values in columns.items()}

    def mean(self) -> dict[str, float | None]:
        """Return the mean of each figure over the seeds."""
        return self.over_seeds(statistics.fmean)

    def std(self) -> dict[str, float | None]:
        """Return the sample standard deviation over the seeds; None for fewer than two."""
        return {
            key: value if value == value else None
            for key, value in self.over_seeds(_sample_std).items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything but the samples, as plain data."""
        return {
            **setting_facts(self.test, self.recipe),
            "seeds": [seed.row() for seed in self.seeds],
            "mean": self.mean(),
            "std": self.std(),
            "floor": dataclasses.asdict(self.floor),
            "ppgan_zoo": __version__,
            "paddle": paddle.__version__,
        }


def setting_facts(test: KnownModes, recipe: CollapseRecipe) -> dict[str, Any]:
    """Return what the figures of a setting depend on besides the seeds, as plain data."""
    return {
        "test": test.name,
        "modes": test.modes,
        "samples": test.samples,
        **test.facts(),
        "recipe": recipe.model_dump(mode="json", include=SETTING),
    }


def run_setting(
    test: KnownModes,
    recipe: CollapseRecipe,
    seeds: Iterable[int],
    done: Callable[[SeedResult], None] = lambda result: None,
    callbacks: Callable[[int], Sequence[Callback]] = lambda iterations: (),
    study: Study | None = None,
) -> SettingResult:
    """Train a setting once for each seed and count the modes of its samples.

    Args:
        test: The data.
        recipe: The setting; its own seed is not used.
        seeds: Of the initial weights, the data and everything else.
        done: Called after each seed.
        callbacks: Called with the iterations of a run; returns what watches the first seed's.
        study: Where runs are kept, and continued if they were begun; None for nowhere.

    Raises:
        ConfigError: The recipe cannot be built.
        Ended: A signal came; with a study, what was done is saved.
    """
    results: list[SeedResult] = []
    all_seeds = list(seeds)
    for seed in all_seeds:
        own = recipe.model_copy(update={"seed": seed})
        watchers = (lambda iterations: ()) if results else callbacks
        title = f"run {len(results) + 1} of {len(all_seeds)}" if len(all_seeds) > 1 else ""
        folder = None if study is None else study.of_seed(seed)
        kept = None if folder is None else folder.result()
        results.append(kept or run_seed(test, own, watchers, title=title, folder=folder))
        done(results[-1])
    return SettingResult(test, recipe, tuple(results), test.floor())


def run_seed(
    test: KnownModes,
    recipe: CollapseRecipe,
    callbacks: Callable[[int], Sequence[Callback]] = lambda iterations: (),
    *,
    title: str = "",
    folder: SeedFolder | None = None,
) -> SeedResult:
    """Train a recipe and count the modes of its samples (of the EMA, where there is one).

    Args:
        test: The data.
        recipe: What to train.
        callbacks: Called with the iterations; returns what watches the run.
        title: What the progress of it begins with, such as ``"run 2 of 3"``.
        folder: Where it is kept, and continued if it was begun there; None for nowhere.

    Raises:
        Ended: A signal came; in a folder, what was done is saved.
    """
    facts = facts_of(recipe, test.image_shape)
    size = recipe.images_per_step
    batches = test.batches(size, recipe.seed, facts.image_range)
    iterations = total_iterations(recipe, batches.steps_per_epoch)
    trainer = build_model_and_trainer(recipe, facts, iterations)
    what = f"{title}: " if title else ""

    def notify(line: str) -> None:
        tell_above_bars(f"{what}{line}")

    keeper = None if folder is None else Checkpoints(folder, facts.to_json())
    if keeper is not None:
        keeper.resume(trainer, notify)
    started, stop = time.monotonic(), StopOnSignal()
    watchers = [
        ProgressBar(iterations, size, 20, title=title),
        Pace(iterations, tell_above_bars, what=what),
        *callbacks(iterations),
        *([keeper, stop] if keeper is not None else []),
    ]
    trainer.fit(batches, iterations=iterations, callbacks=watchers)
    if stop.signal is not None:
        notify(f"stopped at iteration {trainer.iteration:,} and saved; the same command goes on")
        raise Ended(INTERRUPTED + stop.signal)
    seconds = time.monotonic() - started if keeper is None else keeper.seconds
    images = trainer.samples(test.samples)
    result = SeedResult(recipe.seed, test.score(images, facts.image_range), seconds, images)
    if folder is not None:
        folder.keep(result)
    return result


def _sample_std(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else float("nan")
