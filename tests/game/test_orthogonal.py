"""Orthogonal regularisation: the worked number of the facts, and which weights it is of."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.orthogonal import orthogonal, weight_matrices
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.models.weights import spectral_norm


def inputs_of(net):
    return SimpleNamespace(gan=SimpleNamespace(generator=net))


def test_the_gradient_of_a_small_matrix():
    """W = [[1, 0], [1, 1]] (out by in): [[2, 2], [2, 0]]; Paddle keeps a dense layer's W'."""
    dense = nn.Linear(2, 2)
    dense.weight.set_value(np.array([[1, 0], [1, 1]], np.float32).T)
    value = orthogonal(inputs_of(dense))
    assert float(value) == pytest.approx(0.5 * (1 + 1))  # the two products off the diagonal
    value.backward()
    np.testing.assert_allclose(dense.weight.grad.numpy().T, [[2, 2], [2, 0]])


@pytest.mark.parametrize(
    ("kind", "sizes", "axis"),
    [
        (nn.Linear, (5, 3), 1),
        (nn.Linear, (3, 7), 1),  # more outputs than inputs
        (nn.Conv2D, (2, 3, 3), 0),
        (nn.Conv2DTranspose, (2, 3, 4), 1),
    ],
)
@pytest.mark.parametrize("normalised", [False, True])
def test_the_gradient_is_the_papers(kind, sizes, axis, normalised):
    """2 ((W W' with zeros on its diagonal) W) of W as [out, rest], before any division."""
    paddle.seed(0)
    net = nn.Sequential(kind(*sizes))
    if normalised:
        spectral_norm(net)
    orthogonal(inputs_of(net)).backward()
    weight = net[0].weight_orig if normalised else net[0].weight
    matrix = np.moveaxis(weight.numpy(), axis, 0).reshape(sizes[1], -1)
    products = matrix @ matrix.T
    wanted = 2 * (products - np.diag(np.diag(products))) @ matrix
    found = np.moveaxis(weight.grad.numpy(), axis, 0).reshape(sizes[1], -1)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_it_is_of_dense_layers_and_convolutions_and_of_no_embedding():
    gan = ppgan_zoo.create(
        "biggan", latent_dim=6, image_shape=(1, 8, 8), num_classes=3,
        generator={"channels": (8, 8), "attention_after": 1}, discriminator={"channels": (8, 8)},
    )  # fmt: skip
    # project, two norms of two maps, three convolutions, attention's four, pixels
    assert len(weight_matrices(gan.generator)) == 1 + 4 + 3 + 4 + 1
    assert float(orthogonal(inputs_of(gan.generator))) < 40.0  # rows or columns are orthogonal
    with pytest.raises(ConfigError, match="terms: orthogonal is of dense layers and conv"):
        orthogonal(inputs_of(nn.Embedding(3, 4)))


def test_it_is_a_term_of_gs_loss_that_draws_the_outputs_apart():
    term = get_term("orthogonal")
    assert (term.net, term.weight) == ("generator", 1e-4)
    paddle.seed(0)
    gan = ppgan_zoo.create("gan_mlp", latent_dim=4, generator={"hidden_units": (8,)})
    trainer = ppgan_zoo.make_trainer(gan, terms=[get_term("orthogonal", 100.0)])
    real = np.zeros((8, 1, 28, 28), np.float32)
    values = [float(trainer.step(real)["term/orthogonal"]) for _ in range(20)]
    assert values[-1] < values[0]
