"""cGAN and ACGAN: sizes by the papers' tables, parity with numpy, the auxiliary classifier."""

import itertools
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from reference.arrays import (
    conv,
    cross_entropy,
    dense,
    leaky,
    norm,
    relu,
    sigmoid,
    slopes,
    softplus,
    up_conv,
)

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.game.objectives import get_objective
from ppgan_zoo.game.terms import TermInputs, get_term
from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.spec import GanSpec

CLASSES, COUNT = 3, 5


def sizes(net):
    """Numbers that learn, layer by layer."""
    found = {}
    for name, parameter in net.named_parameters():
        if not parameter.stop_gradient:
            owner = name.rpartition(".")[0]
            found[owner] = found.get(owner, 0) + int(np.prod(parameter.shape))
    return found


def test_cgan_has_the_papers_size():
    gan = ppgan_zoo.create("cgan")
    assert list(sizes(gan.generator).values()) == [
        100 * 200 + 200, 10 * 1000 + 1000, 1200 * 1200 + 1200, 1200 * 784 + 784,
    ]  # fmt: skip
    assert list(sizes(gan.discriminator).values()) == [
        784 * 240 * 5 + 240 * 5, 10 * 50 * 5 + 50 * 5, 290 * 240 * 4 + 240 * 4, 240 + 1,
    ]  # fmt: skip


def test_a_fresh_cgan_minds_the_label_as_much_as_z_and_the_image():
    """Rows of what is concatenated: neither part outweighs the other by ten."""
    paddle.seed(0)
    gan, rng = ppgan_zoo.create("cgan"), np.random.default_rng(0)
    g, d = arrays(gan.generator), arrays(gan.discriminator)
    z, labels = rng.uniform(-1, 1, (64, 100)), np.eye(10)[np.arange(64) % 10]
    digits = rng.random((64, 784)) * (rng.random((64, 784)) < 0.2)  # a fifth is ink
    for part, other in (
        (dense(g, "of_label", labels), dense(g, "of_z", z)),
        (maxout(d, "of_label", labels, 5), maxout(d, "of_image", digits, 5)),
    ):
        spread = [(x - x.mean(axis=0)).std() * np.sqrt(x.shape[1]) for x in (part, other)]
        assert 0.3 < spread[0] / spread[1] < 3.5


def test_acgan_has_the_papers_size():
    gan = ppgan_zoo.create("acgan", image_shape=(3, 32, 32))
    g, d = sizes(gan.generator), sizes(gan.discriminator)
    assert g == {
        "dense": 110 * 384 * 16 + 384 * 16,
        "ups.0": 384 * 192 * 25 + 192, "norms.0": 2 * 192,
        "ups.1": 192 * 96 * 25 + 96, "norms.1": 2 * 96,
        "ups.2": 96 * 3 * 25 + 3,
    }  # fmt: skip
    widths = [3, 16, 32, 64, 128, 256, 512]
    assert [d[f"convolutions.{i}"] for i in range(6)] == [
        a * b * 9 + b for a, b in itertools.pairwise(widths)
    ]
    assert [d[f"norms.{i}"] for i in range(5)] == [2 * width for width in widths[2:]]
    # 32 to 16, 8, 4 by strides of 2; the paper's last layer has 1 + 10 units.
    assert d["logit"] + d["classes"] == 512 * 16 * 11 + 11


@pytest.mark.parametrize("sides", [(28, 28), (32, 32), (29, 31), (16, 40)])
def test_acgan_makes_images_of_any_size(sides):
    gan = ppgan_zoo.create("acgan", image_shape=(1, *sides), channels=(4, 4, 4))
    z, labels = paddle.zeros([2, 100]), paddle.to_tensor([3, 9])
    images = gan.generate(Code(z, labels))
    assert images.shape == [2, 1, *sides]
    judgement = gan.judge(images, labels)
    assert (judgement.logits.shape, judgement.extras["class_logits"].shape) == ([2, 1], [2, 10])


# Parity with numpy, in float64.


def built(name, **arguments):
    """Nets of double precision, with weights that no initialiser makes small or zero."""
    paddle.seed(0)
    gan = ppgan_zoo.create(name, num_classes=CLASSES, **arguments)
    rng = np.random.default_rng(1)
    for net in gan.nets.values():
        net.to(dtype="float64")
        for parameter in net.parameters():
            if not parameter.stop_gradient:
                parameter.set_value(0.3 * rng.normal(size=parameter.shape))
    return gan


def arrays(net):
    return {name: p.numpy() for name, p in net.named_parameters() if not p.stop_gradient}


def cgan():
    return built(
        "cgan", latent_dim=4, image_shape=(1, 4, 3),
        generator={"z_units": 5, "label_units": 6, "hidden_units": 7, "dropout": 0.0},
        discriminator={"image_units": 5, "label_units": 4, "hidden_units": 6, "dropout": 0.0},
    )  # fmt: skip


