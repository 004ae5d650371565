"""Residual blocks and SNGAN: published sizes layer by layer, the skip, spectral norm."""

from itertools import pairwise

import numpy as np
import paddle
import pytest
from conftest import checkpoint_of
from paddle import nn
from paddle.nn import functional as F

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.export.exporter import export
from ppgan_zoo.models.cost import check_size
from ppgan_zoo.models.nets import in_mode
from ppgan_zoo.models.resampling import doubled
from ppgan_zoo.models.residual import DiscriminatorBlock, FirstBlock, GeneratorBlock
from ppgan_zoo.models.weights import spectral_norm

SIZES = {  # name: image_shape, arguments of G and D
    "32": ((3, 32, 32), {"channels": (256,) * 4}, {"channels": (128,) * 4}),
    "28": ((1, 28, 28), {}, {}),
    "48": (
        (3, 48, 48),
        {"channels": (512, 256, 128, 64)},
        {"channels": (64, 128, 256, 512, 1024), "halvings": 4, "head_bias": True},
    ),
    "64": (
        (3, 64, 64),
        {"channels": (1024, 512, 256, 128, 64)},
        {"channels": (64, 128, 256, 512, 1024), "halvings": 5, "head_bias": True},
    ),
}


def made(size, **shared):
    shape, generator, discriminator = SIZES[size]
    shared.setdefault("latent_dim", 128)
    paddle.seed(0)
    return ppgan_zoo.create(
        "sngan", image_shape=shape, generator=generator, discriminator=discriminator, **shared
    )


def count(layer):
    return sum(int(np.prod(p.shape)) for p in layer.parameters() if not p.stop_gradient)


def counts(net):
    """Of the parts of a net, in the order of the forward; blocks one by one."""
    parts = []
    for part in net.children():
        parts += list(part) if isinstance(part, nn.LayerList) else [part]
    return [count(part) for part in parts if count(part)]


def test_the_32x32_nets_have_the_published_sizes_layer_by_layer():
    gan = made("32")
    assert counts(gan.generator) == [528_384, *[1_246_976] * 3, 512, 6_915]
    assert counts(gan.discriminator) == [151_680, 311_680, 295_168, 295_168, 128]
    assert (count(gan.generator), count(gan.discriminator)) == (4_276_739, 1_053_824)
    labelled = made("32", num_classes=10)
    assert counts(labelled.generator)[1] == 1_246_976 + 1_024 * 9
    assert counts(labelled.discriminator)[-1] == 128 * 10
    assert (count(labelled.generator), count(labelled.discriminator)) == (4_304_387, 1_055_104)


def test_the_64x64_nets_have_the_published_sizes():
    gan = made("64")
    assert (count(gan.generator), count(gan.discriminator)) == (12_220_675, 10_141_441)


def test_the_48x48_nets_have_the_sizes_of_their_table():
    """Table 5 of the paper (STL-10): a convolution of a to b has a b k k + b, and so on."""
    gan = made("48")

    def block(a, b):
        return 2 * a + (9 * a * b + b) + 2 * b + (9 * b * b + b) + (a * b + b)

    def thin(a, b):
        return (9 * a * a + a) + (9 * a * b + b) + (a * b + b)

    assert counts(gan.generator) == [
        128 * 6 * 6 * 512 + 6 * 6 * 512, block(512, 256), block(256, 128), block(128, 64),
        2 * 64, 9 * 64 * 3 + 3,
    ]  # fmt: skip
    assert counts(gan.discriminator) == [
        (27 * 64 + 64) + (9 * 64 * 64 + 64) + (3 * 64 + 64),
        thin(64, 128), thin(128, 256), thin(256, 512), thin(512, 1024), 1024 + 1,
    ]  # fmt: skip


@pytest.mark.parametrize("width", [32, 48, 64])
def test_the_28x28_nets_are_reduced_ones(width):
    wanted = {32: (141_633, 66_208), 48: (241_633, 148_464), 64: (361_089, 263_488)}[width]
    gan = ppgan_zoo.create(
        "sngan", latent_dim=64, image_shape=(1, 28, 28),
        generator={"channels": (width,) * 3}, discriminator={"channels": (width,) * 4},
    )  # fmt: skip
    assert (count(gan.generator), count(gan.discriminator)) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("classes", [0, 10])
