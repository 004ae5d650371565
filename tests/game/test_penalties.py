"""Terms against closed forms and finite differences, in float64 where it matters."""

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from ppgan_zoo.errors import CheckpointError, ConfigError, UnknownNameError
from ppgan_zoo.game.augmentation import translation
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.game.terms import TermInputs, Terms, get_term
from ppgan_zoo.models.weights import spectral_norm
from ppgan_zoo.registry import TERMS

SHAPE = (2, 3, 4)  # channels, height, width: a norm over a part of them would show
PIXELS = math.prod(SHAPE)
OF_GRADIENT = [name for name, penalty in TERMS.items() if penalty.of_gradient]


@pytest.fixture(autouse=True)
def double_precision():
    paddle.set_default_dtype("float64")
    yield
    paddle.set_default_dtype("float32")


def images(seed, count=5):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE))


def shown(discriminator, seed=9, **options):
    real, fake = paddle.to_tensor(images(1)), paddle.to_tensor(images(2))
    return TermInputs(
        discriminator, real, fake, discriminator(real), discriminator(fake),
        np.random.default_rng(seed), **options,
    )  # fmt: skip


def value(name, discriminator, **options):
    return float(TERMS[name].function(shown(discriminator, **options)))


def linear(scale):
    """D(x) = w.x: its gradient is w everywhere, of norm `scale`."""
    w = np.random.default_rng(0).normal(size=(PIXELS, 1))
    w = paddle.to_tensor(w * scale / np.linalg.norm(w))
    return lambda x: x.reshape([-1, PIXELS]).matmul(w)


def quadratic(x):
    """D(x) = 3 ||x||^2 / 2: its gradient is 3 x."""
    return 1.5 * x.reshape([-1, PIXELS]).square().sum(axis=1, keepdim=True)


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_of_a_linear_d_every_gradient_is_its_weight(norm):
    wanted = {
        "wgan_gp": (norm - 1) ** 2,
        "one_sided_gp": max(0.0, norm - 1) ** 2,
        "zero_centered_gp": norm**2,
        "dragan": (norm - 1) ** 2,
        "r1": norm**2 / 2,
        "r2": norm**2 / 2,
    }
    assert set(wanted) == set(OF_GRADIENT)
    for name, penalty in wanted.items():
        assert value(name, linear(norm)) == pytest.approx(penalty, abs=1e-9), name


def test_of_a_quadratic_d_the_gradient_follows_the_images():
    real, fake = images(1), images(2)
    squares = [(9 * x.reshape(5, -1) ** 2).sum(1) for x in (real, fake)]
    assert value("r1", quadratic) == pytest.approx(squares[0].mean() / 2)
    assert value("r2", quadratic) == pytest.approx(squares[1].mean() / 2)
    u = np.random.default_rng(9).random((5, 1, 1, 1))
    norms = np.linalg.norm(3 * (real + u * (fake - real)).reshape(5, -1), axis=1)
    assert value("wgan_gp", quadratic) == pytest.approx(((norms - 1) ** 2).mean())
    assert value("one_sided_gp", quadratic) == pytest.approx((np.maximum(norms - 1, 0) ** 2).mean())
    assert value("zero_centered_gp", quadratic) == pytest.approx((norms**2).mean())


def test_dragan_looks_near_the_real_images():
    rng = np.random.default_rng(9)
    u, noise = rng.random((5, 1, 1, 1)), rng.random((5, *SHAPE))
    near = images(1) + 0.5 * images(1).std(ddof=1) * u * noise
    norms = np.linalg.norm(3 * near.reshape(5, -1), axis=1)
    assert value("dragan", quadratic) == pytest.approx(((norms - 1) ** 2).mean())


class Dense(nn.Layer):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(PIXELS, 6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x):
        return self.layers(x.reshape([x.shape[0], -1]))


