"""The accelerated layers against Paddle's own, everywhere that the zoo uses them."""

import copy
import math
import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo import ops, registry
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import with_moved_weights
from ppgan_zoo.ops import convolution, paddle_convolution
from ppgan_zoo.ops.bias import add_bias
from ppgan_zoo.ops.onednn import Library, OneDNNError
from ppgan_zoo.testing import tiny
from ppgan_zoo.training.assemble import make_trainer

WAYS = ("auto", "paddle", "winograd")  # the last: wherever it can be, fast or not
MODELS = ppgan_zoo.list_models()
CLASSES = 3
LAYERS = (nn.Conv2D, nn.Conv2DTranspose, nn.Linear)


@pytest.fixture(autouse=True)
def one_kind_of_seed():
    paddle.seed(0)


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    monkeypatch.setenv(ops.SWITCH, "auto" if request.param == "auto" else "paddle")
    if request.param == "winograd":
        monkeypatch.setattr(paddle_convolution, "HIGHEST_COST", math.inf)
    if request.param == "auto" and ops.library() is None:
        pytest.skip(ops.describe())
    return request.param


def told(name):
    """The arguments that give a model classes, if it takes any, and no larger images than need be."""
    images = {"image_shape": (1, 32, 32)} if name == "fastgan" else {}
    takes = registry.MODELS.get(name).labels != "ignores"
    return {**images, **({"num_classes": CLASSES} if takes else {})}


def small(name, **arguments):
    spec = registry.MODELS.get(name)
    nets = {"generator": tiny(spec.generator), "discriminator": tiny(spec.discriminator)}
    return off_zero(ppgan_zoo.create(name, **nets, **arguments))


def off_zero(gan):
    """The nets with their weights moved a little: one that is zero hides what stands before it."""
    return Gan(gan.spec, **{name: with_moved_weights(net) for name, net in gan.nets.items()})


def code_of(gan, count, seed=7):
    z = paddle.to_tensor(draw((count, gan.latent_dim), seed))
    return Code(z, paddle.arange(count) % CLASSES if gan.num_classes else None)


def state_of(*nets):
    """A copy of all that the nets hold, to be put back by :func:`put_back`."""
    return [{k: v.clone() for k, v in net.state_dict().items()} for net in nets]


def put_back(state, *nets):
    """Undo what passes have moved: running statistics, and spectral norm's vectors."""
    for net, tensors in zip(nets, state, strict=True):
        net.set_state_dict(tensors)