def test_one_iteration_at_the_published_size(size, classes):
    gan = made(size, num_classes=classes)
    trainer = ppgan_zoo.make_trainer(gan, discriminator_steps=5, generator_steps=1)
    real = np.random.default_rng(0).uniform(-1, 1, (5 * 4, *gan.image_shape))
    labels = np.arange(5 * 4) % classes if classes else None
    for name, value in trainer.step(Batch(real.astype(np.float32), labels)).items():
        assert np.isfinite(float(value)), name


def test_a_skip_sees_what_its_block_sees():
    """Raw, before the block's ReLU, and in whichever order pooling and the 1x1 come."""
    paddle.seed(0)
    x = paddle.randn([2, 3, 8, 8])
    before = x.numpy()
    for block in (
        GeneratorBlock(3, 4, nn.BatchNorm2D),
        FirstBlock(3, 4),
        DiscriminatorBlock(3, 4, down=True),
    ):
        for convolution in (block.conv1, block.conv2):  # leave the skip alone
            convolution.weight.set_value(paddle.zeros_like(convolution.weight))
        skip = block.skip(x)
        wanted = doubled(skip) if isinstance(block, GeneratorBlock) else F.avg_pool2d(skip, 2)
        np.testing.assert_allclose(block(x).numpy(), wanted.numpy(), atol=1e-6)
        np.testing.assert_array_equal(x.numpy(), before)
    flat = DiscriminatorBlock(3, 3, down=False)
    flat.conv2.weight.set_value(paddle.zeros_like(flat.conv2.weight))
    np.testing.assert_array_equal(flat(x).numpy(), before)


def test_weights_begin_glorot_uniform():
    gan = made("32")
    block = gan.generator.blocks[0]
    for layer, fans, gain in (
        (block.conv1, 9 * 512, 2**0.5),
        (block.skip, 512, 1.0),
        (gan.generator.pixels, 9 * 259, 1.0),
        (gan.generator.project, 128 + 4096, 1.0),
    ):
        weight, limit = layer.weight.numpy(), gain * (6 / fans) ** 0.5
        assert 0.98 * limit < np.abs(weight).max() <= limit
        assert weight.std() == pytest.approx(limit / 3**0.5, rel=0.03)
        assert not layer.bias.numpy().any()


def test_a_logit_is_of_one_image_alone_and_of_all_of_it():
    gan = made("28", num_classes=10)
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (6, 1, 28, 28)), "float32")
    labels, order = paddle.arange(6), paddle.to_tensor([3, 0, 5, 1, 4, 2])
    with in_mode(gan.discriminator, training=False):
        there = gan.judge(images, labels).logits.numpy()
        moved = gan.judge(images[order], labels[order]).logits.numpy()
        images.stop_gradient = False
        gan.judge(images, labels).logits.sum().backward()
    np.testing.assert_allclose(moved, there[order.numpy()], atol=1e-5)
    assert images.grad.numpy().astype(bool).mean() > 0.9


def test_d_answers_the_label_by_an_inner_product_with_its_summed_features():
    gan, kept = made("28", num_classes=10), []
    d = gan.discriminator
    d.eval()
    d.score.register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0]))
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)), "float32")
    labels = paddle.to_tensor([7, 0, 9, 7])
    more = (gan.judge(images, labels).logits - d(images)).numpy()
    table = d.projection.embedding.weight_orig.numpy()
    table = table / np.linalg.svd(table, compute_uv=False)[0]
    wanted = (table[labels.numpy()] * kept[0].numpy()).sum(1, keepdims=True)
    np.testing.assert_allclose(more, wanted, rtol=1e-3, atol=1e-4)


def test_every_weight_of_d_has_spectral_norm_one_as_soon_as_it_is_trained():
    gan = made("28", num_classes=10)
    d = gan.discriminator
    images = paddle.zeros([2, 1, 28, 28])
    for _ in range(50):
        gan.judge(images, paddle.to_tensor([1, 2]))
    layers = [layer for layer in d.sublayers() if hasattr(layer, "weight")]
    assert len(layers) == 3 + 3 + 2 + 2 + 1 + 1
    for layer in layers:
        weight = layer.weight.numpy()
        matrix = weight if weight.ndim == 2 else weight.reshape(len(weight), -1)
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=1e-3)


