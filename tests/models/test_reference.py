"""The reference systems against an independent implementation of each (tests/reference)."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from reference.cases import BATCH, CASES, ITERATIONS, LATENT, latents, real_images, weights

import ppgan_zoo
from ppgan_zoo.convert.porting import convert_weights
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.weights import load_arrays
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.run.build import build_trainer
from ppgan_zoo.training.chance import TRAINING_DRAW

HERE = Path(__file__).parents[1] / "reference"
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
        load_arrays(layer, convert(name, net, layer, weights(case, net)))
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
    # R1 was recorded at the zoo's own ratio, D once and G twice.
    steps = sum(kind == "G" for kind, _ in CASES[name].updates)
    overrides = [f"training.generator_steps={steps}"]
    if name.endswith("wasserstein"):
        overrides.append("objective.name=wasserstein")
    recipe = load_recipe(find_recipe(CASES[name].recipe), overrides)
    trainer = build_trainer(recipe, gan_of(name, dtype), iterations=1000)
    trainer.chance.latent = RecordedLatents(name, dtype)
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
        gan, game, moment = trainer.gan, trainer.game, trainer.chance.at(0)
        layer = gan.nets[net]
        number = next(number for kind, number in case.updates if kind[0] == net[0].upper())
        real, z = (paddle.to_tensor(a) for a in (real_images(case, 0), latents(case, 0, number)))
        if net == "discriminator":
            fake = Batch(gan.generator(z).detach())
            loss, _ = game.discriminator_loss(gan, Batch(real), fake, moment)
        else:
            loss, _ = game.generator_loss(gan, Batch(real), Code(z), moment)
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
        layer = trainer.gan.nets[net]
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
    random, by up to a few learning rates, and the norm's running mean with it. Likewise the
    last bias of a Wasserstein D, which real and fake images push in opposite directions, and
    the bias of a unit that is active for all of them.
    """
    trainer = after_three_iterations(name, "float32")
    for net in NETS:
        layer = trainer.gan.nets[net]
        gradients = recorded(name, "gradients", net, layer)
        for key, wanted in recorded(name, "after", net, layer).items():
            off = np.abs(layer.state_dict()[key].numpy() - wanted)
            if key in gradients:
                off = off[np.abs(gradients[key]) >= 1e-12]
            if off.size and not key.endswith(("_mean", "_variance")):
                assert np.mean(off <= 1e-5) >= 0.995 and off.max() <= 1e-4, (key, off.max())


@pytest.mark.parametrize("name", ["r1_tensorflow", "r1_tensorflow_wasserstein", "r2", "r4", "r5"])
def test_three_iterations_with_the_optimizer_of_tensorflow(name):
    """TensorFlow adds epsilon elsewhere: seen only where a gradient is about epsilon's size."""
    trainer = after_three_iterations(name, "float64")
    far, count = 0, 0
    for net in NETS:
        layer = trainer.gan.nets[net]
        learning = {key for key, p in layer.named_parameters() if not p.stop_gradient}
        for key, wanted in recorded(name, "source", net, layer).items():
            if key in learning:
                off = np.abs(layer.state_dict()[key].numpy() - wanted)
                far, count = far + (off > 1e-5).sum(), count + off.size
                assert off.max() <= 2e-4, key
    assert far <= 0.01 * count, (far, count)


# Trainable parameters layer by layer, from the sources' tables. A dense layer of a to b
# has a b + b, a convolution of k x k also a b k k + b, a norm of c channels 2 c.

