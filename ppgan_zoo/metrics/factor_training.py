"""Training a feature network to tell the parts of a drawing too, not its class alone.

A classifier of styles alone would forget what differs within a style. A linear layer, there in
training only, reads the factors of a picture (hair, eyes, colours) off the same features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.nn import functional as F

from ppgan_zoo.data import ImageSet
from ppgan_zoo.metrics.classifier import CLASSES, FEATURES

NO_VALUE = 255
"""For a factor that an image has not."""

_BATCH = 500


@dataclass(frozen=True, eq=False)
class Factors:
    """The factors of a set of images.

    Attributes:
        training: uint8 ``[N, K]``: the values of K factors, which mean another thing in each
            class, or :data:`NO_VALUE`.
        held_out: Images with labels that are not trained on.
        held_out_values: Their factors, uint8 ``[M, K]``.
        groups: Of each class, the number of its group: in one group factors have one meaning.
    """

    training: NDArray[np.uint8]
    held_out: ImageSet
    held_out_values: NDArray[np.uint8]
    groups: tuple[int, ...] = tuple(range(CLASSES))


class FactorHead(nn.Layer):
    """From features to the factors of an image's class.

    Args:
        factors: Those of the images.
    """

    def __init__(self, factors: Factors) -> None:
        super().__init__()
        self._factors = factors
        values = factors.training[factors.training != NO_VALUE]
        self._shape = (max(factors.groups) + 1, factors.training.shape[1], int(values.max()) + 1)
        self._groups = paddle.to_tensor(factors.groups, dtype="int64")
        self.linear = nn.Linear(FEATURES, int(np.prod(self._shape)))

    def forward(self, features: Any, labels: Any) -> Any:
        """Return logits ``[N, K, values]`` of features ``[N, FEATURES]`` and labels ``[N]``."""
        of_all = self.linear(features).reshape([-1, *self._shape])
        rows = paddle.arange(len(labels), dtype=labels.dtype)
        groups = paddle.gather(self._groups, labels)
        return paddle.gather_nd(of_all, paddle.stack([rows, groups], axis=1))

    def loss(self, features: Any, labels: Any, chosen: NDArray[np.int64]) -> Any:
        """Return the mean cross-entropy of all factors that the chosen images have."""
        values = paddle.to_tensor(self._factors.training[chosen].astype(np.int64))
        return F.cross_entropy(self(features, labels), values, ignore_index=NO_VALUE)

    def accuracy(self, network: Any) -> float:
        """Return the share of held-out factors that are told rightly, 0 to 1."""
        images, values = self._factors.held_out, self._factors.held_out_values
        assert images.labels is not None
        network.eval()
        said = []
        with paddle.no_grad():
            for start in range(0, len(images), _BATCH):
                part = slice(start, start + _BATCH)
                batch = paddle.to_tensor(images.images[part].astype(np.float32) / 255)
                labels = paddle.to_tensor(images.labels[part])
                said.append(self(network(batch)[0], labels).argmax(axis=2).numpy())
        return float(np.mean((np.concatenate(said) == values)[values != NO_VALUE]))
