"""FastGAN: published sizes, an independent NumPy implementation, and D's pictures."""

import numpy as np
import paddle
import pytest
from reference import fastgan_numpy as oracle

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import TermInputs, get_term
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.fastgan import FastGANDiscriminator, FastGANGenerator
from ppgan_zoo.models.nets import generate
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.optimizers import make_optimizer

SECOND_OUTPUT = 64 * 3  # of the published G, a 1x1 convolution at 128; here it has one output


def test_the_published_nets_have_the_published_number_of_parameters():
    with paddle.LazyGuard():
        generator = FastGANGenerator(latent_dim=256, image_shape=(3, 256, 256), ngf=64)
        discriminator = FastGANDiscriminator(image_shape=(3, 256, 256), ndf=64)
    assert count_parameters(generator) == 29_127_846 - SECOND_OUTPUT
    decoders = count_parameters(discriminator.decoders)
    assert decoders == 3_139_488
    assert count_parameters(discriminator) - decoders == 8_386_672


def test_the_published_generator_by_layer():
    with paddle.LazyGuard():
        net = FastGANGenerator(latent_dim=256, image_shape=(3, 256, 256), ngf=64)
    assert count_parameters(net.first) == 256 * 2048 * 16 + 2 * 2048
    assert [count_parameters(layer) for layer in net.doublings] == [
        14_159_874, 2_360_320, 885_762, 295_424, 221_698, 36_992,
    ]  # fmt: skip
    # 4 -> 64, 8 -> 128 and 16 -> 256: a 4x4 and a 1x1 convolution each.
    assert [count_parameters(layer) for layer in net.excitations] == [
        16 * 1024 * 128 + 128**2, 16 * 512 * 64 + 64**2, 16 * 256 * 32 + 32**2,
    ]  # fmt: skip
    assert count_parameters(net.pixels) == 9 * 32 * 3


@pytest.mark.parametrize("size", [32, 64, 128])
def test_every_size_has_as_many_patches_and_pictures_of_half_of_it(size):
    gan = ppgan_zoo.create("fastgan", latent_dim=4, image_shape=(1, size, size),
                           generator={"ngf": 4}, discriminator={"ndf": 4})  # fmt: skip
    images = generate(gan.generator, np.zeros((2, 4), np.float32))
    assert images.shape == (2, 1, size, size)
    judgement = gan.judge(paddle.to_tensor(images))
    assert judgement.logits.shape == [2, 50]
    for picture in gan.discriminator.redraw(judgement.extras, (1, 0)):
        assert picture.shape == [2, 1, size // 2, size // 2]
        assert picture.abs().max().item() <= 1.0


def gan_and_arrays(size):
    """Nets whose norms do something in eval mode, and their arrays."""
    paddle.seed(2)
    gan = ppgan_zoo.create("fastgan", latent_dim=6, image_shape=(2, size, size),
                           generator={"ngf": 4}, discriminator={"ndf": 4})  # fmt: skip
    rng = np.random.default_rng(3)
    found = []
    for net in gan.nets.values():
        net.eval()
        for name, value in net.state_dict().items():
            if name.endswith(("_mean", ".bias")):
                value.set_value(rng.normal(0, 0.1, value.shape).astype(np.float32))
            elif name.endswith("_variance"):
                value.set_value(rng.uniform(0.1, 0.4, value.shape).astype(np.float32))
        found.append({k: v.numpy().astype(np.float64) for k, v in net.state_dict().items()})
    return gan, *found


@pytest.mark.parametrize("size", [32, 64])
def test_images_logits_and_pictures_are_numpys(size):
    gan, g, d = gan_and_arrays(size)
    rng = np.random.default_rng(4)
    z = rng.standard_normal((3, 6)).astype(np.float32)
    reals = rng.uniform(-1, 1, (3, 2, size, size)).astype(np.float32)
    wanted = oracle.images_of(g, z.astype(np.float64), size)
    assert wanted.std() > 0.01
    np.testing.assert_allclose(generate(gan.generator, z), wanted, atol=1e-5)
    wanted, _ = oracle.judgement_of(d, reals.astype(np.float64), size)
    np.testing.assert_allclose(generate(gan.discriminator, reals), wanted, atol=1e-5)
    term = get_term("reconstruction").ready()
    for seed in (0, 1):
        real = Batch(paddle.to_tensor(reals))
        inputs = TermInputs(gan.judge, real, real, np.random.default_rng(seed), gan)
        quadrant = np.random.default_rng(seed).integers(0, 2, 2)
        wanted = oracle.reconstruction(d, reals.astype(np.float64), size, quadrant)
        assert term(inputs).item() == pytest.approx(wanted, rel=1e-5)


def test_d_learns_to_redraw_real_images():
    paddle.seed(5)
    gan = ppgan_zoo.create("fastgan", latent_dim=4, image_shape=(1, 32, 32),
                           generator={"ngf": 4}, discriminator={"ndf": 8})  # fmt: skip
    half = np.repeat(np.array([-0.8, 0.8], np.float32), 16)
    images = np.stack([np.tile(half, (32, 1)), np.tile(half, (32, 1)).T] * 2)[:, None]
    real, term = Batch(paddle.to_tensor(images)), get_term("reconstruction").ready()
    optimizer = make_optimizer(gan.discriminator, learning_rate=5e-3)
    errors = []
    for seed in range(12):
        error = term(TermInputs(gan.judge, real, real, np.random.default_rng(seed), gan))
        error.backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
        errors.append(error.item())
    assert np.mean(errors[-3:]) < 0.5 * np.mean(errors[:3])


def test_its_d_has_the_term_unless_a_recipe_says_otherwise():
    trainer = make_trainer(ppgan_zoo.create("fastgan"))
    assert [term.name for term in trainer.game.terms.terms] == ["reconstruction"]


def test_noise_is_for_training_alone():
    gan, _, _ = gan_and_arrays(32)
    layer = gan.generator.doublings[0].body[1]
    layer.strength.set_value(paddle.ones([1]))
    x = paddle.zeros([2, 3, 4, 4])
    assert not layer(x).any().item()
    layer.train()
    noise = layer(x).numpy()
    assert (noise == noise[:, :1]).all()  # the same on every channel
    assert abs(noise).min() > 0 and not np.array_equal(noise[0], noise[1])


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 64, 32), (3, 512, 512)])
def test_images_of_other_sizes_are_refused(shape):
    for cls in (FastGANGenerator, FastGANDiscriminator):
        with pytest.raises(ConfigError, match="must be one of 32, 64, 128, 256"):
            cls(image_shape=shape)


def test_too_few_maps_are_refused():
    with pytest.raises(ConfigError, match="ngf 1 leaves layers without feature maps"):
        FastGANGenerator(image_shape=(3, 256, 256), ngf=1)


def test_another_model_is_refused_the_term_in_one_line():
    with pytest.raises(ConfigError, match="reconstruction needs a D that answers with 'last'"):
        make_trainer(ppgan_zoo.create("gan_mlp"), terms=["reconstruction"])
