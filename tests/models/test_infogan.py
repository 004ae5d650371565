"""InfoGAN: sizes by the paper's table, parity with numpy, codes in z, the term of both losses."""

import re
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from conftest import tree_bytes
from reference.arrays import conv, dense, leaky, norm, relu, slopes, softplus, up_conv

import ppgan_zoo
from ppgan_zoo.cli import main
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.mutual_information import gaussian_nll, nll_of_codes
from ppgan_zoo.game.objectives import get_objective
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.facts import ModelFacts, model_facts
from ppgan_zoo.models.latent import Code, Latent
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.train import resume, train
from ppgan_zoo.storage.run_directory import RunDirectory

MNIST = Latent(74, "normal", (10,), 2)


def test_it_has_the_papers_size():
    gan = ppgan_zoo.create("infogan")
    # Dense, norm, dense, norm, two 4x4 transposed convolutions, a norm between them.
    assert (
        count_parameters(gan.generator)
        == 6_652_481
        == (74 * 1024 + 3 * 1024 + 1024 * 6272 + 3 * 6272 + 128 * 64 * 16 + 3 * 64 + 64 * 16 + 1)
    )
    trunk = 16 * 64 + 64 + 64 * 128 * 16 + 3 * 128 + 6272 * 1024 + 3 * 1024
    assert (
        count_parameters(gan.discriminator)
        == 6_692_173
        == (trunk + 1024 + 1 + 1024 * 128 + 3 * 128 + 128 * 12 + 12)
    )
    surer = ppgan_zoo.create("infogan", learned_variance=True)
    assert count_parameters(surer.discriminator) == 6_692_173 + 2 * 129
    assert gan.latent() == MNIST


# Codes in z.


@pytest.mark.parametrize(
    ("nets", "said"),
    [
        ({"generator": {"categorical": (5,)}}, "categorical is (5,) in the generator and (10,) in"),
        ({"discriminator": {"continuous": 3}}, "continuous is 2 in the generator and 3 in the"),
    ],
)
def test_codes_that_d_does_not_read_are_refused(nets, said):
    with pytest.raises(ConfigError, match=f"^infogan: {re.escape(said)}.*; give all nets the same"):
        ppgan_zoo.create("infogan", **nets)
    for same in ((5,), [5]):  # YAML has lists
        ppgan_zoo.create("infogan", generator={"categorical": same}, categorical=(5,))


