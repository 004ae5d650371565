"""Products whose factors are rounded to bfloat16: rounded rightly, chosen where asked for alone."""

import contextlib

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.amp.auto_cast import _update_list  # raises for an operation or level it has not
from test_forms import GEOMETRIES, PRODUCTS, Only, gradients

import ppgan_zoo
from ppgan_zoo import ops
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.ops import (
    choice,
    convolution,
    onednn_convolution,
    onednn_dense,
    paddle_convolution,
    trial,
)
from ppgan_zoo.ops.choice import Choices, Forms
from ppgan_zoo.ops.geometry import Geometry
from ppgan_zoo.ops.onednn import BFLOAT16, FLOAT32, OneDNNError
from ppgan_zoo.ops.trial import ROUGH, drawn
from ppgan_zoo.recipe.load import recipe_from


@pytest.fixture(scope="module")
def library():
    found = ops.library() or pytest.skip(ops.describe())
    product = onednn_dense.Product(4, 4, 4)
    try:
        onednn_dense.multiply_as(ROUGH, found, product, drawn([4, 4], 0), drawn([4, 4], 1), None)
    except OneDNNError:
        pytest.skip("oneDNN has no bfloat16 for this processor")
    return found


def rounded(array):
    """Return float32 rounded to the nearest bfloat16, to an even last bit where two are."""
    bits = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32)


def test_the_oracle_rounds_to_the_nearest():
    exact = np.float32([1.0, 1.0 + 2**-9, 1.0 + 2**-8, 1.0 + 3 * 2**-8, 1.0 + 2**-7, -3.14159])
    wanted = np.float32([1.0, 1.0, 1.0, 1.0 + 2**-6, 1.0 + 2**-7, -3.140625])
    assert (rounded(exact) == wanted).all()


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("product", PRODUCTS)
def test_a_convolution_is_that_of_rounded_factors(product, name, library):
    """Exactly that of rounded numbers, but for the order of the sums, which are float32."""
    geometry = GEOMETRIES[name]
    x, weight, dy = drawn(geometry.source, 0), drawn(geometry.weight, 1), drawn(geometry.target, 9)
    given = {"x": x, "weight": weight, "dy": dy}
    factors = {
        convolution.OUTPUT: ("x", "weight"),
        convolution.INPUT: ("weight", "dy"),
        convolution.FILTERS: ("x", "dy"),
    }[product]
    for factor in factors:
        given[factor] = paddle.to_tensor(rounded(given[factor].numpy()))

    def result(convolve):
        x, weight = given["x"].clone(), given["weight"].clone()
        bias = drawn([geometry.target[1]], 2)
        leaves = [tensor.detach() for tensor in (x, weight)]
        for leaf in leaves:
            leaf.stop_gradient = False
        y = convolve(geometry, *leaves, bias if geometry.bias else None)
        if product == convolution.OUTPUT:
            return y.numpy()
        y.backward(given["dy"])
        return leaves[0 if product == convolution.INPUT else 1].grad.numpy()

    unrounded = {"x": x, "weight": weight, "dy": dy}
    wanted = result(paddle_convolution.plain_convolve)
    given.update(unrounded)
    forms = Forms(library, Only(product, ROUGH), rough=True)
    found = result(lambda *tensors: convolution.convolve(forms, *tensors))
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()
    exact = result(paddle_convolution.plain_convolve)
    assert np.abs(found - exact).max() > 1e-4 * np.abs(exact).max()  # so it was rounded


@pytest.mark.parametrize("channels", [(3, 4), (32, 64), (128, 64), (64, 1)])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution_has_its_bias(channels, kernel, stride, library):
    """OneDNN 3.6's own leaves it out of most strided ones on a processor with AMX."""
    weight = (*channels, kernel, kernel)
    geometry = Geometry(True, (2, channels[0], 4, 4), weight, True, (stride, stride), (0, 0, 0, 0))
    x, filters, bias = drawn(geometry.source, 0), drawn(weight, 1), drawn(channels[1:], 2)
    found = onednn_convolution.output(library, geometry, x, filters, bias, BFLOAT16)
    wanted = paddle_convolution.plain_convolve(geometry, x, filters, bias)
    assert np.abs((found - wanted).numpy()).max() <= 1e-2 * np.abs(wanted.numpy()).max()