def cgan_images(w, z, labels):
    both = np.concatenate([dense(w, "of_z", z), dense(w, "of_label", np.eye(CLASSES)[labels])], 1)
    x = relu(dense(w, "joint", relu(both)))
    return sigmoid(dense(w, "pixels", x)).reshape(len(z), 1, 4, 3)


def maxout(w, name, x, pieces):
    return dense(w, f"{name}.linear", x).reshape(len(x), -1, pieces).max(2)


def cgan_logits(w, images, labels):
    x = maxout(w, "of_image", images.reshape(len(images), -1), 5)
    y = maxout(w, "of_label", np.eye(CLASSES)[labels], 5)
    return dense(w, "logit", maxout(w, "joint", np.concatenate([x, y], 1), 4)), None


def acgan():
    return built(
        "acgan", latent_dim=4, image_shape=(2, 6, 7),
        generator={"channels": (4, 3)}, discriminator={"channels": (3, 4, 5), "dropout": 0.0},
    )  # fmt: skip


def acgan_images(w, z, labels):
    x = relu(dense(w, "dense", np.concatenate([z, np.eye(CLASSES)[labels]], 1)))
    x = x.reshape(len(z), 4, 2, 2)  # 6 and 7 rows: 3 and 4, 2 and 2
    x = relu(norm(w, "norms.0", up_conv(w, "ups.0", x, 2, 2, (3, 4))))
    return np.tanh(up_conv(w, "ups.1", x, 2, 2, (6, 7)))


def acgan_logits(w, images, labels):
    x = leaky(conv(w, "convolutions.0", images, 2, 1), 0.2)
    x = leaky(norm(w, "norms.0", conv(w, "convolutions.1", x, 1, 1)), 0.2)
    x = leaky(norm(w, "norms.1", conv(w, "convolutions.2", x, 2, 1)), 0.2)
    x = x.reshape(len(x), -1)
    return dense(w, "logit", x), dense(w, "classes", x)


MODELS = {"cgan": (cgan, cgan_images, cgan_logits), "acgan": (acgan, acgan_images, acgan_logits)}


def test_gradient_penalties_pass_through_maxout():
    gan = cgan()
    images, labels, _, _ = given(gan)
    w = {name: array.astype(np.float64) for name, array in arrays(gan.discriminator).items()}

    def penalty():
        norms, step = 0.0, 1e-4
        for place in np.ndindex(gan.image_shape):
            moved = np.zeros_like(images)
            moved[(slice(None), *place)] = step
            slope = cgan_logits(w, images + moved, labels)[0]
            slope = (slope - cgan_logits(w, images - moved, labels)[0]) / (2 * step)
            norms = norms + slope**2
        return norms.mean()

    value = squared_gradient_norms(
        lambda x: gan.discriminator(x, paddle.to_tensor(labels)),
        paddle.to_tensor(images),
    ).mean()
    value.backward()
    assert float(value) == pytest.approx(penalty(), rel=1e-4)
    for name in ("of_image.linear.weight", "joint.linear.weight", "logit.weight"):
        found = dict(gan.discriminator.named_parameters())[name].grad.numpy()
        place = np.unravel_index(np.abs(found).argmax(), found.shape)
        w[name][place] += 1e-5
        more = penalty()
        w[name][place] -= 2e-5
        less = penalty()
        w[name][place] += 1e-5
        assert found[place] == pytest.approx((more - less) / 2e-5, rel=1e-3), name


WEIGHTS = {"real": 0.7, "fake": 0.3, "generator": 0.4}
every_model = pytest.mark.parametrize("name", MODELS)


def given(gan):
    rng = np.random.default_rng(2)
    real = rng.uniform(-1, 1, (COUNT, *gan.image_shape))
    z = rng.normal(size=(COUNT, gan.latent_dim))
    return real, np.array([2, 0, 1, 1, 0]), z, np.array([1, 2, 2, 0, 1])


@every_model
def test_images_and_logits_are_numpys(name):
    make, images_of, logits_of = MODELS[name]
    gan = make()
    real, labels, z, asked = given(gan)
    images = gan.generate(Code(paddle.to_tensor(z), paddle.to_tensor(asked))).numpy()
    np.testing.assert_allclose(images, images_of(arrays(gan.generator), z, asked), atol=1e-10)
    found = gan.judge(paddle.to_tensor(real), paddle.to_tensor(labels))
    logits, classes = logits_of(arrays(gan.discriminator), real, labels)
    np.testing.assert_allclose(found.logits.numpy(), logits, atol=1e-10)
    assert images.std() > 0.05 and logits.std() > 0.05  # an agreement that says something
    if classes is not None:
        np.testing.assert_allclose(found.extras["class_logits"].numpy(), classes, atol=1e-10)


