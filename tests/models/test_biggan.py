"""SAGAN's and BigGAN's nets: published sizes, z by parts, orthogonal weights, conditions."""

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.conditional_norm import ConditionalBatchNorm, ModulatedBatchNorm
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import in_mode

# Name: model, z, image_shape, classes, arguments of G and D, parameters of G and D.
SIZES = {
    "sagan 32": (
        "sagan", 128, (3, 32, 32), 10,
        {"channels": (256,) * 4, "attention_after": 2}, {"channels": (128,) * 4},
        4_386_308, 1_075_586,
    ),
    "sagan 128": (
        "sagan", 128, (3, 128, 128), 1000,
        {"channels": (1024, 1024, 512, 256, 128, 64), "attention_after": 3},
        {"channels": (64, 128, 256, 512, 1024, 1024), "halvings": 5, "attention_after": 2,
         "wide": True},
        42_078_852, 39_463_618,
    ),
    "biggan 32 of StudioGAN": (
        "biggan", 80, (3, 32, 32), 10,
        {"channels": (384,) * 4, "shared_dim": 128, "attention_after": 2},
        {"channels": (192,) * 4},
        9_416_196, 2_415_170,
    ),
    "biggan 28": ("biggan", 60, (1, 28, 28), 10, {}, {}, 87_298, 67_810),
    "biggan 32 of the authors": (
        "biggan", 128, (3, 32, 32), 10,
        {"channels": (256,) * 4, "hierarchical": False, "shared_dim": 0, "attention_after": 0},
        {"channels": (256,) * 4, "attention_after": 0},
        4_304_387, 4_207_361,
    ),
    "biggan 64 of the authors": (
        "biggan", 100, (3, 64, 64), 1000,
        {"channels": (1024, 1024, 512, 256, 128), "shared_dim": 128, "attention_after": 4},
        {"channels": (64, 128, 256, 512, 1024), "halvings": 4, "attention_after": 0},
        31_804_676, 20_566_721,
    ),
    "biggan 128": (
        "biggan", 120, (3, 128, 128), 1000,
        {"channels": (1536, 1536, 768, 384, 192, 96), "shared_dim": 128, "attention_after": 4},
        {"channels": (96, 192, 384, 768, 1536, 1536), "halvings": 5},
        70_433_988, 87_982_370,
    ),
}  # fmt: skip


def made(name):
    model, latent_dim, shape, classes, generator, discriminator, *_ = SIZES[name]
    paddle.seed(0)
    return ppgan_zoo.create(
        model, latent_dim=latent_dim, image_shape=shape, num_classes=classes,
        generator=generator, discriminator=discriminator,
    )  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_the_nets_have_the_published_sizes(name):
    with paddle.LazyGuard():  # without values: the largest have gigabytes of them
        gan = made(name)
    found = [count_parameters(net) for net in (gan.generator, gan.discriminator)]
    assert found == list(SIZES[name][-2:])


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_one_iteration_at_the_published_size(name):
    trainer = ppgan_zoo.make_trainer(made(name), generator_steps=1)
    shape = (2, *trainer.gan.image_shape)
    real = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    for key, value in trainer.step(Batch(real, np.arange(2))).items():
        assert np.isfinite(float(value)), key


def small(model="biggan", latent_dim=12, num_classes=0, **generator):
    paddle.seed(0)
    return ppgan_zoo.create(
        model, latent_dim=latent_dim, image_shape=(1, 8, 8), num_classes=num_classes,
        generator={"channels": (8, 8, 8), **generator}, discriminator={"channels": (8, 8)},
    )  # fmt: skip


def test_each_block_has_a_part_of_z_and_the_first_what_is_left_over():
    gan = small(latent_dim=14, shared_dim=3, num_classes=4)
    g, seen = gan.generator, []
    assert (g.chunk, g.first_dim) == (4, 6)
    for block in g.blocks:
        block.norm1.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[1].numpy()))
    g.project.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].numpy()))
    z = np.random.default_rng(0).normal(size=(2, 14)).astype(np.float32)
    labels = np.array([3, 1])
    gan.generate(Code(z, labels).map(paddle.to_tensor))
    embedding = g.shared.weight.numpy()[labels]
    np.testing.assert_array_equal(seen[0], z[:, :6])
    np.testing.assert_array_equal(seen[1], np.concatenate([embedding, z[:, 6:10]], 1))
    np.testing.assert_array_equal(seen[2], np.concatenate([embedding, z[:, 10:]], 1))


def norms(gan):
    return {type(block.norm1) for block in gan.generator.blocks}


def test_what_conditions_the_norms():
    assert norms(small()) == {ModulatedBatchNorm}  # by a part of z alone
    assert norms(small(num_classes=3)) == {ModulatedBatchNorm}
    assert norms(small(hierarchical=False)) == {nn.BatchNorm2D}
    assert norms(small(hierarchical=False, num_classes=3)) == {ModulatedBatchNorm}
    tables = small(hierarchical=False, shared_dim=0, num_classes=3)
    assert norms(tables) == {ConditionalBatchNorm}
    for gan in (small(), small(num_classes=3), tables):
        assert type(gan.generator.norm) is nn.BatchNorm2D  # of the pixels: plain
    gamma = tables.generator.blocks[0].norm1.gamma.weight.numpy()
    assert (gamma == 1.0).all()  # and not orthogonal


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"latent_dim": 2}, "z of 2 cannot be shared out to 3 parts; set latent.dim to 3"),
        ({"num_classes": 3, "shared_dim": 0}, "shared_dim is 0 and hierarchical true"),
        ({"attention_after": 3}, "attention_after is 3; give a block's number, 1 to 2"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, words):
    with pytest.raises(ConfigError) as caught:
        small(**arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_weights_begin_orthogonal_and_so_with_spectral_norm_one():
    gan = small(num_classes=3)
    for net in (gan.generator, gan.discriminator):
        layers = [layer for layer in net.sublayers() if hasattr(layer, "weight_orig")]
        assert len(layers) > 8
        for layer in layers:
            weight = layer.weight_orig.numpy()
            matrix = weight.reshape(len(weight), -1)
            values = np.linalg.svd(matrix, compute_uv=False)
            np.testing.assert_allclose(values, 1.0, atol=1e-5)
    assert not hasattr(gan.generator.shared, "weight_orig")
    assert hasattr(gan.discriminator.projection.embedding, "weight_orig")
    z = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 12)), "float32")
    labels = paddle.to_tensor([0, 2])
    with in_mode(gan.generator, training=False):
        gan.generate(Code(z, labels))
        weight = gan.generator.project.weight.numpy()
        original = gan.generator.project.weight_orig.numpy()
    np.testing.assert_allclose(weight, original, atol=1e-5)


def test_other_labels_and_other_parts_of_z_give_other_images():
    gan = small(num_classes=3)
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1, 12)).astype(np.float32)

    def image(z, label):
        code = Code(z, np.array([label])).map(paddle.to_tensor)
        with in_mode(gan.generator, training=False):
            return gan.generate(code).numpy()

    before = image(z, 0)
    assert not np.allclose(image(z, 1), before)
    for part in (slice(0, 4), slice(4, 8), slice(8, 12)):
        other = z.copy()
        other[:, part] += 1.0
        assert not np.allclose(image(other, 0), before)
