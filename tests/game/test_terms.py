"""Terms against closed forms and finite differences, in float64 where it matters."""

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import CheckpointError, ConfigError, UnknownNameError
from ppgan_zoo.game.augmentation import translation
from ppgan_zoo.game.consistency import mirrored
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.game.terms import Term, TermInputs, Terms, get_term
from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.weights import spectral_norm
from ppgan_zoo.registry import TERMS

SHAPE = (2, 3, 4)  # channels, height, width: a norm over a part of them would show
PIXELS = math.prod(SHAPE)
OF_GRADIENT = [
    term.name for term in TERMS.all() if term.of_gradient and term.net == "discriminator"
]


@pytest.fixture(autouse=True)
def double_precision():
    paddle.set_default_dtype("float64")
    yield
    paddle.set_default_dtype("float32")


def images(seed, count=5):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE))


def shown(discriminator, seed=9):
    real, fake = paddle.to_tensor(images(1)), paddle.to_tensor(images(2))
    return TermInputs(
        lambda x, labels: Judgement(discriminator(x)),
        Batch(real),
        Batch(fake),
        np.random.default_rng(seed),
    )


def function(name):
    """A term's function; LeCam's with averages that stand still, as if of many updates."""
    made = TERMS.get(name).ready()
    if name == "lecam":
        averages = {"real": paddle.to_tensor([0.3]), "fake": paddle.to_tensor([-0.2])}
        made._with = lambda inputs: averages
    return made


def value(name, discriminator):
    return float(function(name)(shown(discriminator)))


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
    function(name)(shown(discriminator)).backward()
    rng = np.random.default_rng(6)
    for parameter_name, parameter in discriminator.named_parameters():
        if parameter.stop_gradient:
            continue
        direction, step, weight = rng.normal(size=parameter.shape), 1e-5, parameter.numpy()
        ends = []
        for sign in (1, -1):
            parameter.set_value(weight + sign * step * direction)
            ends.append(value(name, discriminator))
        parameter.set_value(weight)
        wanted = (ends[0] - ends[1]) / (2 * step)
        gradient = np.zeros_like(weight) if parameter.grad is None else parameter.grad.numpy()
        got = float((gradient * direction).sum())
        assert got == pytest.approx(wanted, rel=1e-5, abs=1e-8), parameter_name


def test_a_gradient_of_zero_gives_finite_gradients():
    dense = nn.Linear(PIXELS, 1, weight_attr=nn.initializer.Constant(0.0))
    function("wgan_gp")(shown(lambda x: dense(x.reshape([-1, PIXELS])))).backward()
    assert np.isfinite(dense.weight.grad.numpy()).all()


def test_a_gradient_penalty_leaves_the_images_without_gradient():
    for name in OF_GRADIENT:
        step = shown(Dense())
        both = step.real.images, step.fake.images
        for batch in both:
            batch.stop_gradient = False
        function(name)(step).backward()
        assert all(batch.grad is None for batch in both), name


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("real", "fake"), [(1.0, 1.0), (2.0, 0.0), (0.0, 3.0), (0.5, 2.0)])
def test_consistency_compares_each_image_with_itself_changed(real, fake, flip):
    discriminator, rng = linear(2.0), np.random.default_rng(9)
    wanted = 0.0
    for seed, weight in ((1, real), (2, fake)):
        if weight:
            x = paddle.to_tensor(images(seed))
            changed = translation(x, rng, mirror=True)
            changed = mirrored(changed, rng) if flip else changed
            wanted += weight * (discriminator(x) - discriminator(changed)).square().mean().item()
    term = get_term("consistency", flip=flip, real=real, fake=fake).ready()
    assert wanted > 0
    assert term(shown(discriminator)).item() == pytest.approx(wanted)


