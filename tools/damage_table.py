"""Spoil real images on purpose, measure them as if they were samples, and print a Markdown table.

    python tools/damage_table.py mnist --data-dir DIR
    python tools/damage_table.py avatars --features avatars-v1,general-v1 --metrics fid

With several networks the last lines say whether each figure rises with the strength of every
damage, and how well the networks agree on the order of all of them (Spearman's rank correlation).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import _checkout  # noqa: F401
import numpy as np

from ppgan_zoo import runtime
from ppgan_zoo.data import ImageSet, load_image_set
from ppgan_zoo.errors import ConfigError, ZooError
from ppgan_zoo.registry import DATA, FEATURES, METRICS

if TYPE_CHECKING:
    from ppgan_zoo.metrics.damage import Pool, Sample
    from ppgan_zoo.metrics.features import FeatureNetwork, FeatureSet

UNSEEN = "unseen_avatars"
UNSEEN_STYLES = (
    "blobs", "cameo", "disco", "glass", "identicon", "moods", "notionists", "pixelbot", "rings",
    "thumbs",
)  # fmt: skip
OF_EACH_STYLE = 200


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help=f"mnist or another kind of data, or {UNSEEN}: styles that no "
                        "shipped network was trained on")  # fmt: skip
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--features", metavar="NAME,NAME", help="default: the data's own")
    parser.add_argument("--weights", type=Path, metavar="FILE",
                        help="of the one of them that needs some")  # fmt: skip
    parser.add_argument("--metrics", metavar="NAME,NAME", help="default: all that apply")
    parser.add_argument("--count", type=int, default=2000, help="images on both sides (2000)")
    parser.add_argument("--colours", action="store_true", help="a network for colour sees grey "
                        "images in two random colours, after the damage")  # fmt: skip
    parser.add_argument("--damage", metavar="NAME", help="this one alone (default: all)")
    try:
        _run(parser.parse_args())
    except (ZooError, ValueError) as error:
        print(f"damage_table: {error}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    runtime.start("cpu", threads=1)
    from ppgan_zoo.metrics.damage import DAMAGES, OF_IMAGES, rank_correlation, rises, undamaged
    from ppgan_zoo.metrics.features import open_features

    names = options.features or DATA.get(options.data).features
    if names is None:
        raise ConfigError(f"{options.data}: has no network of its own; give --features")
    networks = [
        open_features(name, options.weights if FEATURES.get(name).check_weights else None)
        for name in names.split(",")
    ]
    pool, real = _images(options)
    measures = [_Measure(network, pool, real, options) for network in networks]
    damages = DAMAGES if any(measure.sees_all for measure in measures) else OF_IMAGES
    if options.damage is not None:
        damages = tuple(damage for damage in damages if damage.name == options.damage)
    columns = [column for measure in measures for column in measure.columns]
    print(f"| {options.count:,} images | " + " | ".join(columns) + " |")
    print("| --- " * (len(columns) + 1) + "|")
    _print_row("as they are", [measure(undamaged(pool, options.count)) for measure in measures])
    falls: list[list[str]] = [[] for _ in measures]
    first_of_all: list[list[float]] = [[] for _ in measures]
    for damage in damages:
        found = []
        for strength in damage.strengths:
            sample = damage(pool, options.count, strength)
            found.append([measure(sample) for measure in measures])
            _print_row(damage.describe(strength), found[-1])
        for place in range(len(measures)):
            firsts = [row[place][0] for row in found]
            if damage in OF_IMAGES:
                first_of_all[place] += firsts
                if not rises(firsts):
                    falls[place].append(damage.name)
    for measure, not_with in zip(measures, falls, strict=True):
        end = f"all damages but {', '.join(not_with)}" if not_with else "every damage"
        print(f"{measure.columns[0]}: rises with the strength of {end}")
    for measure, others in zip(measures[1:], first_of_all[1:], strict=True):
        agreement = rank_correlation(first_of_all[0], others)
        print(f"{measures[0].columns[0]} and {measure.columns[0]}: rank correlation "
              f"{agreement:.3f} over {len(others)} cases")  # fmt: skip


def _print_row(name: str, figures: list[list[float]]) -> None:
    shown = " | ".join(f"{value:#.3g}".rstrip(".") for part in figures for value in part)
    print(f"| {name} | {shown} |", flush=True)


class _Measure:
    """Takes figures of damaged images by one network."""

    def __init__(
        self, network: FeatureNetwork, pool: Pool, real: Sample, options: argparse.Namespace
    ) -> None:
        from ppgan_zoo.metrics.metric import RealFeatures

        self._network, self._colours = network, options.colours
        self._has_classes = network.classes == int(real.labels.max()) + 1
        self._metrics = options.metrics.split(",") if options.metrics else [
            metric.name for metric in METRICS.all()
            if (self._has_classes or not metric.needs_classes)
            and metric.network in (None, network.name)
        ]  # fmt: skip
        self.sees_all = "memorisation" in self._metrics
        training = self._seen(pool.training).features if self.sees_all else None
        self._real = RealFeatures(self._seen(real.images), training)
        figures = [name for metric in self._metrics for name in METRICS.get(metric).figures
                   if not name.endswith(("_error", "_std", "_z"))]  # fmt: skip
        self._figures = figures
        self.columns = [f"`{network.name}`: {name}" for name in figures]

    def __call__(self, sample: Sample) -> list[float]:
        """Return the figures of a sample, in the order of the columns."""
        from ppgan_zoo.metrics.metric import take_metrics

        labels = sample.labels if self._has_classes else None
        found = take_metrics(self._seen(sample.images), self._real, self._metrics, labels, labels)
        return [found[name] for name in self._figures]

    def _seen(self, images: np.ndarray) -> FeatureSet:
        """Return what the network says of images, brought to its form."""
        from ppgan_zoo.data.textures import mix, two_colours

        channels, side, _ = self._network.image_shape or images.shape[1:]
        if self._colours and channels == 3 and images.shape[1] == 1:
            colours = two_colours(len(images), np.random.default_rng(0))
            images = mix(images[:, 0] / 255, colours)
        made = ImageSet.of("images", images, source="generator", location="images")
        return self._network(made.resized(side, channels).images)


def _images(options: argparse.Namespace) -> tuple[Pool, Sample]:
    """Return the images that samples are taken of, and those that they are compared with."""
    from ppgan_zoo.evaluation.real_images import choose
    from ppgan_zoo.metrics.damage import Pool, Sample

    if options.data == UNSEEN:
        whole = _unseen()
    else:
        where = {"directory": options.data_dir, "offline": True}
        whole = load_image_set(options.data, **where)
    whole = choose(whole, len(whole))
    if options.data != UNSEEN and _has_test_split(options):
        real = choose(load_image_set(options.data, split="test", **where), options.count)
    else:
        real, whole = _cut(whole, 0, options.count), _cut(whole, options.count, len(whole))
    if whole.labels is None or real.labels is None:
        raise ConfigError(f"{options.data}: has no classes, one of which could be left out")
    kept = len(whole) * 7 // 10
    trained = slice(kept, kept + options.count)
    pool = Pool(whole.images[:kept], whole.labels[:kept], whole.images[trained],
                whole.labels[trained])  # fmt: skip
    return pool, Sample(real.images, real.labels)


def _has_test_split(options: argparse.Namespace) -> bool:
    embedded = options.data_dir is None and options.data != "avatars"
    return DATA.get(options.data).has_splits and not embedded


def _cut(images: ImageSet, start: int, end: int) -> ImageSet:
    labels = None if images.labels is None else images.labels[start:end]
    return images.replaced(images.images[start:end], labels)


def _unseen() -> ImageSet:
    """Draw avatars of styles that are not in the set ``avatars``."""
    from ppgan_zoo.data.avatar_drawing import open_style

    drawn = [
        open_style(style).draw(f"{style}-{number}", 32).image
        for style in UNSEEN_STYLES
        for number in range(OF_EACH_STYLE)
    ]
    labels = np.repeat(np.arange(len(UNSEEN_STYLES)), OF_EACH_STYLE)
    return ImageSet.of(UNSEEN, np.stack(drawn), labels, source="generator", location=UNSEEN)


if __name__ == "__main__":
    sys.exit(main())
