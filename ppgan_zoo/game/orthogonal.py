"""Orthogonal regularisation of G's weights (Brock et al. 2019): it makes truncation of z work."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.models.weights import NORMALISED

_OUTPUTS_SECOND = (nn.Linear, nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose)


def orthogonal(inputs: TermInputs) -> Tensor:
    """``||W W^T o (1 - I)||^2 / 2``, summed over G's dense layers and convolutions.

    Of each weight as a matrix ``[out, rest]``: the outputs' inner products with one another,
    and not their lengths (the second form in section 3.1 of the paper). Tables of classes are
    left out. With spectral norm it is of the weights that learn, before the division.

    Raises:
        ConfigError: G has no such layer.
    """
    assert inputs.gan is not None
    terms = [_overlap(matrix) for matrix in weight_matrices(inputs.gan.generator)]
    if not terms:
        raise ConfigError(
            "terms: orthogonal is of dense layers and convolutions, and this generator has none; "
            "leave the term out"
        )
    return paddle.add_n(terms)


def weight_matrices(net: nn.Layer) -> list[Tensor]:
    """Return the weights of dense layers and convolutions as matrices ``[out, rest]``."""
    matrices = []
    for layer in net.sublayers(include_self=True):
        if isinstance(layer, NORMALISED) and not isinstance(layer, nn.Embedding):
            weight = layer._parameters.get("weight_orig", layer.weight)
            if isinstance(layer, _OUTPUTS_SECOND):
                weight = weight.transpose([1, 0, *range(2, weight.ndim)])
            matrices.append(weight.reshape([weight.shape[0], -1]))
    return matrices


def _overlap(matrix: Tensor) -> Tensor:
    """Half of the squared inner products of different rows, summed over all ordered pairs."""
    rows, columns = matrix.shape
    # W W^T and W^T W have the same norm: take the smaller, and leave out the diagonal of the first.
    products = matrix.matmul(matrix, transpose_x=rows > columns, transpose_y=rows <= columns)
    lengths = matrix.square().sum(axis=1)
    return 0.5 * (products.square().sum() - lengths.square().sum())


ORTHOGONAL = Term(
    "orthogonal",
    "Brock et al. 2019, section 3.1",
    orthogonal,
    1e-4,
    net="generator",
    of_fakes=False,
)
