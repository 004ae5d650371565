"""The layers that an export replaces: the same function, and nothing replaced by guess."""

import itertools

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

import ppgan_zoo
from ppgan_zoo.export.block_convolution import LANES, as_convolution, with_norm_as_bias
from ppgan_zoo.export.rewrite import rewrite_layers
from ppgan_zoo.models.gan import build_gan
from ppgan_zoo.models.layers import same_crop
from ppgan_zoo.ops.accelerated import transposed_geometry
from ppgan_zoo.registry import MODELS

Z = np.random.default_rng(0).standard_normal((32, 12)).astype(np.float32)


def disturb(net, seed=0):
    """Give every norm statistics and every layer a bias that cannot be mistaken for none."""
    draws = np.random.default_rng(seed)
    for layer in net.sublayers(include_self=True):
        for name, low, high in (("_mean", -1, 1), ("_variance", 0.5, 2), ("bias", -1, 1)):
            tensor = getattr(layer, name, None)
            if isinstance(tensor, paddle.Tensor):
                tensor.set_value(draws.uniform(low, high, tensor.shape).astype(np.float32))
    net.eval()
    return net


def images_of(net, *inputs):
    with paddle.no_grad():
        return net(*map(paddle.to_tensor, inputs)).numpy()


def kinds(net):
    return [type(layer).__name__ for layer in net.sublayers() if not layer.sublayers()]


def assert_same(found, wanted):
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(1.0, np.abs(wanted).max()))


def every_geometry():
    """Transposed convolutions, with an image's side, of all the forms that a model may have."""
    for channels, kernel, stride, side in itertools.product(
        (1, 2, 3), range(1, 7), (1, 2, 3), (4, 6)
    ):
        cuts = [same_crop(kernel, stride)] if kernel >= stride else []
        for cut in (*cuts, [0] * 4, [kernel - 1, 0, 0, kernel - 1], [1, 1, 1, 1]):
            if max(cut) < kernel:
                for extra in range(min(stride, 2)):
                    yield channels, kernel, stride, side, cut, extra


def test_a_block_convolution_equals_the_transposed_one_whatever_its_geometry():
    draws = np.random.default_rng(0)
    made = 0
    for channels, kernel, stride, side, cut, extra in every_geometry():
        layer = disturb(
            nn.Conv2DTranspose(
                3, channels, kernel, stride=stride, padding=cut, output_padding=extra
            )
        )
        x = draws.standard_normal((2, 3, side, side + 1)).astype(np.float32)
        geometry = transposed_geometry(layer, paddle.to_tensor(x))
        block = geometry and as_convolution(layer, geometry)
        if block:
            made += 1
            assert block[0]._out_channels <= LANES
            assert_same(images_of(block, x), images_of(layer, x))
    assert made > 100


@pytest.mark.parametrize("bias", [True, False])
def test_a_rectangular_kernel_keeps_its_axes_apart(bias):
    layer = nn.Conv2DTranspose(
        4, 1, (4, 5), stride=2, padding=[0, 1, 2, 1], output_padding=[1, 0],
        bias_attr=None if bias else False,
    )  # fmt: skip
    x = Z.reshape([-1, 4, 8, 3])
    geometry = transposed_geometry(disturb(layer), paddle.to_tensor(x))
    assert_same(images_of(as_convolution(layer, geometry), x), images_of(layer, x))


@pytest.mark.parametrize(
    ("channels", "stride", "side"), [(17, 2, 8), (5, 2, 8), (1, (2, 1), 8), (1, 1, 7)]
)
def test_what_no_block_fits_stays(channels, stride, side):
    kernel = 3 if stride == 1 else 4
    layer = nn.Conv2DTranspose(2, channels, kernel, stride=stride, padding=1)
    x = paddle.zeros([1, 2, side, side])
    assert as_convolution(layer, transposed_geometry(layer, x)) is None


def test_a_norm_adds_the_bias_and_nothing_else():
    layer = disturb(nn.Conv2DTranspose(3, 20, 5, stride=2, padding=[1, 2, 1, 2]))
    x = Z.reshape([-1, 3, 8, 4])
    rewritten = with_norm_as_bias(layer)
    rewritten.eval()
    assert rewritten[0].bias is None
    assert_same(images_of(rewritten, x), images_of(layer, x))


@pytest.mark.parametrize("name", ppgan_zoo.list_models())
@pytest.mark.parametrize("channels", [1, 3])
def test_every_model_makes_the_same_images_without_its_norms(name, channels):
    paddle.seed(0)
    side = 28 if name != "fastgan" else 32  # which is for few sizes
    shape = {"image_shape": (channels, side, side)}
    generator = disturb(build_gan(MODELS.get(name), {**shape, "latent_dim": 12}, shape).generator)
    inputs = [Z]
    if MODELS.get(name).labels == "needs":
        inputs.append(paddle.arange(len(Z)) % generator.num_classes)
    wanted = images_of(generator, *inputs)
    replaced = rewrite_layers(generator, *inputs)
    assert_same(images_of(generator, *inputs), wanted)
    found = kinds(generator)
    if name == "gan_mlp":
        assert replaced == 0
    elif name == "gan_mlp_bn":
        assert not any(kind.startswith("BatchNorm") for kind in found)
    elif name.startswith(
        "dcgan"
    ):  # norms add the biases of what is still transposed; the image is made in blocks
        assert found.count("BatchNorm2D") == found.count("Conv2DTranspose") > 0
        assert "BatchNorm1D" not in found
        assert found.count("PixelShuffle") == found.count("Conv2D") == 1