class Convolutional(nn.Layer):
    def __init__(self, norm=False):
        super().__init__()
        self.conv = nn.Conv2D(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2D(4) if norm else nn.Identity()
        self.dense = nn.Linear(48, 1)

    def forward(self, x):
        x = nn.functional.leaky_relu(self.norm(self.conv(x)), 0.2)
        return self.dense(x.reshape([x.shape[0], -1]))


def normalised():
    layer = Dense()
    spectral_norm(layer)
    layer.eval()  # u and v stand still, so that the differences are of one function
    return layer


NETS = {
    "dense": Dense,
    "convolutional": Convolutional,
    "batch_norm": lambda: Convolutional(norm=True),
    "spectral_norm": normalised,
}


@pytest.mark.parametrize("net", NETS)
def test_the_gradient_at_an_image_equals_finite_differences(net):
    paddle.seed(4)
    discriminator = NETS[net]()
    x, step = images(3, count=4), 1e-5
    got = squared_gradient_norms(discriminator, paddle.to_tensor(x)).numpy()
    squares = np.zeros(4)
    for pixel in range(PIXELS):
        for i in range(4):
            moved = [x.copy(), x.copy()]
            for sign, image in zip((1, -1), moved, strict=True):
                image[i].reshape(-1)[pixel] += sign * step
            high, low = (float(discriminator(paddle.to_tensor(m)).sum()) for m in moved)
            squares[i] += ((high - low) / (2 * step)) ** 2
    np.testing.assert_allclose(got, squares, rtol=1e-6)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", [*OF_GRADIENT, "consistency", "lecam"])
def test_gradients_of_a_penalty_by_ds_weights_equal_finite_differences(name, net):
    paddle.seed(5)
    discriminator = NETS[net]()
    averages = {"real": paddle.to_tensor([0.3]), "fake": paddle.to_tensor([-0.2])}
    TERMS[name].function(shown(discriminator, averages=averages)).backward()
    rng = np.random.default_rng(6)
    for parameter_name, parameter in discriminator.named_parameters():
        if parameter.stop_gradient:
            continue
        direction, step, weight = rng.normal(size=parameter.shape), 1e-5, parameter.numpy()
        ends = []
        for sign in (1, -1):
            parameter.set_value(weight + sign * step * direction)
            ends.append(value(name, discriminator, averages=averages))
        parameter.set_value(weight)
        wanted = (ends[0] - ends[1]) / (2 * step)
        gradient = np.zeros_like(weight) if parameter.grad is None else parameter.grad.numpy()
        got = float((gradient * direction).sum())
        assert got == pytest.approx(wanted, rel=1e-5, abs=1e-8), parameter_name


def test_a_gradient_of_zero_gives_finite_gradients():
    dense = nn.Linear(PIXELS, 1, weight_attr=nn.initializer.Constant(0.0))
    TERMS["wgan_gp"].function(shown(lambda x: dense(x.reshape([-1, PIXELS])))).backward()
    assert np.isfinite(dense.weight.grad.numpy()).all()


def test_a_gradient_penalty_leaves_the_images_without_gradient():
    for name in OF_GRADIENT:
        step = shown(Dense())
        step.real.stop_gradient = step.fake.stop_gradient = False
        TERMS[name].function(step).backward()
        assert step.real.grad is None and step.fake.grad is None, name


def test_consistency_compares_each_image_with_itself_moved():
    discriminator, rng = linear(2.0), np.random.default_rng(9)
    wanted = 0.0
    for seed in (1, 2):
        x = paddle.to_tensor(images(seed))
        wanted += float((discriminator(x) - discriminator(translation(x, rng))).square().mean())
    assert wanted > 0
    assert value("consistency", discriminator) == pytest.approx(wanted)
    assert value("consistency", lambda x: x.reshape([-1, PIXELS])[:, :1] * 0.0 + 4.0) == 0.0


def logits_shown(real, fake):
    real, fake = (paddle.to_tensor(np.array(x).reshape(-1, 1)) for x in (real, fake))
    return TermInputs(None, None, None, real, fake, None)


def test_lecam_by_hand():
    paddle.set_default_dtype("float32")
    penalties, zero = Terms([get_term("lecam", weight=1.0)]), paddle.zeros([])
    first = logits_shown(np.float32([2.0, 4.0]), np.float32([-1.0, -1.0]))
    # The first averages are the first means, 3 and -1: (3^2 + 5^2) / 2 + 4^2 = 33.
    assert float(penalties.add_to(zero, first, 0)[0]) == pytest.approx(33.0, abs=1e-4)
    second = logits_shown(np.float32([1.0]), np.float32([0.0]))
    real = (0.99 * 0.01 * 3 + 0.01 * 1) / (1 - 0.99**2)
    fake = (0.99 * 0.01 * -1 + 0.01 * 0) / (1 - 0.99**2)
    wanted = (1 - fake) ** 2 + (0 - real) ** 2
    assert float(penalties.add_to(zero, second, 1)[0]) == pytest.approx(wanted, abs=1e-4)


def test_lecam_goes_on_from_its_state():
    paddle.set_default_dtype("float32")
    zero, step = paddle.zeros([]), logits_shown(np.float32([2.0]), np.float32([-1.0]))
    next_step = logits_shown(np.float32([5.0]), np.float32([1.0]))
    left, right = Terms(["lecam"]), Terms(["lecam"])
    left.add_to(zero, step, 0)
    right.load_state(left.state()["penalties"])
    assert float(left.add_to(zero, next_step, 1)[0]) == float(right.add_to(zero, next_step, 1)[0])
    assert Terms(["r1"]).state() == {}
    with pytest.raises(CheckpointError, match=r"lecam\.fake"):
        Terms(["r1"]).load_state(left.state()["penalties"])


def test_a_lazy_penalty_is_applied_rarely_and_then_as_hard():
    penalties = Terms([get_term("r1", weight=10.0, every_steps=4)])
    step, added = shown(linear(3.0)), []
    for iteration in range(8):
        loss, scalars = penalties.add_to(paddle.zeros([]), step, iteration)
        added.append(float(loss))
        assert set(scalars) == ({"penalty/r1"} if iteration % 4 == 0 else set())
    assert added == pytest.approx([4 * 10 * 4.5, 0, 0, 0] * 2)


def test_names_and_intervals_are_checked():
    with pytest.raises(UnknownNameError, match="did you mean 'wgan_gp'"):
        Terms(["wgan_pg"])
    with pytest.raises(ConfigError, match="r1 is there twice"):
        Terms(["r1", get_term("r1", 2.0)])
    with pytest.raises(ConfigError, match="every_steps must be at least 1, found 0"):
        Terms([get_term("r1", every_steps=0)])
