"""What a training run looks like from outside: figures that tell trouble from health.

Each is free of units, so that one threshold fits every model and data set: distances are
relative to those between real images, and D is judged by how it ranks images and not by
the size of its logits. Measuring changes nothing that training depends on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.game import judge
from ppgan_zoo.metrics.distances import mean_distance, nearest_distance
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import hooked
from ppgan_zoo.models.weights import frozen, layer_state
from ppgan_zoo.ops.arrays import from_array
from ppgan_zoo.training.chance import Moment
from ppgan_zoo.training.trainer import Trainer

EPSILON = 1e-12


@dataclass(frozen=True)
class Signals:
    """The figures of one check.

    Attributes:
        samples: G's images ``float32 [N, C, H, W]`` of this iteration's z, in train mode.
        ranking: Share of the pairs (real, sample) in which D scores the real image higher:
            1 for a D that tells all apart, 0.5 for one that guesses (the AUC of D).
        sample_distance: Mean distance of two samples over that of two real images.
        generator_gradient: How much G's loss changes, to first order, when a sample moves
            as far as two real images lie apart.
    """

    samples: NDArray[np.float32]
    ranking: float
    sample_distance: float
    generator_gradient: float


def take_signals(trainer: Trainer, real: Batch, count: int = 64) -> Signals:
    """Take the figures of a trainer as it stands.

    Costs one forward of G and two of D, and one backward through D to the samples. Leaves
    weights, running statistics, gradients, what terms remember and the trainer's random
    numbers as they were.

    Args:
        trainer: Between two iterations.
        real: M images as arrays, in the model's range; M at least ``view.packing``.
        count: The most images of each kind to look at.
    """
    gan, game = trainer.gan, trainer.game
    packing = game.view.packing
    count = min(count, len(real)) // packing * packing
    shown = real.map(lambda array: from_array(array[:count]))
    moment = trainer.chance.health(trainer.iteration)
    code = game.beside("generator", shown, moment.code(count))
    with _kept(trainer):
        fake, gradient = _gradient_to_samples(trainer, shown, code, moment)
        with paddle.no_grad():
            real_scores, fake_scores = (
                judge(gan, game.show(batch, moment)).logits
                for batch in (shown, Batch(fake, code.labels, code))
            )
    samples: NDArray[np.float32] = fake.numpy()
    apart = max(_mean_distance(real.images[:count]), EPSILON)
    slope = float(np.linalg.norm(gradient.numpy().reshape(count, -1), axis=1).sum())
    return Signals(
        samples=samples,
        ranking=ranking(real_scores.numpy(), fake_scores.numpy()),
        sample_distance=_mean_distance(samples) / apart,
        generator_gradient=slope * apart,
    )


def ranking(real_scores: NDArray[np.floating], fake_scores: NDArray[np.floating]) -> float:
    """Return the share of pairs in which the real score is higher; ties count one half."""
    gaps = real_scores.reshape(-1, 1) - fake_scores.reshape(1, -1)
    return float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())


def nearness_to_training(
    samples: NDArray[np.float32],
    training: NDArray[np.uint8],
    image_range: tuple[float, float],
) -> float:
    """Return how near samples lie to training images, against how near those lie to others.

    The median over the samples of the distance to the nearest training image, over the
    median over as many training images of the distance to the nearest other one: about 1
    for new images, near 0 for copies.

    Args:
        samples: ``float32 [N, C, H, W]`` in `image_range`.
        training: ``uint8 [M, C, H, W]``, M above 1.
        image_range: What pixel values 0 and 255 become.
    """
    low, high = image_range
    pixels = (np.clip(samples, low, high) - low) * (255.0 / (high - low))
    chosen = np.linspace(0, len(training) - 1, min(len(samples), len(training))).astype(int)
    of_samples = nearest_distance(pixels, training)
    of_others = nearest_distance(training[chosen], training, own=chosen)
    return float(np.median(of_samples)) / max(float(np.median(of_others)), EPSILON)


@contextlib.contextmanager
def _kept(trainer: Trainer) -> Iterator[None]:
    """Put back, at the end, what forwards of the nets and losses of the game change."""
    remembered = {
        name: {key: array.copy() for key, array in part.state().items()}
        for name, part in trainer.parts.items()
    }
    with contextlib.ExitStack() as nets:
        for net in trainer.gan.nets.values():
            nets.enter_context(layer_state(net))
        yield
    for name, part in trainer.parts.items():
        part.load_state(remembered[name])


def _gradient_to_samples(
    trainer: Trainer, real: Batch, code: Code, moment: Moment
) -> tuple[Tensor, Tensor]:
    """Return G's samples of a code and the gradient of G's loss to them.

    A game may compute its loss as it likes: the samples are what G last returned.
    """
    returned: list[Tensor] = []

    def keep(layer: nn.Layer, inputs: Any, output: Tensor) -> None:
        returned.append(output)

    gan = trainer.gan
    with frozen(*(net for name, net in gan.nets.items() if name != "generator")):
        with hooked([gan.generator], keep):
            loss, _ = trainer.game.generator_loss(gan, real, code, moment)
        fake = returned[-1]
        (gradient,) = paddle.grad(loss, fake)
    return fake.detach(), gradient


def _mean_distance(images: NDArray[np.float32]) -> float:
    """Return the mean distance of two of the images; NaN of one alone, which shows nothing."""
    return mean_distance(images) if len(images) > 1 else float("nan")
