"""WGAN-GP's nets: published sizes layer by layer, layer norm, labels, images that do not fit."""

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.models.wgan_gp_resnet import LayerNorm
from ppgan_zoo.training.assemble import make_trainer

SIZES = {  # name: image_shape, arguments of G and D
    "32": ((3, 32, 32), {"channels": (128,) * 4}, {"channels": (128,) * 4}),
    "64": (
        (3, 64, 64),
        {"channels": (512, 512, 256, 128, 64), "first_bias": False},
        {"channels": (64, 128, 256, 512, 512), "halvings": 4, "norm": "layer"},
    ),
}


def made(size, **shared):
    shape, generator, discriminator = SIZES[size]
    paddle.seed(0)
    return ppgan_zoo.create(
        "wgan_gp_resnet", latent_dim=128, image_shape=shape, generator=generator,
        discriminator={**discriminator, **shared.pop("discriminator", {})}, **shared,
    )  # fmt: skip


def count(layer):
    return sum(int(np.prod(p.shape)) for p in layer.parameters() if not p.stop_gradient)


def counts(net):
    """Of the parts of a net, in the order of the forward; blocks one by one."""
    parts = []
    for part in net.children():
        parts += list(part) if isinstance(part, nn.LayerList) else [part]
    return [count(part) for part in parts if count(part)]


def test_the_32x32_nets_have_the_published_sizes():
    gan = made("32")
    assert counts(gan.discriminator) == [151_680, 311_680, 295_168, 295_168, 128 + 1]
    assert (count(gan.generator), count(gan.discriminator)) == (1_204_483, 1_053_825)


def test_with_labels_and_a_classifier_they_have_the_papers_size():
    gan = made("32", num_classes=10, discriminator={"labels_by": "classifier"})
    assert (count(gan.generator), count(gan.discriminator)) == (1_218_307, 1_055_115)


def test_the_64x64_nets_have_the_published_sizes_layer_by_layer():
    gan = made("64")
    wanted = [1_792, 119_296, 476_160, 1_902_592, 4_983_808, 8_193]
    assert counts(gan.discriminator) == wanted
    assert (count(gan.generator), count(gan.discriminator)) == (8_540_483, 7_491_841)


def test_the_net_for_mnist_has_the_sizes_of_its_layers():
    gan = ppgan_zoo.create("wgan_gp")
    assert counts(gan.generator) == [
        128 * 4096 + 4096, 256 * 128 * 25 + 128, 128 * 64 * 25 + 64, 64 * 25 + 1
    ]  # fmt: skip
    assert counts(gan.discriminator) == [
        64 * 25 + 64, 64 * 128 * 25 + 128, 128 * 256 * 25 + 256, 4 * 4 * 256 + 1
    ]  # fmt: skip
    assert gan.image_range == (0.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_one_iteration_at_the_published_size(size):
    trainer = make_trainer(
        made(size), discriminator_steps=5, generator_steps=1, terms=[get_term("wgan_gp")]
    )
    shape = (5 * 4, *trainer.gan.image_shape)
    real = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    for name, value in trainer.step(Batch(real)).items():
        assert np.isfinite(float(value)), name


def test_layer_norm_is_over_all_of_an_image_with_a_scale_for_each_map():
    rng = np.random.default_rng(0)
    norm, x = LayerNorm(3), rng.normal(2.0, 3.0, (4, 3, 5, 2)).astype(np.float32)
    scale, shift = rng.normal(size=(2, 3)).astype(np.float32)
    norm.weight.set_value(scale.reshape(1, 3, 1, 1))
    norm.bias.set_value(shift.reshape(1, 3, 1, 1))
    got = norm(paddle.to_tensor(x)).numpy()
    flat = x.reshape(4, -1)
    normal = (flat - flat.mean(1, keepdims=True)) / np.sqrt(flat.var(1, keepdims=True) + 1e-5)
    wanted = normal.reshape(x.shape) * scale[:, None, None] + shift[:, None, None]
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_the_classifier_sees_the_features_and_leaves_the_score_alone():
    gan, kept = made("32", num_classes=4, discriminator={"labels_by": "classifier"}), []
    d = gan.discriminator
    d.score.register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0].numpy()))
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (3, 3, 32, 32)), "float32")
    judgement = gan.judge(images, paddle.to_tensor([0, 3, 1]))
    wanted = kept[0] @ d.classify.weight.numpy() + d.classify.bias.numpy()
    np.testing.assert_allclose(judgement.extras["class_logits"].numpy(), wanted, atol=1e-5)
    other = gan.judge(images, paddle.to_tensor([1, 1, 2]))
    np.testing.assert_array_equal(judgement.logits.numpy(), other.logits.numpy())
    np.testing.assert_array_equal(judgement.logits.numpy(), d(images).numpy())


def test_the_classifier_learns_by_its_term():
    paddle.seed(0)
    gan = ppgan_zoo.create(
        "wgan_gp_resnet", image_shape=(1, 8, 8), num_classes=3, generator={"channels": (4, 4)},
        discriminator={"channels": (4, 6), "labels_by": "classifier"},
    )  # fmt: skip
    terms = [get_term("wgan_gp"), get_term("auxiliary_classifier", fake=0.0, generator=0.1)]
    trainer = make_trainer(gan, generator_steps=1, terms=terms)
    real = Batch(np.zeros((6, 1, 8, 8), np.float32), np.arange(6) % 3)
    real.images[:] = real.labels[:, None, None, None] - 1.0  # a grey level for each class
    key = "term/auxiliary_classifier/discriminator"
    values = [float(trainer.step(real)[key]) for _ in range(30)]
    assert values[0] == pytest.approx(np.log(3), abs=0.5) and values[-1] < values[0] - 0.02


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_no_image_of_a_batch_sees_another(norm):
    paddle.seed(0)
    gan = ppgan_zoo.create(
        "wgan_gp_resnet", image_shape=(1, 16, 16), generator={"channels": (4, 4)},
        discriminator={"channels": (4, 6, 8), "norm": norm},
    )  # fmt: skip
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 1, 16, 16)), "float32")
    together = gan.discriminator(images).numpy()
    alone = np.concatenate([gan.discriminator(images[i : i + 1]).numpy() for i in range(4)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "words"),
    [
        ("wgan_gp", (1, 30, 28), {}, "height and width must be multiples of 4"),
        ("wgan_gp_resnet", (1, 26, 32), {}, "multiples of 4, as they are halved 2 times"),
        (
            "wgan_gp_resnet",
            (1, 32, 32),
            {"norm": "layer", "channels": (4, 4), "halvings": 2},
            "halvings is 2; give 0 to 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(name, shape, arguments, words):
    with pytest.raises(ConfigError, match=words):
        ppgan_zoo.create(name, image_shape=shape, discriminator=arguments)