def test_z_is_noise_then_one_hot_then_uniform():
    z = MNIST.sample(4000, 3, 1)
    assert (z.shape, z.dtype) == ((4000, 74), np.float32)
    one_hot, numbers = z[:, 62:72], z[:, 72:]
    assert set(np.unique(one_hot)) == {0.0, 1.0} and (one_hot.sum(axis=1) == 1).all()
    counts = one_hot.sum(axis=0)
    assert np.abs(counts - 400).max() < 5 * np.sqrt(360)
    assert -1 <= numbers.min() < -0.99 and 0.99 < numbers.max() < 1
    assert abs((numbers**2).mean() - 1 / 3) < 0.02
    # Nothing of it says anything of another part: 1 / sqrt(4000) is 0.016.
    correlation = np.corrcoef(np.concatenate([z[:, :71], numbers], axis=1).T)
    blocks = [slice(0, 62), slice(62, 71), slice(71, 73)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(correlation[blocks[a], blocks[b]]).max() < 0.09
    np.testing.assert_array_equal(MNIST.sample(7, 3, 1), z[:7])
    np.testing.assert_array_equal(z[:, :62], Latent(62).sample(4000, 3, 1))


def test_codes_are_found_by_name():
    latent = Latent(12, "uniform", (3, 2), 2)
    assert latent.noise_dim == 5
    assert latent.codes() == {
        "c1": slice(5, 8), "c2": slice(8, 10), "c3": slice(10, 11), "c4": slice(11, 12),
    }  # fmt: skip
    z = latent.sample(50, 0)
    values = latent.categories(z)
    np.testing.assert_array_equal(np.eye(3)[values[:, 0]], z[:, 5:8])
    np.testing.assert_array_equal(np.eye(2)[values[:, 1]], z[:, 8:10])
    assert set(values[:, 0]) == {0, 1, 2} and values.shape == (50, 2)
    assert Latent(5).codes() == {}


@pytest.mark.parametrize(
    ("code", "values"), [("c1", np.eye(3)), ("c2", np.linspace(-1, 1, 5)[:, None])]
)
def test_a_sweep_varies_one_code_and_nothing_else(code, values):
    latent = Latent(8, "normal", (3,), 2)
    z = latent.sample(4, 0)
    swept = latent.sweep(code, 5, z)
    assert swept.shape == (4, len(values), 8)
    place = latent.codes()[code]
    for row, start in zip(swept, z, strict=True):
        np.testing.assert_allclose(row[:, place], values, atol=1e-7)
        others = np.ones(8, bool)
        others[place] = False
        np.testing.assert_array_equal(row[:, others], np.tile(start[others], (len(values), 1)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((11, "normal", (10,), 2), "latent.dim: 11, and the codes in z take 12; give that or more"),
        ((20, "normal", (1,), 2), "a categorical code has 2 values or more"),
        ((20, "normal", (), -1), "there are 0 continuous codes or more"),
    ],
)
def test_codes_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        Latent(*arguments)


def test_the_recipes_codes_reach_both_nets_and_the_checkpoint():
    facts = model_facts("infogan", (1, 28, 28), 30, codes={"categorical": (4, 3), "continuous": 1})
    assert facts.latent == Latent(30, "normal", (4, 3), 1)
    for arguments in (facts.generator, facts.discriminator):
        assert (arguments["categorical"], arguments["continuous"]) == ((4, 3), 1)
    again = ModelFacts.from_json(facts.to_json(), "here")
    assert again.latent == facts.latent
    with pytest.raises(ConfigError, match="latent.continuous: gan_mlp has no codes in its z"):
        model_facts("gan_mlp", (1, 28, 28), 30, codes={"continuous": 1})
    own = {"generator": {"continuous": 3}}
    with pytest.raises(ConfigError, match=r"continuous: found 3, but latent.continuous gives 1"):
        model_facts("infogan", (1, 28, 28), 30, codes={"continuous": 1}, arguments=own)


# The term.


def test_the_gaussians_likelihood():
    value, mean = paddle.to_tensor([0.8]), paddle.to_tensor([0.5])
    # log(2 pi) / 2 + 0.3^2 / 2; and of variance 4: log(8 pi) / 2 + 0.09 / 8
    assert gaussian_nll(value, mean, paddle.zeros([1])).item() == pytest.approx(0.963939, abs=1e-6)
    four = paddle.to_tensor([float(np.log(4.0))])
    wanted = np.log(8 * np.pi) / 2 + 0.09 / 8
    assert gaussian_nll(value, mean, four).item() == pytest.approx(wanted, rel=1e-6)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("learnt", [False, True])
def test_the_likelihood_of_several_codes_is_numpys(learnt):
    latent, rng = Latent(9, "normal", (3, 2), 2), np.random.default_rng(0)
    z, answer = latent.sample(6, 1), rng.normal(size=(6, 5 + 2 * (1 + learnt)))
    values, rows = latent.categories(z), np.arange(6)
    of_first = -log_softmax(answer[:, :3])[rows, values[:, 0]]
    of_second = -log_softmax(answer[:, 3:5])[rows, values[:, 1]]
    variance = np.exp(answer[:, 7:]) if learnt else np.ones((6, 2))
    error = np.log(2 * np.pi * variance) / 2 + (z[:, 7:] - answer[:, 5:7]) ** 2 / (2 * variance)
    found = nll_of_codes(paddle.to_tensor(answer, "float32"), paddle.to_tensor(z), latent)
    assert found[0].item() == pytest.approx((of_first + of_second).mean(), rel=1e-5)
    assert found[1].item() == pytest.approx(error.sum(axis=1).mean(), rel=1e-5)


# Parity with numpy, in float64.

LATENT = Latent(9, "normal", (3,), 2)


def small():
    paddle.seed(0)
    gan = ppgan_zoo.create(
        "infogan", latent_dim=9, image_shape=(1, 8, 4), categorical=(3,),
        generator={"hidden_units": 6, "channels": (4, 3)},
        discriminator={"channels": (3, 4), "hidden_units": 6, "code_units": 5},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    for net in gan.nets.values():
        net.to(dtype="float64")
        for parameter in net.parameters():
            if not parameter.stop_gradient:
                parameter.set_value(0.4 * rng.normal(size=parameter.shape))
    return gan


def arrays(net):
    return {name: p.numpy() for name, p in net.named_parameters() if not p.stop_gradient}


def images_of(w, z):
    x = relu(norm(w, "norm1", dense(w, "dense1", z)))
    x = relu(norm(w, "norm2", dense(w, "dense2", x))).reshape(len(z), 4, 2, 1)
    x = relu(norm(w, "norm3", up_conv(w, "up3", x, 2, 1, (4, 2))))
    return np.tanh(up_conv(w, "up4", x, 2, 1, (8, 4)))


def answers_of(w, images):
    x = leaky(conv(w, "conv1", images, 2, 1), 0.1)
    x = leaky(norm(w, "norm2", conv(w, "conv2", x, 2, 1)), 0.1)
    x = leaky(norm(w, "norm3", dense(w, "dense3", x.reshape(len(x), -1))), 0.1)
    code = leaky(norm(w, "code_norm1", dense(w, "code1", x)), 0.1)
    return dense(w, "logit", x), dense(w, "code2", code)


def term_of(code, z):
    categorical = -(z[:, 4:7] * log_softmax(code[:, :3])).sum(axis=1).mean()
    error = np.log(2 * np.pi) / 2 + (z[:, 7:] - code[:, 3:]) ** 2 / 2
    return 0.8 * categorical + 0.2 * error.sum(axis=1).mean()


def given():
    z = LATENT.sample(5, 2).astype(np.float64)
    return np.random.default_rng(2).uniform(-1, 1, (5, 1, 8, 4)), z


def test_images_and_answers_are_numpys():
    gan, (real, z) = small(), given()
    images = gan.generate(Code(paddle.to_tensor(z))).numpy()
    np.testing.assert_allclose(images, images_of(arrays(gan.generator), z), atol=1e-10)
    found, (logits, code) = (
        gan.judge(paddle.to_tensor(real)),
        answers_of(arrays(gan.discriminator), real),
    )
    np.testing.assert_allclose(found.logits.numpy(), logits, atol=1e-10)
    np.testing.assert_allclose(found.extras["code"].numpy(), code, atol=1e-10)
    assert min(images.std(), logits.std(), code.std()) > 0.05


def test_both_losses_and_every_gradient_are_numpys():
    gan, (real, z) = small(), given()
    term = get_term("mutual_information", 1.5, categorical=0.8, continuous=0.2)
    game = Game(get_objective("non_saturating"), terms=[term])
    moment = SimpleNamespace(iteration=0, rng=np.random.default_rng(0))
    code, shown = Code(paddle.to_tensor(z)), Batch(paddle.to_tensor(real))

    def loss_of_d(w):
        of_real, (of_fake, read) = (
            answers_of(w, real)[0],
            answers_of(w, images_of(arrays(gan.generator), z)),
        )
        return softplus(-of_real).mean() + softplus(of_fake).mean() + 1.5 * term_of(read, z)

    def loss_of_g(w):
        logits, read = answers_of(arrays(gan.discriminator), images_of(w, z))
        return softplus(-logits).mean() + 1.5 * term_of(read, z)

    with paddle.no_grad():
        fake = Batch(gan.generate(code), code=code)
    losses = {
        "discriminator": (loss_of_d, game.discriminator_loss(gan, shown, fake, moment)),
        "generator": (loss_of_g, game.generator_loss(gan, shown, code, moment)),
    }
    for net, (wanted, (loss, scalars)) in losses.items():
        layer = gan.nets[net]
        assert f"term/mutual_information/{net}" in scalars
        assert loss.item() == pytest.approx(wanted(arrays(layer)), rel=1e-8)
        for other in gan.nets.values():
            other.clear_gradients()
        loss.backward()
        parameters = dict(layer.named_parameters())
        for key, (direction, slope) in slopes(wanted, arrays(layer)).items():
            found = (parameters[key].grad.numpy() * direction).sum()
            assert found == pytest.approx(slope, rel=1e-5, abs=1e-7), (net, key)


@pytest.mark.parametrize("net", ["discriminator", "generator"])
def test_the_term_alone_teaches_q_the_trunk_and_g(net):
    """In D's update the trunk and Q learn from it, in G's all of G; the logit's layer never."""
    gan, (real, z) = small(), given()
    game = Game(get_objective("non_saturating"), terms=["mutual_information"])
    moment = SimpleNamespace(iteration=0, rng=np.random.default_rng(0))
    code, shown = Code(paddle.to_tensor(z)), Batch(paddle.to_tensor(real))
    if net == "discriminator":
        with paddle.no_grad():
            fake = Batch(gan.generate(code), code=code)
    else:
        fake = Batch(gan.generate(code), code=code)
    term = game.terms.terms[0].ready()(game._inputs(net, gan, shown, fake, moment))
    term.backward()
    for name, parameter in gan.discriminator.named_parameters():
        learns = parameter.grad is not None and bool(parameter.grad.numpy().any())
        if not parameter.stop_gradient and parameter.ndim > 1:
            assert learns is not name.startswith("logit"), name
    for name, parameter in gan.generator.named_parameters():
        learns = parameter.grad is not None and bool(parameter.grad.numpy().any())
        if not parameter.stop_gradient and parameter.ndim > 1:
            assert learns is (net == "generator"), name


def test_the_codes_of_ds_update_are_those_its_images_were_made_of():
    """Read by a Q that is right, the term is the entropy of a right answer: nearly nothing."""
    gan, seen = small(), []
    trainer = ppgan_zoo.make_trainer(gan, discriminator_steps=2, generator_steps=1)
    gan.generator.register_forward_post_hook(lambda net, given, made: seen.append((given[0], made)))
    inputs = []
    terms = trainer.game.terms
    function = terms._functions["mutual_information"]
    terms._functions["mutual_information"] = lambda got: (inputs.append(got), function(got))[1]
    trainer.chance.latent = _Double(trainer.chance.latent)
    trainer.step(np.random.default_rng(0).uniform(-1, 1, (8, 1, 8, 4)))
    assert len(inputs) == 3 and len(seen) >= 2
    made = {tuple(z.numpy()[0]): images.numpy()[0] for zs, all_images in seen
            for z, images in zip(zs.split(len(zs)), all_images.split(len(zs)))}  # fmt: skip
    for got in inputs:
        for z, image in zip(got.code.z.numpy(), got.fake.images.numpy(), strict=True):
            np.testing.assert_array_equal(made[tuple(z)], image)


RECIPE = """\
model: {name: infogan, generator: {hidden_units: 8, channels: [4, 4]}, discriminator: {channels: [4, 4]}}
latent: {dim: 9, categorical: [4], continuous: 1}
data: {name: mnist, batch_size: 8, limit: 32}
training: {iterations: 4}
optimizer: {generator: {learning_rate: 0.1}}
checkpoint: {every_steps: 2}
samples: {every_steps: 4, grid: [2, 2], real_rows: 0}
log: {every_steps: 1}
"""


def test_a_recipe_trains_it_resumes_and_sweeps_a_code_of_run_and_export(tmp_path, capsys):
    (tmp_path / "r.yml").write_text(RECIPE)
    train(load_recipe(tmp_path / "r.yml"), tmp_path / "whole", offline=True)
    first = load_recipe(tmp_path / "r.yml", ["training.iterations=2"])
    train(first, tmp_path / "parts", offline=True)
    resume(RunDirectory(tmp_path / "parts"), ["training.iterations=4"], offline=True)
    last = "checkpoints/step-00000004"
    assert tree_bytes(tmp_path / "whole" / last) == tree_bytes(tmp_path / "parts" / last)
    run, model = str(tmp_path / "whole"), f"{tmp_path}/e"
    exported = ["--output", model, "--inference", "default"]
    assert main(["export", "--checkpoint", run, *exported]) == 0
    pictures = []
    for source in (run, model):
        for code, count in (("c1", 2 * 4), ("c2", 10)):
            file = f"{tmp_path}/x.npy"
            assert main(["sample", source, "-n", "8", "--sweep", code, "--output", file]) == 0
            pictures.append(np.load(file))
            assert pictures[-1].shape == (count, 1, 28, 28)
        capsys.readouterr()
        assert main(["sample", source, "--sweep", "c3", "--output", f"{tmp_path}/x.npy"]) == 2
        assert "--sweep c3: no such code; it has c1, c2" in capsys.readouterr().err
    assert np.abs(pictures[0].astype(int) - pictures[2]).max() <= 1  # a grey level
    rows = pictures[0].reshape(2, 4, -1)
    assert (rows[:, 0] != rows[:, 1]).any() and (rows[0] != rows[1]).any()


class _Double:
    """A prior's draws in double precision."""

    def __init__(self, latent):
        self.latent = latent

    def sample(self, *arguments):
        return self.latent.sample(*arguments).astype(np.float64)
