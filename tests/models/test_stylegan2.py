"""StyleGAN2: published sizes, what its parts promise, and an independent NumPy implementation."""

import numpy as np
import paddle
import pytest
from paddle import nn
from reference import stylegan2_numpy as oracle

from ppgan_zoo import ops
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.equalised import EqualisedConv2D, EqualisedLinear
from ppgan_zoo.models.gan import build_gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.modulation import ModulatedConv2D, StyledConv2D
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.stylegan2 import (
    SPEC,
    StyleDiscriminator,
    StyleGenerator,
    with_deviation,
)
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.training.assemble import make_trainer

CIFAR = {"channels": (512,) * 4, "image_shape": (3, 32, 32)}
AUTO_64 = {"channels": (512,) * 4 + (256,), "image_shape": (3, 64, 64)}
AUTO_128 = {"channels": (512,) * 4 + (256, 128), "image_shape": (3, 128, 128)}
PAPER_256 = {"channels": (512,) * 4 + (256, 128, 64), "image_shape": (3, 256, 256)}
CONFIG_F = {
    "channels": (512,) * 5 + (256, 128, 64, 32), "image_shape": (3, 1024, 1024),
}  # fmt: skip
TINY = {"channels": (4, 3, 3), "image_shape": (2, 8, 12)}
TINY_G = {"latent_dim": 5, "w_dim": 4, **TINY}


# The published sizes; the weights are never drawn.


@pytest.mark.parametrize(
    ("shape", "mapping", "of_d", "sizes"),
    [
        (CIFAR, 2, {"architecture": "orig"}, (19_947_539, 20_720_641)),
        (AUTO_64, 2, {}, (22_243_608, 23_407_361)),
        (AUTO_128, 2, {}, (22_949_277, 23_882_369)),
        (PAPER_256, 8, {}, (24_767_458, 24_001_089)),
        (CONFIG_F, 8, {}, (30_370_060, 29_012_513)),
    ],
)
def test_the_published_nets_have_the_published_number_of_parameters(shape, mapping, of_d, sizes):
    with paddle.LazyGuard():
        g = StyleGenerator(latent_dim=512, w_dim=512, mapping_layers=mapping, **shape)
        d = StyleDiscriminator(**shape, **of_d)
    assert (count_parameters(g), count_parameters(d)) == sizes


def test_ten_classes_cost_an_embedding_in_g_and_a_mapping_in_d():
    with paddle.LazyGuard():
        g = StyleGenerator(latent_dim=512, w_dim=512, num_classes=10, **CIFAR)
        d = StyleDiscriminator(architecture="orig", num_classes=10, mapping_layers=2, **CIFAR)
        deep = StyleDiscriminator(architecture="orig", num_classes=10, **CIFAR)
    assert (count_parameters(g), count_parameters(d)) == (20_215_315, 21_513_728)
    # The official code's D has eight layers there, whatever G has.
    assert count_parameters(deep) == 21_513_728 + 6 * (512 * 512 + 512)


def test_the_parts_of_the_published_net_by_size():
    with paddle.LazyGuard():
        g = StyleGenerator(latent_dim=512, w_dim=512, **CIFAR)
    level = g.levels[1]
    sizes = [count_parameters(part) for part in (level.up, level.conv, level.to_image)]
    assert sizes == [2_622_465, 2_622_465, 264_195]
    assert int(np.prod(g.start.shape)) == 8_192
    assert count_parameters(g.mapping.layers[0]) == 262_656
    assert g.style_count == 8


def test_small_nets_for_28_pixels_begin_at_7():
    g, d = StyleGenerator(latent_dim=64), StyleDiscriminator()
    assert (count_parameters(g), count_parameters(d)) == (179_240, 346_145)
    assert g.start.shape == [1, 64, 7, 7]


# What its parts promise.


