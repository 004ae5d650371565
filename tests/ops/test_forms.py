"""Every form of a product computes the same, forward and backward."""

import math

import numpy as np
import pytest
from paddle import nn

from ppgan_zoo import ops
from ppgan_zoo.ops import (
    columns,
    convolution,
    onednn_dense,
    paddle_convolution,
    turned,
    winograd,
)
from ppgan_zoo.ops.choice import Forms
from ppgan_zoo.ops.dense import Dense
from ppgan_zoo.ops.geometry import Geometry
from ppgan_zoo.ops.trial import drawn

GEOMETRIES = {
    "3x3": Geometry(False, (5, 6, 9, 8), (7, 6, 3, 3), True, (1, 1), (1, 1, 1, 1)),
    "1x1": Geometry(False, (5, 6, 9, 8), (7, 6, 1, 1), True, (1, 1), (0, 0, 0, 0)),
    "1x1, no bias": Geometry(False, (3, 2, 4, 4), (9, 2, 1, 1), False, (1, 1), (0, 0, 0, 0)),
    "1x1, stride": Geometry(False, (2, 3, 9, 9), (4, 3, 1, 1), True, (2, 2), (0, 0, 0, 0)),
    "5x5, stride": Geometry(False, (4, 3, 13, 13), (5, 3, 5, 5), True, (2, 2), (2, 2, 2, 2)),
    "one end": Geometry(False, (4, 3, 8, 10), (5, 3, 3, 3), True, (2, 2), (0, 1, 0, 1)),
    "groups": Geometry(False, (3, 8, 6, 6), (12, 2, 3, 3), True, (1, 1), (1, 1, 1, 1), 4),
    "up": Geometry(True, (3, 6, 5, 4), (6, 7, 5, 5), True, (2, 2), (2, 1, 2, 1)),
    "up to an image": Geometry(True, (3, 6, 5, 4), (6, 1, 5, 5), True, (2, 2), (2, 1, 2, 1)),
    "up, 1x1": Geometry(True, (3, 6, 5, 4), (6, 7, 1, 1), False, (1, 1), (0, 0, 0, 0)),
    "up in groups": Geometry(True, (3, 8, 5, 4), (8, 3, 3, 3), True, (1, 1), (1, 1, 1, 1), 2),
    "to an image": Geometry(False, (3, 6, 7, 5), (3, 6, 5, 3), True, (1, 1), (2, 0, 1, 2)),
    "to an image, as wide": Geometry(
        False, (2, 5, 4, 4), (1, 5, 4, 4), False, (1, 1), (3, 3, 3, 3)
    ),
    "from an image, up": Geometry(True, (3, 2, 6, 5), (2, 7, 3, 4), True, (1, 1), (1, 0, 2, 1)),
    "cut end": Geometry(True, (2, 3, 4, 4), (3, 4, 3, 3), True, (2, 2), (1, 0, 1, -1)),
}
PRODUCTS = (convolution.OUTPUT, convolution.INPUT, convolution.FILTERS)
FORMS = {
    **dict.fromkeys(
        PRODUCTS[:2], ("onednn", "paddle", "winograd", "columns", "turned onednn", "turned paddle")
    ),
    convolution.FILTERS: ("onednn", "winograd", "columns", "turned onednn", "turned columns"),
}


def is_possible(product, form, geometry):
    """Tell whether a form can compute a product, fast or not."""
    if form.startswith("turned"):
        other = turned.twin(geometry)
        return other is not None and is_possible(product, form.removeprefix("turned "), other)
    if form == "winograd":
        return winograd.cost(geometry) < math.inf
    if form == "columns":
        by_columns = columns.takes if product == convolution.FILTERS else columns.is_pointwise
        return by_columns(geometry)
    return True


CASES = [
    (name, product, form)
    for name, geometry in GEOMETRIES.items()
    for product, forms in FORMS.items()
    for form in forms
    if is_possible(product, form, geometry)
]


class Only:
    """In place of choices: one form of one product, the usual one of others."""

    def __init__(self, product, form):
        self.product, self.form = product, form

    def remembered(self, key, choose):
        product, geometry, _ = key
        return self.form if product == self.product else convolution.forms_of(product, geometry)[0]


@pytest.fixture(scope="module")
def library():
    return ops.library() or pytest.skip(ops.describe())


def gradients(convolve, geometry):
    shapes = (geometry.source, geometry.weight, [geometry.target[1]])
    x, weight, bias = (drawn(shape, seed) for seed, shape in enumerate(shapes))
    learned = [x, weight, *([bias] if geometry.bias else [])]
    for tensor in learned:
        tensor.stop_gradient = False
    y = convolve(geometry, x, weight, bias if geometry.bias else None)
    (y * drawn(geometry.target, seed=9)).sum().backward()
    return [y.numpy(), *(tensor.grad.numpy() for tensor in learned)]


