"""Every architecture of the zoo: conformance, sizes by hand, other image shapes."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

import ppgan_zoo
from ppgan_zoo.errors import ConfigError, PluginError, UnknownNameError
from ppgan_zoo.models.nets import generate, judged
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.testing import check_model

NAMES = ppgan_zoo.list_models()


@pytest.mark.parametrize("small", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_conformance(name, small):
    check_model(name, small=small)


@pytest.mark.parametrize("name", NAMES)
def test_colour_images_of_another_size(name):
    gan = ppgan_zoo.create(name, latent_dim=13, image_shape=(3, 32, 32))
    labels = np.arange(2) if gan.num_classes else None
    images = generate(gan.generator, np.zeros((2, 13), np.float32), labels)
    assert images.shape == (2, 3, 32, 32) == (2, *gan.image_shape)
    patches = 50 if name == "fastgan" else 1
    assert judged(gan, images, labels).shape == (2, patches)


@pytest.mark.parametrize("name", NAMES)
def test_spec(name):
    spec = ppgan_zoo.create(name).spec
    assert spec.name == name
    assert any(part.isdigit() for part in spec.paper.replace(",", " ").split())  # has a year


# Trainable parameters, layer by layer, from the published tables. A dense layer of a to b
# has a b + b, a convolution a b k k + b (less b without bias), a norm of c channels 2 c.

SIZES = {
    "gan_mlp": (
        [100 * 128 + 128, 128 * 256 + 256, 256 * 512 + 512, 512 * 1024 + 1024, 1024 * 784 + 784],
        [784 * 512 + 512, 512 * 256 + 256, 256 + 1],
    ),
    "dcgan": (
        [100 * 2048 + 2048, 2 * 2048, 2048 * 6272 + 6272, 2 * 6272, 128 * 128 * 25 + 128,
         128 * 25 + 1],
        # 28 to 24 by a 5x5 convolution, 12 by pooling, 8, 4.
        [64 * 25 + 64, 64 * 128 * 25 + 128, 2 * 128, 128 * 4 * 4 * 1024 + 1024, 2 * 1024, 1024 + 1],
    ),
    "dcgan_fashion": (
        [100 * 128 * 7 * 7, 2 * 128, 128 * 64 * 16, 2 * 64, 64 * 16 + 1],
        [64 * 16 + 64, 64 * 128 * 16, 2 * 128, 128 * 7 * 7 + 1],
    ),
}  # fmt: skip
TOTALS = {
    "gan_mlp": (1_506_448, 533_505),
    "dcgan": (13_487_745, 2_308_097),
    "dcgan_fashion": (759_681, 138_689),
}


@pytest.mark.parametrize("name", SIZES)
def test_parameters_by_layer(name):
    gan = ppgan_zoo.create(name, latent_dim=100)
    for net, sizes, total in zip(gan.nets.values(), SIZES[name], TOTALS[name], strict=True):
        layers = [layer for layer in net.sublayers() if layer.parameters(include_sublayers=False)]
        found = [
            sum(
                int(np.prod(parameter.shape))
                for parameter in layer.parameters(include_sublayers=False)
                if not parameter.stop_gradient
            )
            for layer in layers
        ]
        assert found == sizes
        assert sum(found) == total


def test_a_strided_discriminator_without_batch_norm_has_a_bias_in_its_place():
    gan = ppgan_zoo.create("dcgan_fashion", discriminator={"batch_norm": False})
    sizes = [int(np.prod(parameter.shape)) for parameter in gan.discriminator.parameters()]
    assert sizes == [64 * 16, 64, 64 * 128 * 16, 128, 128 * 7 * 7, 1]
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)), "float32")
    whole = gan.discriminator(images).numpy()
    alone = gan.discriminator(images[:1]).numpy()  # an image's logit is its own
    np.testing.assert_allclose(whole[:1], alone, atol=1e-6)


def test_a_padded_discriminator_of_the_book_sees_the_corner_of_an_image():
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)), "float32")
    corners = {}
    for padding in (0, 2):
        gan = ppgan_zoo.create("dcgan", discriminator={"channels": (4, 8), "padding": padding})
        convolution = gan.discriminator.conv1
        convolution.weight.set_value(paddle.ones_like(convolution.weight))
        images.stop_gradient = False
        (gradient,) = paddle.grad(convolution(images).sum(), images)
        corners[padding] = float(gradient[0, 0, 0, 0])
    assert corners == {0: 4 * 1, 2: 4 * 9}  # places of a filter that meet it, in four maps
    sides = {padding: ppgan_zoo.create("dcgan", discriminator={"padding": padding})
             .discriminator.dense3.weight.shape[0] for padding in (0, 2)}  # fmt: skip
    assert sides == {0: 128 * 4 * 4, 2: 128 * 7 * 7}
    small = ppgan_zoo.create("dcgan", image_shape=(1, 4, 4), discriminator={"padding": 2})
    assert small.discriminator(images[:, :, :4, :4]).shape == [4, 1]


@pytest.mark.parametrize("padding", [-1, 5])
def test_a_padding_beyond_the_filter_is_refused(padding):
    with pytest.raises(ConfigError, match=f"padding of the discriminator is {padding}; give 0"):
        ppgan_zoo.create("dcgan", discriminator={"padding": padding})


@pytest.mark.parametrize(
    "kernel_size, reached", [(2, {1}), (4, {4}), (5, {4, 6, 9}), (6, {9}), (8, {16})]
)
def test_an_even_kernel_of_the_book_reaches_each_pixel_equally_often(kernel_size, reached):
    gan = ppgan_zoo.create(
        "dcgan", image_shape=(1, 20, 24), generator={"channels": 2, "kernel_size": kernel_size}
    )
    assert gan.generator(paddle.zeros([3, 100])).shape == [3, 1, 20, 24]
    layer = gan.generator.up2
    layer.weight.set_value(paddle.ones_like(layer.weight))
    ones = paddle.zeros([1, 2, 10, 12])
    ones[:, 0] = 1.0
    counts = layer(ones).numpy()[0, 0, 4:-4, 4:-4]
    assert {round(float(count), 3) for count in counts.ravel()} == reached


@pytest.mark.parametrize("kernel_size", [1, 9])
def test_a_kernel_of_the_book_beyond_its_sizes_is_refused(kernel_size):
    wanted = f"kernel_size of the generator is {kernel_size}; give 2 to 8"
    with pytest.raises(ConfigError, match=wanted):
        ppgan_zoo.create("dcgan", generator={"kernel_size": kernel_size})


@pytest.mark.parametrize("name", ["gan_mlp", "dcgan"])
def test_a_width_beyond_32_bits_is_refused(name):
    width = {"gan_mlp": (99_999_999_999,), "dcgan": 99_999_999_999}[name]
    with pytest.raises(
        ConfigError, match="model.generator: hidden_units=.*99999999999.* does not fit into 32 bits"
    ):
        ppgan_zoo.create(name, generator={"hidden_units": width})


@pytest.mark.parametrize("rate", [1.0, 1.5, -0.1, float("nan")])
@pytest.mark.parametrize(
    ("model", "net"),
    [
        ("acgan", "discriminator"), ("cgan", "generator"), ("cgan", "discriminator"),
        ("dcgan_dropout", "generator"), ("dcgan_dropout", "discriminator"),
    ],
)  # fmt: skip
def test_a_dropout_that_is_no_share_or_leaves_nothing_is_refused(model, net, rate):
    line = f"^{model}: {net}: dropout: {rate}; give 0 or more, and less than 1$"
    with pytest.raises(ConfigError, match=line):
        ppgan_zoo.create(model, **{net: {"dropout": rate}})


def test_published_activations():
    # LeakyReLU of slope 0.2 in gan_mlp, of 0.02 in dcgan's D, by a net that is one number deep.
    gan = ppgan_zoo.create("gan_mlp", image_shape=(1, 1, 1), discriminator={"hidden_units": (1,)})
    for parameter in gan.discriminator.parameters():
        parameter.set_value(paddle.ones_like(parameter) * (1 if parameter.ndim == 2 else 0))
    found = gan.discriminator(paddle.to_tensor([-3.0, 3.0]).reshape([2, 1, 1, 1])).numpy()
    np.testing.assert_allclose(found, [[-0.6], [3.0]], rtol=1e-6)
    relu = ppgan_zoo.create("gan_mlp", activation="relu", image_shape=(1, 1, 1))
    assert not any(isinstance(layer, nn.LeakyReLU) for layer in relu.generator.sublayers())


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("dcgan", (1, 30, 28), "height and width must be multiples of 4"),
        ("dcgan", (1, 12, 12), "too small for two 5x5 convolutions"),
        ("dcgan_fashion", (1, 28, 27), "height and width must be multiples of 4"),
    ],
)
def test_image_shapes_that_do_not_fit(name, shape, words):
    with pytest.raises(ConfigError, match=words):
        ppgan_zoo.create(name, image_shape=shape)


# The checker itself: a sound net passes, and each broken promise is found.


class Good(nn.Layer):
    def __init__(self, *, latent_dim: int = 4, image_shape: tuple = (1, 4, 4)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, tuple(image_shape)
        self.dense = nn.Linear(latent_dim, int(np.prod(image_shape)))

    def forward(self, z):
        return self.dense(z).tanh().reshape([-1, *self.image_shape])


class Judge(nn.Layer):
    def __init__(self, *, image_shape: tuple = (1, 4, 4)):
        super().__init__()
        self.dense = nn.Linear(int(np.prod(image_shape)), 1)

    def forward(self, images):
        return self.dense(images.reshape([images.shape[0], -1]))


class TooBright(Good):
    def forward(self, z):
        return super().forward(z) * 3


class Flat(Good):
    def forward(self, z):
        return super().forward(z).reshape([z.shape[0], -1])


class Dropping(Good):
    def forward(self, z):
        return F.dropout(super().forward(z), 0.5, training=True)


class BatchBound(Good):
    def forward(self, z):
        return super().forward(z - z.mean(axis=0, keepdim=True))


class Unused(Good):
    def __init__(self, *, latent_dim: int = 4, image_shape: tuple = (1, 4, 4)):
        super().__init__(latent_dim=latent_dim, image_shape=image_shape)
        self.idle = nn.Linear(2, 2)


class Constant(Good):
    def forward(self, z):
        return super().forward(z * 0)


class NumpySeeded(Good):
    def __init__(self, *, latent_dim: int = 4, image_shape: tuple = (1, 4, 4)):
        super().__init__(latent_dim=latent_dim, image_shape=image_shape)
        start = np.random.default_rng().normal(size=self.dense.weight.shape)
        self.dense.weight.set_value(start.astype("float32"))


class Unannotated(Good):
    def __init__(self, *, latent_dim=4, image_shape: tuple = (1, 4, 4)):
        super().__init__(latent_dim=latent_dim, image_shape=image_shape)


class Shapeless(Judge):
    def __init__(self):
        super().__init__()


class Probability(Judge):
    def forward(self, images):
        return F.sigmoid(super().forward(images))


class Vector(Judge):
    def forward(self, images):
        return super().forward(images).reshape([-1])


class Undecided(Judge):
    def forward(self, images):
        return F.dropout(super().forward(images), 0.5, training=True)


def spec(generator=Good, discriminator=Judge, **facts):
    return GanSpec(
        name="tried", generator=generator, discriminator=discriminator, paper="", **facts
    )


def test_a_sound_model_passes():
    check_model(spec())
    check_model(spec(), latent_dim=2, image_shape=(3, 5, 6), batch_size=2)
    check_model(spec(objective="wasserstein", latent_prior="uniform"))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (spec(TooBright), "generator gives pixels from .* outside of the declared image_range"),
        (spec(image_range=(0.0, 1.0)), "outside of the declared image_range"),
        (spec(Flat), r"generator gives shape \(1, 16\), not \(1, 1, 4, 4\)"),
        (spec(Dropping, image_range=(-9.0, 9.0)), "generator is random in eval mode"),
        (spec(BatchBound), "in eval mode an image depends on the others of its batch"),
        (spec(Unused), "generator: idle.weight gets no gradient"),
        (spec(Constant), "generator: dense.weight gets a gradient of zeros"),
        (
            spec(NumpySeeded),
            "two builds after the same paddle.seed differ in generator: dense.weight",
        ),
        (spec(Unannotated), "generator: argument 'latent_dim' has no annotation"),
        (spec(discriminator=Shapeless), "discriminator takes no image_shape"),
        (spec(discriminator=Probability), "no output falls below 0, however it is trained"),
        (spec(discriminator=Vector), r"discriminator gives shape \(1,\), not \(1, 1\)"),
        (spec(discriminator=Undecided), "discriminator is random in eval mode"),
    ],
)
def test_broken_promises_are_found(model, words):
    with pytest.raises(AssertionError, match=f"^tried: .*{words}"):
        check_model(model)


def test_names_and_arguments_that_do_not_exist():
    with pytest.raises(UnknownNameError):
        check_model("dcgam")
    with pytest.raises(AssertionError, match="no net takes the argument 'widht'"):
        check_model(spec(), widht=3)


def test_positional_constructors_are_refused():
    class Positional(Good):
        def __init__(self, latent_dim: int = 4, image_shape: tuple = (1, 4, 4)):
            super().__init__(latent_dim=latent_dim, image_shape=image_shape)

    with pytest.raises(PluginError, match="must be keyword-only"):
        check_model(spec(Positional))
