"""Images from a run, a checkpoint or an exported model: the same seed, the same bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from ppgan_zoo.data import to_uint8
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.orders import Order
from ppgan_zoo.export.exported import MODEL_FILE, open_exported
from ppgan_zoo.models.facts import find_class
from ppgan_zoo.models.latent import Code, Latent, labels_in_turn
from ppgan_zoo.models.nets import BATCH_SIZE, generate, take_statistics
from ppgan_zoo.models.restore import (
    find_checkpoint,
    has_styles,
    load_generator,
    recorded_weights,
    truncate,
)
from ppgan_zoo.storage.files import absolute, sha256_file
from ppgan_zoo.storage.pictures import grid_html
from ppgan_zoo.storage.stages import stage
from ppgan_zoo.weights.pretrained import locate

SWEEP_STEPS = 10
"""Values of a continuous code along a row."""

SHOWN = 36
"""Samples in a notebook."""


STATISTICS_BATCHES, STATISTICS_SEED = 16, 0x57A7
"""Of the z that batch norms take statistics of where those of training do not fit."""


@dataclass(frozen=True)
class Sampler:
    """Something that makes images.

    Attributes:
        latent: The prior of z.
        image_range: Lowest and highest value of `generate`'s images.
        generate: A code of N arrays to images ``float32 [N, C, H, W]``.
        image_shape: Channels, height and width of the images.
        origin: What is sampled, as plain data for a record: path, model, iteration, which
            weights, and the SHA-256 of the file that holds the hashes of all others.
        num_classes: Classes that it takes labels of; 0 for none.
        classes: Their names, where they are known.
    """

    latent: Latent
    image_range: tuple[float, float]
    generate: Callable[[Code], NDArray[np.float32]]
    image_shape: tuple[int, int, int]
    origin: Mapping[str, Any]
    num_classes: int = 0
    classes: tuple[str, ...] = ()

    def sample(
        self, count: int, seed: int, labels: NDArray[np.int64] | None = None
    ) -> NDArray[np.uint8]:
        """Return `count` images as ``uint8 [count, C, H, W]``.

        Args:
            count: How many.
            seed: Of z; the first images do not depend on `count`.
            labels: int64 ``[count]``; None for each class in its turn.
        """
        if labels is None:
            labels = self.labels_in_turn(count)
        return self._images(Code(self.latent.sample(count, seed), labels))

    def order(
        self,
        count: int,
        seed: int,
        *,
        seeds: NDArray[np.int64] | None = None,
        class_name: str | None = None,
        in_rows: bool = False,
    ) -> Order:
        """Return which pictures are to be made, for :meth:`parts`.

        Args:
            count: How many pictures of `seed`.
            seed: Of z.
            seeds: One picture of each of these instead, int64 ``[N]``. Its class, if none is
                named, is the seed modulo the number of classes.
            class_name: The class of all, by name or number; None for each class in its turn.
            in_rows: Let the classes follow each other in rows of a grid instead.

        Raises:
            ConfigError: It takes no labels, or has no such class.
        """
        labels: NDArray[np.int64] | None = None
        if class_name is not None:
            labels = self.labels_of(class_name, count if seeds is None else len(seeds))
        elif self.num_classes and seeds is not None:
            labels = seeds % self.num_classes
        elif in_rows:
            labels, _ = self.labels_in_rows(count)
        else:
            labels = self.labels_in_turn(count)
        names = self.classes or tuple(str(label) for label in range(self.num_classes))
        if seeds is not None:
            return Order.of_seeds(self.latent, seeds, labels, names)
        return Order.of_one_seed(self.latent, count, seed, labels, names)

    def parts(self, order: Order) -> Iterator[tuple[Code, NDArray[np.uint8]]]:
        """Yield the pictures of an order, ``uint8 [n, C, H, W]``, with their code."""
        for code in order.codes(BATCH_SIZE):
            yield code, to_uint8(self.generate(code), self.image_range)

    def categories(self, count: int, seed: int) -> NDArray[np.int64] | None:
        """Return the value of c1 in each of :meth:`sample`'s images; None without one."""
        return self.latent.first_category(self.latent.sample(count, seed))

    def labels_in_turn(self, count: int) -> NDArray[np.int64] | None:
        """Return each class in its turn, int64 ``[count]``; None for a model without labels."""
        return labels_in_turn(count, self.num_classes) if self.num_classes else None

    def labels_in_rows(self, count: int) -> tuple[NDArray[np.int64] | None, int]:
        """Return labels for a picture that shows a class in each row, and its columns.

        What is left over of a count that does not fill whole rows follows below, the classes in
        turn.

        Returns:
            int64 ``[count]`` and how many images stand in a row; without labels, None and a
            number that makes a square.
        """
        if not self.num_classes:
            return None, max(1, round(count**0.5))
        columns = max(1, count // self.num_classes)
        place = np.arange(count, dtype=np.int64)
        rest = place - self.num_classes * columns
        return np.where(rest < 0, place // columns, rest), columns

    def whole_rows(self, about: int) -> int:
        """Return about how many images fill a picture that shows a class in each row."""
        return max(1, about // self.num_classes) * self.num_classes if self.num_classes else about

    def sweep(self, code: str, count: int, seed: int) -> tuple[NDArray[np.uint8], int]:
        """Return images in rows, along each of which one code of z goes through its values.

        Args:
            code: Name of the code, such as ``"c1"``.
            count: About how many images; there are whole rows, and one at least.
            seed: Of the z of each row.

        Returns:
            Images ``uint8 [N, C, H, W]`` and how many stand in a row.

        Raises:
            ConfigError: There is no such code.
        """
        values = self.latent.sweep(code, SWEEP_STEPS, self.latent.sample(1, seed)).shape[1]
        rows = max(1, round(count / values))
        z = self.latent.sweep(code, SWEEP_STEPS, self.latent.sample(rows, seed))
        labels = self.labels_in_turn(rows)
        swept = Code(
            z.reshape([-1, self.latent.dim]), None if labels is None else labels.repeat(values)
        )
        return self._images(swept), values

    def labels_of(self, name: str, count: int) -> NDArray[np.int64]:
        """Return the label of one class, by name or number, `count` times: int64 ``[count]``.

        Raises:
            ConfigError: It takes no labels, or has no such class.
        """
        label = find_class(name, self.num_classes, self.classes, "--class")
        return np.full(count, label, np.int64)

    def _repr_html_(self) -> str:
        """Show a few samples in a notebook."""
        count = self.whole_rows(SHOWN)
        labels, columns = self.labels_in_rows(count)
        weights = "moving average" if self.origin["weights"] == "ema" else "weights as they are"
        caption = f"{self.origin['model']}, iteration {self.origin['iteration']:,} ({weights})"
        return grid_html(self.sample(count, 0, labels), columns, caption)

    def _images(self, code: Code) -> NDArray[np.uint8]:
        parts = []
        with stage(f"{len(code):,} samples", len(code)) as advance:
            for start in range(0, len(code), BATCH_SIZE):
                part = code[start : start + BATCH_SIZE]
                parts.append(to_uint8(self.generate(part), self.image_range))
                advance(len(part))
        return np.concatenate(parts)


def open_sampler(
    path: str | os.PathLike[str],
    *,
    best: bool = False,
    ema: bool | None = None,
    truncation: float | None = None,
) -> Sampler:
    """Return the sampler for an exported model, a checkpoint, a run or a pretrained model.

    Args:
        path: The directory, or the name of a pretrained model. A run stands for its newest valid
            checkpoint.
        best: Take a run's best checkpoint.
        ema: Whether to take the EMA's weights; None for them where there are any.
        truncation: Fewer kinds of images, each better. Of a model with styles, how far these go
            from their average, 0 to 1 (:func:`ppgan_zoo.models.restore.truncate`). Of any other,
            no number of z is further from 0 than this; the batch norms get the statistics of
            such z. None for images as in training.

    Raises:
        CheckpointError: It is none of the three, or damaged, or has no EMA and was asked for it.
        ExportError: A damaged exported model.
        ConfigError: `best` or `truncation` asked of an exported model, or weights that it was
            not made from; a truncation that the model cannot have.
    """
    path = absolute(locate(path))
    if os.path.isfile(path / MODEL_FILE):
        if best:
            raise ConfigError(f"{path}: --best is for runs; an exported model is one checkpoint's")
        if truncation is not None:
            raise ConfigError(
                f"{path}: --truncation is for runs and checkpoints; an exported model has that of "
                "its export"
            )
        return _exported_sampler(path, ema)
    checkpoint = find_checkpoint(path, best=best)
    generator, facts = load_generator(checkpoint, ema=ema)
    latent = facts.latent
    if truncation is not None and has_styles(generator):
        truncate(generator, truncation, facts.name)
    elif truncation is not None:
        latent = replace(latent, truncation=truncation)
        _take_standing_statistics(generator, latent, facts.num_classes)
    origin: dict[str, Any] = {
        "kind": "checkpoint",
        "path": str(checkpoint.path),
        "model": facts.name,
        "iteration": checkpoint.iteration,
        "weights": recorded_weights(checkpoint, ema),
        "sha256": checkpoint.sha256,
    }
    if truncation is not None:
        origin["truncation"] = truncation
    return Sampler(
        latent,
        facts.image_range,
        lambda code: generate(generator, code.z, code.labels),
        facts.image_shape,
        origin,
        facts.num_classes,
        facts.classes,
    )


def _take_standing_statistics(generator: nn.Layer, latent: Latent, num_classes: int) -> None:
    """Give G's batch norms the statistics of z as it is to be sampled (Brock et al. 2019)."""
    count = STATISTICS_BATCHES * BATCH_SIZE
    labels = labels_in_turn(count, num_classes) if num_classes else None
    code = Code(latent.sample(count, STATISTICS_SEED), labels).map(paddle.to_tensor)
    parts = code.split(STATISTICS_BATCHES)
    take_statistics(
        generator, [(part.z,) if part.labels is None else (part.z, part.labels) for part in parts]
    )


def _exported_sampler(path: Path, ema: bool | None) -> Sampler:
    model = open_exported(path)
    description = model.description
    weights = description.origin.weights
    if ema is not None and ema != (weights == "ema"):
        raise ConfigError(
            f"{path}: was exported with the weights {weights!r} and has no others; leave out "
            "--ema and --no-ema, or give the run"
        )
    origin = {
        "kind": "exported model",
        "path": str(path),
        "model": description.name,
        "iteration": description.origin.iteration,
        "weights": weights,
        "sha256": sha256_file(path / MODEL_FILE),
    }
    return Sampler(
        model.latent,
        model.image_range,
        lambda code: model.generate(code.z, code.labels),
        description.image_shape,
        origin,
        description.num_classes,
        description.classes,
    )