@every_model
def test_losses_and_every_gradient_are_numpys(name):
    make, images_of, logits_of = MODELS[name]
    gan = make()
    terms = [get_term("auxiliary_classifier", 2.0, **WEIGHTS)] if name == "acgan" else []
    game = Game(get_objective("non_saturating"), terms=terms)
    moment = SimpleNamespace(iteration=0, rng=np.random.default_rng(0))
    real, labels, z, asked = given(gan)
    code = Code(paddle.to_tensor(z), paddle.to_tensor(asked))
    shown = Batch(paddle.to_tensor(real), paddle.to_tensor(labels))

    def loss_of_d(w):
        fake = images_of(arrays(gan.generator), z, asked)
        (of_real, real_classes), (of_fake, fake_classes) = (
            logits_of(w, *side) for side in ((real, labels), (fake, asked))
        )
        loss = softplus(-of_real).mean() + softplus(of_fake).mean()
        if real_classes is None:
            return loss
        classes = 0.7 * cross_entropy(real_classes, labels)
        return loss + 2.0 * (classes + 0.3 * cross_entropy(fake_classes, asked))

    def loss_of_g(w):
        fake = images_of(w, z, asked)
        logits, classes = logits_of(arrays(gan.discriminator), fake, asked)
        loss = softplus(-logits).mean()
        return loss if classes is None else loss + 2.0 * 0.4 * cross_entropy(classes, asked)

    for net, wanted in (("discriminator", loss_of_d), ("generator", loss_of_g)):
        if net == "discriminator":
            with paddle.no_grad():
                fake = Batch(gan.generate(code), code.labels)
            loss, _ = game.discriminator_loss(gan, shown, fake, moment)
        else:
            loss, _ = game.generator_loss(gan, shown, code, moment)
        layer = gan.nets[net]
        assert loss.item() == pytest.approx(wanted(arrays(layer)), rel=1e-9)
        loss.backward()
        parameters = dict(layer.named_parameters())
        for key, (direction, slope) in slopes(wanted, arrays(layer)).items():
            found = (parameters[key].grad.numpy() * direction).sum()
            assert found == pytest.approx(slope, rel=1e-5, abs=1e-7), (net, key)
        for other in gan.nets.values():
            other.clear_gradients()


# The term.


def inputs(net="discriminator"):
    """Class logits of 0 and log 2: probabilities 1/3 and 2/3."""
    log2 = float(np.log(2.0))
    answer = {"class_logits": paddle.to_tensor([[0.0, log2], [log2, 0.0]])}
    shown = Batch(paddle.zeros([2, 1, 2, 2]), paddle.to_tensor([1, 1]))
    fake = Batch(shown.images, paddle.to_tensor([1, 0]))
    made = TermInputs(None, shown, fake, np.random.default_rng(0), net=net)
    judgement = Judgement(paddle.zeros([2, 1]), answer)
    return made.note(judgement, judgement)


def test_the_auxiliary_classifier_by_hand():
    of_real = (np.log(3 / 2) + np.log(3)) / 2  # of labels 1 and 1
    of_fake = np.log(3 / 2)  # of labels 1 and 0
    term = get_term("auxiliary_classifier", real=2.0, fake=0.5, generator=0.25).ready()
    assert term(inputs()).item() == pytest.approx(2.0 * of_real + 0.5 * of_fake, rel=1e-6)
    assert term(inputs("generator")).item() == pytest.approx(0.25 * of_fake, rel=1e-6)
    alone = get_term("auxiliary_classifier", fake=0.0).ready()
    assert alone(inputs()).item() == pytest.approx(of_real, rel=1e-6)


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ConfigError, match="auxiliary_classifier: fake is -1.0; give 0 or more"):
        get_term("auxiliary_classifier", fake=-1.0).ready()


def test_it_is_in_both_losses_and_each_is_logged():
    gan = ppgan_zoo.create(
        "acgan", latent_dim=4, image_shape=(1, 8, 8), num_classes=CLASSES, channels=(4, 4)
    )
    trainer = ppgan_zoo.make_trainer(gan)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 1, 8, 8)).astype(np.float32)
    scalars = trainer.step(Batch(images, np.array([0, 1, 2, 0])))
    logged = {key for key in scalars if key.startswith("term/")}
    assert logged == {
        "term/auxiliary_classifier/discriminator", "term/auxiliary_classifier/generator",
    }  # fmt: skip
    assert trainer.game.terms.net_of("auxiliary_classifier") is None


def test_a_specs_own_terms_are_taken_where_nobody_names_any():
    gan = ppgan_zoo.create("acgan", num_classes=CLASSES, channels=(4, 4))
    names = [term.name for term in ppgan_zoo.make_trainer(gan).game.terms.terms]
    assert names == ["auxiliary_classifier"]
    assert ppgan_zoo.make_trainer(gan, terms=[]).game.terms.terms == ()
    assert GanSpec.terms == ()