def test_weights_begin_normal_and_slow_layers_begin_large():
    paddle.seed(0)
    layer = EqualisedLinear(300, 200, rate=0.01, bias=2.0, activated=True)
    assert abs(layer.weight.numpy().std() - 100.0) < 1.0
    # A rate of .01 makes the bias a hundredth in use: sqrt 2 is the activation's.
    np.testing.assert_allclose(layer(paddle.zeros([1, 300])).numpy(), 0.02 * np.sqrt(2), rtol=1e-6)
    x = paddle.randn([400, 300])
    out = x @ (layer.weight * 0.01 / np.sqrt(300))
    assert abs(out.numpy().std() - 1.0) < 0.02


@pytest.mark.parametrize("up", [False, True])
def test_the_scaled_form_of_a_modulated_convolution_is_the_grouped_one(up):
    paddle.seed(1)
    layer = StyledConv2D(4, 5, 6, (12, 8) if up else (6, 4), up=up)
    layer.noise_strength.set_value(paddle.to_tensor([0.7]))
    layer.bias.set_value(paddle.randn([5]))
    layer.eval()
    x, w = paddle.randn([3, 4, 6, 4]), paddle.randn([3, 6])
    name = "levels.0.up" if up else "levels.0.conv"
    arrays = {f"{name}.{key}": value.astype(np.float64) for key, value in layer_arrays(layer).items()}  # fmt: skip
    wanted = oracle.styled(arrays, name, x.numpy(), w.numpy(), arrays[f"{name}.noise"])
    np.testing.assert_allclose(layer(x, w).numpy(), wanted, atol=1e-5)


def test_demodulation_undoes_a_factor_of_all_scales_and_keeps_the_variance():
    paddle.seed(2)
    layer = ModulatedConv2D(32, 24, 3, 6)
    x, scales = paddle.randn([8, 32, 16, 16]), paddle.rand([8, 32]) + 0.5

    def demodulated(scales):
        of_maps = layer.demodulation(scales).unsqueeze([2, 3])
        return (layer.convolved(x, scales) * of_maps).numpy()

    np.testing.assert_allclose(demodulated(7.0 * scales), demodulated(scales), atol=1e-5)
    plain = layer.convolved(x, scales).numpy()
    np.testing.assert_allclose(layer.convolved(x, 7.0 * scales).numpy(), 7.0 * plain, rtol=1e-4, atol=1e-3)  # fmt: skip
    inside = demodulated(scales)[:, :, 1:-1, 1:-1]
    assert abs(inside.var() - 1.0) < 0.05


def test_the_way_with_a_double_gradient_makes_the_same_images():
    g = StyleGenerator(**TINY_G)
    g.eval()
    styles = g.styles(paddle.randn([2, 5]))
    once, twice = g.synthesis(styles), g.synthesis(styles, twice=True)
    np.testing.assert_allclose(twice.numpy(), once.numpy(), atol=1e-5)


def test_the_deviation_of_a_group():
    x = paddle.ones([4, 2, 3, 3])
    same = with_deviation(x, 4)
    np.testing.assert_allclose(same[:, 2].numpy(), 1e-4, rtol=1e-5)
    # Members lie N / g apart: 0 and 2 are one group, 1 and 3 the other.
    apart = paddle.concat([x[:1], x[1:2], -x[2:3], x[3:]])
    found = with_deviation(apart, 2)[:, 2, 0, 0].numpy()
    np.testing.assert_allclose(found, [1.0, 1e-4, 1.0, 1e-4], rtol=1e-4)
    assert with_deviation(paddle.randn([6, 2, 3, 3]), 4).shape == [6, 3, 3, 3]  # groups of 3


