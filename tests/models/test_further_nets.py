"""A third net beside G and D: an encoder that learns with one of them, by a term of the loss."""

import json

import numpy as np
import paddle
import pytest
import yaml
from conftest import tree_bytes
from paddle import nn
from paddle.nn import functional as F

import ppgan_zoo
from ppgan_zoo.cli import main
from ppgan_zoo.errors import ConfigError, PluginError
from ppgan_zoo.game.terms import Term
from ppgan_zoo.models.facts import build_model, model_facts
from ppgan_zoo.models.gan_mlp import SPEC as DENSE
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import MODELS, TERMS
from ppgan_zoo.run.train import dry_run, resume, train
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.testing import Subject, check_model, run_checks


class Encoder(nn.Layer):
    def __init__(
        self,
        *,
        latent_dim: int = 8,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        hidden_units: int = 16,
    ):
        super().__init__()
        self.hidden = nn.Linear(int(np.prod(image_shape)), hidden_units)
        self.code = nn.Linear(hidden_units, latent_dim)

    def forward(self, images):
        x = images.reshape([images.shape[0], -1])
        return self.code(F.leaky_relu(self.hidden(x), 0.2))


def code_error(inputs):
    """``E ||E(G(z)) - z||^2``."""
    found = inputs.gan.nets["encoder"](inputs.fake.images)
    return (found - inputs.code.z).square().sum(axis=1).mean()


def image_error(inputs):
    """A term of D's loss that an encoder learns from: its code of real images is short."""
    return inputs.gan.nets["encoder"](inputs.real.images).square().mean()


CODE_ERROR = Term("code_error", "a test", code_error, 0.5, net="generator")
IMAGE_ERROR = Term("image_error", "a test", image_error, 1.0)


def spec(**fields):
    return GanSpec(
        name="encoding_gan",
        generator=DENSE.generator,
        discriminator=DENSE.discriminator,
        other_nets={"encoder": Encoder},
        paper="None 2026",
        **fields,
    )


@pytest.fixture(autouse=True)
def lent():
    """The model and its term have names, as if they were installed."""
    with MODELS.lent(spec()), TERMS.lent(CODE_ERROR):
        yield


def small(name="encoding_gan", seed=3):
    paddle.seed(seed)
    units = {"hidden_units": (8,)}
    return ppgan_zoo.create(name, latent_dim=4, generator=units, discriminator=units)


def weights(net):
    return {name: parameter.numpy() for name, parameter in net.named_parameters()}


def noise(seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)


def test_it_keeps_every_promise_with_its_term():
    check_model("encoding_gan", terms=["code_error"])
    found = {o.name: o for o in run_checks(Subject(spec(), {"latent_dim": 4}, terms=[CODE_ERROR]))}
    assert (found["further nets"].result, found["further nets"].detail) == ("passed", "encoder")


def test_without_a_term_that_uses_it_the_check_says_so():
    with pytest.raises(AssertionError, match="encoder: hidden.weight gets no gradient: no loss"):
        check_model("encoding_gan")
    assert main(["check", "encoding_gan"]) == 1
    assert main(["check", "encoding_gan", "--term", "code_error"]) == 0


def test_the_encoder_learns_with_g_and_ds_update_leaves_it_alone():
    rate, gan, twin = 0.1, small(), small()
    of_g = [*gan.generator.parameters(), *gan.nets["encoder"].parameters()]
    trainer = ppgan_zoo.make_trainer(
        gan,
        terms=["code_error"],
        generator_steps=1,
        generator_optimizer=paddle.optimizer.SGD(rate, parameters=of_g),
    )
    of_d, of_both = trainer.updates
    assert (list(of_d.nets), list(of_both.nets)) == (["discriminator"], ["generator", "encoder"])
    code = trainer.chance.at(0)
    code.code(4)  # D's
    z = code.code(4).z
    scalars = trainer.step(noise())
    # By hand: only the term reaches the encoder, with half its value.
    encoder = twin.nets["encoder"]
    error = (encoder(twin.generator(z)) - z).square().sum(axis=1).mean()
    (0.5 * error).backward()
    np.testing.assert_allclose(scalars["term/code_error"].item(), error.item(), rtol=1e-5)
    for name, parameter in encoder.named_parameters():
        wanted = parameter.numpy() - rate * parameter.grad.numpy()
        found = weights(gan.nets["encoder"])[name]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        assert not np.array_equal(found, parameter.numpy())


def test_an_encoder_may_learn_with_d():
    with MODELS.lent(spec(trained_with={"encoder": "discriminator"})):
        gan = small()
        trainer = ppgan_zoo.make_trainer(gan, terms=[IMAGE_ERROR])
        assert list(trainer.updates[0].nets) == ["discriminator", "encoder"]
        before = weights(gan.nets["encoder"])
        trainer.step(noise())
        after = weights(gan.nets["encoder"])
        assert all(not np.array_equal(before[name], after[name]) for name in before)
        assert "encoder.code.weight|moment1" in trainer.state()["discriminator_optimizer"]
        check_model("encoding_gan", terms=[IMAGE_ERROR])


