"""BiGAN: sizes, parity with numpy, and a D that judges an image together with its z."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from conftest import tree_bytes
from reference.arrays import dense, leaky, norm, sigmoid, slopes, softplus

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError, PluginError
from ppgan_zoo.game import consistency
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.objectives import get_objective
from ppgan_zoo.game.terms import TermInputs, get_term
from ppgan_zoo.game.view import View
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import MODELS
from ppgan_zoo.run.train import resume, train
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.run_directory import RunDirectory


def test_it_has_the_papers_size():
    gan = ppgan_zoo.create("bigan")
    inner = 1024 * 1024 + 1024 + 2 * 1024

    def stack(a, b):
        return a * 1024 + 1024 + inner + 1024 * b + b

    found = {name: count_parameters(net) for name, net in gan.nets.items()}
    assert found == {
        "generator": stack(50, 784), "discriminator": stack(834, 1), "encoder": stack(784, 50),
    }  # fmt: skip


def test_a_d_without_batch_norm_judges_each_pair_alone():
    gan = ppgan_zoo.create("bigan", discriminator={"batch_norm": False})
    assert count_parameters(gan.discriminator) == (
        834 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 + 1
    )
    rng = np.random.default_rng(0)
    images = paddle.to_tensor(rng.random((3, 1, 28, 28)), "float32")
    z = paddle.to_tensor(rng.uniform(-1, 1, (3, 50)), "float32")
    whole, alone = gan.judge(images, z=z).logits, gan.judge(images[:1], z=z[:1]).logits
    np.testing.assert_allclose(whole.numpy()[:1], alone.numpy(), atol=1e-6)


# Parity with numpy, in float64.


def small():
    paddle.seed(0)
    gan = ppgan_zoo.create("bigan", latent_dim=3, image_shape=(1, 4, 2), hidden_units=6)
    rng = np.random.default_rng(1)
    for net in gan.nets.values():
        net.to(dtype="float64")
        for parameter in net.parameters():
            if not parameter.stop_gradient:
                parameter.set_value(0.5 * rng.normal(size=parameter.shape))
    return gan


def arrays(net):
    return {name: p.numpy() for name, p in net.named_parameters() if not p.stop_gradient}


def stack(w, x, slope):
    x = leaky(dense(w, "layers.dense1", x), slope)
    x = leaky(norm(w, "layers.norm2", dense(w, "layers.dense2", x)), slope)
    return dense(w, "layers.dense3", x)


def judged(w, images, z):
    return stack(w, np.concatenate([images.reshape(len(images), -1), z], axis=1), 0.2)


def images_of(w, z):
    return sigmoid(stack(w, z, 0.0)).reshape(-1, 1, 4, 2)


def z_of(w, images):
    return stack(w, images.reshape(len(images), -1), 0.2)


def given():
    rng = np.random.default_rng(2)
    return rng.random((5, 1, 4, 2)), rng.uniform(-1, 1, (5, 3))


def test_d_sees_the_encoders_z_of_real_images_and_gs_own():
    gan, (real, z) = small(), given()
    images, w = paddle.to_tensor(real), {name: arrays(net) for name, net in gan.nets.items()}
    of_real = gan.judge(images).logits.numpy()
    wanted = judged(w["discriminator"], real, z_of(w["encoder"], real))
    np.testing.assert_allclose(of_real, wanted, atol=1e-8)
    made = gan.generate(Code(paddle.to_tensor(z)))
    np.testing.assert_allclose(made.numpy(), images_of(w["generator"], z), atol=1e-8)
    of_fake = gan.judge(made, z=paddle.to_tensor(z)).logits.numpy()
    np.testing.assert_allclose(of_fake, judged(w["discriminator"], made.numpy(), z), atol=1e-8)
    assert np.abs(of_fake - gan.judge(made).logits.numpy()).max() > 1e-3


@pytest.mark.parametrize("concatenate", [False, True])
def test_losses_and_every_gradient_are_numpys(concatenate):
    gan, (real, z) = small(), given()
    code, shown = Code(paddle.to_tensor(z)), Batch(paddle.to_tensor(real))
    game = Game(get_objective("non_saturating"), terms=["bidirectional"], concatenate=concatenate)
    moment = SimpleNamespace(iteration=0, rng=np.random.default_rng(0))

    def loss_of_d(w):
        fake, found = images_of(arrays(gan.generator), z), z_of(arrays(gan.nets["encoder"]), real)
        if not concatenate:
            return softplus(-judged(w, real, found)).mean() + softplus(judged(w, fake, z)).mean()
        both = judged(w, np.concatenate([real, fake]), np.concatenate([found, z]))
        return softplus(-both[:5]).mean() + softplus(both[5:]).mean()

    def loss_of_others(generator, encoder):
        w = arrays(gan.discriminator)
        of_fake = judged(w, images_of(generator, z), z)
        return softplus(-of_fake).mean() + softplus(judged(w, real, z_of(encoder, real))).mean()

    with paddle.no_grad():
        fake = Batch(gan.generate(code), code=code)
    of_d = game.one_batch, game.discriminator_loss(gan, shown, fake, moment)[0]
    of_g = game.generator_loss(gan, shown, code, moment)[0]
    assert of_d[0] is concatenate
    losses = {
        "discriminator": (loss_of_d, of_d[1]),
        "generator": (lambda w: loss_of_others(w, arrays(gan.nets["encoder"])), of_g),
        "encoder": (lambda w: loss_of_others(arrays(gan.generator), w), of_g),
    }
    for net, (wanted, loss) in losses.items():
        layer = gan.nets[net]
        assert loss.item() == pytest.approx(wanted(arrays(layer)), rel=1e-7)
        for other in gan.nets.values():
            other.clear_gradients()
        loss.backward(retain_graph=True)
        parameters = dict(layer.named_parameters())
        for key, (direction, slope) in slopes(wanted, arrays(layer)).items():
            found = (parameters[key].grad.numpy() * direction).sum()
            assert found == pytest.approx(slope, rel=1e-4, abs=1e-7), (net, key)


def shown(gan, images, z):
    real, fake = (Batch(paddle.to_tensor(side)) for side in images)
    code = Code(paddle.to_tensor(z))
    fake = Batch(fake.images, code=code)
    return TermInputs(gan.judge, real, fake, np.random.default_rng(1), gan, code)


def test_consistency_judges_a_fake_image_beside_its_own_z(monkeypatch):
    gan, (real, z) = small(), given()
    fake = np.tanh(real[::-1] + 0.3)
    monkeypatch.setattr(consistency, "translation", lambda images, rng, mirror: images)
    term = get_term("consistency").ready()
    assert term(shown(gan, (real, fake), z)).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "zero_centered_gp", "dragan"])
def test_a_penalty_holds_z_while_the_image_moves(name):
    gan, (real, z) = small(), given()
    fake = np.tanh(real[::-1] + 0.3)
    inputs = shown(gan, (real, fake), z)
    w, rng = arrays(gan.discriminator), np.random.default_rng(1)
    found = z_of(arrays(gan.nets["encoder"]), real)
    u = rng.random((len(real), 1, 1, 1))
    at, beside = {
        "r1": (real, found),
        "r2": (fake, z),
        "dragan": (real + 0.5 * real.std(ddof=1) * u * rng.random(real.shape), found),
    }.get(name, (real + u * (fake - real), found + u[:, :, 0, 0] * (z - found)))
    squares, step = np.zeros(len(real)), 1e-5
    for place in np.ndindex(real.shape):
        ends = []
        for sign in (1.0, -1.0):
            moved = at.copy()
            moved[place] += sign * step
            ends.append(judged(w, moved, beside).sum())
        squares[place[0]] += ((ends[0] - ends[1]) / (2 * step)) ** 2
    wanted = {
        "r1": squares.mean() / 2,
        "r2": squares.mean() / 2,
        "zero_centered_gp": squares.mean(),
    }.get(name, np.square(np.sqrt(squares) - 1).mean())
    assert get_term(name).ready()(inputs).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["r1", "r2", "zero_centered_gp", "dragan"])
def test_it_trains_with_a_penalty(name):
    gan = ppgan_zoo.create("bigan", hidden_units=6, discriminator={"batch_norm": False})
    trainer = ppgan_zoo.make_trainer(gan, terms=["bidirectional", name])
    images = np.random.default_rng(3).random((4, *gan.image_shape)).astype(np.float32)
    scalars = trainer.step(images)
    assert np.isfinite(scalars[f"term/{name}"].item())


def test_ds_update_leaves_the_encoders_weights_alone():
    gan = ppgan_zoo.create("bigan", latent_dim=3, hidden_units=6)
    trainer = ppgan_zoo.make_trainer(gan)
    assert [list(update.nets) for update in trainer.updates] == [
        ["discriminator"], ["generator", "encoder"],
    ]  # fmt: skip
    before = arrays(gan.nets["encoder"])
    images = np.random.default_rng(0).random((4, 1, 28, 28)).astype(np.float32)
    moment = trainer.chance.at(0)
    trainer.updates[0].apply(gan, trainer.game, [Batch(paddle.to_tensor(images))], moment)
    after = arrays(gan.nets["encoder"])
    assert all(np.array_equal(before[name], after[name]) for name in before)
    trainer.step(images)
    after = arrays(gan.nets["encoder"])
    assert all(not np.array_equal(before[name], after[name]) for name in before if "weight" in name)


def test_looking_at_d_leaves_the_encoders_statistics_alone():
    gan = ppgan_zoo.create("bigan", latent_dim=3, hidden_units=6)
    before = layer_arrays(gan.nets["encoder"])
    trainer = ppgan_zoo.make_trainer(gan, terms=["bidirectional", "lecam"])
    after = layer_arrays(gan.nets["encoder"])
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert trainer.warnings == []


def test_what_makes_no_sense_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="bidirectional needs a D that judges pairs"):
        ppgan_zoo.make_trainer(ppgan_zoo.create("gan_mlp"), terms=["bidirectional"])
    packed = ppgan_zoo.create("bigan", discriminator={"image_shape": (2, 28, 28)})
    with pytest.raises(ConfigError, match="constraints.packing: bigan judges an image together"):
        ppgan_zoo.make_trainer(packed, view=View(packing=2))
    with pytest.raises(PluginError, match="encoder is 'coder'; it must be a name of other_nets"):
        replace(MODELS.get("bigan"), encoder="coder").check("tried")


RECIPE = """\
model:
  name: bigan
  generator: {hidden_units: 8}
  discriminator: {hidden_units: 8}
  nets: {encoder: {hidden_units: 8}}
latent: {dim: 4}
data: {name: mnist, batch_size: 8, limit: 32}
training: {iterations: 4}
checkpoint: {every_steps: 2}
samples: {every_steps: 4, grid: [2, 2], real_rows: 0}
log: {every_steps: 1}
health: {every_steps: 2}
"""


def test_a_recipe_trains_it_and_resumes(tmp_path):
    (tmp_path / "r.yml").write_text(RECIPE)
    train(load_recipe(tmp_path / "r.yml"), tmp_path / "whole", offline=True)
    first = load_recipe(tmp_path / "r.yml", ["training.iterations=2"])
    train(first, tmp_path / "parts", offline=True)
    resume(RunDirectory(tmp_path / "parts"), ["training.iterations=4"], offline=True)
    last = "checkpoints/step-00000004"
    assert tree_bytes(tmp_path / "whole" / last) == tree_bytes(tmp_path / "parts" / last)
    checkpoint = open_checkpoint(tmp_path / "whole" / last)
    assert checkpoint.arrays("encoder")["layers.dense1.weight"].shape == (784, 8)