def test_eval_mode_is_deterministic_and_train_mode_is_not():
    g = noisy(StyleGenerator(**TINY_G))
    z = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    np.testing.assert_array_equal(generate(g, z), generate(g, z))
    g.train()
    first, second = (g(paddle.to_tensor(z)).numpy() for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    paddle.seed(5)
    first = g(paddle.to_tensor(z)).numpy()
    paddle.seed(5)
    np.testing.assert_array_equal(g(paddle.to_tensor(z)).numpy(), first)


def test_train_mode_draws_noise_for_each_image():
    g = noisy(StyleGenerator(**TINY_G, style_mixing=0.0))
    z = paddle.zeros([2, 5]) + 1.0
    one, other = g(z).numpy()
    assert np.abs(one - other).max() > 1e-3


def test_style_mixing_takes_another_style_from_some_place_on():
    paddle.seed(0)
    g = StyleGenerator(**TINY_G, style_mixing=1.0)
    z = paddle.randn([3, 5])
    places = set()
    for _ in range(30):
        styles = g.styles(z).numpy()
        own = np.isclose(styles, g.mapping(z).numpy()[:, None]).all(axis=(0, 2))
        place = int(own.sum())
        assert own[:place].all()
        np.testing.assert_array_equal(styles[:, place], styles[:, -1])
        places.add(place)
    assert places == set(range(1, g.style_count))
    g = StyleGenerator(**TINY_G, style_mixing=0.0)
    np.testing.assert_allclose(g.styles(z).numpy(), np.repeat(g.mapping(z).numpy()[:, None], 6, 1))


def test_the_average_style_follows_each_training_batch_before_mixing():
    paddle.seed(0)
    g = StyleGenerator(**TINY_G, style_mixing=1.0)
    average = np.zeros(4)
    for _ in range(3):
        z = paddle.randn([6, 5])
        average = 0.995 * average + 0.005 * g.mapping(z).numpy().mean(axis=0)
        g(z)
        np.testing.assert_allclose(g.average.numpy(), average, rtol=1e-4, atol=1e-7)
    g.eval()
    g(z)
    np.testing.assert_allclose(g.average.numpy(), average, rtol=1e-4, atol=1e-7)


def test_truncation():
    paddle.seed(0)
    g = StyleGenerator(**TINY_G)
    g.average.set_value(paddle.randn([4]))
    z = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    arrays = doubles(g)
    g.truncation = 0.7
    w = oracle.truncated(arrays, oracle.styles_of(arrays, z), 0.7)
    wanted = oracle.images_of(arrays, np.repeat(w[:, None], 6, 1))
    np.testing.assert_allclose(generate(g, z), wanted, atol=1e-5)
    g.truncation = 0.0
    images = generate(g, z)
    np.testing.assert_allclose(images, np.repeat(images[:1], 4, axis=0), atol=1e-6)


@pytest.mark.parametrize("cls", [StyleGenerator, StyleDiscriminator])
def test_sides_that_cannot_be_halved_are_refused(cls):
    with pytest.raises(ConfigError, match="must be multiples of 4"):
        cls(image_shape=(1, 30, 28), channels=(8, 8, 8))
    with pytest.raises(ConfigError, match="0 widths in channels"):
        cls(channels=())
    with pytest.raises(ConfigError, match="mapping_layers"):
        cls(mapping_layers=0)


# Against NumPy.


def noisy(net):
    """Give every bias and strength some value, so that none hides behind its zero."""
    rng = np.random.default_rng(7)
    for parameter in net.parameters():
        if parameter.ndim == 1:
            noise = 0.5 * rng.standard_normal(parameter.shape)
            parameter.set_value(parameter + paddle.to_tensor(noise).astype(parameter.dtype))
    return net


def doubles(net):
    return {name: array.astype(np.float64) for name, array in layer_arrays(net).items()}


def tiny_gan(classes, architecture="resnet", dtype="float32", **options):
    paddle.seed(4)
    gan = build_gan(
        SPEC,
        generator={**TINY_G, "num_classes": classes, **options},
        discriminator={**TINY, "num_classes": classes, "architecture": architecture,
                       "mapping_layers": 2},
    )  # fmt: skip
    for net in gan.nets.values():
        net.to(dtype=dtype)
        noisy(net)
    return gan


def tiny_batch(classes, dtype=np.float32):
    rng = np.random.default_rng(3)
    labels = np.array([0, 2, 1, 2]) if classes else None
    reals = rng.uniform(-1, 1, (4, 2, 8, 12)).astype(dtype)
    return rng.standard_normal((4, 5)).astype(dtype), reals, labels


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_images_and_logits_are_numpys(classes, architecture):
    gan = tiny_gan(classes, architecture)
    z, reals, labels = tiny_batch(classes)
    g = doubles(gan.generator)
    styles = np.repeat(oracle.styles_of(g, z, labels)[:, None], 6, 1)
    images = oracle.images_of(g, styles)
    np.testing.assert_allclose(generate(gan.generator, z, labels), images, atol=1e-5)
    logits = oracle.logits_of(doubles(gan.discriminator), reals, labels)
    np.testing.assert_allclose(generate(gan.discriminator, reals, labels), logits, atol=1e-5)


@pytest.mark.parametrize("classes", [0, 3])
def test_gradients_are_those_of_finite_differences_in_numpy(classes):
    gan = tiny_gan(classes, dtype="float64")
    z, reals, labels = tiny_batch(classes, np.float64)
    g, d = doubles(gan.generator), doubles(gan.discriminator)
    rng = np.random.default_rng(1)
    pull = rng.standard_normal(reals.shape)
    of_labels = None if labels is None else paddle.to_tensor(labels)
    gan.generator.eval()
    images = gan.generator(paddle.to_tensor(z), of_labels)
    (images * paddle.to_tensor(pull)).sum().backward()
    gan.discriminator(paddle.to_tensor(reals), of_labels).square().sum().backward()

    def of_g():
        styles = np.repeat(oracle.styles_of(g, z, labels)[:, None], 6, 1)
        return (oracle.images_of(g, styles) * pull).sum()

    def of_d():
        return np.square(oracle.logits_of(d, reals, labels)).sum()

    for net, arrays, loss in ((gan.generator, g, of_g), (gan.discriminator, d, of_d)):
        for name, parameter in net.named_parameters():
            check_along_a_line(name, parameter.grad.numpy(), arrays, loss, rng)


def check_along_a_line(name, gradient, arrays, loss, rng, step=1e-6):
    direction = rng.standard_normal(gradient.shape)
    start, sides = arrays[name], []
    for sign in (1, -1):
        arrays[name] = start + sign * step * direction
        sides.append(loss())
    arrays[name] = start
    slope = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-7, err_msg=name)  # fmt: skip


