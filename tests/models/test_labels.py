"""Ways for labels into a net, against numpy, and models that take labels."""

from dataclasses import replace

import numpy as np
import paddle
import pytest

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError, PluginError
from ppgan_zoo.models.facts import ModelFacts, find_class, model_facts
from ppgan_zoo.models.labels import Projection, with_one_hot
from ppgan_zoo.models.latent import Code, labels_in_turn, sample_labels
from ppgan_zoo.models.weights import spectral_norm
from ppgan_zoo.registry import MODELS
from ppgan_zoo.testing import tiny

TAKE_LABELS = [spec.name for spec in MODELS.all() if spec.labels == "takes"]


def small(name, **arguments):
    paddle.seed(0)
    spec = MODELS.get(name)
    nets = {net: tiny(getattr(spec, net)) for net in ("generator", "discriminator")}
    return ppgan_zoo.create(name, **nets, **arguments)


def test_nets_of_different_classes_are_refused():
    line = "acgan: num_classes is 3 in the generator and 10 in the discriminator; give all nets"
    with pytest.raises(ConfigError, match=line):
        ppgan_zoo.create("acgan", generator={"num_classes": 3})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_hot_labels_are_appended(dtype):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(dtype)
    labels = np.array([2, 0, 1, 2])
    got = with_one_hot(paddle.to_tensor(x), paddle.to_tensor(labels), 3)
    np.testing.assert_array_equal(got.numpy(), np.concatenate([x, np.eye(3)[labels]], axis=1))
    assert got.numpy().dtype == dtype


def test_the_projection_of_a_label_is_an_inner_product():
    paddle.seed(1)
    head, rng = Projection(5, 7), np.random.default_rng(0)
    features, labels = rng.normal(size=(4, 7)).astype(np.float32), np.array([4, 0, 3, 4])
    got = head(paddle.to_tensor(features), paddle.to_tensor(labels)).numpy()
    table = head.embedding.weight.numpy()
    np.testing.assert_allclose(got[:, 0], (table[labels] * features).sum(1), rtol=1e-5)
    # Glorot-uniform, as Miyato and Koyama's.
    assert np.abs(table).max() <= np.sqrt(6 / (5 + 7))


def test_a_projecting_d_says_the_inner_product_more_than_one_without_labels():
    gan = small("dcgan", num_classes=3)
    discriminator, kept = gan.discriminator, []
    discriminator.eval()
    discriminator.dense4.register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0]))
    images = paddle.to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)), "float32")
    labels = paddle.to_tensor(np.array([0, 1, 2, 1]))
    more = gan.judge(images, labels).logits - discriminator(images)
    wanted = discriminator.projection(kept[0], labels)
    np.testing.assert_allclose(more.numpy(), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", TAKE_LABELS)
def test_a_model_without_labels_has_no_weights_for_them(name):
    plain, labelled = small(name), small(name, num_classes=3)
    assert (plain.num_classes, labelled.num_classes) == (0, 3)
    before, after = (sum(p.size for p in g.generator.parameters()) for g in (plain, labelled))
    assert after > before
    z = paddle.zeros([2, plain.latent_dim])
    assert plain.generate(Code(z)).shape == [2, *plain.image_shape]


def test_labels_are_drawn_evenly_and_the_first_do_not_depend_on_how_many():
    many = sample_labels(20_000, 10, 3, 1)
    assert many.dtype == np.int64
    counts = np.bincount(many, minlength=10)
    assert len(counts) == 10 and np.abs(counts - 2000).max() < 5 * np.sqrt(1800)
    np.testing.assert_array_equal(sample_labels(7, 10, 3, 1), many[:7])
    assert not np.array_equal(sample_labels(50, 10, 3, 2), many[:50])
    np.testing.assert_array_equal(labels_in_turn(7, 3), [0, 1, 2, 0, 1, 2, 0])


def test_a_class_is_found_by_name_and_by_number():
    names = ("Trouser", "Bag")
    assert find_class("Bag", 2, names, "--class") == 1
    assert find_class("0", 2, names, "--class") == 0
    with pytest.raises(ConfigError, match=r"--class bag: no such class \(did you mean 'Bag'\?\); "):
        find_class("bag", 2, names, "--class")
    with pytest.raises(ConfigError, match="--class 2: no such class; known: 0 to 1, or Trouser"):
        find_class("2", 2, names, "--class")
    with pytest.raises(ConfigError, match="--class 1: the model was trained without labels"):
        find_class("1", 0, (), "--class")


def test_the_classes_of_the_data_reach_the_nets_and_the_checkpoint():
    facts = model_facts(
        "gan_mlp", (1, 28, 28), 8, conditional=True, num_classes=3, classes=("a", "b", "c")
    )
    assert facts.generator["num_classes"] == facts.discriminator["num_classes"] == 3
    assert ModelFacts.from_json(facts.to_json(), "here") == facts
    plain = model_facts("gan_mlp", (1, 28, 28), 8, num_classes=3, classes=("a", "b", "c"))
    assert (plain.num_classes, plain.classes, plain.generator["num_classes"]) == (0, (), 0)
    assert "num_classes" not in plain.to_json()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("dcgan_keras", {"num_classes": 3}, "model.conditional: dcgan_keras takes no labels"),
        ("gan_mlp", {}, "gan_mlp is to be trained with labels, and the data have none"),
        (
            "gan_mlp",
            {"num_classes": 3, "arguments": {"generator": {"num_classes": 4}}},
            "model.generator.num_classes: found 4, but model.conditional gives 3",
        ),
    ],
)
def test_labels_that_cannot_be_had_are_refused_in_one_line(name, options, words):
    with pytest.raises(ConfigError) as caught:
        model_facts(name, (1, 28, 28), 8, conditional=True, **options)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_that_takes_labels_is_not_given_classes_past_its_data():
    with pytest.raises(ConfigError, match="num_classes: found 4, but model.conditional gives 0"):
        model_facts("gan_mlp", (1, 28, 28), 8, arguments={"generator": {"num_classes": 4}})


def test_a_spec_of_labels_needs_nets_that_take_them():
    spec = MODELS.get("dcgan_keras")
    with pytest.raises(PluginError, match="labels is 'takes', and .* takes no num_classes"):
        MODELS.register(replace(spec, name="labelled_keras", labels="takes"))


def test_a_trainer_of_labels_wants_them_in_every_batch_and_one_without_ignores_them():
    images = np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)
    labels = np.array([0, 1, 2, 0])
    trainer = ppgan_zoo.make_trainer(small("gan_mlp", num_classes=3))
    with pytest.raises(ConfigError, match=r"labels of 3 classes.*Batches\(\.\.\., labels=True\)"):
        trainer.step(images)
    trainer.step(Batch(images, labels))
    plain, other = (ppgan_zoo.make_trainer(small("gan_mlp")) for _ in range(2))
    for (_, one), (_, two) in zip(
        plain.step(Batch(images, labels)).items(), other.step(images).items(), strict=True
    ):
        assert one.item() == two.item()


def test_spectral_norm_is_of_the_embedding_of_labels_too():
    gan = small("dcgan", num_classes=5)
    spectral_norm(gan.discriminator)
    images = paddle.zeros([5, 1, 28, 28])
    for _ in range(50):  # power iterations
        gan.judge(images, paddle.arange(5))
    table = gan.discriminator.projection.embedding.weight.numpy()
    assert np.linalg.svd(table, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-3)