def test_the_estimate_moves_at_each_pass_in_train_mode_and_stands_in_eval_mode():
    d = made("28").discriminator
    vector, images = d.blocks[0].conv1.weight_u, paddle.zeros([2, 1, 28, 28])
    seen = [vector.numpy()]
    for training in (True, True, False):
        with in_mode(d, training=training):
            d(images)
        seen.append(vector.numpy())
    moved = [not np.array_equal(a, b) for a, b in pairwise(seen)]
    assert moved == [True, True, False]


def test_spectral_norm_is_not_applied_twice_and_leaves_out_what_it_should():
    gan = made("28", num_classes=10)
    names = list(gan.discriminator.state_dict())
    spectral_norm(gan.discriminator)
    assert list(gan.discriminator.state_dict()) == names
    spectral_norm(gan.generator, leave_out=(nn.Embedding,))
    names = [name for name, _ in gan.generator.named_parameters()]
    assert "project.weight_orig" in names and "blocks.0.norm1.gamma.weight" in names


def modulated(**others):
    paddle.seed(0)
    return ppgan_zoo.create(
        "sngan", latent_dim=16, image_shape=(1, 28, 28),
        generator={"channels": (8, 8, 8), "self_modulation": 32}, **others,
    )  # fmt: skip


def test_self_modulation_begins_near_a_scale_of_1_and_a_shift_of_0():
    norms = modulated().generator.blocks[0].norm1, modulated().generator.norm
    for norm in norms:
        assert count(norm) == (16 * 32 + 32) + 2 * (32 * 8 + 8)
        hidden = F.relu(norm.hidden(paddle.randn([64, 16])))
        assert float((norm.gain(hidden) - 1).abs().max()) < 0.1
        assert float(norm.shift(hidden).abs().max()) < 0.1
        for layer in (norm.hidden, norm.gain, norm.shift):
            assert layer.weight.numpy().std() == pytest.approx(0.02, rel=0.15)


def test_self_modulation_and_labels_are_refused_together():
    with pytest.raises(ConfigError, match="self_modulation is 32 and the net takes labels"):
        modulated(num_classes=10)


def test_a_self_modulated_net_is_exported_as_it_is(tmp_path):
    checkpoint, _ = checkpoint_of(
        "sngan", tmp_path, generator={"channels": (8, 8, 8), "self_modulation": 5}
    )
    found = export(checkpoint, tmp_path / "out", onnx=True, timed=False).largest_difference
    assert 0 <= found.paddle_inference <= 1e-5
    assert 0 <= found.onnx <= 1e-5


def test_a_net_too_large_for_the_machine_is_refused_with_its_norms():
    spec = made("28").spec
    with pytest.raises(ConfigError, match="weights of .* GiB"):
        check_size(spec, {"discriminator": {"channels": (2**20, 2**20)}})


@pytest.mark.parametrize(
    ("shape", "net", "arguments", "words"),
    [
        (
            (1, 28, 28),
            "generator",
            {"channels": (8,) * 4},
            "multiples of 8, as they are halved 3 times",
        ),
        ((1, 30, 28), "discriminator", {}, "multiples of 4, as they are halved 2 times"),
        (
            (1, 28, 28),
            "generator",
            {"self_modulation": -1},
            "self_modulation is -1; give 0 or more",
        ),
        ((1, 32, 32), "generator", {"channels": (8,)}, "give two widths or more"),
        ((1, 32, 32), "discriminator", {"channels": (8, 0)}, "give two widths or more, each >= 1"),
        ((1, 32, 32), "discriminator", {"halvings": -1}, "halvings is -1; give 0 to 4"),
        ((1, 32, 32), "discriminator", {"halvings": 5}, "halvings is 5; give 0 to 4"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_one_line(shape, net, arguments, words):
    other = {"generator": {}, "discriminator": {}, net: arguments}
    if net == "discriminator":
        other["generator"] = {"channels": (8, 8)}
    with pytest.raises(ConfigError) as caught:
        ppgan_zoo.create("sngan", image_shape=shape, **other)
    assert words in str(caught.value) and "\n" not in str(caught.value)