def test_consistency_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="consistency: real and fake are 0; give one above 0"):
        get_term("consistency", real=0.0, fake=0.0).ready()(shown(linear(1.0)))
    with pytest.raises(ConfigError, match="consistency: real: found -1.0; input should be greater"):
        get_term("consistency", real=-1.0)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("lecam", {"decay": 1.0}, "decay is 1.0; give 0 or more, below 1"),
        ("lecam", {"decay": -1.0}, "decay is -1.0; give 0 or more, below 1"),
        ("consistency", {"real": 1e308}, "real: found 1e.308; input should be less"),
        ("consistency", {"fake": float("inf")}, "fake: found inf; input should be"),
        ("boundary_equilibrium", {"rate": 1e308}, "rate is 1e.308; give above 0, up to 1"),
        ("mutual_information", {"categorical": 1e308}, "categorical is .*; give 0 or more, up to"),
        ("auxiliary_classifier", {"real": float("nan")}, "real is nan; give 0 or more, up to"),
        ("latent_consistency", {"std": 1e30}, "std is 1e.30; give more than 0, up to 100"),
        ("latent_consistency", {"generator": 1e7}, "generator is .*; give 0 or more, up to"),
    ],
)
def test_arguments_that_would_end_in_nan_are_refused(name, arguments, said):
    with pytest.raises(ConfigError, match=f"^terms: {name}: {said}"):
        get_term(name, **arguments).ready()


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), True, "2", 1e7])
def test_a_weight_that_no_recipe_may_have_is_refused(weight):
    with pytest.raises(ConfigError, match="^terms: r1: weight is .*; give 0 or more, up to"):
        get_term("r1", weight)


def test_consistency_of_a_d_that_never_changes_is_nothing():
    assert value("consistency", lambda x: x.reshape([-1, PIXELS])[:, :1] * 0.0 + 4.0) == 0.0


def test_consistency_may_mirror_images_where_the_data_allow():
    x = paddle.to_tensor(images(3, 200))
    changed = mirrored(x, np.random.default_rng(4)).numpy()
    kept = (changed == x.numpy()).all((1, 2, 3))
    turned = (changed == x.numpy()[..., ::-1]).all((1, 2, 3))
    assert (kept ^ turned).all()
    assert 70 < turned.sum() < 130


def logits_shown(real, fake):
    real, fake = (paddle.to_tensor(np.array(x).reshape(-1, 1)) for x in (real, fake))
    nothing = Batch(None)
    return TermInputs(None, nothing, nothing, None).note(Judgement(real), Judgement(fake))


def total(terms, inputs, iteration=0):
    """The sum of all terms of an update."""
    inputs.iteration = iteration
    loss, _ = terms.add_to(paddle.zeros([]), terms.terms, inputs)
    terms.updated("discriminator")
    return float(loss)


def test_lecam_by_hand():
    paddle.set_default_dtype("float32")
    terms = Terms([get_term("lecam", weight=1.0)])
    first = logits_shown(np.float32([2.0, 4.0]), np.float32([-1.0, -1.0]))
    # The first averages are the first means, 3 and -1: (3^2 + 5^2) / 2 + 4^2 = 33.
    assert total(terms, first) == pytest.approx(33.0, abs=1e-4)
    second = logits_shown(np.float32([1.0]), np.float32([0.0]))
    real = (0.99 * 0.01 * 3 + 0.01 * 1) / (1 - 0.99**2)
    fake = (0.99 * 0.01 * -1 + 0.01 * 0) / (1 - 0.99**2)
    wanted = (1 - fake) ** 2 + (0 - real) ** 2
    assert total(terms, second, 1) == pytest.approx(wanted, abs=1e-4)


def test_lecams_averages_move_once_an_update_whatever_its_parts():
    paddle.set_default_dtype("float32")
    before = logits_shown(np.float32([1.0]), np.float32([-2.0]))
    whole, parts = Terms(["lecam"]), Terms(["lecam"])
    for terms in (whole, parts):
        total(terms, before)
    total(whole, logits_shown(np.float32([2.0, 4.0]), np.float32([-1.0, 1.0])))
    for real, fake in ((2.0, -1.0), (4.0, 1.0)):
        part = logits_shown(np.float32([real]), np.float32([fake]))
        parts.add_to(paddle.zeros([]), parts.terms, part)
    parts.updated("discriminator")
    for key, array in whole.state().items():
        np.testing.assert_allclose(parts.state()[key], array, rtol=1e-6, err_msg=key)


