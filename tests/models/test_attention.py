"""Self-attention: against numpy, the identity at the beginning, its size, SAGAN's nets."""

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.models.attention import SelfAttention, softmax
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.resampling import max_pooled

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("channels", "size"), [(256, 81_921), (128, 20_481), (8, 81)])
def test_its_size_is_the_published_one(channels, size):
    """1.25 C^2 + 1: two of C x C / 8, two of C x C / 2, and gamma."""
    assert count_parameters(SelfAttention(channels)) == size


def test_a_new_one_is_the_identity():
    x = RNG.normal(size=(2, 8, 6, 4)).astype(np.float32)
    np.testing.assert_array_equal(SelfAttention(8)(paddle.to_tensor(x)).numpy(), x)


def test_each_place_gets_a_mean_of_the_values_it_asks_for():
    """One key far above the others: every place gets the value that stands there."""
    block = SelfAttention(8)
    # The query is map 0, the key map 1, the value map 2; what is seen goes into map 5.
    for layer, place in (
        (block.query, (0, 0)), (block.key, (0, 1)), (block.value, (0, 2)), (block.out, (5, 0))
    ):  # fmt: skip
        weight = np.zeros(layer.weight.shape, np.float32)
        weight[place] = 1.0
        layer.weight.set_value(weight)
    block.gamma.set_value(paddle.to_tensor([0.5]))
    x = np.zeros((1, 8, 4, 4), np.float32)
    x[0, 0] = 1.0
    x[0, 1, 2:, :2] = 100.0
    x[0, 2] = np.arange(16).reshape(4, 4)
    got = block(paddle.to_tensor(x)).numpy()
    wanted = x.copy()
    wanted[0, 5] += 0.5 * 13.0  # the largest of its 2x2 cell: 8, 9, 12, 13
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_it_treats_places_alike():
    """A whole 2x2 cell exchanged for another: so is what they put out."""
    block = SelfAttention(8)
    block.gamma.set_value(paddle.to_tensor([1.0]))
    x = RNG.normal(size=(1, 8, 4, 4)).astype(np.float32)
    moved = np.concatenate([x[:, :, 2:], x[:, :, :2]], axis=2)
    there, here = (block(paddle.to_tensor(part)).numpy() for part in (x, moved))
    np.testing.assert_allclose(
        here, np.concatenate([there[:, :, 2:], there[:, :, :2]], 2), atol=1e-5
    )


def test_softmax_and_pooling_are_paddles_own():
    x = paddle.to_tensor(30.0 * RNG.normal(size=(2, 3, 7, 6)).astype(np.float32))
    np.testing.assert_allclose(
        softmax(x).numpy(), nn.functional.softmax(x, axis=-1).numpy(), atol=1e-6
    )
    np.testing.assert_allclose(
        max_pooled(x).numpy(), nn.functional.max_pool2d(x, 2).numpy(), atol=1e-5
    )


def test_fewer_than_eight_maps_are_refused():
    with pytest.raises(ConfigError, match="attention: 7 feature maps; it takes 8 or more"):
        SelfAttention(7)
    with pytest.raises(ConfigError, match="attention_after is 4; give a block's number, 1 to 2"):
        ppgan_zoo.create("sagan", generator={"attention_after": 4})


