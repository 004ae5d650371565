"""R3GAN: published sizes, how its weights begin, and an independent NumPy implementation."""

import numpy as np
import paddle
import pytest
from paddle import nn
from reference import r3gan_numpy as oracle

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.r3gan import R3GANDiscriminator, R3GANGenerator
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.training.assemble import make_trainer

WIDE = (768, 768, 768, 768)
COLOUR_32 = (3, 32, 32)
SMALL = {"widths": (8, 4), "group_channels": 4, "image_shape": (1, 8, 8)}


def built(**options):
    return R3GANGenerator(**options), R3GANDiscriminator(**options)


# The published sizes; the weights are never drawn.


@pytest.mark.parametrize(
    ("widths", "shape", "classes", "group_channels", "sizes"),
    [
        (WIDE, COLOUR_32, 0, 16, (20_732_160, 20_683_776)),
        (WIDE, COLOUR_32, 10, 16, (20_781_952, 21_280_512)),
        ((1536,) * 4, COLOUR_32, 1000, 32, (82_914_304, 86_548_992)),
        ((*WIDE, 384), (3, 64, 64), 0, 16, (22_429_824, 22_381_440)),
        ((*WIDE, 384, 192, 96), (3, 256, 256), 0, 16, (23_057_952, 23_009_568)),
        ((1536,) * 5, (3, 64, 64), 1000, 32, (103_570_432, 107_205_120)),
    ],
)
def test_the_published_nets_have_the_published_number_of_parameters(
    widths, shape, classes, group_channels, sizes
):
    with paddle.LazyGuard():
        nets = built(
            image_shape=shape, widths=widths, blocks=2, group_channels=group_channels,
            num_classes=classes,
        )  # fmt: skip
    assert tuple(count_parameters(net) for net in nets) == sizes


@pytest.mark.parametrize(
    ("name", "classes", "sizes", "share"),
    [
        ("r3gan_cifar10", 10, (20_781_952, 21_280_512), 0.55),
        ("r3gan_ffhq64", 0, (22_429_824, 22_381_440), 0.3),
        ("r3gan_imagenet32", 1000, (82_914_304, 86_548_992), 0.5),
    ],
)
def test_the_presets_have_the_published_nets_and_augmentation(name, classes, sizes, share):
    recipe = load_recipe(find_recipe(name))
    assert recipe.model.conditional == bool(classes)
    given = {"image_shape": (3, *[recipe.data.image_size] * 2), "num_classes": classes}
    with paddle.LazyGuard():
        nets = (
            R3GANGenerator(**recipe.model.generator, **given),
            R3GANDiscriminator(**recipe.model.discriminator, **given),
        )
    assert tuple(count_parameters(net) for net in nets) == sizes
    pipeline, cutout = recipe.constraints.augment
    # Moves with the probability, colours with half of it, cutout with it again.
    assert (pipeline.name, pipeline.arguments, cutout) == ("bgc", {"color": 0.5}, "cutout")
    probability = recipe.constraints.augment_probability
    assert (probability.name, probability.first, probability.last) == ("cosine", 0.0, share)


def test_a_block_of_the_published_width_by_layer():
    with paddle.LazyGuard():
        (block, *_) = R3GANGenerator(image_shape=COLOUR_32, widths=WIDE, blocks=2).body
    sizes = [int(np.prod(parameter.shape)) for parameter in block.parameters()]
    assert sizes == [1_179_648, 1536, 221_184, 1536, 1_179_648]
    assert block.mix._groups == 96


@pytest.mark.parametrize(
    ("widths", "blocks", "stds"),
    [
        ((768,) * 4, 2, (0.029754, 0.068714)),
        ((128,) * 6, 1, (0.078317, 0.073838)),
        ((96,) * 3, 1, (0.107543, 0.087809)),
    ],
)
def test_weights_begin_smaller_the_deeper_the_net_is(widths, blocks, stds):
    sides = 2 ** (len(widths) - 1)
    net = R3GANDiscriminator(image_shape=(1, sides, sides), widths=widths[:1] * len(widths),
                             blocks=blocks)  # fmt: skip
    (block, *_) = net.body
    for layer, std in zip((block.expand, block.mix), stds, strict=True):
        values = layer.weight.numpy()
        assert abs(values.std() / std - 1.0) < 6.0 / np.sqrt(2 * values.size)
        assert not layer.bias.numpy().any()


def test_the_other_layers_begin_with_unit_gain():
    generator, discriminator = built(widths=(96, 64, 32), num_classes=10)
    for weight, fan_in in [
        (generator.basis, 1),
        (generator.embedding.weight, 10),
        (generator.mapping.weight, 64 + 64),
        (generator.body[1].weight, 96),
        (discriminator.window, 7 * 7),
        (discriminator.features.weight, 96),
        (discriminator.embedding.weight, 10 * 96),
    ]:
        values = weight.numpy()
        assert abs(values.std() * np.sqrt(fan_in) - 1.0) < 6.0 / np.sqrt(2 * values.size)


