"""How the feature classifiers are trained: a fixed schedule, the same bytes every time.

The whole is a function of the data, the seed and the settings below, on one machine with
one thread. Nothing is chosen by the test set: it is looked at once, when the weights are
final, and only to be reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle.nn import functional as F

from ppgan_zoo.data import Batches, ImageSet
from ppgan_zoo.metrics import general_images
from ppgan_zoo.metrics.classifier import CLASSES, IMAGE_SHAPE, Classifier, without_batch_norms
from ppgan_zoo.metrics.factor_training import FactorHead, Factors
from ppgan_zoo.metrics.features import recorded
from ppgan_zoo.models.weights import layer_arrays, load_arrays
from ppgan_zoo.storage.half_precision import widened

# Keeps this stream apart from any other that is seeded with the same number.
_AUGMENTATION = 0xA06


@dataclass(frozen=True)
class Augmentation:
    """Random affine changes of an image; what leaves the frame is lost, black comes in.

    Attributes:
        shift_pixels: Largest shift along each axis; drawn in whole pixels, which blur nothing.
        rotation_degrees: Largest rotation either way.
        scale: Largest relative change of size, 0.1 for 0.9 to 1.1.
        flip: Whether half of the images are mirrored left to right.
    """

    shift_pixels: int
    rotation_degrees: float = 0.0
    scale: float = 0.0
    flip: bool = False

    def transforms(self, count: int, seed: int, step: int, side: int) -> NDArray[np.float32]:
        """Return the matrices of batch `step` of images of `side` pixels, ``[count, 2, 3]``.

        They map positions in the new image to the old one, both -1 to 1 between the
        centres of the outermost pixels.
        """
        sequence = np.random.SeedSequence(seed, spawn_key=(_AUGMENTATION, step))
        random = np.random.Generator(np.random.PCG64(sequence))
        angle = np.radians(self.rotation_degrees) * random.uniform(-1, 1, count)
        zoom = 1 / (1 + self.scale * random.uniform(-1, 1, count))
        turned = np.where(random.random(count) < 0.5 * self.flip, -1.0, 1.0)
        matrices = np.empty((count, 2, 3), np.float32)
        matrices[:, 0, 0] = turned * zoom * np.cos(angle)
        matrices[:, 0, 1] = -zoom * np.sin(angle)
        matrices[:, 1, 0] = turned * zoom * np.sin(angle)
        matrices[:, 1, 1] = zoom * np.cos(angle)
        shifts = random.integers(-self.shift_pixels, self.shift_pixels, (count, 2), endpoint=True)
        matrices[:, :, 2] = shifts * (2 / (side - 1))
        return matrices

    def __call__(self, images: Any, seed: int, step: int) -> Any:
        """Return `images`, ``[N, C, S, S]``, each changed in its own way."""
        if self == NO_CHANGE:
            return images
        matrices = paddle.to_tensor(self.transforms(len(images), seed, step, images.shape[2]))
        grid = F.affine_grid(matrices, list(images.shape), align_corners=True)
        return F.grid_sample(images, grid, align_corners=True)


NO_CHANGE = Augmentation(shift_pixels=0)


@dataclass(frozen=True)
class Schedule:
    """All that a training depends on besides its data.

    Attributes:
        image_set: Name of the official set.
        augmentation: Random changes of the training images.
        epochs: Passes over the training images.
        image_shape: Channels, height and width of an image.
        batch_size: Images per step.
        peak_learning_rate: Reached after `warmup` of all steps, by a line from 0; from
            there it falls by a line to 0.
        warmup: Share of all steps, above 0 and below 1.
        momentum: Of Nesterov's stochastic gradient descent.
        weight_decay: Of all parameters.
        seed: Of initial weights, order and augmentation.
        classes: How many the images have.
        stored_as: Type of the numbers in the file of weights.
    """

    image_set: str
    augmentation: Augmentation
    epochs: int
    image_shape: tuple[int, int, int] = IMAGE_SHAPE
    batch_size: int = 128
    peak_learning_rate: float = 0.1
    warmup: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0
    classes: int = CLASSES
    stored_as: str = "float32"

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the rate of `step` out of `steps`, counted from 0."""
        peak = max(1.0, self.warmup * steps)
        position = step + 0.5  # neither the first step nor the last is at rate 0
        slope = position / peak if position < peak else (steps - position) / (steps - peak)
        return self.peak_learning_rate * min(1.0, slope)