# Double gradients: the term's gradient against finite differences of the term.


@pytest.mark.parametrize(("term", "net"), [("r1", "discriminator"), ("path_length", "generator")])
def test_the_gradient_of_a_term_of_a_gradient(term, net):
    gan = tiny_gan(3, dtype="float64", style_mixing=0.0)
    z, reals, labels = tiny_batch(3, np.float64)
    real = Batch(reals, labels).map(paddle.to_tensor)
    code = Code(z, labels).map(paddle.to_tensor)
    trainer = make_trainer(gan, terms=[get_term(term, 1.0, every_steps=2)])
    ops.restore(*gan.nets.values())

    def value():
        # The same noise and the same state for every call; the term jumps where a unit of a
        # LeakyReLU changes its sign, so that steps are small.
        (part,) = [t.ready() for t in trainer.game.terms.terms]
        if term == "path_length":
            part.target = part.target.astype("float64")
        trainer.game.terms._functions[term] = part
        moment = trainer.chance.at(0)
        return trainer.game.lazy_loss(net, gan, real, code, moment)[0]

    value().backward()
    rng = np.random.default_rng(6)
    for name, parameter in gan.nets[net].named_parameters():
        start, gradient = parameter.numpy(), parameter.grad
        direction = rng.standard_normal(start.shape)
        sides = []
        for sign in (1, -1):
            parameter.set_value(start + sign * 1e-7 * direction)
            sides.append(value().item())
        parameter.set_value(start)
        slope = (sides[0] - sides[1]) / 2e-7
        found = 0.0 if gradient is None else (gradient.numpy() * direction).sum()
        np.testing.assert_allclose(found, slope, rtol=1e-4, atol=1e-6, err_msg=name)