def test_a_trial_sees_that_a_bias_was_left_out(library, monkeypatch, tmp_path):
    """Of many channels, too: there a bias drawn like the filters would be lost in rounding."""
    geometry = Geometry(False, (32, 256, 8, 8), (64, 256, 5, 5), True, (1, 1), (2, 2, 2, 2))

    def without_bias(library, geometry, x, weight, bias, number=FLOAT32):
        if number == BFLOAT16:
            geometry, bias = convolution.replace(geometry, bias=False), None
        return output(library, geometry, x, weight, bias, number)

    output = onednn_convolution.output
    monkeypatch.setattr(onednn_convolution, "output", without_bias)
    seen = {}

    def judged(forms, usual):
        seen["right"] = trial._is_right(ROUGH, forms[ROUGH], forms[usual]())
        return usual

    monkeypatch.setattr(choice, "fastest", judged)
    convolution._chosen(Forms(library, Choices({}, tmp_path), True), convolution.OUTPUT, geometry)
    assert seen == {"right": False}
    monkeypatch.setattr(onednn_convolution, "output", output)
    convolution._chosen(Forms(library, Choices({}, None), True), convolution.OUTPUT, geometry)
    assert seen == {"right": True}


@pytest.mark.parametrize("flipped", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("slope", [None, 0.2])
def test_a_product_is_that_of_rounded_factors(flipped, slope, library):
    product = onednn_dense.Product(64, 48, 40, flipped, biased=True, slope=slope)
    a = drawn([48, 64] if flipped[0] else [64, 48], 0)
    b = drawn([40, 48] if flipped[1] else [48, 40], 1)
    bias = drawn([40], 2)
    found = onednn_dense.multiply_as(ROUGH, library, product, a, b, bias).numpy()
    left, right = (rounded(t.numpy()).astype(np.float64) for t in (a, b))
    wanted = (left.T if flipped[0] else left) @ (right.T if flipped[1] else right) + bias.numpy()
    wanted = wanted if slope is None else np.where(wanted > 0, wanted, slope * wanted)
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()


def test_it_is_a_form_only_where_it_is_asked_for(library, tmp_path):
    choices = Choices({}, tmp_path)
    geometry = GEOMETRIES["3x3"]
    large = convolution.replace(geometry, source=(64, *geometry.source[1:]))
    for rough in (False, True):
        forms = Forms(library, choices, rough)
        gradients(lambda *given, forms=forms: convolution.convolve(forms, *given), large)
    asked = [key for key in choices.used if key.endswith(f"or {ROUGH}")]
    assert len(asked) == 3
    assert len(choices.used) == 6
    assert not [key for key, form in choices.used.items() if form == ROUGH and key not in asked]


def test_precision_holds_inside_alone(monkeypatch):
    monkeypatch.setattr(ops, "_has_rough_instructions", lambda: True)
    monkeypatch.setenv(ops.SWITCH, "auto")
    if ops.library() is None:
        pytest.skip(ops.describe())
    assert not ops._forms().rough
    for wanted in ("bfloat16", "auto"):
        with ops.precision(wanted):
            assert ops._forms().rough
    with ops.precision("float32"):
        assert not ops._forms().rough
    assert not ops._forms().rough


def test_a_processor_without_it_computes_in_float32_and_says_so(monkeypatch):
    monkeypatch.setattr(ops, "_has_rough_instructions", lambda: False)
    monkeypatch.setenv(ops.SWITCH, "auto")
    gan = ppgan_zoo.create("gan_mlp", generator={"hidden_units": [4]})
    for precision, warned in (("bfloat16", True), ("auto", False), ("float32", False)):
        trainer = ppgan_zoo.make_trainer(gan, precision=precision)
        found = [line for line in trainer.warnings if "precision" in line]
        assert found == warned * [
            "training.precision: bfloat16: this processor has neither avx512_bf16 nor amx_bf16; "
            "products are computed in float32"
        ]
    with ops.precision("bfloat16"):
        forms = ops._forms()
        assert forms is None or not forms.rough


def test_on_a_gpu_all_updates_of_a_step_are_inside_paddles_own_mixed_precision(monkeypatch):
    inside, seen = [], []

    @contextlib.contextmanager
    def auto_cast(**options):
        _update_list(options["custom_white_list"], None, options["level"], options["dtype"])
        inside.append(options)
        yield
        inside.pop()

    class Net(nn.Linear):
        def forward(self, x):
            seen.append([dict(options) for options in inside])
            return super().forward(x)

    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    monkeypatch.setattr(paddle.amp, "is_bfloat16_supported", lambda: True)
    images = np.zeros((4, 1, 28, 28), np.float32)
    for precision, wanted in (("bfloat16", [ops.AMP]), ("auto", [ops.AMP]), ("float32", [])):
        gan = ppgan_zoo.create("gan_mlp", generator={"hidden_units": [4]})
        gan.discriminator.add_sublayer("probe", Net(1, 1))
        whole = gan.discriminator.forward
        gan.discriminator.forward = lambda x, whole=whole, d=gan.discriminator: d.probe(whole(x))
        trainer = ppgan_zoo.make_trainer(gan, precision=precision)
        assert not [line for line in trainer.warnings if "precision" in line]
        seen.clear()
        trainer.step(images)
        assert len(seen) >= 3 and all(found == wanted for found in seen)  # D once, G twice
    assert not inside


def test_a_gpu_without_it_computes_in_float32_and_says_so(monkeypatch):
    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    monkeypatch.setattr(paddle.amp, "is_bfloat16_supported", lambda: False)
    gan = ppgan_zoo.create("gan_mlp", generator={"hidden_units": [4]})
    assert [
        line
        for line in ppgan_zoo.make_trainer(gan, precision="bfloat16").warnings
        if "precision" in line
    ] == [
        "training.precision: bfloat16: gpu:0 or its CUDA does not compute in bfloat16; products are "
        "computed in float32"
    ]


def test_the_key_of_a_recipe_reaches_the_trainer():
    from ppgan_zoo.run.job import build_job

    recipe = {
        "model": {"name": "gan_mlp"}, "data": {"name": "mnist", "batch_size": 4, "limit": 8},
        "training": {"iterations": 1, "precision": "auto"},
    }  # fmt: skip
    assert build_job(recipe_from(recipe), offline=True).trainer.precision == "auto"
    recipe["training"]["precision"] = "float16"
    with pytest.raises(ConfigError, match="precision"):
        recipe_from(recipe)


def test_a_step_in_bfloat16_is_near_one_in_float32(library, monkeypatch, tmp_path):
    """With penalties: their double gradients pass by rounded products too."""
    monkeypatch.setattr(ops, "_has_rough_instructions", lambda: True)
    monkeypatch.setenv(ops.SWITCH, "auto")

    used = set()

    class Rough:
        def remembered(self, key, choose):
            used.add(key)
            return ROUGH

    losses = []
    for choices in (Rough(), None):
        monkeypatch.setattr(ops, "_forms", lambda choices=choices: Forms(library, choices))
        paddle.seed(1)
        gan = ppgan_zoo.create("dcgan_fashion", generator={"channels": 8},
                               discriminator={"channels": 8, "batch_norm": False})  # fmt: skip
        trainer = ppgan_zoo.make_trainer(gan, objective="relativistic_pairing", terms=["r1", "r2"])
        images = np.random.default_rng(0).uniform(-1, 1, (16, 1, 28, 28)).astype(np.float32)
        losses.append([float(value) for value in trainer.step(images).values()])
    assert len(used) > 10
    assert losses[0] != losses[1]
    assert np.allclose(*losses, rtol=0.05, atol=0.01)
