"""The layers of G that read the latent itself, and what the first of them lead to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from ppgan_zoo.latents.space import LatentSpace, Points
from ppgan_zoo.models.nets import BATCH_SIZE, in_mode
from ppgan_zoo.models.weights import NORMALISED

PROBES, PROBES_SEED = 3, 0x9E4D


class _EnoughSeenError(Exception):
    """Ends a forward pass whose rest nobody asks for."""


@dataclass(frozen=True)
class Reader:
    """A dense or convolutional layer that gets numbers of the latent as they are.

    Attributes:
        layer: The layer.
        columns: Which number of the latent each of its inputs is; -1 for other inputs, such as
            a label's.
        shape: Of one input.
    """

    layer: nn.Layer
    columns: NDArray[np.int64]
    shape: tuple[int, ...]

    def matrix(self, dim: int) -> NDArray[np.float64]:
        """Return what the layer multiplies the latent by, ``[outputs, dim]``.

        Found by feeding it unit vectors, so that scaled and normalised weights are as in use.
        """
        places = np.flatnonzero(self.columns >= 0)
        inputs = np.zeros((len(places) + 1, len(self.columns)), np.float32)
        inputs[np.arange(1, len(places) + 1), places] = 1.0
        parts = []
        with paddle.no_grad():
            for start in range(0, len(inputs), BATCH_SIZE):
                rows = inputs[start : start + BATCH_SIZE].reshape(-1, *self.shape)
                parts.append(self.layer(paddle.to_tensor(rows)).numpy().reshape(len(rows), -1))
        answers = np.concatenate(parts).astype(np.float64)
        matrix = np.zeros((answers.shape[1], dim))
        np.add.at(matrix.T, self.columns[places], answers[1:] - answers[0])
        return matrix

    def is_linear(self) -> bool:
        """Tell whether it is: a layer with an activation inside is not."""
        rng = np.random.default_rng(PROBES_SEED)
        one, other = rng.standard_normal((2, len(self.columns))).astype(np.float32)
        rows = np.stack([np.zeros_like(one), one, other, one + other])
        with paddle.no_grad():
            answers = self.layer(paddle.to_tensor(rows.reshape(-1, *self.shape))).numpy()
        none, of_one, of_other, of_both = answers
        size = float(np.abs(answers).max()) + 1e-12
        return bool(np.allclose(of_both - none, of_one + of_other - 2 * none, atol=1e-4 * size))


def find_readers(space: LatentSpace) -> list[Reader]:
    """Return the layers that read the latent linearly, in the order of their use."""
    points = space.points(PROBES, PROBES_SEED)
    found = []
    for layer, inputs in _inputs_of_layers(space, points):
        columns = _columns(inputs.reshape(PROBES, -1), points)
        reader = Reader(layer, columns, inputs.shape[1:])
        if (columns >= 0).any() and reader.is_linear():
            found.append(reader)
    return found


def first_features(space: LatentSpace, points: Points) -> NDArray[np.float32]:
    """Return the activations ``[N, F]`` after the layers that read z: what the next one gets.

    The next is the first dense or convolutional layer that reads no number of z itself. In a G
    of one layer there is none, and what that one gets is returned.
    """
    readers = {id(reader.layer) for reader in find_readers(space)}
    parts = []
    for start in range(0, len(points), BATCH_SIZE):
        rows = points[start : start + BATCH_SIZE]
        (_, inputs), *_ = _inputs_of_layers(space, rows, lambda layer: id(layer) not in readers)
        parts.append(inputs.reshape(len(rows), -1))
    return np.concatenate(parts)


def _inputs_of_layers(
    space: LatentSpace, points: Points, until: Callable[[nn.Layer], bool] = lambda layer: False
) -> list[tuple[nn.Layer, NDArray[np.float32]]]:
    """Return the weighted layers of G in the order of their use, each with its first input.

    Args:
        space: Where G is.
        points: What it makes images of.
        until: Ends the forward pass at the first layer for which it is true; that one is
            returned before all others.
    """
    seen: list[tuple[nn.Layer, NDArray[np.float32]]] = []

    def note(layer: nn.Layer, inputs: Any) -> None:
        if until(layer):
            seen.insert(0, (layer, inputs[0].numpy()))
            raise _EnoughSeenError
        seen.append((layer, inputs[0].numpy()))

    with (
        in_mode(space.generator, training=False),
        paddle.no_grad(),
        _watching(space.generator, note),
        contextlib.suppress(_EnoughSeenError),
    ):
        labels = space.labels(len(points))
        given = [points] if labels is None else [points, labels]
        space.forward(*map(paddle.to_tensor, given))
    return seen


@contextlib.contextmanager
def _watching(net: nn.Layer, note: Callable[[nn.Layer, Any], None]) -> Iterator[None]:
    layers = [layer for layer in net.sublayers(include_self=True) if isinstance(layer, NORMALISED)]
    handles = [
        layer.register_forward_pre_hook(note)
        for layer in layers
        if not isinstance(layer, nn.Embedding)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _columns(inputs: NDArray[np.float32], points: Points) -> NDArray[np.int64]:
    """Return for each column of `inputs` which column of `points` it is; -1 for none."""
    places = {column.tobytes(): place for place, column in enumerate(points.T)}
    return np.array([places.get(column.tobytes(), -1) for column in inputs.T], np.int64)
