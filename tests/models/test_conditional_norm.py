"""Batch norm by a label or by a vector: against plain batch norm and numpy."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppgan_zoo.models.conditional_norm import ConditionalBatchNorm, ModulatedBatchNorm
from ppgan_zoo.models.nets import BATCH_NORMS, in_mode, take_statistics

RNG = np.random.default_rng(0)
X = RNG.normal(1.0, 2.0, (6, 4, 5, 3)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2, 2, 0])


def filled(norm, classes):
    """Give the tables other rows, and return them."""
    tables = [RNG.normal(size=(classes, 4)).astype(np.float32) for _ in range(2)]
    norm.gamma.weight.set_value(tables[0])
    norm.beta.weight.set_value(tables[1])
    return tables


@pytest.mark.parametrize("training", [True, False])
def test_with_one_class_it_is_batch_norm(training):
    one, plain = ConditionalBatchNorm(4, 1), nn.BatchNorm2D(4, momentum=0.9, epsilon=2e-5)
    gamma, beta = filled(one, 1)
    plain.weight.set_value(gamma[0])
    plain.bias.set_value(beta[0])
    x, labels = paddle.to_tensor(X), paddle.zeros([6], "int64")
    for _ in range(3):  # so that there are running statistics
        one(x, labels), plain(x)
    with in_mode(one, training=training), in_mode(plain, training=training):
        np.testing.assert_allclose(one(x, labels).numpy(), plain(x).numpy(), atol=2e-6)
    np.testing.assert_array_equal(one.norm._mean.numpy(), plain._mean.numpy())
    np.testing.assert_array_equal(one.norm._variance.numpy(), plain._variance.numpy())


def test_a_new_one_does_not_tell_classes_apart():
    norm, x = ConditionalBatchNorm(4, 3), paddle.to_tensor(X)
    wanted = (X - X.mean((0, 2, 3), keepdims=True)) / X.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(norm(x, paddle.to_tensor(LABELS)).numpy(), wanted, atol=1e-4)


def test_each_image_gets_its_labels_row():
    norm = ConditionalBatchNorm(4, 3)
    gamma, beta = filled(norm, 3)
    got = norm(paddle.to_tensor(X), paddle.to_tensor(LABELS)).numpy()
    normal = (X - X.mean((0, 2, 3), keepdims=True)) / np.sqrt(
        X.var((0, 2, 3), keepdims=True) + 2e-5
    )
    wanted = gamma[LABELS][:, :, None, None] * normal + beta[LABELS][:, :, None, None]
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_permuting_rows_and_labels_together_changes_nothing():
    norm = ConditionalBatchNorm(4, 3)
    gamma, beta = filled(norm, 3)
    before = norm(paddle.to_tensor(X), paddle.to_tensor(LABELS)).numpy()
    order = np.array([2, 0, 1])  # class i has its row at order[i] now
    for table, rows in ((norm.gamma, gamma), (norm.beta, beta)):
        moved = np.empty_like(rows)
        moved[order] = rows
        table.weight.set_value(moved)
    after = norm(paddle.to_tensor(X), paddle.to_tensor(order[LABELS])).numpy()
    np.testing.assert_array_equal(before, after)


def test_the_scale_and_shift_of_a_vector_are_linear_in_it():
    norm = ModulatedBatchNorm(4, 5)
    vectors = RNG.normal(size=(6, 5)).astype(np.float32)
    got = norm(paddle.to_tensor(X), paddle.to_tensor(vectors)).numpy()
    normal = (X - X.mean((0, 2, 3), keepdims=True)) / np.sqrt(
        X.var((0, 2, 3), keepdims=True) + 1e-5
    )
    scale, shift = (vectors @ part.weight.numpy() for part in (norm.gain, norm.shift))
    wanted = (1 + scale[:, :, None, None]) * normal + shift[:, :, None, None]
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    # A vector of zeros is plain batch norm.
    zeros = norm(paddle.to_tensor(X), paddle.zeros([6, 5])).numpy()
    np.testing.assert_allclose(zeros, normal, atol=1e-5)


def test_only_tables_and_maps_learn_and_an_average_finds_the_statistics():
    for norm, size in ((ConditionalBatchNorm(4, 3), 2 * 3 * 4), (ModulatedBatchNorm(4, 5), 40)):
        learns = [p for p in norm.parameters() if not p.stop_gradient]
        assert sum(int(np.prod(p.shape)) for p in learns) == size
        assert any(isinstance(layer, BATCH_NORMS) for layer in norm.sublayers())
    x, labels = paddle.to_tensor(X), paddle.to_tensor(LABELS)
    norm = ConditionalBatchNorm(4, 3)
    take_statistics(norm, [(x, labels), (3 * x, labels)])
    np.testing.assert_allclose(norm.norm._mean.numpy(), 2 * X.mean((0, 2, 3)), rtol=1e-5)
