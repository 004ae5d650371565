"""Residual nets beside an independent numpy implementation: outputs, and every gradient."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.game.objectives import get_objective
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import in_mode
from ppgan_zoo.models.weights import layer_arrays

_file = Path(__file__).parents[1] / "reference" / "residual_nets.py"
_spec = importlib.util.spec_from_file_location("residual_nets", _file)
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

LATENT, BATCH = 7, 6

# Name: model, image_shape, num_classes, arguments of G and D, and of the reference's functions.
CASES = {
    "sngan": (
        "sngan", (3, 8, 12), 0,
        {"channels": (5, 4, 6)}, {"channels": (4, 4, 5), "halvings": 2, "head_bias": True},
        {"blocks": 2, "grid": (5, 2, 3), "epsilon": 2e-5}, {"downs": (True, False)},
    ),
    "sngan_labels": (
        "sngan", (1, 8, 8), 3,
        {"channels": (4, 5)}, {"channels": (4, 4, 4), "halvings": 2},
        {"blocks": 1, "grid": (4, 4, 4), "epsilon": 2e-5}, {"downs": (True, False)},
    ),
    "sngan_self_modulation": (
        "sngan", (1, 8, 12), 0,
        {"channels": (5, 4, 6), "self_modulation": 3}, {"channels": (4, 4), "halvings": 1},
        {"blocks": 2, "grid": (5, 2, 3), "epsilon": 2e-5}, {"downs": (False,)},
    ),
    "sagan": (
        "sagan", (1, 8, 12), 0,
        {"channels": (5, 9, 8), "attention_after": 1},
        {"channels": (8, 9, 10), "halvings": 2, "attention_after": 1},
        {"blocks": 2, "grid": (5, 2, 3), "epsilon": 1e-5, "attention": 1},
        {"downs": (True, False), "attention": 1},
    ),
    "sagan_labels": (
        "sagan", (3, 8, 8), 3,
        {"channels": (5, 6, 8), "attention_after": 2},
        {"channels": (4, 8, 9), "halvings": 2, "attention_after": 2, "wide": True},
        {"blocks": 2, "grid": (5, 2, 2), "epsilon": 1e-5, "attention": 2},
        {"downs": (True, False), "attention": 2},
    ),
    "biggan": (
        "biggan", (3, 8, 8), 3,
        {"channels": (5, 6, 9), "shared_dim": 5, "attention_after": 2},
        {"channels": (8, 9, 10), "halvings": 2, "attention_after": 1},
        {"blocks": 2, "grid": (5, 2, 2), "chunk": 2, "attention": 2},
        {"downs": (True, False), "attention": 1},
    ),
    "biggan_without_labels": (
        "biggan", (1, 8, 8), 0,
        {"channels": (5, 6), "attention_after": 0},
        {"channels": (4, 6), "halvings": 1, "attention_after": 0},
        {"blocks": 1, "grid": (5, 4, 4), "chunk": 3}, {"downs": (False,)},
    ),
    "biggan_tables": (
        "biggan", (1, 8, 8), 3,
        {"channels": (5, 6), "attention_after": 0, "hierarchical": False, "shared_dim": 0},
        {"channels": (4, 6), "halvings": 1, "attention_after": 0},
        {"blocks": 1, "grid": (5, 4, 4), "chunk": 0}, {"downs": (False,)},
    ),
    "wgan_gp_28": (
        "wgan_gp", (1, 12, 20), 0,
        {"channels": 3}, {"channels": 3}, {"grid": (12, 2, 3), "quarter": (3, 5)}, {},
    ),
    "wgan_gp_32": (
        "wgan_gp_resnet", (1, 8, 8), 3,
        {"channels": (4, 5)}, {"channels": (4, 4, 4), "halvings": 2},
        {"blocks": 1, "grid": (4, 4, 4), "epsilon": 1e-5},
        {"downs": (True, False), "layer_norm": False},
    ),
    "wgan_gp_64": (
        "wgan_gp_resnet", (3, 8, 4), 0,
        {"channels": (4, 5, 3), "first_bias": False},
        {"channels": (4, 5, 3), "halvings": 2, "norm": "layer"},
        {"blocks": 2, "grid": (4, 2, 1), "epsilon": 1e-5},
        {"downs": (True, True), "layer_norm": True},
    ),
}  # fmt: skip
REFERENCES = {
    "sngan": (reference.resnet_generator, reference.resnet_discriminator),
    "biggan": (reference.biggan_generator, reference.resnet_discriminator),
    "sagan": (reference.resnet_generator, reference.resnet_discriminator),
    "wgan_gp": (reference.wgan_gp_generator, reference.wgan_gp_discriminator),
    "wgan_gp_resnet": (reference.resnet_generator, reference.wgan_gp_resnet_discriminator),
}


class Case:
    """A net pair with weights off their initial values, and what to show it."""

    def __init__(self, name, dtype):
        self.name, shape, classes, of_g, of_d, self.g_facts, self.d_facts = CASES[name]
        paddle.seed(3)
        self.gan = ppgan_zoo.create(
            self.name, latent_dim=LATENT, image_shape=shape, generator=of_g, discriminator=of_d,
            **({"num_classes": classes} if classes else {}),
        )  # fmt: skip
        rng = np.random.default_rng(0)
        for net in self.gan.nets.values():
            for key, tensor in net.state_dict().items():
                if not tensor.stop_gradient or key.endswith(("_mean", "_variance")):
                    moved = tensor.numpy() + 0.1 * np.abs(rng.normal(size=tensor.shape))
                    tensor.set_value(moved.astype(dtype))
        labels = np.arange(BATCH) % classes if classes else None
        self.code = Code(rng.normal(size=(BATCH, LATENT)).astype(dtype), labels)
        low, high = self.gan.image_range
        self.real = Batch(rng.uniform(low, high, (BATCH, *shape)).astype(dtype), labels)

    def arrays(self, net):
        return {k: v.astype(np.float64) for k, v in layer_arrays(self.gan.nets[net]).items()}

    def generate(self, arrays, training):
        z = self.code.z.astype(np.float64)
        return REFERENCES[self.name][0](
            arrays, z, self.code.labels, training=training, **self.g_facts
        )

    def judge(self, arrays, images, training):
        images = images.astype(np.float64)
        return REFERENCES[self.name][1](
            arrays, images, self.real.labels, training=training, **self.d_facts
        )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_images_and_logits_are_the_references(name, training):
    case = Case(name, "float32")
    step = reference.iterated if training else dict
    wanted = case.generate(step(case.arrays("generator")), training)
    code, real = case.code.map(paddle.to_tensor), case.real.map(paddle.to_tensor)
    logits = case.judge(step(case.arrays("discriminator")), case.real.images, training)
    with in_mode(case.gan.generator, training=training), paddle.no_grad():
        np.testing.assert_allclose(case.gan.generate(code).numpy(), wanted, atol=1e-5)
    with in_mode(case.gan.discriminator, training=training), paddle.no_grad():
        found = case.gan.judge(real.images, real.labels).logits.numpy()
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-5)


@pytest.fixture
def double():
    paddle.set_default_dtype("float64")
    yield
    paddle.set_default_dtype("float32")


MOMENT = SimpleNamespace(iteration=0, rng=np.random.default_rng(0))


def differences(loss_of, arrays, parameters):
    """Compare each parameter's gradient with central differences along a random direction."""
    rng = np.random.default_rng(1)
    checked = 0
    for key, parameter in parameters:
        if parameter.stop_gradient:
            continue
        direction, ends = rng.normal(size=parameter.shape), []
        for step in (1e-6, -1e-6):
            ends.append(loss_of({**arrays, key: arrays[key] + step * direction}))
        got = float((parameter.grad.numpy() * direction).sum())
        assert got == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-7), key
        checked += 1
    assert checked


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_of_d_is_the_references(name, double):
    """Of the hinge loss; with spectral norm each pass, of real and of fake, iterates."""
    case = Case(name, "float64")
    before = case.arrays("discriminator")
    of_real = reference.iterated(before)
    of_fake = reference.iterated(of_real)
    fake = np.random.default_rng(5).uniform(-1, 1, case.real.images.shape)

    def loss_of(arrays):
        passes = [
            case.judge({**arrays, **vectors(there)}, images, True)
            for there, images in ((of_real, case.real.images), (of_fake, fake))
        ]
        return np.maximum(1 - passes[0], 0).mean() + np.maximum(1 + passes[1], 0).mean()

    loss, _ = Game(get_objective("hinge")).discriminator_loss(
        case.gan, case.real.map(paddle.to_tensor),
        Batch(fake, case.real.labels).map(paddle.to_tensor), MOMENT,
    )  # fmt: skip
    loss.backward()
    assert float(loss) == pytest.approx(loss_of(before), rel=1e-7)
    differences(loss_of, before, case.gan.discriminator.named_parameters())


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_of_g_is_the_references(name, double):
    case = Case(name, "float64")
    before = case.arrays("generator")
    g_vectors = vectors(reference.iterated(before))
    judge = reference.iterated(case.arrays("discriminator"))

    def loss_of(arrays):
        return -case.judge(judge, case.generate({**arrays, **g_vectors}, True), True).mean()

    loss, _ = Game(get_objective("hinge")).generator_loss(
        case.gan, case.real.map(paddle.to_tensor), case.code.map(paddle.to_tensor), MOMENT
    )
    loss.backward()
    assert float(loss) == pytest.approx(loss_of(before), rel=1e-7)
    differences(loss_of, before, case.gan.generator.named_parameters())


PENALISED = [name for name in CASES if name.startswith("wgan_gp")]


@pytest.mark.parametrize("name", PENALISED)
def test_the_second_derivative_of_d_equals_finite_differences(name, double):
    """Of the norm of the gradient at images, with respect to every weight of D."""
    case = Case(name, "float64")
    real = case.real.map(paddle.to_tensor)
    d = case.gan.discriminator

    def penalty():
        squares = squared_gradient_norms(
            lambda images: case.gan.judge(images, real.labels).logits, real.images
        )
        return (squares.sqrt() - 1.0).square().mean()

    penalty().backward()
    rng = np.random.default_rng(1)
    for key, parameter in d.named_parameters():
        direction, weight, ends = rng.normal(size=parameter.shape), parameter.numpy(), []
        for step in (1e-6, -1e-6):
            parameter.set_value(weight + step * direction)
            ends.append(float(penalty()))
        parameter.set_value(weight)
        got = 0.0 if parameter.grad is None else float((parameter.grad.numpy() * direction).sum())
        assert got == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8), key


def vectors(arrays):
    """u and v of spectral norm, which a gradient takes as constants."""
    return {key: array for key, array in arrays.items() if key.endswith(("weight_u", "weight_v"))}