def draw(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def results(layer, array):
    """Return the output and all gradients of a layer, for a fixed weighting of the output."""
    x = paddle.to_tensor(array, stop_gradient=False)
    y = layer(x)
    (y * paddle.to_tensor(draw(y.shape, 2))).sum().backward()
    gradients = [p.grad for p in layer.parameters() if not p.stop_gradient]
    found = [tensor.numpy() for tensor in (y, x.grad, *gradients)]
    layer.clear_gradients()  # to zeros, in place
    return found


def assert_equal(found, wanted, tolerance=1e-5):
    assert len(found) == len(wanted)
    # A gradient that is zero but for rounding is as large as the others' rounding.
    rounding = max(np.abs(other).max() for other in wanted) / 100
    for one, other in zip(found, wanted, strict=True):
        assert other.any()
        assert np.abs(one - other).max() <= tolerance * max(np.abs(other).max(), rounding)


def accelerated_and_plain(layer, array):
    state = state_of(layer)
    wanted = results(layer, array)
    put_back(state, layer)
    plain_class = type(layer)
    ops.accelerate(layer)
    assert type(layer) is not plain_class or layer.accelerated
    found = results(layer, array)
    ops.restore(layer)
    assert type(layer) is plain_class
    return found, wanted


def layers_of(gan):
    """Every kind of dense layer and convolution in a model's nets, with the shape of its input."""
    seen, hooks = {}, []

    def note(layer, inputs):
        shape = tuple(inputs[0].shape)
        facts = (getattr(layer, key, None) for key in ("_stride", "_padding", "_groups"))
        kind = type(layer), layer.weight.shape, layer.bias is None, shape, *facts
        seen[repr(kind)] = layer, shape

    for net in gan.nets.values():
        for layer in net.sublayers():
            if isinstance(layer, LAYERS):
                hooks.append(layer.register_forward_pre_hook(note))
    code = code_of(gan, 2)
    with paddle.no_grad():
        gan.judge(gan.generate(code), code.labels)
    for hook in hooks:
        hook.remove()
    return list(seen.values())


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_of_the_zoo_is_equal(name, way):
    """In full width, but for dense layers of more than a million weights."""
    layers = layers_of(off_zero(ppgan_zoo.create(name, **told(name))))
    assert len(layers) >= 5
    for layer, shape in layers:
        replaced = type(layer) in LAYERS or hasattr(layer, ops.MARK)
        if replaced and layer.weight.size <= 1_100_000:
            assert_equal(*accelerated_and_plain(layer, draw(shape)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": "SAME", "stride": 2},
        {"padding": "VALID", "stride": 3},
        {"padding": 2},
        {"padding": [1, 0]},
        {"padding": [0, 1, 2, 0], "stride": [2, 1]},
        {"padding": 1, "bias_attr": False},
        {"kernel_size": [3, 1], "stride": [3, 2]},
        {"kernel_size": 1, "stride": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(7, 7), (8, 6), (5, 9)])
def test_convolutions_of_other_shapes(arguments, size, way):
    layer = nn.Conv2D(3, 5, **{"kernel_size": 3, **arguments})
    assert_equal(*accelerated_and_plain(layer, draw((2, 3, *size))))


@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": 3, "padding": 0, "output_padding": 2},
        {"stride": 2, "padding": [0, 1, 0, 1]},
        {"stride": [1, 2], "padding": [1, 0]},
        {"kernel_size": 5, "stride": 2, "padding": 2, "bias_attr": False},
        {"kernel_size": 2, "stride": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_transposed_convolutions_of_other_shapes(arguments, channels, way):
    layer = nn.Conv2DTranspose(4, channels, **{"kernel_size": 3, **arguments})
    assert_equal(*accelerated_and_plain(layer, draw((2, 4, 4, 5))))


@pytest.mark.parametrize("groups", [2, 3, 12])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_of_groups(groups, transposed, way):
    cls = nn.Conv2DTranspose if transposed else nn.Conv2D
    layer = cls(12, 24, 3, padding=1, stride=2, groups=groups)
    assert_equal(*accelerated_and_plain(layer, draw((2, 12, 6, 5))))


class OwnConvolution(nn.Conv2D):
    def forward(self, x):
        return super().forward(x) + 1.0


@pytest.mark.parametrize(
    ("layer", "dtype"),
    [
        (nn.Conv2D(4, 4, 3, dilation=2), "float32"),
        (nn.Conv2D(4, 4, 3, padding=1, padding_mode="reflect"), "float32"),
        (nn.Conv2D(4, 4, 3).to(dtype="float64"), "float64"),
        (OwnConvolution(4, 4, 3), "float32"),
    ],
    ids=["dilation", "reflect", "float64", "subclass"],
)
def test_what_is_not_accelerated_stays_as_it_is(layer, dtype, way, monkeypatch):
    x = paddle.to_tensor(draw((2, 4, 8, 8)).astype(dtype))
    wanted = layer(x)
    ops.accelerate(layer)
    forbid(monkeypatch)
    assert (layer(x) == wanted).all()


def forbid(monkeypatch):
    """Let any use of an accelerated convolution fail."""

    def used(*_):
        raise AssertionError("an accelerated convolution was used")

    monkeypatch.setattr(convolution, "convolve", used)
    monkeypatch.setattr(paddle_convolution, "convolve", used)


def test_eval_mode_and_native_are_paddles_own(way, monkeypatch):
    layer = nn.Conv2D(3, 4, 3)
    ops.accelerate(layer)
    x = paddle.randn([2, 3, 8, 8])
    forbid(monkeypatch)
    with ops.native():
        layer(x)
    layer.eval()
    layer(x)
    layer.train()
    with pytest.raises(AssertionError, match="was used"):
        layer(x)


def gradients_of(*nets):
    """All gradients; what has none may be given zeros or nothing at all."""
    found = [p.grad.numpy() for net in nets for p in net.parameters() if p.grad is not None]
    return [gradient for gradient in found if gradient.any()]


def assert_equal_both_ways(gan, found_of):
    """Compare what a function of a seed finds of the plain and of the accelerated nets.

    A ReLU that tips over within the rounding is a difference of its own. Of three draws one is
    without.
    """
    nets, differences = gan.nets.values(), []
    state = state_of(*nets)
    for seed in range(3):
        both = []
        for switch in (ops.restore, ops.accelerate):
            switch(*nets)
            paddle.seed(5)  # dropout
            both.append(found_of(seed))
            for net in nets:
                net.clear_gradients()
            put_back(state, *nets)
        wanted, found = both
        assert len(found) == len(wanted) > 2
        # A gradient that is zero but for rounding is as large as the others' rounding.
        rounding = max(np.linalg.norm(other) for other in wanted) / 100
        differences.append(max(
            np.linalg.norm(one - other) / max(np.linalg.norm(other), rounding)
            for one, other in zip(found, wanted, strict=True)
        ))  # fmt: skip
        if differences[-1] < 2e-4:
            return
    raise AssertionError(differences)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_equal_with_all_its_gradients(name, way):
    gan = small(name, **told(name))

    def answers_and_gradients(seed):
        code = code_of(gan, 4, seed)
        images = gan.generate(code)
        judgement = gan.judge(images, code.labels)
        answers = [images, judgement.logits, *judgement.extras.values()]
        answers = [answer for answer in answers if isinstance(answer, paddle.Tensor)]
        total = paddle.zeros([])
        for place, answer in enumerate(answers):
            total = total + (answer * paddle.to_tensor(draw(answer.shape, place))).sum()
        total.backward()
        return [*(answer.numpy() for answer in answers), *gradients_of(*gan.nets.values())]

    assert_equal_both_ways(gan, answers_and_gradients)


@pytest.mark.parametrize("name", MODELS)
def test_double_gradients_are_equal(name, way):
    gan = small(name, **told(name))

    def double_gradients(seed):
        images = paddle.to_tensor(np.tanh(draw((4, *gan.image_shape), seed)))
        code = code_of(gan, 4, seed)
        code.z.stop_gradient = False  # Paddle joins it to the image twice differentiably only so
        norms = squared_gradient_norms(lambda x: gan.judge(x, code.labels, code.z).logits, images)
        norms.mean().backward()
        return gradients_of(gan.discriminator)

    if name in ("biggan", "sagan") and paddle.__version__.startswith("2"):
        with pytest.raises(RuntimeError, match="exp_grad doesn't have any gradop"):
            double_gradients(0)
    else:
        assert_equal_both_ways(gan, double_gradients)


QUICK = (
    "dcgan", "dcgan_dropout", "dcgan_fashion", "dcgan_keras", "gan_mlp", "gan_mlp_bn", "r3gan",
)  # fmt: skip


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", QUICK)
def test_whole_steps_are_equal(name, monkeypatch):
    chosen = os.environ[ops.SWITCH]
    states = []
    for switch in ("off", chosen):
        monkeypatch.setenv(ops.SWITCH, switch)
        paddle.seed(3)
        gan = small(name)
        nets = (gan.generator, gan.discriminator)
        # Not Adam, which makes as much of a rounding error as of a gradient; and slowly,
        # as a ReLU or a maximum that tips over is a difference of its own.
        rates = [paddle.optimizer.SGD(2e-4, parameters=net.parameters()) for net in nets]
        trainer = make_trainer(
            gan, generator_optimizer=rates[0], discriminator_optimizer=rates[1], ema_decay=0.9
        )
        for iteration in range(5):
            scalars = trainer.step(np.tanh(draw((4, *gan.image_shape), iteration)))
        arrays = {key: value.numpy() for key, value in scalars.items()}
        for file in ("generator", "discriminator", "ema"):
            arrays.update({f"{file}.{k}": v for k, v in trainer.state()[file].items()})
        states.append(arrays)
    for key, wanted in states[0].items():
        np.testing.assert_allclose(states[1][key], wanted, rtol=1e-5, atol=1e-5, err_msg=key)


class OfTwoInputs(nn.Layer):
    """Joins what layers make of images with what they make of something that is no image."""

    def __init__(self, of_image, of_other, other):
        super().__init__()
        self.of_image, self.of_other, self.other = of_image, of_other, other
        self.joint, self.logit = nn.Linear(10, 8), nn.Linear(8, 1)

    def forward(self, images):
        parts = [self.of_image(images), self.of_other(self.other)]
        joined = paddle.concat([part.reshape([4, -1]) for part in parts], axis=1)
        return self.logit(paddle.tanh(self.joint(joined)))


@pytest.mark.parametrize("kind", ["dense", "convolution", "few_channels"])
def test_a_double_gradient_passes_by_layers_that_see_no_image(kind, way):
    layers, shape = {
        "dense": (lambda: nn.Linear(7, 5), [4, 7]),
        "convolution": (lambda: nn.Conv2D(6, 5, 4), [4, 6, 4, 4]),
        "few_channels": (lambda: nn.Conv2D(1, 5, 3), [4, 1, 3, 3]),
    }[kind]
    paddle.seed(1)
    net = OfTwoInputs(layers(), layers(), paddle.randn(shape))
    images = paddle.randn(shape)

    def gradients():
        squared_gradient_norms(net, images).mean().backward()
        found = [net.of_image.weight.grad, net.of_other.weight.grad, net.logit.weight.grad]
        found = [gradient.numpy() for gradient in found]
        net.clear_gradients()
        return found

    wanted = gradients()
    ops.accelerate(net)
    found = gradients()
    assert all(gradient.any() for gradient in wanted)
    assert_equal(found, wanted, tolerance=2e-5)


def test_a_double_gradient_that_was_not_promised_is_refused(way):
    layer = nn.Conv2D(1, 2, 3)
    ops.accelerate(layer)
    x = paddle.randn([2, 1, 6, 6])
    x.stop_gradient = False
    with pytest.raises((NotImplementedError, OSError), match="input_gradients"):
        paddle.grad(layer(x).sum(), [x, layer.weight, layer.bias], create_graph=True)


def test_frozen_weights_get_no_gradient(way):
    layer = nn.Conv2D(3, 4, 3)
    ops.accelerate(layer)
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    x = paddle.randn([2, 3, 8, 8])
    x.stop_gradient = False
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert layer.bias.grad is None
    assert x.grad is not None


def test_a_game_with_losses_of_its_own_keeps_paddles_layers():
    class Own(Game):
        def generator_loss(self, gan, real, code, moment):
            return super().generator_loss(gan, real, code, moment)

    class Told(Own):
        accelerated = True

    kinds = {}
    for game in (None, Own, Told):
        gan = small("dcgan_fashion")
        gan.spec = replace(gan.spec, game=game)
        make_trainer(gan)
        kinds[game] = type(gan.discriminator.conv1) is nn.Conv2D
    assert kinds == {None: False, Own: True, Told: False}


def test_copies_and_state_are_those_of_the_plain_layer(way):
    net = small("dcgan_fashion").generator
    names = list(net.state_dict())
    ops.accelerate(net)
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == names
    z = paddle.randn([2, 100])
    assert (twin(z) == net(z)).all()


@pytest.mark.filterwarnings("ignore:full_graph=False")
def test_a_trained_generator_exports_as_plain_layers(way, tmp_path):
    net = small("dcgan_fashion").generator
    ops.accelerate(net)
    z = paddle.randn([2, 100])
    net(z)
    net.eval()
    wanted = net(z)
    spec = [paddle.static.InputSpec([None, 100], "float32")]
    paddle.jit.save(paddle.jit.to_static(net, input_spec=spec), str(tmp_path / "g"))
    exported = paddle.jit.load(str(tmp_path / "g"))
    assert np.abs(exported(z).numpy() - wanted.numpy()).max() < 1e-6


def test_threads_do_not_disturb_each_other(way):
    layers = [nn.Conv2D(3, 8, 3, stride=s) for s in (1, 2)]
    arrays = [draw((4, 3, 20, 20), seed) for seed in (1, 2)]
    pairs = list(zip(layers, arrays, strict=True))
    wanted = [results(layer, array) for layer, array in pairs]
    ops.accelerate(*layers)
    wrong = []

    def work(index):
        for _ in range(20):
            found = results(*pairs[index])
            if any(np.abs(a - b).max() > 1e-3 for a, b in zip(found, wanted[index], strict=True)):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_switch(monkeypatch):
    monkeypatch.setenv(ops.SWITCH, "off")
    layer = nn.Conv2D(1, 1, 3)
    ops.accelerate(layer)
    assert type(layer) is nn.Conv2D
    assert ops.describe() == "Paddle (PPGAN_ZOO_OPS=off)"
    monkeypatch.setenv(ops.SWITCH, "fast")
    with pytest.raises(ConfigError, match="'fast': must be one of auto, onednn, paddle, off"):
        ops.describe()


def test_on_a_gpu_nothing_is_accelerated_or_tested(fresh_search, monkeypatch):
    monkeypatch.delenv(ops.SWITCH, raising=False)
    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    layer = nn.Conv2D(1, 1, 3)
    ops.accelerate(layer)
    assert type(layer) is nn.Conv2D
    assert ops.describe() == "Paddle (on gpu:0)"
    assert ops._library.cache_info().currsize == 0


def test_the_self_test_runs_when_a_net_is_accelerated(fresh_search, monkeypatch):
    monkeypatch.delenv(ops.SWITCH, raising=False)
    ops.accelerate(nn.Conv2D(1, 1, 3))
    assert ops._library.cache_info().currsize == 1


LOOKS = """
import sys
from pathlib import Path
from ppgan_zoo import ops, runtime
runtime.start("cpu", 1)

from ppgan_zoo import cli
from ppgan_zoo.convert.converter import facts_of_model
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.models.facts import build_model
from ppgan_zoo.storage.checkpoint import save_checkpoint

facts, folder = facts_of_model("gan_mlp"), Path(sys.argv[1])
arrays = {"generator": layer_arrays(build_model(facts).generator)}
checkpoint = save_checkpoint(folder, arrays, 0, facts.to_json())
sampler = open_sampler(checkpoint.path)
assert sampler.sample(2, 0).shape == (2, 1, 28, 28)
for command in (["list"], ["info", "gan_mlp", "--full"],
                ["export", "--checkpoint", str(checkpoint.path), "--output", str(folder / "x")]):
    assert cli.main(command) == 0
print("tests:", ops._library.cache_info().misses)
"""


def test_nothing_is_tested_where_nothing_is_trained(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != ops.SWITCH}
    done = subprocess.run(
        [sys.executable, "-c", LOOKS, str(tmp_path)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "tests: 0"


@pytest.fixture
def fresh_search():
    ops._library.cache_clear()
    yield
    ops._library.cache_clear()


def test_without_onednn_paddle_computes(fresh_search, monkeypatch):
    monkeypatch.delenv(ops.SWITCH, raising=False)
    monkeypatch.setattr(ops.Path, "glob", lambda *_: iter([]))
    assert ops.library() is None
    assert ops.describe() == "Paddle (no oneDNN beside this Paddle)"
    layer = nn.Conv2D(3, 4, 3)
    assert_equal(*accelerated_and_plain(layer, draw((2, 3, 8, 8))))


def test_a_library_that_computes_something_else_is_not_used(fresh_search, monkeypatch):
    monkeypatch.delenv(ops.SWITCH, raising=False)
    monkeypatch.setattr("ppgan_zoo.ops.self_test.largest_error", lambda _: 0.5)
    assert ops.library() is None
    assert "differs from it by 5.0e-01" in ops.describe() or "no oneDNN" in ops.describe()


def test_a_file_that_is_no_onednn_is_an_error_of_the_library(tmp_path):
    (tmp_path / "libdnnl.so.3").write_bytes(b"not a library")
    with pytest.raises(OneDNNError, match="cannot be loaded"):
        Library(tmp_path / "libdnnl.so.3")


@pytest.fixture
def double():
    paddle.set_default_dtype("float64")
    yield
    paddle.set_default_dtype("float32")


def test_the_bias_whatever_type_paddle_gives_new_tensors(double):
    test_the_bias_and_its_gradient()


def test_the_bias_and_its_gradient():
    maps = paddle.to_tensor(draw((3, 4, 5, 6)), stop_gradient=False)
    bias = paddle.to_tensor(draw((4,), 3), stop_gradient=False)
    y = add_bias(maps, bias)
    np.testing.assert_allclose(
        y.numpy(), maps.numpy() + bias.numpy()[:, None, None], rtol=1e-6, atol=1e-6
    )
    weights = draw((3, 4, 5, 6), 4)
    (y * paddle.to_tensor(weights)).sum().backward()
    np.testing.assert_array_equal(maps.grad.numpy(), weights)
    np.testing.assert_allclose(bias.grad.numpy(), weights.sum((0, 2, 3)), rtol=1e-5, atol=1e-5)


@pytest.fixture
def onednn(monkeypatch):
    monkeypatch.setenv(ops.SWITCH, "auto")
    if ops.library() is None:
        pytest.skip(ops.describe())


@pytest.mark.parametrize(
    ("rows", "fan_in", "fan_out"),
    [(1, 7, 3), (64, 100, 128), (5, 1, 1), (16, 256, 1), (16, 1, 256), (1, 1, 9)],
)
@pytest.mark.parametrize("bias", [True, False])
def test_dense_layers_are_equal(rows, fan_in, fan_out, bias, onednn):
    layer = nn.Linear(fan_in, fan_out, bias_attr=None if bias else False)
    assert_equal(*accelerated_and_plain(layer, draw((rows, fan_in))))


RUNS = {
    "activations": lambda: [nn.Linear(6, 5), nn.LeakyReLU(0.2), nn.Linear(5, 3), nn.ReLU()],
    "no activation": lambda: [nn.Linear(6, 5), nn.Linear(5, 1)],
    "norms between": lambda: [
        nn.Linear(6, 5), nn.ReLU(), nn.BatchNorm1D(5), nn.Linear(5, 4, bias_attr=False),
        nn.LeakyReLU(0.3), nn.Tanh(), nn.Linear(4, 2),
    ],
    "unlike slopes": lambda: [nn.Linear(6, 5), nn.LeakyReLU(-0.2), nn.Linear(5, 3), nn.ELU()],
}  # fmt: skip


@pytest.mark.parametrize("kind", RUNS)
def test_runs_of_dense_layers_are_equal(kind, onednn):
    net = nn.Sequential(*RUNS[kind]())
    array = draw((7, 6))
    wanted = results(net, array)
    ops.accelerate(net)
    found = results(net, array)
    assert_equal(found, wanted)


def test_a_run_is_one_operation(onednn, monkeypatch):
    lengths = []
    monkeypatch.setattr(
        "ppgan_zoo.ops.onednn_dense.dense",
        lambda library, x, run: lengths.append(len(run)) or paddle.zeros([2, 4]),
    )
    net = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.LeakyReLU(0.2), nn.BatchNorm1D(4),
        nn.Linear(4, 4),
    )  # fmt: skip
    ops.accelerate(net)
    net(paddle.zeros([2, 4]))
    assert lengths == [2, 1]
    lengths.clear()
    net.eval()
    net(paddle.zeros([2, 4]))
    with ops.native():
        net.train()
        net(paddle.zeros([2, 4]))
    assert lengths == []


def test_a_watched_layer_is_called_by_itself(onednn):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    seen = []
    net[1].register_forward_post_hook(lambda layer, inputs, output: seen.append(output.shape))
    ops.accelerate(net)
    net(paddle.randn([2, 4]))
    assert len(seen) == 1


def test_a_frozen_part_of_a_run_gets_no_gradient(onednn):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    ops.accelerate(net)
    for parameter in net[0].parameters():
        parameter.stop_gradient = True
    net(paddle.randn([5, 4])).sum().backward()
    assert net[0].weight.grad is None
    assert net[2].weight.grad is not None
    assert net[2].bias.grad.numpy() == pytest.approx(5.0)


def test_an_input_of_the_wrong_width_is_paddles_error(onednn):
    for net in (nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 2))):
        ops.accelerate(net)
        with pytest.raises(ValueError, match="mismatch|must be|equal"):
            net(paddle.randn([2, 5 if isinstance(net, nn.Linear) else 4]))


def test_dense_layers_of_more_axes_stay_paddles(onednn, monkeypatch):
    layer = nn.Linear(4, 3)
    ops.accelerate(layer)

    def used(*_):
        raise AssertionError("an accelerated dense layer was used")

    monkeypatch.setattr("ppgan_zoo.ops.onednn_dense.dense", used)
    assert layer(paddle.randn([2, 5, 4])).shape == [2, 5, 3]
    with pytest.raises(AssertionError, match="was used"):
        layer(paddle.randn([2, 4]))


def test_nothing_is_accelerated_where_paddle_looks_at_memory_that_is_not_written_yet():
    """oneDNN writes into empty tensors, in which Paddle would find NaN."""
    net = nn.Sequential(nn.Linear(4, 4))
    paddle.set_flags({"FLAGS_check_nan_inf": True})
    try:
        ops.accelerate(net)
        assert type(net[0]) is nn.Linear
        assert "FLAGS_check_nan_inf" in ops.describe()
        net(paddle.ones([3, 4])).sum().backward()
    finally:
        paddle.set_flags({"FLAGS_check_nan_inf": False})
    ops.accelerate(net)
    assert type(net[0]) is not nn.Linear


@pytest.mark.parametrize("place", ["input", "output"])
def test_a_change_in_place_is_an_error_and_no_wrong_gradient(place, onednn):
    """As with Paddle's own layers, where it is one of what the gradient needs."""
    layers = {
        "convolution": (nn.Conv2D(3, 4, 3), [2, 3, 8, 8]),
        "dense": (nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2)), [4, 8]),
    }
    if place == "output":  # of a convolution none is needed
        del layers["convolution"]
    for layer, shape in layers.values():
        ops.accelerate(layer)
        x = paddle.ones(shape) * 1.0
        y = layer(x)
        (x if place == "input" else y).add_(paddle.full([1], 5.0))
        with pytest.raises((RuntimeError, OSError), match="changed in place"):
            y.sum().backward()