def test_its_weights_and_its_optimizer_state_go_on_bit_for_bit():
    first = ppgan_zoo.make_trainer(small(), terms=["code_error"])
    first.step(noise())
    state = first.state()
    assert "hidden.weight" in state["encoder"]
    assert "encoder.hidden.weight|moment1" in state["generator_optimizer"]
    assert not any(key.startswith("encoder.") for key in state["discriminator_optimizer"])
    second = ppgan_zoo.make_trainer(small(seed=4), terms=["code_error"])
    second.load_state(state, first.iteration)
    for trainer in (first, second):
        trainer.step(noise(1))
    left, right = first.state(), second.state()
    assert left.keys() == right.keys()
    for file in left:
        assert {k: v.tobytes() for k, v in left[file].items()} == {
            k: v.tobytes() for k, v in right[file].items()
        }, file


RECIPE = """\
model:
  name: encoding_gan
  generator: {hidden_units: [8]}
  discriminator: {hidden_units: [8]}
  nets: {encoder: {hidden_units: 12}}
latent: {dim: 4}
data: {name: mnist, batch_size: 16, limit: 64}
terms: [{name: code_error, weight: 0.25}]
training: {iterations: 6}
checkpoint: {every_steps: 3}
samples: {every_steps: 3, grid: [2, 2], real_rows: 0}
log: {every_steps: 1, histogram_every_steps: 3}
ema: {decay: 0.9}
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "encoding.yml").write_text(RECIPE)
    return lambda *overrides: load_recipe(tmp_path / "encoding.yml", list(overrides))


def test_a_recipe_trains_it_and_a_resume_is_exact(recipe, tmp_path):
    train(recipe(), tmp_path / "whole", offline=True)
    train(recipe("training.iterations=3"), tmp_path / "parts", offline=True)
    resume(RunDirectory(tmp_path / "parts"), ["training.iterations=6"], offline=True)
    last = "checkpoints/step-00000006"
    whole, parts = (tree_bytes(tmp_path / run / last) for run in ("whole", "parts"))
    assert whole == parts
    checkpoint = open_checkpoint(tmp_path / "whole" / last)
    assert checkpoint.model["other_nets"]["encoder"]["hidden_units"] == 12
    assert checkpoint.arrays("encoder")["hidden.weight"].shape == (784, 12)
    assert (
        main(["sample", str(tmp_path / "whole"), "-n", "2", "--output", f"{tmp_path}/x.npy"]) == 0
    )
    exported = ["--output", f"{tmp_path}/e", "--inference", "default"]
    assert main(["export", "--checkpoint", str(tmp_path / "whole"), *exported]) == 0


def test_a_dry_run_and_info_list_it(recipe, capsys):
    text, _, cost = "\n".join(dry_run(recipe(), offline=True)).partition("---\n")
    assert yaml.safe_load(text)["model"]["nets"]["encoder"] == {
        "latent_dim": 4, "image_shape": [1, 28, 28], "hidden_units": 12,
    }  # fmt: skip
    # 784*12+12 + 12*4+4
    assert "\nencoder: 9,472 parameters\n" in cost
    assert main(["info", "encoding_gan", "--format", "json"]) == 0
    # 784*16+16 + 16*8+8
    assert json.loads(capsys.readouterr().out)["encoder"]["parameters"] == 12_696


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.nets.encodr.hidden_units=3", "model.nets.encodr: encoding_gan has no such net"),
        ("model.nets.encoder.hidden=3", "model.nets.encoder.hidden: encoding_gan's encoder has no"),
        ("model.nets.encoder.hidden_units=1.5", "model.nets.encoder.hidden_units: found 1.5"),
        ("model.nets.encoder.latent_dim=5", "latent.dim gives 4; leave this key out"),
        ("model.nets.encoder=3", "model.nets.encoder"),
    ],
)
def test_mistakes_are_refused_in_one_line(override, said, recipe):
    with pytest.raises(ConfigError) as caught:
        dry_run(recipe(override), offline=True)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_without_further_nets_refuses_them(recipe):
    with pytest.raises(ConfigError, match="model.nets.encoder: gan_mlp has no such net"):
        dry_run(recipe("model.name=gan_mlp", "terms=[]"), offline=True)


def test_a_term_of_a_gradient_may_use_it_too():
    def slope(inputs):
        images = inputs.fake.images.detach()
        images.stop_gradient = False
        code = inputs.gan.nets["encoder"](images) * inputs.code.z.square().mean()
        (gradient,) = paddle.grad(code.sum(), images, create_graph=True)
        return gradient.square().sum(axis=[1, 2, 3]).mean()

    term = Term("slope", "a test", slope, 1.0, net="generator", of_gradient=True)
    gan = small()
    trainer = ppgan_zoo.make_trainer(gan, terms=[term])
    for net in gan.nets.values():  # trying the term leaves nothing behind
        assert all(parameter.grad is None for parameter in net.parameters())
    assert np.isfinite(trainer.step(noise())["term/slope"].item())


def test_a_spec_names_only_nets_that_there_are():
    with pytest.raises(PluginError, match="trained_with says 'coder': 'generator'"):
        spec(trained_with={"coder": "generator"}).check("tried")


def test_a_models_facts_rebuild_it():
    facts = model_facts("encoding_gan", (1, 8, 8), 3, arguments={"encoder": {"hidden_units": 5}})
    again = type(facts).from_json(json.loads(json.dumps(facts.to_json())), "here")
    assert build_model(again).nets["encoder"].hidden.weight.shape == [64, 5]
