"""Ways for labels into a net, which several models share."""

from __future__ import annotations

from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F


def one_hot(labels: Tensor, num_classes: int, dtype: Any = "float32") -> Tensor:
    """Return labels int64 ``[N]`` as one-hot vectors ``[N, num_classes]``."""
    rows = F.one_hot(labels, num_classes)
    # After a cast, Paddle 2.6 lacks the double gradient of concat.
    return rows if rows.dtype == dtype else rows.astype(dtype)


def with_one_hot(x: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Append labels as one-hot vectors (Mirza and Osindero 2014, Conditional GANs).

    Args:
        x: ``[N, D]``.
        labels: int64 ``[N]``, 0 to ``num_classes - 1``.
        num_classes: How many classes there are.

    Returns:
        ``[N, D + num_classes]``.
    """
    # Not by F.pad: exported, two pads of a code crash Paddle Inference.
    return paddle.concat([x, one_hot(labels, num_classes, x.dtype)], axis=1)


class Projection(nn.Layer):
    """The label's part of a logit: ``e_y . h`` (Miyato and Koyama 2018, projection D).

    Add it to the logit that a D makes of its features without labels.

    Args:
        num_classes: How many classes there are.
        features: Length of h.
    """

    def __init__(self, num_classes: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            num_classes, features, weight_attr=nn.initializer.XavierUniform()
        )

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return ``[N, 1]`` of features ``[N, features]`` and labels int64 ``[N]``."""
        return row_products(self.embedding(labels), features)


def row_products(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of the rows of two matrices ``[N, D]``: ``[N, 1]``.

    As a product of matrices: where a penalty differentiates the gradient of a product of elements,
    Paddle sends zeros back through all that stands before it, at the cost of a backward pass.
    """
    return paddle.matmul(a.unsqueeze(1), b.unsqueeze(2)).reshape([-1, 1])
