"""The reference systems against an independent implementation of each (tests/reference)."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from reference.cases import BATCH, CASES, ITERATIONS, LATENT, latents, real_images, weights

import ppgan_zoo
from ppgan_zoo.build import build_trainer
from ppgan_zoo.porting import convert_weights, load_weights
from ppgan_zoo.recipe import find_recipe, load_recipe
from ppgan_zoo.trainer import TRAINING_DRAW

HERE = Path(__file__).parent / "reference"
NETS = ("generator", "discriminator")
RECORDED = {name: np.load(HERE / f"{name}.npz", allow_pickle=False) for name in CASES}
every_system = pytest.mark.parametrize("name", CASES)


def convert(name, net, layer, arrays):
    """Bring the source's tensors to the names and the order of `layer`."""
    case = CASES[name]
    return convert_weights(
        layer, arrays, case.names(net), framework=case.framework,
        flattened={} if net == "generator" else case.flattened,
        reshaped=case.reshaped if net == "generator" else {},
    )  # fmt: skip


def recorded(name, what, net, layer):
    """Recorded tensors of one net; what was not recorded is filled up, and left out again."""
    case, prefix = CASES[name], f"{what}/{net}/"
    found = {key.removeprefix(prefix): RECORDED[name][key]
             for key in RECORDED[name].files if key.startswith(prefix)}  # fmt: skip
    marked = {key: found.get(key, np.full_like(array, np.nan))
              for key, array in weights(case, net).items()}  # fmt: skip
    return {key: array for key, array in convert(name, net, layer, marked).items()
            if not np.isnan(array).all()}  # fmt: skip


def gan_of(name, dtype="float32"):
    case = CASES[name]
    gan = ppgan_zoo.create(
        case.model, latent_dim=LATENT, image_shape=case.image_shape,
        generator=case.generator, discriminator=case.discriminator,
    )  # fmt: skip
    for net in NETS:
        layer = getattr(gan, net)
        load_weights(
            layer, weights(case, net), case.names(net), framework=case.framework,
            flattened={} if net == "generator" else case.flattened,
            reshaped=case.reshaped if net == "generator" else {},
        )  # fmt: skip
        if dtype != "float32":
            layer.to(dtype=dtype)
    return gan


class RecordedLatents:
    """Stands in for the prior: the z that the reference was given."""

    def __init__(self, name, dtype):
        self.numbers = [number for _, number in one_draw_per_update(name)]
        self.case, self.dtype = CASES[name], dtype

    def sample(self, count, seed, purpose, iteration, draw):
        assert (count, purpose) == (BATCH, TRAINING_DRAW)
        return latents(self.case, iteration, self.numbers[draw]).astype(self.dtype)


def one_draw_per_update(name):
    """The z numbers by the trainer's draws: two half steps of D are one update."""
    return [(kind, number) for kind, number in CASES[name].updates if kind != "D fake"]


def trainer_of(name, dtype="float32"):
    """The trainer of the shipped recipe, over nets with the reference's weights."""
    recipe = load_recipe(
        find_recipe(CASES[name].recipe),
        ["objective.name=wasserstein"] if name.endswith("wasserstein") else [],
    )
    trainer = build_trainer(recipe, gan_of(name, dtype), iterations=1000)
    trainer.latent = RecordedLatents(name, dtype)
    return trainer


@every_system
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_images_and_logits(name, mode):
    case, gan = CASES[name], gan_of(name)
    for net in NETS:
        getattr(getattr(gan, net), mode)()
    images = gan.generator(paddle.to_tensor(latents(case, 0, 0))).numpy()
    logits = gan.discriminator(paddle.to_tensor(real_images(case, 0))).numpy()
    np.testing.assert_allclose(images, RECORDED[name][f"images/{mode}"], atol=1e-5)
    np.testing.assert_allclose(logits, RECORDED[name][f"logits/{mode}"], atol=1e-5)
    assert images.std() > 0.05 and logits.std() > 0.05  # an agreement that says something


