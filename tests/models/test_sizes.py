"""Every convolutional model builds itself for the size of the images, or refuses in one line."""

import math

import numpy as np
import paddle
import pytest

import ppgan_zoo
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.dcgan_fashion import halvings_of
from ppgan_zoo.models.spec import constructor_arguments
from ppgan_zoo.registry import MODELS
from ppgan_zoo.testing import tiny

SMALL = {  # arguments that keep a net small, whatever the size
    "dcgan_fashion": ({"channels": 2}, {"channels": 2}),
    "dcgan": ({"hidden_units": 8, "channels": 4}, {"hidden_units": 8, "channels": (2, 4)}),
    "dcgan_keras": ({"channels": (4, 4, 4)}, {"channels": (4, 4, 4, 4)}),
    "dcgan_dropout": ({"channels": (4, 4, 4)}, {"channels": (4, 4, 4)}),
    "infogan": ({"hidden_units": 8, "channels": (4, 4)}, {"hidden_units": 8, "channels": (4, 4)}),
    "wgan_gp": ({"channels": 2}, {"channels": 2}),
    "acgan": ({"channels": (4, 4, 4)}, {"channels": (2, 2, 4, 4, 4, 4)}),
    "sngan": ({"channels": (8, 8, 8)}, {"channels": (8, 8, 8, 8)}),
    "sagan": ({"channels": (8, 8, 8)}, {"channels": (8, 8, 8, 8)}),
    "biggan": ({"channels": (8, 8, 8)}, {"channels": (8, 8, 8, 8)}),
    "wgan_gp_resnet": ({"channels": (8, 8, 8)}, {"channels": (8, 8, 8, 8)}),
    "r3gan": ({"widths": (8, 8, 8), "group_channels": 8},) * 2,
    "stylegan2": ({"channels": (4, 4, 4)}, {"channels": (4, 4, 4)}),
    "fastgan": ({"ngf": 16}, {"ndf": 16}),
}
FIXED = ("dcgan", "dcgan_keras", "dcgan_dropout", "infogan", "wgan_gp")
BY_WIDTHS = ("sngan", "sagan", "biggan", "wgan_gp_resnet", "r3gan", "stylegan2")


def built(name, shape, nets=None):
    generator, discriminator = nets or SMALL[name]
    labels = {"num_classes": 2} if name == "acgan" else {}
    return ppgan_zoo.create(
        name, generator=generator, discriminator=discriminator, image_shape=shape,
        latent_dim=16, **labels,
    )  # fmt: skip


def works(gan, shape):
    """Generate two images and judge them."""
    z = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32))
    labels = (paddle.to_tensor([0, 1]),) if gan.num_classes else ()
    images = gan.generator(z, *labels)
    assert tuple(images.shape) == (2, *shape)
    logits = gan.judge(images, *labels).logits
    assert tuple(logits.shape) == (2, 1) and np.isfinite(logits.numpy()).all()


@pytest.mark.parametrize(
    ("size", "halvings", "grid"),
    [
        ((28, 28), 2, (7, 7)), ((32, 32), 3, (4, 4)), ((48, 48), 3, (6, 6)), ((64, 64), 4, (4, 4)),
        ((96, 96), 4, (6, 6)), ((128, 128), 5, (4, 4)), ((256, 256), 6, (4, 4)),
        ((48, 64), 3, (6, 8)), ((4, 4), 2, (1, 1)), ((36, 36), 2, (9, 9)), ((128, 64), 4, (8, 4)),
    ],
)  # fmt: skip
def test_dcgan_halves_an_image_down_to_the_papers_four_pixels_or_a_few_more(size, halvings, grid):
    """Radford et al.: 64 pixels, four convolutions of stride 2, 4x4 maps."""
    assert halvings_of((3, *size)) == (halvings, *grid)
    if max(size) <= 64:
        works(built("dcgan_fashion", (3, *size)), (3, *size))


def test_dcgan_at_64_has_the_papers_widths():
    gan = built("dcgan_fashion", (3, 64, 64), ({"channels": 128}, {"channels": 64}))
    maps = [gan.generator.grid_shape[0]]
    maps += [getattr(gan.generator, f"up{place}").weight.shape[1] for place in (1, 2, 3, 4)]
    assert maps == [1024, 512, 256, 128, 3]  # figure 1
    convolutions = [getattr(gan.discriminator, f"conv{place}") for place in (1, 2, 3, 4)]
    assert [layer.weight.shape[0] for layer in convolutions] == [64, 128, 256, 512]


