"""The newer models as their recipes train them, against PyTorch's numbers (tests/reference).

Images, logits and gradients in float32, to 1e-5; three iterations of the trainer in float64, as
float32 makes noise of what Adam divides by: the gradient of a bias before a batch norm is zero, and
its sign, which is all that Adam looks at, the last bit's.
"""

from pathlib import Path

import numpy as np
import paddle
import pytest
from reference.modern_cases import (
    BATCH,
    CASES,
    ITERATIONS,
    KEPT,
    OF_AVERAGE,
    OF_IMAGES,
    Draws,
    codes,
    drawn,
    kept,
    real_images,
)

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.models import layers
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import in_mode
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.run.build import build_trainer

RECORDED = np.load(Path(__file__).parents[1] / "reference" / "modern.npz", allow_pickle=False)
every_model = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def double():
    paddle.set_default_dtype("float64")
    yield
    paddle.set_default_dtype("float32")


def gan_of(name, dtype):
    """The nets with the reference's weights."""
    case = CASES[name]
    gan = ppgan_zoo.create(
        case.model, latent_dim=case.latent, image_shape=case.image_shape,
        generator=case.generator, discriminator=case.discriminator, **case.shared,
        **({"num_classes": case.classes} if case.classes else {}),
    )  # fmt: skip
    for role, net in gan.nets.items():
        for key, tensor in tensors_of(net).items():
            tensor.set_value(drawn(name, role, key, tuple(tensor.shape)).astype(dtype))
    return gan


def tensors_of(net):
    """All that a net learns and remembers; not the scale and shift of norms that have none."""
    return {
        key: tensor for key, tensor in net.state_dict().items()
        if not (tensor.stop_gradient and key.endswith(("norm.weight", "norm.bias")))
    }  # fmt: skip


class Random:
    """Stands in for numpy's, for Paddle's and for dropout's random numbers: the reference's."""

    def __init__(self, name):
        self.name = name

    def begin(self, iteration):
        self.model, self.terms = (Draws(self.name, iteration, of) for of in ("model", "terms"))

    def random(self, shape):
        return self.terms.uniform(shape)

    def standard_normal(self, shape):
        return self.terms.normal(shape)

    def integers(self, low, high):
        return self.terms.integer(low, high)

    def patch(self, monkeypatch):
        def tensor(array):
            return paddle.to_tensor(array).astype(paddle.get_default_dtype())

        monkeypatch.setattr(paddle, "rand", lambda shape, *_: tensor(self.model.uniform(shape)))
        monkeypatch.setattr(paddle, "randn", lambda shape, *_: tensor(self.model.normal(shape)))
        monkeypatch.setattr(
            paddle, "randint", lambda a, b, _: paddle.to_tensor([self.model.integer(a, b)])
        )
        monkeypatch.setattr(
            layers, "dropout_mask",
            lambda shape, rate, _: tensor(2.0 * (self.model.uniform(shape) >= rate)),
        )  # fmt: skip


class RecordedChance:
    """Stands in for chance: z, labels and the rest as the reference drew them."""

    def __init__(self, name, chance, random):
        self.name, self.random, self.group = name, random, chance.group
        self.iteration = self.drawn = 0

    def at(self, iteration):
        self.random.begin(iteration)
        self.iteration, self.drawn = iteration, 0
        return self

    @property
    def rng(self):
        return self.random

    def code(self, count, parts=1):
        assert parts == 1
        z, labels = codes(self.name, self.iteration, self.drawn, count)
        self.drawn += 1
        return Code(z.astype(paddle.get_default_dtype()), labels).map(paddle.to_tensor)


def trainer_of(name, monkeypatch):
    """The trainer of the shipped recipe, over nets with the reference's weights."""
    case, dtype = CASES[name], paddle.get_default_dtype()
    trainer = build_trainer(
        load_recipe(find_recipe(case.recipe), list(case.overrides)), gan_of(name, dtype),
        iterations=case.course,
    )  # fmt: skip
    random = Random(name)
    random.patch(monkeypatch)
    trainer.chance = RecordedChance(name, trainer.chance, random)
    return trainer


