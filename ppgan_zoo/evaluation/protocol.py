"""The evaluation protocol: from a trained model to figures that can be checked and compared.

Everything that a figure depends on is in the result: the model, the real images and the
feature network by their SHA-256, and every setting.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data import ImageSet
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.evaluation.real_images import REAL_IMAGES, DataSource, RealImages
from ppgan_zoo.evaluation.sampler import Sampler
from ppgan_zoo.metrics.feature_cache import cached_features
from ppgan_zoo.metrics.features import FeatureNetwork
from ppgan_zoo.metrics.frechet import Gaussian, frechet_distance
from ppgan_zoo.metrics.metric import (
    RealFeatures,
    check_metrics,
    take_details,
    take_metrics,
)
from ppgan_zoo.metrics.network import open_network, own_networks
from ppgan_zoo.recipe.bounds import FEWEST_IMAGES, MOST_SAMPLES
from ppgan_zoo.registry import DATA, METRICS
from ppgan_zoo.storage.run_directory import command_line, start_facts

FORMAT = 1


@dataclass(frozen=True)
class Protocol:
    """All that is free in an evaluation, besides model and data.

    Attributes:
        features: Name of the feature network; None for the data set's own.
        weights: The network's weights, for one that the zoo does not ship.
        num_samples: How many images are generated.
        split: Real images to compare with: ``"test"``, or ``"train"``.
        seed: Of z.
        ema: Whether the EMA's weights are taken; None for them where there are any.
        resize: Height and width that both sides are brought to (Lanczos); None for the
            model's own.
        metrics: Names out of :func:`ppgan_zoo.metrics.metric.metric_names`; None for all of
            the zoo's own that the network and the split allow.
        floor: Whether to measure real images as samples, too.
    """

    features: str | None = None
    weights: Path | None = None
    num_samples: int = 10_000
    split: str = "test"
    seed: int = 0
    ema: bool | None = None
    resize: int | None = None
    metrics: tuple[str, ...] | None = None
    floor: bool = True

    def __post_init__(self) -> None:
        """Refuse what no evaluation can be made with."""
        if not FEWEST_IMAGES <= self.num_samples <= MOST_SAMPLES:
            raise ConfigError(
                f"--num-samples {self.num_samples}: give {FEWEST_IMAGES} to {MOST_SAMPLES}"
            )
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: give 0 or more")
        if self.resize is not None and not 4 <= self.resize <= 1024:
            raise ConfigError(f"--resize {self.resize}: give 4 to 1024 pixels")
        if self.split == "train" and "memorisation" in (self.metrics or ()):
            raise ConfigError(
                "--metrics memorisation: compares with held-out images; leave out --split train"
            )


def evaluate_sampler(
    sampler: Sampler,
    source: DataSource,
    protocol: Protocol,
    *,
    offline: bool = False,
    notify: Callable[[str], None] = print_to_stderr,
) -> dict[str, Any]:
    """Evaluate what makes images.

    Args:
        sampler: From :func:`ppgan_zoo.evaluation.sampler.open_sampler`.
        source: The real images.
        protocol: How.
        offline: Whether to leave the network alone.
        notify: Called with a line of text for whatever the user should know.

    Returns:
        The result, as plain JSON values.

    Raises:
        ConfigError: Something is asked for that cannot be done.
        DataError: The real images are not there.
    """
    started = time.monotonic()
    network = open_network(source.name, protocol.features, protocol.weights)
    metrics = _metrics(protocol, network, source.name, sampler)
    channels, height, width = sampler.image_shape
    size = (protocol.resize or height, protocol.resize or width)
    images = RealImages(source, (channels, *size), protocol.split, offline, notify)
    # The real side first: from the cache it takes no time, and a misfit shows at once.
    real = RealFeatures(cached_features(images.compared, network))
    if "memorisation" in metrics:
        real.training = cached_features(images.trained_on, network).features
    labels = sampler.labels_in_turn(protocol.num_samples)
    made = sampler.sample(protocol.num_samples, protocol.seed, labels)
    shown = network(_resized(made, protocol.resize))
    figures = take_metrics(
        shown, real, metrics, labels, sampler.categories(protocol.num_samples, protocol.seed)
    )
    floor = _floor(images, network, real, metrics, protocol) if protocol.floor else None
    return {
        "format": FORMAT,
        "model": dict(sampler.origin),
        "features": {
            "name": network.name, "sha256": network.sha256, "dim": network.dim,
            "accuracy": network.accuracy,
        },
        "real": {
            **images.compared.describe(), "split": protocol.split,
            "split_count": len(images.whole), "split_sha256": images.whole.sha256,
            "seen_in_training": protocol.split == "train",
        },
        "settings": _settings(protocol, metrics, sampler),
        "metrics": plain(figures),
        "details": take_details(shown, real, metrics),
        "floor": floor,
        "notes": _notes(images, protocol, metrics, network),
        **run_facts(started),
    }  # fmt: skip


def fid_of_each(
    samplers: Iterable[Sampler],
    source: DataSource,
    protocol: Protocol,
    *,
    offline: bool = False,
    notify: Callable[[str], None] = print_to_stderr,
) -> list[float | None]:
    """Return the FID of several samplers, such as a run's checkpoints, without its error.

    It is that of :func:`evaluate_sampler`, in a fraction of the time. Arguments and errors are
    those of :func:`evaluate_sampler`; the protocol's metrics and floor have no effect.

    Returns:
        The FIDs; None for one that is not defined.
    """
    network = open_network(source.name, protocol.features, protocol.weights)
    real: Gaussian | None = None
    found = []
    for sampler in samplers:
        if real is None:
            channels, height, width = sampler.image_shape
            size = (protocol.resize or height, protocol.resize or width)
            images = RealImages(source, (channels, *size), protocol.split, offline, notify)
            real = Gaussian.of(cached_features(images.compared, network).features)
        made = sampler.sample(protocol.num_samples, protocol.seed)
        features = network(_resized(made, protocol.resize)).features
        figures = {"fid": math.nan}
        if np.isfinite(features).all():
            figures["fid"] = frechet_distance(Gaussian.of(features), real)
        found.append(plain(figures)["fid"])
    return found


def _metrics(protocol: Protocol, network: FeatureNetwork, data: str, sampler: Sampler) -> list[str]:
    """Return the metrics to take, after refusing what cannot be taken."""
    if protocol.metrics is not None:
        if "label_accuracy" in protocol.metrics and network.is_general:
            raise ConfigError(
                f"--metrics label_accuracy: the classes of {network.name} are not the model's; "
                "leave it out, or --features"
            )
        return check_metrics(
            protocol.metrics,
            classes=network.classes is not None,
            labels=bool(sampler.num_classes),
            categories=bool(sampler.latent.categorical),
            network=network.name,
        )
    # All of the training images through Inception would take a CPU hours.
    training = protocol.split == "test" and network.name in own_networks(data)
    return [
        metric.name
        for metric in METRICS.all()
        if (training or not metric.needs_training_images)
        and ((network.classes is not None and not network.is_general) or not metric.needs_classes)
        and (not metric.needs_labels or sampler.num_classes == network.classes)
        and (not metric.needs_categories or sampler.latent.categorical)
        and (metric.network is None or metric.network == network.name == DATA.get(data).features)
    ]


def _resized(images: NDArray[np.uint8], size: int | None) -> NDArray[np.uint8]:
    if size is None:
        return images
    made = ImageSet.of("samples", images, source="generator", location="samples")
    return made.resized(size, images.shape[1]).images


def _floor(
    images: RealImages,
    network: FeatureNetwork,
    real: RealFeatures,
    metrics: list[str],
    protocol: Protocol,
) -> dict[str, Any] | None:
    """Measure real images as samples; None if there are none."""
    try:
        others = images.in_place_of_samples(protocol.num_samples)
    except (ConfigError, DataError) as error:
        images.notify(f"no floor: {error}")
        return None
    if len(others) < FEWEST_IMAGES:
        images.notify(f"no floor: only {len(others)} images of the other split")
        return None
    # Training images are at distance 0 from the training set: memorisation has no floor.
    names = [
        name
        for name in metrics
        if not METRICS.get(name).needs_training_images
        and not METRICS.get(name).needs_categories
        and (not METRICS.get(name).needs_labels or others.labels is not None)
    ]
    shown = cached_features(others, network)
    figures = take_metrics(shown, real, names, others.labels)
    split = "train" if protocol.split == "test" else "test"
    return {
        "real": {**others.describe(), "split": split},
        "metrics": plain(figures),
        "details": take_details(shown, real, names),
    }


def _notes(
    images: RealImages, protocol: Protocol, metrics: list[str], network: FeatureNetwork
) -> list[str]:
    """Return what a reader of the figures must know."""
    notes = [sight_of(network, images.image_shape)] if network.is_general else []
    real, count = len(images.compared), protocol.num_samples
    if protocol.split == "train":
        notes.append(
            "compared with TRAINING images, which a model that copies them matches: do not "
            "compare with figures against a test set"
        )
        seen = (images.source.trained_on or {}).get("count", len(images.whole))
        if seen < len(images.whole):
            notes.append(
                f"the run was trained on {seen:,} of these {len(images.whole):,} images "
                "(data.limit): it never saw the others"
            )
    if images.source.best_on_test and protocol.split == "test":
        notes.append(
            "the run chose its best checkpoint by these test images (evaluation.split: test): of "
            "that checkpoint the figures flatter"
        )
    if real < min(count, REAL_IMAGES):
        notes.append(
            f"only {real:,} real images for {count:,} samples: the bias of FID depends on both "
            "counts, so compare with figures of the same counts only"
        )
    if "memorisation" in metrics and not images.is_known_to_be_trained_on():
        known = images.trained_on
        notes.append(
            f"memorisation is against {len(known):,} training images ({known.source}) that may "
            "not be those the model was trained on"
        )
    return notes


def sight_of(network: FeatureNetwork, shape: tuple[int, int, int]) -> str:
    """Return what a network sees of pictures, and what it does not.

    Args:
        network: The network.
        shape: Channels, height and width of the pictures that it is given.
    """
    channels, height, width = network.image_shape or shape
    colour = "grey" if channels == 1 else "RGB"
    return (
        f"{network.name} sees every picture as {height} x {width} {colour}, and what it was "
        "trained on (docs/features.md): finer detail, and other matters, it does not see; its "
        "figures are not those of another network"
    )


def _settings(protocol: Protocol, metrics: list[str], sampler: Sampler) -> dict[str, Any]:
    return {
        **asdict(protocol),
        "weights": None if protocol.weights is None else str(protocol.weights),
        "ema": sampler.origin["weights"] == "ema",
        "metrics": metrics,
        "image_shape": list(sampler.image_shape),
    }


def run_facts(started: float) -> dict[str, Any]:
    """Return how a result came about: command, versions, device and seconds."""
    import paddle

    return start_facts(
        command_line(),
        paddle=str(paddle.__version__),
        device=str(paddle.get_device()),
        seconds=round(time.monotonic() - started, 1),
    )


def plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Return the figures as JSON has them: null for one that is not defined."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}