def test_sngan_with_attention_is_sagan_with_sngans_norms():
    """SAGAN's D is SNGAN's with the block, and SAGAN is compared with another implementation."""
    nets = {"channels": (8, 16, 16), "attention_after": 2}
    sagan, sngan = (
        ppgan_zoo.create(name, image_shape=(1, 8, 8), num_classes=3, generator=nets,
                         discriminator={**nets, "channels": (16, 8)})
        for name in ("sagan", "sngan")
    )  # fmt: skip
    images = paddle.to_tensor(RNG.uniform(-1, 1, (5, 1, 8, 8)).astype(np.float32))
    labels = paddle.to_tensor([0, 1, 2, 1, 0])
    d = sagan.discriminator
    d.attention[1].gamma.set_value(paddle.to_tensor([0.8]))
    score = {key: value for key, value in d.state_dict().items() if key != "score.bias"}
    assert not sngan.discriminator.set_state_dict(score)[0]  # all of SNGAN's has a value
    for net in (d, sngan.discriminator):
        net.eval()
    with_bias = sngan.discriminator(images, labels) + d.score.bias
    np.testing.assert_allclose(with_bias.numpy(), d(images, labels).numpy(), atol=1e-5)
    places = [type(layer) is SelfAttention for layer in sngan.generator.attention]
    assert places == [False, True]


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_a_critic_of_residual_nets_has_it_after_the_block_that_is_named(norm):
    def made(after):
        paddle.seed(0)
        return ppgan_zoo.create(
            "wgan_gp_resnet", image_shape=(1, 8, 8), generator={"channels": (16, 16, 16)},
            discriminator={"channels": (8, 16, 24), "halvings": 1, "norm": norm,
                           "attention_after": after},
        ).discriminator  # fmt: skip

    plain, last = made(0), {"none": 3, "layer": 2}[norm]
    for after, maps in zip(range(last, 0, -1), (24, 16, 8), strict=False):
        net = made(after)
        assert count_parameters(net) == count_parameters(plain) + count_parameters(
            SelfAttention(maps)
        )
        (place,) = (at for at, layer in enumerate(net.attention) if type(layer) is SelfAttention)
        net.attention[place].gamma.set_value(paddle.to_tensor([0.9]))
        images = paddle.to_tensor(RNG.uniform(-1, 1, (2, 1, 8, 8)).astype(np.float32))
        block = net.first if place == 0 else net.blocks[place - 1]
        seen = []
        block.register_forward_post_hook(lambda layer, inputs, made: seen.append(made))
        net.attention[place].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
        with_it = net(images)
        assert seen[0] is seen[1]
        net.attention[place].gamma.set_value(paddle.to_tensor([0.0]))
        assert abs(float((net(images) - with_it).abs().max())) > 1e-4
    with pytest.raises(ConfigError, match=f"give a block's number, 1 to {last}, or 0"):
        made(last + 1)


@pytest.mark.skipif(paddle.__version__.startswith("2."), reason="no double gradient of exp")
def test_a_gradient_penalty_reaches_through_it():
    paddle.seed(0)
    nets = {"channels": (8, 8), "attention_after": 1}
    gan = ppgan_zoo.create("wgan_gp_resnet", image_shape=(1, 8, 8), generator=nets,
                           discriminator={**nets, "halvings": 1})  # fmt: skip
    gan.discriminator.attention[0].gamma.set_value(paddle.to_tensor([0.5]))
    trainer = ppgan_zoo.make_trainer(gan)
    before = gan.discriminator.attention[0].query.weight.numpy()
    real = RNG.uniform(-1, 1, (4, 1, 8, 8)).astype(np.float32)
    assert all(np.isfinite(float(value)) for value in trainer.step(Batch(real)).values())
    assert np.abs(gan.discriminator.attention[0].query.weight.numpy() - before).max() > 0


@pytest.mark.skipif(paddle.__version__.startswith("2."), reason="no double gradient of exp")
def test_its_second_derivative_equals_finite_differences():
    paddle.set_default_dtype("float64")
    try:
        paddle.seed(0)
        net = nn.Sequential(nn.Conv2D(2, 8, 3), SelfAttention(8), nn.Conv2D(8, 1, 1))
        net[1].gamma.set_value(paddle.to_tensor([0.7]))
        images = paddle.randn([3, 2, 7, 8])

        def penalty():
            return squared_gradient_norms(net, images).mean()

        penalty().backward()
        for name, parameter in net.named_parameters():
            direction, weight, ends = RNG.normal(size=parameter.shape), parameter.numpy(), []
            for step in (1e-6, -1e-6):
                parameter.set_value(weight + step * direction)
                ends.append(float(penalty()))
            parameter.set_value(weight)
            gradient = 0.0 if parameter.grad is None else parameter.grad.numpy()
            got = float(np.sum(gradient * direction))
            assert got == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8), name
    finally:
        paddle.set_default_dtype("float32")


def test_on_paddle_2_a_penalty_of_sagan_is_refused_in_one_line():
    arguments = {"generator": {"channels": (8, 8)}, "discriminator": {"channels": (8, 8)}}
    for net in arguments.values():
        net["attention_after"] = 1
    gan = ppgan_zoo.create("sagan", image_shape=(1, 8, 8), **arguments)
    if not paddle.__version__.startswith("2."):
        ppgan_zoo.make_trainer(gan, terms=["r1"])
        return
    with pytest.raises(ConfigError, match="r1 needs the double gradient of sagan's") as caught:
        ppgan_zoo.make_trainer(gan, terms=["r1"])
    assert "\n" not in str(caught.value)