def test_dcgan_at_128_is_no_dense_map_of_32x32():
    gan = built("dcgan_fashion", (3, 128, 128))
    assert gan.generator.grid_shape == (16, 4, 4)
    assert not hasattr(gan.generator, "up6") and hasattr(gan.discriminator, "conv5")


@pytest.mark.parametrize("side", [66, 100, 27, 30])
def test_dcgan_refuses_sides_that_leave_large_odd_maps(side):
    with pytest.raises(ConfigError, match=f"dcgan_fashion: image_shape .*{side}.*data.image_size"):
        built("dcgan_fashion", (3, side, side))


@pytest.mark.parametrize("name", FIXED)
def test_nets_of_28x28_refuse_large_images_and_name_models_that_do_not(name):
    with pytest.raises(ConfigError, match=f"{name}: .*128.*such as dcgan_fashion"):
        built(name, (3, 128, 128))


@pytest.mark.parametrize("name", BY_WIDTHS)
def test_nets_of_too_few_sizes_say_how_many_more_they_want(name):
    with pytest.raises(ConfigError, match=f"{name}.*would be 32x32.*widths of 1 size more"):
        built(name, (3, 128, 128))
    with pytest.raises(ConfigError, match=f"{name}.*would be 64x64.*widths of 2 sizes more"):
        built(name, (3, 256, 256))


@pytest.mark.parametrize(
    ("name", "nets"),
    {
        "sngan": ({"channels": (8,) * 6}, {"channels": (8,) * 6, "halvings": 5}),
        "r3gan": ({"widths": (8,) * 6, "group_channels": 8},) * 2,
        "stylegan2": ({"channels": (4,) * 6}, {"channels": (4,) * 6}),
    }.items(),
)
def test_with_as_many_as_they_want_they_are_built(name, nets):
    works(built(name, (3, 128, 96), nets), (3, 128, 96))


def test_acgan_begins_at_small_maps_or_refuses():
    works(built("acgan", (3, 48, 64)), (3, 48, 64))
    with pytest.raises(ConfigError, match="acgan: generator.*would be 32x32.*1 size more"):
        built("acgan", (3, 256, 256))


@pytest.mark.parametrize("shape", [(3, 48, 48), (3, 64, 128), (1, 28, 28)])
def test_fastgan_is_square_and_of_its_sizes(shape):
    with pytest.raises(ConfigError, match="fastgan: image_shape .* must be one of 32, 64, 128"):
        built("fastgan", shape)


@pytest.mark.parametrize("name", [*FIXED, *BY_WIDTHS, "dcgan_fashion"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 32, 48)])
def test_small_images_square_or_not_are_made(name, shape):
    works(built(name, shape), shape)


def with_widths_for(name, side):
    """Return arguments of G and D by which a model is built for a side, if it can be."""
    spec = MODELS.get(name)
    generator, discriminator = SMALL.get(name, (tiny(spec.generator), tiny(spec.discriminator)))
    more = max(0, math.ceil(math.log2(side / 64)))  # sizes
    if name == "began":
        return ({"channels": 4, "halvings": 2 + more},) * 2
    if name == "acgan":
        return {"channels": (4,) * (3 + more)}, {"channels": (4,) * (6 + 2 * more)}
    if name not in BY_WIDTHS:
        return generator, discriminator
    generator, discriminator = dict(generator), dict(discriminator)
    for arguments in (generator, discriminator):
        key = "widths" if "widths" in arguments else "channels"
        arguments[key] = arguments[key] + arguments[key][:1] * more
    if "halvings" in constructor_arguments(spec.discriminator):
        discriminator["halvings"] = 2 + more
    return generator, discriminator


@pytest.mark.parametrize("name", MODELS.built_in)
def test_a_model_is_built_for_the_sizes_that_list_shows_and_for_no_other(name):
    sizes = MODELS.get(name).sizes
    low, high = (1, 10**6) if sizes == "any" else map(int, sizes.split(" to "))
    for side in (28, 32, 64, 128) if sizes == "any" else (28, 32, 64, 128, 256):
        generator, discriminator = with_widths_for(name, side)
        labels = {"num_classes": 2} if MODELS.get(name).labels == "needs" else {}
        options = {
            "generator": generator, "discriminator": discriminator, "image_shape": (3, side, side)
        }  # fmt: skip
        if low <= side <= high:
            assert ppgan_zoo.create(name, **options, **labels).image_shape == (3, side, side)
        else:
            with pytest.raises(ConfigError, match=f"{name}: .*{side}"):
                ppgan_zoo.create(name, **options, **labels)