@pytest.mark.parametrize(("name", "product", "form"), CASES)
def test_every_form_of_a_convolution_is_equal(name, product, form, library):
    geometry = GEOMETRIES[name]
    forms = Forms(library, Only(product, form))
    found = gradients(lambda *given: convolution.convolve(forms, *given), geometry)
    for one, other in zip(
        found, gradients(paddle_convolution.plain_convolve, geometry), strict=True
    ):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


def test_what_is_tried_is_possible_and_tested():
    for name, geometry in GEOMETRIES.items():
        for product in PRODUCTS:
            for form in convolution.forms_of(product, geometry):
                assert (name, product, form) in CASES


def test_every_form_is_tested():
    assert {(product, form) for _, product, form in CASES} == {
        (product, form) for product, forms in FORMS.items() for form in forms
    }


@pytest.mark.parametrize("frozen", ["filters", "bias", "both"])
@pytest.mark.parametrize("form", ["onednn", "winograd", "columns"])
def test_what_does_not_learn_gets_no_gradient(form, frozen, library):
    geometry = GEOMETRIES["3x3"]
    x, weight = drawn(geometry.source, 0), drawn(geometry.weight, 1)
    bias = drawn([geometry.target[1]], 2)
    x.stop_gradient = False
    weight.stop_gradient, bias.stop_gradient = frozen != "bias", frozen != "filters"
    forms = Forms(library, Only(convolution.FILTERS, form))
    convolution.convolve(forms, geometry, x, weight, bias).sum().backward()
    assert x.grad is not None
    assert (weight.grad is None) == (frozen != "bias")
    assert (bias.grad is None) == (frozen != "filters")
    if frozen == "filters":
        assert np.allclose(bias.grad.numpy(), np.prod(geometry.target) / geometry.target[1])


@pytest.mark.parametrize("form", onednn_dense.FORMS)
@pytest.mark.parametrize("slope", [None, 0.0, 0.2])
@pytest.mark.parametrize("bias", [True, False])
def test_every_form_of_a_dense_layer_is_equal(form, slope, bias, library):
    class Chosen:
        def remembered(self, key, choose):
            return form

    rows, fan_in, fan_out = 64, 130, 128

    def results(compute):
        x, weight, b = drawn([rows, fan_in], 0), drawn([fan_in, fan_out], 1), drawn([fan_out], 2)
        learned = [x, weight, *([b] if bias else [])]
        for tensor in learned:
            tensor.stop_gradient = False
        y = compute(x, weight, b if bias else None)
        (y * drawn([rows, fan_out], 3)).sum().backward()
        return [y.numpy(), *(tensor.grad.numpy() for tensor in learned)]

    def ours(x, weight, b):
        return onednn_dense.dense(Forms(library, Chosen()), x, [Dense(weight, b, slope)])

    def paddles(x, weight, b):
        y = nn.functional.linear(x, weight, b)
        return y if slope is None else nn.functional.leaky_relu(y, slope)

    for one, other in zip(results(ours), results(paddles), strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


def test_choices_by_trial_leave_the_results_as_they_are(library, tmp_path):
    """Products large enough for a trial, with choices of their own."""
    from ppgan_zoo.ops.choice import Choices

    choices = Choices({}, tmp_path)
    forms = Forms(library, choices)
    geometry = Geometry(False, (8, 16, 16, 16), (24, 16, 3, 3), True, (1, 1), (1, 1, 1, 1))
    found = gradients(lambda *given: convolution.convolve(forms, *given), geometry)
    for one, other in zip(
        found, gradients(paddle_convolution.plain_convolve, geometry), strict=True
    ):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()
    assert len(choices.used) == 3
    assert all(f"{product} of convolution, input 8x16x16x16" in " ".join(choices.used)
               for product in PRODUCTS)  # fmt: skip


def test_a_part_of_a_large_batch_is_tried_for_all_larger_ones():
    small = Geometry(False, (64, 64, 32, 32), (64, 64, 3, 3), True, (1, 1), (1, 1, 1, 1))
    large = Geometry(False, (256, 64, 32, 32), (64, 64, 3, 3), True, (1, 1), (1, 1, 1, 1))
    part = convolution._in_part(small)
    assert part == convolution._in_part(large)
    assert part.source == (32, 64, 32, 32)  # of 37.7 million multiply-adds each
    few = Geometry(False, (2, 64, 32, 32), (64, 64, 3, 3), True, (1, 1), (1, 1, 1, 1))
    assert convolution._in_part(few) == few


def test_small_products_are_computed_in_the_usual_form(library):
    class Forbidden:
        def remembered(self, key, choose):
            return choose()

        def of(self, *_):
            raise AssertionError("a trial of a small product")

    geometry = GEOMETRIES["3x3"]
    forms = Forms(library, Forbidden())
    gradients(lambda *given: convolution.convolve(forms, *given), geometry)