def test_path_length_by_hand_and_its_state():
    """Images that are linear in w have the length of their matrix, whatever w is."""

    class Linear(nn.Layer):
        latent_dim, image_shape, num_classes = 3, (1, 1, 2), 0

        def styles(self, z, labels=None):
            w = z * 1.0
            w.stop_gradient = False
            return w.unsqueeze(1)

        def synthesis(self, styles, twice=False):
            return (styles @ paddle.to_tensor([[3.0, 0.0], [4.0, 0.0], [0.0, 0.0]])).unsqueeze(1)

    class Inputs:
        gan = type("Gan", (), {"generator": Linear()})()
        code = Code(paddle.ones([4, 3]))

        class rng:
            @staticmethod
            def standard_normal(shape):
                return np.ones(shape)

    # y is 1 / sqrt(2) in each pixel: J' y is (3, 4, 0) / sqrt(2), of length 5 / sqrt(2).
    length = 5.0 / np.sqrt(2.0)
    term = get_term("path_length", decay=0.1).ready()
    np.testing.assert_allclose(term(Inputs()).item(), (0.9 * length) ** 2, rtol=1e-5)
    term(Inputs())  # the other half of the batch
    np.testing.assert_allclose(term.state()["target"], [0.0])
    term.updated()
    np.testing.assert_allclose(term.state()["target"], [0.1 * length], rtol=1e-5)
    twin = get_term("path_length", decay=0.1).ready()
    twin.load_state(term.state())
    np.testing.assert_allclose(twin(Inputs()).item(), (0.81 * length) ** 2, rtol=1e-5)


def test_path_length_is_refused_for_other_models_and_for_nonsense():
    import ppgan_zoo

    with pytest.raises(ConfigError, match="path_length needs a generator with the method 'styles'"):
        make_trainer(ppgan_zoo.create("gan_mlp"), terms=["path_length"])
    with pytest.raises(ConfigError, match="decay must be above 0"):
        get_term("path_length", decay=0.0).ready()


# Trained.


def test_it_resumes_to_the_byte_with_everything_that_it_remembers():
    terms = [get_term("r1", 0.1, every_steps=2), get_term("path_length", every_steps=2)]

    def trainer():
        gan = tiny_gan(3, style_mixing=0.9)
        return make_trainer(gan, generator_steps=1, terms=terms, ema_decay=0.9, seed=3)

    _, reals, labels = tiny_batch(3)
    batch = Batch(reals, labels)
    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(4):
        whole.step(batch)
    for _ in range(3):
        first.step(batch)
    second.load_state(first.state(), 3)
    second.step(batch)
    wanted, found = whole.state(), second.state()
    assert "average" in wanted["generator"] and "path_length.target" in wanted["terms"]
    for file, arrays in wanted.items():
        for name, array in arrays.items():
            assert array.tobytes() == found[file][name].tobytes(), (file, name)
    # The average of G has the average style of G, as it is.
    np.testing.assert_array_equal(wanted["ema"]["average"], wanted["generator"]["average"])


@pytest.mark.skipif(ops.library() is None, reason="no oneDNN to compute by")
def test_the_accelerated_equalised_convolution_is_paddles():
    paddle.seed(0)
    for stride, size in ((1, 3), (2, 3), (1, 1)):
        layer = noisy(EqualisedConv2D(20, 24, size, stride=stride))
        images = paddle.randn([2, 20, 9, 9])
        found = []
        for fast in (False, True):
            if fast:
                ops.accelerate(layer)
                assert layer.accelerated
            x = images.detach()
            x.stop_gradient = False
            with ops.input_gradients():
                y = layer(x)
                (slope,) = paddle.grad(y.square().sum(), x, create_graph=True)
            slope.square().sum().backward()
            found.append([y.numpy(), slope.numpy(), layer.weight.grad.numpy()])
            layer.clear_gradients()
        ops.restore(layer)
        assert not layer.accelerated
        for plain, accelerated in zip(*found, strict=True):
            np.testing.assert_allclose(accelerated, plain, rtol=1e-3, atol=1e-3 * np.abs(plain).max())  # fmt: skip