SCHEDULES = {
    "digits-v1": Schedule(
        "mnist", Augmentation(shift_pixels=2, rotation_degrees=10, scale=0.1), epochs=10
    ),
    "fashion-v1": Schedule("fashion_mnist", Augmentation(shift_pixels=2, flip=True), epochs=14),
    "avatars-v1": Schedule("avatars", NO_CHANGE, epochs=8, image_shape=(3, 32, 32)),
    "general-v1": Schedule(
        "general", NO_CHANGE, epochs=5, image_shape=(3, 32, 32),
        classes=general_images.CLASSES, stored_as="float16",
    ),
}  # fmt: skip
"""The schedule of each shipped network, by its name."""


def train(
    schedule: Schedule,
    training: ImageSet,
    report: Callable[[str], None] = lambda _line: None,
    factors: Factors | None = None,
) -> Classifier:
    """Train a classifier and return it folded.

    Args:
        schedule: What to do.
        training: Images of the schedule's shape and classes, with labels.
        report: Called with a line of text after every epoch.
        factors: What else of each image the features are to tell; the network that is returned
            does not say it any more.
    """
    if training.labels is None or training.image_shape != schedule.image_shape:
        wanted = list(schedule.image_shape)
        raise ValueError(f"{training.name}: needs labels and images of {wanted}")
    paddle.seed(schedule.seed)
    network = Classifier(schedule.image_shape[0], schedule.classes, trainable=True)
    head = None if factors is None else FactorHead(factors)
    heads = [] if head is None else head.parameters()
    optimizer = paddle.optimizer.Momentum(
        schedule.peak_learning_rate,
        schedule.momentum,
        parameters=[*network.parameters(), *heads],
        use_nesterov=True,
        weight_decay=schedule.weight_decay,
    )
    batches = Batches(training, schedule.batch_size, seed=schedule.seed, image_range=(0.0, 1.0))
    steps = schedule.epochs * batches.steps_per_epoch
    losses: list[float] = []
    for step in range(steps):
        optimizer.set_lr(schedule.learning_rate(step, steps))
        images = paddle.to_tensor(batches[step])
        chosen = batches.indices(step)
        labels = paddle.to_tensor(training.labels[chosen])
        features, logits = network(schedule.augmentation(images, schedule.seed, step))
        loss = F.cross_entropy(logits, labels)
        if head is not None:
            loss = loss + head.loss(features, labels, chosen)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise ArithmeticError(f"the loss is {losses[-1]} at step {step}")
        if len(losses) == batches.steps_per_epoch:
            epoch = (step + 1) // batches.steps_per_epoch
            report(f"epoch {epoch} of {schedule.epochs}: loss {sum(losses) / len(losses):.4f}")
            losses.clear()
    if head is not None:
        report(f"factors of held-out images: {head.accuracy(network):.4f} right")
    folded = without_batch_norms(network, _in_order(training.images))
    load_arrays(folded, widened(stored_arrays(folded, schedule)))
    return folded


def stored_arrays(network: Classifier, schedule: Schedule) -> dict[str, NDArray[Any]]:
    """Return the weights of a network by name, as its file holds them."""
    arrays = layer_arrays(network)
    return {
        name: np.asarray(array, schedule.stored_as, order="C") for name, array in arrays.items()
    }


def accuracy(network: Classifier, images: ImageSet) -> float:
    """Return the share of `images` whose label the folded `network` says, 0 to 1."""
    return float(np.mean(are_right(network, images)))


def are_right(network: Classifier, images: ImageSet) -> NDArray[np.bool_]:
    """Return of each of `images`, ``[N]``, whether the folded `network` says its label."""
    assert images.labels is not None
    network.eval()
    with paddle.no_grad():
        said = [network(batch)[1].argmax(axis=1).numpy() for batch in _in_order(images.images)]
    return np.asarray(np.concatenate(said) == images.labels)


def facts(name: str, schedule: Schedule, **more: Any) -> dict[str, str]:
    """Return the header of a weights file.

    It has one entry, as safetensors writes several in a random order.

    Args:
        name: Name of the network.
        schedule: How it was trained.
        **more: Further plain data, such as the accuracy.
    """
    return recorded({"name": name, **more, "schedule": asdict(schedule)})


def _in_order(images: NDArray[np.uint8], batch_size: int = 500) -> Iterator[Any]:
    """Yield all images in batches, as the network takes them."""
    for start in range(0, len(images), batch_size):
        yield paddle.to_tensor(images[start : start + batch_size].astype(np.float32) / 255)