def test_a_new_block_is_the_identity_and_new_nets_have_a_closed_form():
    generator, discriminator = built(**SMALL, blocks=2)
    x = paddle.randn([2, 8, 4, 4])
    np.testing.assert_array_equal(generator.body[0](x).numpy(), x.numpy())
    z = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    g, d = arrays_of(generator), arrays_of(discriminator)
    narrower = [name for name in g if name.startswith("body.") and name.count(".") == 2]
    assert len(narrower) == 1  # from 8 to 4 maps
    maps = (z @ g["mapping.weight"])[:, :, None, None] * g["basis"]
    images = oracle.convolve(
        oracle.doubled(oracle.convolve(maps, g[narrower[0]])), g["pixels.weight"]
    )
    np.testing.assert_allclose(generate(generator, z), images, atol=1e-5)
    (wider,) = (name for name in d if name.startswith("body.") and name.count(".") == 2)
    maps = oracle.convolve(oracle.halved(oracle.convolve(images, d["pixels.weight"])), d[wider])
    logits = (maps * d["window"]).sum((2, 3)) @ d["features.weight"]
    np.testing.assert_allclose(
        generate(discriminator, images.astype(np.float32)), logits, rtol=1e-4, atol=1e-5
    )


# Against NumPy.


def arrays_of(net):
    return {
        name: parameter.numpy().astype(np.float64) for name, parameter in net.named_parameters()
    }


def gan_and_arrays(classes, dtype="float32", **options):
    """Nets with no weight at zero, and their arrays."""
    paddle.seed(3)
    gan = ppgan_zoo.create("r3gan", latent_dim=5, num_classes=classes, **SMALL, **options)
    rng = np.random.default_rng(1)
    for net in gan.nets.values():
        net.to(dtype=dtype)
        for parameter in net.parameters():
            noise = 0.1 * rng.standard_normal(parameter.shape)
            parameter.set_value(parameter + paddle.to_tensor(noise).astype(parameter.dtype))
    return gan, arrays_of(gan.generator), arrays_of(gan.discriminator)


def batch_of(classes, dtype):
    rng = np.random.default_rng(2)
    labels = np.array([0, 2, 1]) if classes else None
    return rng.standard_normal((3, 5)).astype(dtype), rng.uniform(-1, 1, (3, 1, 8, 8)).astype(dtype), labels  # fmt: skip


@pytest.mark.parametrize("classes", [0, 3])
def test_images_and_logits_are_numpys(classes):
    gan, g, d = gan_and_arrays(classes, blocks=2)
    z, reals, labels = batch_of(classes, np.float32)
    images = generate(gan.generator, z, labels)
    np.testing.assert_allclose(images, oracle.images_of(g, z, labels, 4), atol=1e-5)
    logits = generate(gan.discriminator, reals, labels)
    np.testing.assert_allclose(logits, oracle.logits_of(d, reals, labels, 4), atol=1e-5)


@pytest.mark.parametrize("classes", [0, 3])
def test_losses_and_their_gradients_are_those_of_finite_differences_in_numpy(classes):
    gamma = 0.7
    gan, g, d = gan_and_arrays(classes, "float64")
    z, reals, labels = batch_of(classes, np.float64)
    trainer = make_trainer(
        gan, generator_steps=1, terms=[get_term("r1", gamma), get_term("r2", gamma)]
    )
    real, code = Batch(reals, labels).map(paddle.to_tensor), Code(z, labels).map(paddle.to_tensor)
    moment = trainer.chance.at(0)
    with paddle.no_grad():
        fake = Batch(gan.generate(code), code.labels)
    of_d, _ = trainer.game.discriminator_loss(gan, real, fake, moment)
    of_g, _ = trainer.game.generator_loss(gan, real, code, moment)

    def wanted_of_d():
        return oracle.discriminator_loss(g, d, z, reals, labels, gamma=gamma, group_channels=4)

    def wanted_of_g():
        return oracle.generator_loss(g, d, z, reals, labels, group_channels=4)

    for loss, net, arrays, wanted in [
        (of_d, gan.discriminator, d, wanted_of_d),
        (of_g, gan.generator, g, wanted_of_g),
    ]:
        np.testing.assert_allclose(loss.item(), wanted(), rtol=1e-8)
        for side in gan.nets.values():
            side.clear_gradients()
        loss.backward()
        for name, parameter in net.named_parameters():
            array, step = arrays[name], 1e-6
            index = np.unravel_index(array.size // 3, array.shape)
            start, sides = array[index], []
            for sign in (1, -1):
                array[index] = start + sign * step
                sides.append(wanted())
            array[index] = start
            slope = (sides[0] - sides[1]) / (2 * step)
            np.testing.assert_allclose(
                parameter.grad.numpy()[index], slope, rtol=1e-4, atol=1e-7, err_msg=name
            )


def test_pixels_are_clipped_where_they_are_shown():
    trainer = make_trainer(ppgan_zoo.create("r3gan"))
    shown = trainer.samples(8)
    images = generate(trainer.gan.generator, trainer.chance.display(8).z)
    assert np.abs(images).max() > 1.0
    np.testing.assert_array_equal(shown, images.clip(-1.0, 1.0))


def test_no_layer_normalises():
    for net in built():
        assert {type(layer) for layer in net.sublayers() if not layer.sublayers()} <= {
            nn.Conv2D, nn.Linear, type(net.body[1]), type(net.body[2])
        }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_shape": (1, 30, 28)}, "must be multiples of 4 for the 3 stages of widths"),
        ({"widths": (96, 60)}, "a width of 60 makes 120 channels, which groups of 16"),
        ({"widths": ()}, "widths is empty"),
    ],
)
def test_shapes_and_widths_that_do_not_fit_are_refused(options, words):
    for cls in (R3GANGenerator, R3GANDiscriminator):
        with pytest.raises(ConfigError, match=words):
            cls(**options)