def test_lecam_goes_on_from_its_state():
    paddle.set_default_dtype("float32")
    step = logits_shown(np.float32([2.0]), np.float32([-1.0]))
    next_step = logits_shown(np.float32([5.0]), np.float32([1.0]))
    left, right = Terms(["lecam"]), Terms(["lecam"])
    total(left, step)
    right.load_state(left.state())
    assert total(left, next_step, 1) == total(right, next_step, 1)
    assert Terms(["r1"]).state() == {}
    with pytest.raises(CheckpointError, match=r"lecam\.fake"):
        Terms(["r1"]).load_state(left.state())


def test_a_lazy_term_is_due_rarely_and_then_as_hard():
    terms = Terms([get_term("r1", weight=10.0, every_steps=4), "lecam"])
    step = shown(linear(3.0))
    for iteration in range(8):
        lazy = terms.due("discriminator", iteration, lazy=True)
        assert [term.name for term in lazy] == (["r1"] if iteration % 4 == 0 else [])
        assert [t.name for t in terms.due("discriminator", iteration, lazy=False)] == ["lecam"]
    loss, scalars = terms.add_to(None, terms.terms[:1], step)
    assert float(loss) == pytest.approx(4 * 10 * 4.5)
    assert list(scalars) == ["term/r1"]
    assert terms.add_to(None, [], step) == (None, {})


@pytest.mark.parametrize(
    ("periods", "share"),
    [([], 0.0), ([1], 0.0), ([16], 1 / 16), ([4, 2], 1 / 2), ([2, 3], 4 / 6)],
)
def test_updates_of_lazy_terms_are_counted(periods, share):
    terms = [get_term(n, every_steps=p) for n, p in zip(("r1", "r2"), periods, strict=False)]
    assert Terms(terms).share_of_lazy_steps("discriminator") == pytest.approx(share)
    assert Terms(terms).share_of_lazy_steps("generator") == 0.0


def test_a_weight_may_follow_a_schedule():
    terms = Terms([get_term("r1", weight=lambda iteration: 10.0 * iteration)])
    assert total(terms, shown(linear(3.0)), 2) == pytest.approx(20 * 4.5)


def test_the_signature_of_a_term_is_the_schema_of_its_arguments():
    assert TERMS.get("lecam").takes() == {"decay": 0.99}
    assert get_term("lecam", decay=0.5).ready().decay == 0.5
    with pytest.raises(ConfigError, match="terms: lecam: has no argument 'dekay' .did you mean"):
        get_term("lecam", dekay=0.5)
    with pytest.raises(ConfigError, match="terms: r1: has no argument 'decay'"):
        get_term("r1", decay=0.5)


@pytest.mark.parametrize("value", ["x", True, [1], None])
def test_arguments_of_a_term_are_of_their_type(value):
    with pytest.raises(ConfigError, match="^terms: lecam: decay: found .*; input should be a val"):
        get_term("lecam", decay=value)

    def clipped(inputs, *, limit: int = 3):
        return inputs.real_logits.clip(-limit, limit).mean()

    term = Term("clipped", "a test", clipped, 1.0)
    assert term.having(limit=5).arguments == (("limit", 5),)
    with pytest.raises(ConfigError, match="^terms: clipped: limit: found "):
        term.having(limit=value)


def test_names_and_intervals_are_checked():
    with pytest.raises(UnknownNameError, match="did you mean 'wgan_gp'"):
        Terms(["wgan_pg"])
    with pytest.raises(ConfigError, match="r1 is there twice"):
        Terms(["r1", get_term("r1", 2.0)])
    with pytest.raises(ConfigError, match="every_steps must be at least 1, found 0"):
        Terms([get_term("r1", every_steps=0)])