@every_system
def test_running_statistics_after_one_pass(name):
    case, gan = CASES[name], gan_of(name)
    gan.generator(paddle.to_tensor(latents(case, 0, 0)))
    gan.discriminator(paddle.to_tensor(real_images(case, 0)))
    for net in NETS:
        layer = getattr(gan, net)
        for key, wanted in recorded(name, "statistics", net, layer).items():
            np.testing.assert_allclose(layer.state_dict()[key].numpy(), wanted, atol=1e-5)


@every_system
def test_every_gradient_of_one_update_of_each_net(name):
    case = CASES[name]
    for net in NETS:
        trainer = trainer_of(name)
        layer = getattr(trainer, net)
        number = next(number for kind, number in case.updates if kind[0] == net[0].upper())
        real, z = (paddle.to_tensor(a) for a in (real_images(case, 0), latents(case, 0, number)))
        loss, _ = getattr(trainer, f"{net}_loss")(real, z)
        loss.backward()
        wanted = recorded(name, "gradients", net, layer)
        assert set(wanted) == {key for key, p in layer.named_parameters() if not p.stop_gradient}
        # R5's source averages over real and fake images together; here the means are added.
        scale = 2.0 if "D both" in dict(case.updates) and net == "discriminator" else 1.0
        for key, parameter in layer.named_parameters():
            if key in wanted:
                np.testing.assert_allclose(
                    parameter.grad.numpy(), scale * wanted[key], atol=1e-5, err_msg=key
                )


def after_three_iterations(name, dtype):
    """Let the trainer do three steps on the reference's images and z."""
    trainer = trainer_of(name, dtype)
    for iteration in range(ITERATIONS):
        trainer.step(real_images(CASES[name], iteration).astype(dtype))
    return trainer


@every_system
def test_three_iterations_in_float64(name):
    """Every parameter and running average: what the trainer does is what the source does."""
    trainer = after_three_iterations(name, "float64")
    for net in NETS:
        layer = getattr(trainer, net)
        wanted = recorded(name, "after", net, layer)
        assert set(wanted) == set(layer.state_dict())
        for key, value in layer.state_dict().items():
            if CASES[name].model == "gan_mlp_bn" and key.endswith(("_mean", "_variance")):
                continue  # the trainer shows G's batch to its norms in both half steps of D
            assert value.dtype == paddle.float64
            np.testing.assert_allclose(value.numpy(), wanted[key], atol=1e-6, err_msg=key)


@every_system
def test_three_iterations(name):
    """In float32, which is noise where a gradient is zero in exact arithmetic.

    A bias in front of a batch norm has no gradient; Adam and RMSprop still move it, at
    random, by up to a few learning rates, and the norm's running mean with it.
    """
    trainer = after_three_iterations(name, "float32")
    for net in NETS:
        layer = getattr(trainer, net)
        gradients = recorded(name, "gradients", net, layer)
        for key, wanted in recorded(name, "after", net, layer).items():
            off = np.abs(layer.state_dict()[key].numpy() - wanted)
            idle = key in gradients and np.abs(gradients[key]).max() < 1e-12
            if not idle and not key.endswith(("_mean", "_variance")):
                assert np.mean(off <= 1e-5) >= 0.995 and off.max() <= 1e-4, (key, off.max())


@pytest.mark.parametrize("name", ["r1_tensorflow", "r1_tensorflow_wasserstein", "r2", "r4", "r5"])
def test_three_iterations_with_the_optimizer_of_tensorflow(name):
    """TensorFlow adds epsilon elsewhere: seen only where a gradient is about epsilon's size."""
    trainer = after_three_iterations(name, "float64")
    far, count = 0, 0
    for net in NETS:
        layer = getattr(trainer, net)
        learning = {key for key, p in layer.named_parameters() if not p.stop_gradient}
        for key, wanted in recorded(name, "source", net, layer).items():
            if key in learning:
                off = np.abs(layer.state_dict()[key].numpy() - wanted)
                far, count = far + (off > 1e-5).sum(), count + off.size
                assert off.max() <= 2e-4, key
    assert far <= 0.01 * count, (far, count)
