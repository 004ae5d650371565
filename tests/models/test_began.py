"""BEGAN: sizes layer by layer, parity with numpy, and the controller of k."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from conftest import tree_bytes
from reference.arrays import conv, dense, doubled, elu, slopes

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.objectives import get_objective
from ppgan_zoo.game.terms import TermInputs, get_term
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.latent import Code
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.train import resume, train
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.run_directory import RunDirectory


def test_it_has_the_papers_layers_at_64_pixels():
    gan = ppgan_zoo.create("began", image_shape=(3, 64, 64), halvings=3, latent_dim=64, channels=64)

    def conv3(a, b):
        return 9 * a * b + b

    n, grid = 64, 64  # maps; places of the smallest ones
    decoder = 64 * n * grid + n * grid + 8 * conv3(n, n) + conv3(n, 3)
    encoder = conv3(3, n) + 2 * conv3(n, n) + conv3(n, n)
    for size in (2, 3, 4):
        encoder += conv3((size - 1) * n, size * n) + conv3(size * n, size * n)
        encoder += conv3(size * n, size * n) if size < 4 else 0
    encoder += 4 * n * grid * 64 + 64
    assert count_parameters(gan.generator) == decoder == 563_395
    assert count_parameters(gan.discriminator) == encoder + decoder


@pytest.mark.parametrize("sides", [(28, 28), (32, 32), (12, 20)])
def test_d_returns_an_image_and_minus_its_error(sides):
    gan = ppgan_zoo.create("began", image_shape=(3, *sides), channels=4)
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (2, 3, *sides)), "float32")
    judgement = gan.judge(images)
    made = judgement.extras["reconstruction"].numpy()
    assert made.shape == (2, 3, *sides)
    wanted = -np.abs(images.numpy() - made).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(judgement.logits.numpy()[:, 0], wanted, rtol=1e-5)


def test_halvings_below_none_are_refused():
    with pytest.raises(ConfigError, match="^began: halvings is -1; give 0 or more$"):
        ppgan_zoo.create("began", halvings=-1)


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ConfigError, match="began: .*height and width must be multiples of 4"):
        ppgan_zoo.create("began", image_shape=(1, 30, 28))


def test_g_starts_at_its_first_value_and_d_draws_as_before():
    images = {}
    for value in (0.0, -1.0):
        paddle.seed(3)
        gan = ppgan_zoo.create("began", channels=4, generator={"first_value": value})
        z = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 64)), "float32")
        images[value] = gan.generator(z).numpy()
        assert not gan.discriminator.decoder.pixels.bias.numpy().any()
    np.testing.assert_allclose(images[-1.0], images[0.0] - 1.0, atol=1e-6)
    assert abs(images[-1.0].mean() + 1.0) < 0.2


# Parity with numpy, in float64.


def small():
    paddle.seed(0)
    gan = ppgan_zoo.create(
        "began", latent_dim=3, image_shape=(1, 8, 4), channels=3, discriminator={"code_units": 4}
    )
    rng = np.random.default_rng(1)
    for net in gan.nets.values():
        net.to(dtype="float64")
        for parameter in net.parameters():
            parameter.set_value(0.3 * rng.normal(size=parameter.shape))
    return gan


def arrays(net):
    return {name: p.numpy() for name, p in net.named_parameters()}


def decoded(w, code, prefix=""):
    x = dense(w, f"{prefix}dense", code).reshape(len(code), 3, 2, 1)
    for index in range(6):
        x = doubled(x) if index in (2, 4) else x
        x = elu(conv(w, f"{prefix}convolutions.{index}", x, 1, 1))
    return conv(w, f"{prefix}pixels", x, 1, 1)


def errors(w, images):
    """L of each image, written out."""
    x = elu(conv(w, "first", images, 1, 1))
    x = elu(conv(w, "convolutions.1", elu(conv(w, "convolutions.0", x, 1, 1)), 1, 1))
    x = elu(conv(w, "downs.0", x, 2, 1))
    x = elu(conv(w, "convolutions.3", elu(conv(w, "convolutions.2", x, 1, 1)), 1, 1))
    x = elu(conv(w, "downs.1", x, 2, 1))
    x = elu(conv(w, "convolutions.5", elu(conv(w, "convolutions.4", x, 1, 1)), 1, 1))
    made = decoded(w, dense(w, "code", x.reshape(len(x), -1)), "decoder.")
    return np.abs(images - made).mean(axis=(1, 2, 3))


def test_images_losses_and_every_gradient_are_numpys():
    gan, rng, k = small(), np.random.default_rng(2), 0.3
    real, z = rng.uniform(-1, 1, (4, 1, 8, 4)), rng.uniform(-1, 1, (4, 3))
    code, shown = Code(paddle.to_tensor(z)), Batch(paddle.to_tensor(real))
    game = Game(get_objective("wasserstein"), terms=["boundary_equilibrium"])
    game.terms.load_state({"boundary_equilibrium.k": np.float32([k])})
    moment = SimpleNamespace(iteration=0, rng=rng)
    images = gan.generate(code)
    np.testing.assert_allclose(images.numpy(), decoded(arrays(gan.generator), z), atol=1e-10)
    logits = gan.judge(shown.images).logits.numpy()[:, 0]
    np.testing.assert_allclose(logits, -errors(arrays(gan.discriminator), real), atol=1e-10)

    def loss_of_d(w):
        fake = decoded(arrays(gan.generator), z)
        return errors(w, real).mean() - np.float32(k) * errors(w, fake).mean()

    def loss_of_g(w):
        return errors(arrays(gan.discriminator), decoded(w, z)).mean()

    fake = Batch(images.detach(), code=code)
    losses = {
        "discriminator": (loss_of_d, game.discriminator_loss(gan, shown, fake, moment)[0]),
        "generator": (loss_of_g, game.generator_loss(gan, shown, code, moment)[0]),
    }
    for net, (wanted, loss) in losses.items():
        layer = gan.nets[net]
        assert loss.item() == pytest.approx(wanted(arrays(layer)), rel=1e-6)
        for other in gan.nets.values():
            other.clear_gradients()
        loss.backward()
        parameters = dict(layer.named_parameters())
        for key, (direction, slope) in slopes(wanted, arrays(layer)).items():
            found = (parameters[key].grad.numpy() * direction).sum()
            assert found == pytest.approx(slope, rel=1e-4, abs=1e-7), (net, key)


# The controller.


def inputs(real, fake):
    """What a D says whose mean errors are these."""
    nothing = Batch(paddle.zeros([2, 1, 2, 2]))
    made = TermInputs(None, nothing, nothing, None)
    made._judged = {
        side: SimpleNamespace(logits=paddle.to_tensor([[-error - 0.05], [-error + 0.05]]))
        for side, error in (("real", real), ("fake", fake))
    }
    return made


def test_k_and_the_measure_by_hand():
    term = get_term("boundary_equilibrium").ready()
    assert term(inputs(0.4, 0.1)).item() == pytest.approx(0.1, rel=1e-6)  # k is 0: all of L(G)
    assert term.scalars()["k"].item() == 0.0
    term.updated()
    # 0.001 * (0.5 * 0.4 - 0.1), and 0.4 + |0.5 * 0.4 - 0.1|
    assert term.scalars()["k"].item() == pytest.approx(0.0001, rel=1e-5)
    assert term.scalars()["convergence"].item() == pytest.approx(0.5, rel=1e-6)
    assert term(inputs(0.4, 0.1)).item() == pytest.approx((1 - 0.0001) * 0.1, rel=1e-6)


@pytest.mark.parametrize(("real", "fake", "end"), [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0)])
def test_k_stays_within_0_and_1(real, fake, end):
    term = get_term("boundary_equilibrium", gamma=1.0, rate=0.4).ready()
    for _ in range(4):
        term(inputs(real, fake))
        term.updated()
    assert term.scalars()["k"].item() == end


def test_k_moves_once_an_update_by_the_mean_of_its_parts():
    whole, parts = (get_term("boundary_equilibrium", rate=0.5).ready() for _ in range(2))
    whole(inputs(0.6, 0.2))
    for real, fake in ((0.4, 0.1), (0.8, 0.3)):
        parts(inputs(real, fake))
    for term in (whole, parts):
        term.updated()
        term.updated()  # nothing came since
    k = whole.scalars()["k"].item()
    assert k == pytest.approx(0.5 * 0.1, rel=1e-5)
    assert parts.scalars()["k"].item() == pytest.approx(k, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"gamma": 0.0}, "gamma is 0.0; give above 0, up to 1"),
        ({"rate": -1.0}, "rate is -1.0; give"),
    ],
)
def test_numbers_out_of_bounds_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        get_term("boundary_equilibrium", **arguments).ready()


def test_it_bounds_the_critic_so_that_nobody_is_warned():
    gan = ppgan_zoo.create("began", channels=2)
    assert ppgan_zoo.make_trainer(gan).warnings == []
    (line,) = ppgan_zoo.make_trainer(gan, terms=[]).warnings
    assert "wasserstein needs a D of bounded slope" in line


RECIPE = """\
model: {name: began, generator: {channels: 2}, discriminator: {channels: 2, code_units: 4}}
latent: {dim: 4}
data: {name: mnist, batch_size: 8, limit: 32}
terms: [{name: boundary_equilibrium, rate: 0.5}]
training: {iterations: 4}
checkpoint: {every_steps: 2}
samples: {every_steps: 4, grid: [2, 2], real_rows: 0}
log: {every_steps: 1}
"""


def test_k_is_logged_carried_by_checkpoints_and_gone_on_from(tmp_path):
    (tmp_path / "r.yml").write_text(RECIPE)
    train(load_recipe(tmp_path / "r.yml"), tmp_path / "whole", offline=True)
    assert "term/boundary_equilibrium/k " in RunDirectory(tmp_path / "whole").log.read_text()
    first = load_recipe(tmp_path / "r.yml", ["training.iterations=2"])
    train(first, tmp_path / "parts", offline=True)
    resume(RunDirectory(tmp_path / "parts"), ["training.iterations=4"], offline=True)
    last = "checkpoints/step-00000004"
    assert tree_bytes(tmp_path / "whole" / last) == tree_bytes(tmp_path / "parts" / last)
    k = open_checkpoint(tmp_path / "whole" / last).arrays("terms")["boundary_equilibrium.k"]
    assert 0.0 < k.item() <= 1.0
