"""Train a feature network of the zoo and write its weights, with how they came about."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import _checkout  # noqa: F401

from ppgan_zoo import runtime
from ppgan_zoo.data import ImageSet, load_image_set
from ppgan_zoo.errors import ConfigError, ZooError
from ppgan_zoo.storage.files import sha256_file, write_atomically

if TYPE_CHECKING:
    from ppgan_zoo.metrics.factor_training import Factors


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("digits-v1", "fashion-v1", "avatars-v1", "general-v1"))
    parser.add_argument("--data-dir", type=Path, help="folder with the full sets; general-v1 "
                        "needs none")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="the .safetensors to write")
    parser.add_argument("--epochs", type=int, help="instead of the schedule's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--hold-out", type=int, default=0, metavar="N",
        help="train without the last N training images and report the accuracy on them: "
        "for choosing a schedule, as the test set must not",
    )  # fmt: skip
    try:
        _train(parser.parse_args())
    except ZooError as error:
        print(f"train_features: {error}", file=sys.stderr)
        return 2
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.epochs is not None and options.epochs < 1:
        raise ConfigError(f"--epochs {options.epochs}: give 1 or more")
    if options.name == "general-v1" and (options.data_dir or options.hold_out):
        raise ConfigError(
            "general-v1: its images are in the package or drawn; leave out --data-dir and "
            "--hold-out"
        )
    if options.seed < 0:
        raise ConfigError(f"--seed {options.seed}: give 0 or more")
    if not options.output.absolute().parent.is_dir():  # not to be found out after the training
        raise ConfigError(f"--output {options.output}: its folder does not exist; make it")


def _train(options: argparse.Namespace) -> None:
    _check(options)
    started = time.monotonic()
    # One thread: the order of the sums, and so every bit, depends on their number.
    machine = runtime.start("cpu", threads=1)
    import numpy as np
    from safetensors.numpy import save

    from ppgan_zoo.metrics import classifier_training as training

    schedule = replace(training.SCHEDULES[options.name], seed=options.seed)
    if options.epochs is not None:
        schedule = replace(schedule, epochs=options.epochs)
    sets, factors, sources = _images(schedule.image_set, options)

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", file=sys.stderr, flush=True)

    network = training.train(schedule, sets["train"], report, factors)
    right = training.are_right(network, sets["test"])
    found = float(right.mean())
    by_source = {name: float(right[rows].mean()) for name, rows in sources.items()}
    more = {"accuracy_by_source": by_source} if by_source else {}
    header = training.facts(
        options.name, schedule, accuracy=found, **more,
        held_out=options.hold_out,
        data={split: images.sha256 for split, images in sets.items()},
        versions={"paddle": machine.paddle, "numpy": np.__version__},
        machine=platform.machine(),
    )  # fmt: skip
    write_atomically(options.output, save(training.stored_arrays(network, schedule), header))
    report(f"accuracy {found:.4f} on {len(sets['test'])} images")
    for name, share in by_source.items():
        report(f"accuracy {share:.4f} on those of {name}")
    print(f"{options.output}: SHA-256 {sha256_file(options.output)}")


def _images(
    image_set: str, options: argparse.Namespace
) -> tuple[dict[str, ImageSet], Factors | None, dict[str, slice]]:
    """Return both splits, their factors, and which test images are of which source."""
    if image_set == "general":
        return _general_images()
    sets = {
        split: load_image_set(image_set, directory=options.data_dir, split=split)
        for split in ("train", "test")
    }
    if not 0 <= options.hold_out < len(sets["train"]):
        raise ConfigError(f"--hold-out {options.hold_out}: give 0 to {len(sets['train']) - 1}")
    if options.hold_out:
        sets["train"], sets["test"] = _split(sets["train"], options.hold_out)
    factors = _factors(sets, options.data_dir) if image_set == "avatars" else None
    return sets, factors, {}


def _general_images() -> tuple[dict[str, ImageSet], Factors, dict[str, slice]]:
    from ppgan_zoo.metrics.factor_training import Factors
    from ppgan_zoo.metrics.general_images import GROUPS, load_general_images

    train, test = load_general_images("train"), load_general_images("test")
    sources, start = {}, 0
    for name, count in test.counts.items():
        sources[name] = slice(start, start + count)
        start += count
    factors = Factors(train.factors, test.images, test.factors, GROUPS)
    return {"train": train.images, "test": test.images}, factors, sources


def _factors(sets: dict[str, ImageSet], directory: Path | None) -> Factors:
    """Return the factors of avatars; the images that are held out are the end of a split."""
    from ppgan_zoo.data.avatars import load_factors
    from ppgan_zoo.metrics.factor_training import Factors

    train, held_out = load_factors("train", directory), sets["test"]
    of_train = len(train) > len(sets["train"])  # by --hold-out
    rest = train[len(sets["train"]) :] if of_train else load_factors("test", directory)
    return Factors(train[: len(sets["train"])], held_out, rest)


def _split(images: ImageSet, held_out: int) -> tuple[ImageSet, ImageSet]:
    """Return the set without its last images, and those."""
    assert images.labels is not None
    kept = len(images) - held_out
    end = ImageSet.of(
        images.name, images.images[kept:], images.labels[kept:],
        source=images.source, location=images.location,
    )  # fmt: skip
    return images.limit(kept), end


if __name__ == "__main__":
    sys.exit(main())