class Plain(nn.Layer):
    """Dense, an optional activation, norm, and more of the kind by its arguments."""

    def __init__(self, between=None, norm=None, twice=False, residual=False):
        super().__init__()
        self.dense = nn.Linear(12, 8)
        self.norm = norm or nn.BatchNorm1D(8)
        self.between, self.twice, self.residual = between, twice, residual

    def forward(self, z):
        x = self.dense(z)
        if self.twice:
            x = x + self.dense(2 * z)
        y = self.norm(x if self.between is None else self.between(x))
        return F.relu(y + x if self.residual else y)


def test_a_norm_after_a_dense_layer_goes():
    net = disturb(Plain())
    wanted = images_of(net, Z)
    assert rewrite_layers(net, Z) == 2
    assert kinds(net) == ["Linear", "Identity"]
    assert_same(images_of(net, Z), wanted)


class OtherNorm(nn.BatchNorm1D):
    """Computes what it likes."""

    def forward(self, x):
        return super().forward(x) * 2


def by_batch_statistics():
    return nn.BatchNorm1D(8, use_global_stats=False)


@pytest.mark.parametrize(
    "arguments",
    [
        {"between": F.relu},
        {"between": lambda x: paddle.clip(x, -25, 25)},
        {"twice": True},
        {"norm": OtherNorm(8)},
        {"norm": nn.LayerNorm(8)},
        {"norm": by_batch_statistics()},
    ],
    ids=["relu", "clip", "called twice", "subclass", "another norm", "batch statistics"],
)
def test_what_is_not_surely_a_pair_stays(arguments):
    net = disturb(Plain(**arguments))
    # Weights that hide the activation on every z: only a trial with other numbers shows it.
    net.dense.weight.set_value(net.dense.weight * 1e-3)
    net.dense.bias.set_value(np.full(8, 3, np.float32))
    wanted = images_of(net, Z)
    assert rewrite_layers(net, Z) == 0
    np.testing.assert_array_equal(images_of(net, Z), wanted)


def test_a_hooked_layer_stays():
    net = disturb(Plain())
    nn.utils.weight_norm(net.dense)
    assert rewrite_layers(net, Z) == 0


def test_a_norm_before_a_dense_layer_goes_with_its_pixels():
    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.dense, self.norm = nn.Linear(12, 24), nn.BatchNorm2D(6)
            self.last = nn.Linear(24, 5)

        def forward(self, z):
            x = F.relu(self.dense(z)).reshape([-1, 6, 2, 2])
            return self.last(self.norm(x).reshape([-1, 24]))

    net = disturb(Net())
    wanted = images_of(net, Z)
    assert rewrite_layers(net, Z) == 2
    assert kinds(net) == ["Linear", "Identity", "Linear"]
    assert_same(images_of(net, Z), wanted)


def test_an_ordinary_convolution_takes_its_norm():
    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2D(3, 5, 3, padding="SAME", bias_attr=False)
            self.norm = nn.BatchNorm2D(5)

        def forward(self, z):
            return self.norm(self.conv(z.reshape([-1, 3, 2, 2])))

    net = disturb(Net())
    wanted = images_of(net, Z)
    assert rewrite_layers(net, Z) == 2
    assert_same(images_of(net, Z), wanted)


@pytest.mark.parametrize("form", [{"padding": "SAME"}, {"groups": 2}, {"dilation": 2}])
def test_a_transposed_convolution_of_a_rare_form_stays(form):
    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.up, self.norm = nn.Conv2DTranspose(2, 2, 4, stride=2, **form), nn.BatchNorm2D(2)

        def forward(self, z):
            return self.norm(self.up(z.reshape([-1, 2, 2, 3])))

    assert rewrite_layers(disturb(Net()), Z) == 0


def test_an_output_size_is_obeyed():
    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.up = nn.Conv2DTranspose(2, 1, 4, stride=2, padding=1)

        def forward(self, z):
            return self.up(z.reshape([-1, 2, 2, 3]), output_size=[5, 7])

    net = disturb(Net())
    assert images_of(net, Z).shape == (32, 1, 5, 7)
    assert rewrite_layers(net, Z) == 0


def test_a_layer_of_two_names_is_replaced_under_both():
    net = disturb(Plain())
    net.alias = net.norm
    wanted = images_of(net, Z)
    assert rewrite_layers(net, Z) == 2
    assert net.alias is net.norm and type(net.norm) is nn.Identity
    assert_same(images_of(net, Z), wanted)