MLP_D = [784 * 512 + 512, 512 * 256 + 256, 256 + 1]
PARAMETERS = {
    "gan_mlp": (
        [100 * 128 + 128, 128 * 256 + 256, 256 * 512 + 512, 512 * 1024 + 1024, 1024 * 784 + 784],
        MLP_D,
    ),
    "gan_mlp_bn": (
        [100 * 256 + 256, 2 * 256, 256 * 512 + 512, 2 * 512, 512 * 1024 + 1024, 2 * 1024,
         1024 * 784 + 784],
        MLP_D,
    ),
    "dcgan": (
        [100 * 2048 + 2048, 2 * 2048, 2048 * 6272 + 6272, 2 * 6272, 128 * 128 * 25 + 128,
         128 * 25 + 1],
        [25 * 64 + 64, 64 * 128 * 25 + 128, 2 * 128, 2048 * 1024 + 1024, 2 * 1024, 1024 + 1],
    ),
    "dcgan_dropout": (
        [100 * 8192 + 8192, 2 * 512, 512 * 256 * 16 + 256, 2 * 256, 256 * 128 * 9 + 128, 2 * 128,
         128 * 9 + 1],
        [9 * 128 + 128, 128 * 256 * 9 + 256, 2 * 256, 256 * 512 * 9 + 512, 2 * 512, 8192 + 1],
    ),
    "dcgan_keras": (
        [100 * 6272 + 6272, 2 * 128, 128 * 128 * 25 + 128, 2 * 128, 128 * 64 * 25 + 64, 2 * 64,
         64 * 32 * 25 + 32, 2 * 32, 32 * 25 + 1],
        [25 * 32 + 32, 32 * 64 * 25 + 64, 64 * 128 * 25 + 128, 128 * 256 * 25 + 256, 4096 + 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", PARAMETERS)
def test_parameters_by_layer_are_the_sources(model):
    gan = ppgan_zoo.create(model)
    for layer, wanted in zip((gan.generator, gan.discriminator), PARAMETERS[model], strict=True):
        sizes = {}
        for name, parameter in layer.named_parameters():
            if not parameter.stop_gradient:
                owner = name.rpartition(".")[0]
                sizes[owner] = sizes.get(owner, 0) + int(np.prod(parameter.shape))
        assert list(sizes.values()) == wanted


def test_the_shipped_recipes_have_the_sources_settings():
    """What the three iterations do not show."""
    facts = {
        "gan_mlp_mnist_published": ("normal", 64, 100, None, 1, (1e-8, 1e-8)),
        "gan_mlp_mnist_relu": ("normal", 64, 100, None, 1, (1e-8, 1e-8)),
        "gan_mlp_bn_fashion": ("normal", 128, None, 10001, 1, (1e-7, 1e-7)),
        "dcgan_mnist": ("uniform", 128, 20, None, 2, (1e-8, 1e-8)),
        "dcgan_dropout_mnist": ("uniform", 64, 5, None, 1, (1e-8, 1e-8)),
        "dcgan_keras_mnist": ("uniform", 64, None, 40000, 1, (1e-14, 4e-14)),
    }
    for name, (prior, batch, epochs, iterations, generator_steps, epsilons) in facts.items():
        recipe = load_recipe(find_recipe(name))
        assert (recipe.latent.dim, recipe.latent.prior) == (100, prior)
        assert recipe.data.batch_size == batch
        assert recipe.data.replacement == (iterations is not None)
        assert (recipe.training.epochs, recipe.training.iterations) == (epochs, iterations)
        assert recipe.training.discriminator_steps == 1
        assert recipe.training.generator_steps == generator_steps
        sections = recipe.optimizer.generator, recipe.optimizer.discriminator
        assert tuple(section.epsilon or 1e-8 for section in sections) == epsilons


def test_dropout_keeps_four_fifths_scales_them_and_is_off_in_eval():
    paddle.seed(0)
    gan = ppgan_zoo.create("dcgan_dropout", generator={"channels": (8, 6, 4)})
    dropout = gan.generator.dropout
    values = dropout(paddle.ones([100, 100])).numpy()
    # TensorFlow's keep_prob 0.8: each value is 0 or 1 / 0.8, and the mean stays.
    assert set(np.unique(values)) == {np.float32(0.0), np.float32(1.25)}
    assert abs((values > 0).mean() - 0.8) < 5 * np.sqrt(0.8 * 0.2 / 1e4)
    z = paddle.ones([3, 100])
    first, second = gan.generator(z).numpy(), gan.generator(z).numpy()
    assert np.abs(first - second).max() > 1e-3
    gan.generator.eval()
    np.testing.assert_array_equal(gan.generator(z).numpy(), gan.generator(z).numpy())
    x = paddle.ones([2, 3])
    assert dropout(x) is x
