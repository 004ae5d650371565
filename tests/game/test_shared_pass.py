"""One pass of D serves its loss and the penalties of its gradient at the same images."""

from dataclasses import replace

import numpy as np
import paddle
import pytest

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.models.nets import with_moved_weights

ARGUMENTS = {
    "wgan_gp": ({"channels": 4}, {"channels": 4}),
    "cgan": ({}, {"dropout": 0.0}),
    "r3gan": ({"widths": (16, 8)}, {"widths": (16, 8)}),
    "stylegan2": ({"channels": (8, 8)}, {"channels": (8, 8)}),
    "dcgan_fashion": ({}, {"channels": 8}),
}
LABELLED = ("cgan", "r3gan")
BY_ROW = ("wgan_gp", "cgan", "r3gan")
"""Those whose D takes each image by itself: the others have minibatch deviation or batch norm."""


def made(name, terms):
    paddle.seed(3)
    generator, discriminator = ARGUMENTS[name]
    options = {"num_classes": 10} if name in LABELLED else {}
    gan = ppgan_zoo.create(name, generator=generator, discriminator=discriminator, **options)
    for net in gan.nets.values():  # a weight of zero hides what stands before it
        for weight, moved in zip(
            net.parameters(), with_moved_weights(net).parameters(), strict=True
        ):
            weight.set_value(moved)
    trainer = ppgan_zoo.make_trainer(
        gan, terms=terms, objective="relativistic_pairing", discriminator_steps=1
    )
    return gan, trainer


def given(gan, count=4):
    rng = np.random.default_rng(5)
    labels = np.arange(count, dtype=np.int64) if gan.num_classes else None
    real, fake = (
        Batch(rng.normal(size=(count, *gan.image_shape)).astype(np.float32), labels)
        for _ in range(2)
    )
    return real.map(paddle.to_tensor), fake.map(paddle.to_tensor)


def loss_and_gradients(name, terms, sizes=None):
    gan, trainer = made(name, terms)
    gan.discriminator.train()
    real, fake = given(gan)
    if sizes is not None:
        gan.discriminator.register_forward_post_hook(
            lambda layer, inputs, output: sizes.append(inputs[0].shape[0])
        )
    loss, scalars = trainer.game.discriminator_loss(gan, real, fake, trainer.chance.at(0))
    loss.backward()
    found = {
        key: parameter.grad.numpy()
        for key, parameter in gan.discriminator.named_parameters()
        if parameter.grad is not None
    }
    found["loss"] = loss.numpy()
    return found | {key: value.numpy() for key, value in scalars.items()}


def weighted(*names):
    """Terms that weigh so much that they show."""
    return [get_term(name, weight=0.5 + place) for place, name in enumerate(names)]


@pytest.mark.parametrize("names", [("r1",), ("r2",), ("r1", "r2"), ("r2", "wgan_gp", "r1")])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_loss_and_every_gradient_are_those_of_a_pass_for_each(name, names):
    if name == "dcgan_fashion":  # whose batch norm wgan_gp does not take
        names = [term for term in names if term != "wgan_gp"]
    together = loss_and_gradients(name, weighted(*names))
    apart = loss_and_gradients(name, [replace(term, gradient_at=None) for term in weighted(*names)])
    without = loss_and_gradients(name, [])
    assert set(together) == set(apart)
    assert any(np.abs(apart[key] - without[key]).max() > 1e-3 for key in set(apart) & set(without))
    for key, wanted in apart.items():
        scale = max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(together[key], wanted, atol=2e-5 * scale, err_msg=key)


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize(
    ("names", "by_row", "otherwise"),
    [
        ((), [8], [4, 4]),
        (("r1",), [4, 4], [4, 4, 4]),
        (("r2",), [4, 4], [4, 4, 4]),
        (("r1", "r2"), [8], [4, 4, 4, 4]),
        (("dragan",), [8, 4], [4, 4, 4]),
    ],
)
def test_ds_passes(name, names, by_row, otherwise):
    sizes = []
    loss_and_gradients(name, weighted(*names), sizes)
    assert sizes == (by_row if name in BY_ROW else otherwise)


def test_a_lazy_penalty_has_a_pass_of_its_own():
    sizes = []
    terms = [get_term("r1", every_steps=2)]
    loss_and_gradients("r3gan", terms, sizes)
    assert sizes == [8]


@pytest.mark.parametrize(
    ("name", "labels"), [("wgan_gp", False), ("r3gan", False), ("r3gan", True), ("sngan", True)]
)
def test_a_penalty_sends_no_zeros_back_through_d(name, labels):
    """Paddle does where two tensors are multiplied, at the cost of a backward pass of D."""
    options = {"num_classes": 10} if labels else {}
    gan = ppgan_zoo.create(name, **options)
    discriminator = with_moved_weights(gan.discriminator)
    given = [paddle.arange(4)] if labels else []
    seen, came = [], []

    def logits_of(images):
        seen.append(images * 1.0)
        return discriminator(seen[-1], *given)

    penalty = squared_gradient_norms(logits_of, paddle.rand([4, *gan.image_shape])).mean()
    seen[0].register_hook(lambda gradient: came.append(gradient))
    penalty.backward()
    assert penalty.item() > 0.0
    assert not came