def real(name, iteration, numbers):
    parts = [real_images(name, iteration, number) for number in numbers]
    images = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts]) if CASES[name].classes else None
    return Batch(images.astype(paddle.get_default_dtype()), labels)


def check(name, what, role, found, most=KEPT, **tolerance):
    """Compare tensors by name with what was recorded of the same names and shapes."""
    wanted, lines = (RECORDED[f"{name}/{key}"] for key in (what, f"{what}/tensors"))
    names = [f"{key} {'x'.join(map(str, found[key].shape))}" for key in sorted(found)]
    assert names == bytes(lines).decode().split("\n")
    place = 0
    for key in sorted(found):
        values = kept(name, role, key, found[key], most)
        there = wanted[place : place + values.size]
        np.testing.assert_allclose(values, there, err_msg=f"{what}: {key}", **tolerance)
        place += values.size
    assert place == wanted.size


@every_model
def test_images_and_logits_in_train_mode_then_in_eval_mode(name, monkeypatch):
    trainer = trainer_of(name, monkeypatch)
    gan, moment = trainer.gan, trainer.chance.at(0)
    code, shown = moment.code(BATCH), real(name, 0, [0]).map(paddle.to_tensor)
    for mode in ("train", "eval"):
        with in_mode(*gan.nets.values(), training=mode == "train"), paddle.no_grad():
            images = gan.generate(code).numpy()
            logits = gan.judge(shown.images, shown.labels).logits.numpy()
        images = kept(name, "generator", "images", images, OF_IMAGES)
        for found, key in ((images, "images"), (logits, "logits")):
            wanted = RECORDED[f"{name}/{key}/{mode}"]
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5, err_msg=key)
            assert wanted.std() > 0.01  # an agreement that says something


@every_model
@pytest.mark.parametrize("side", ["discriminator", "generator"])
def test_every_gradient_of_one_update(name, side, monkeypatch):
    trainer = trainer_of(name, monkeypatch)
    gan, game, moment = trainer.gan, trainer.game, trainer.chance.at(0)
    shown = real(name, 0, [0]).map(paddle.to_tensor)
    code = game.beside(side, shown, moment.code(BATCH))
    if side == "discriminator":
        with paddle.no_grad():
            fake = Batch(gan.generate(code), code.labels, code)
        loss, _ = game.discriminator_loss(gan, shown, fake, moment)
    else:
        loss, _ = game.generator_loss(gan, shown, code, moment)
    loss.backward()
    for role, net in gan.learning_with(side).items():
        found = {key: p.grad.numpy() for key, p in net.named_parameters() if not p.stop_gradient}
        check(name, f"gradients/{role}", role, found, rtol=1e-5, atol=1e-5)


@every_model
def test_three_iterations_in_float64(name, monkeypatch, double):
    """Every tensor of every net, the average of G, and what terms remember."""
    trainer = trainer_of(name, monkeypatch)
    count = sum(update.own_batches for update in trainer.updates)
    for iteration in range(ITERATIONS):
        trainer.step(real(name, iteration, range(count)))
    for role, net in trainer.gan.nets.items():
        found = {key: tensor.numpy() for key, tensor in tensors_of(net).items()
                 if not key.endswith(".noise")}  # fmt: skip
        assert all(array.dtype == np.float64 for array in found.values())
        check(name, f"after/{role}", role, found, rtol=1e-6, atol=1e-6)
    if trainer.ema is not None:
        learnt = {key for key, p in trainer.gan.generator.named_parameters() if not p.stop_gradient}
        average = {key: p.numpy() for key, p in trainer.ema.net.named_parameters() if key in learnt}
        check(name, "average", "average", average, OF_AVERAGE, rtol=1e-6, atol=1e-6)
    remembered = {
        key.rpartition(".")[2]: array for key, array in trainer.game.terms.state().items()
    }
    terms = f"{name}/terms/"
    assert set(remembered) == {k.removeprefix(terms) for k in RECORDED.files if k.startswith(terms)}
    for key, array in remembered.items():
        np.testing.assert_allclose(array.item(), RECORDED[terms + key].item(), rtol=1e-5)
