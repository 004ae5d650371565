"""A D that answers with more than logits, and terms of the loss that need what it says."""

import re

import numpy as np
import paddle
import pytest
from conftest import tree_bytes
from paddle import nn
from paddle.nn import functional as F

import ppgan_zoo
from ppgan_zoo.cli import main
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import Term
from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.models.gan_mlp import SPEC as DENSE
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import MODELS, TERMS
from ppgan_zoo.run.train import resume, train
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.testing import check_model


class Classifier(nn.Layer):
    """Says whether images are real, and of which class; it is not told the class."""

    def __init__(
        self, *, image_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 0,
        mixing: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.num_classes, self.mixing = num_classes, mixing
        self.hidden = nn.Linear(int(np.prod(image_shape)), 8)
        self.logit = nn.Linear(8, 1)
        self.classes = nn.Linear(8, max(1, num_classes))

    def forward(self, images, labels=None):
        x = F.leaky_relu(self.hidden(images.reshape([images.shape[0], -1])), 0.2)
        if self.mixing:  # as batch norm: each image's answer depends on the others
            x = x - x.mean(axis=0, keepdim=True)
        return Judgement(self.logit(x), {"class_logits": self.classes(x)})


def of_real(inputs):
    return F.cross_entropy(inputs.real_judgement.extras["class_logits"], inputs.real.labels)


def of_fake(inputs):
    return F.cross_entropy(inputs.fake_judgement.extras["class_logits"], inputs.fake.labels)


NEEDS = ("class_logits",)
CLASS_OF_REAL = Term("class_of_real", "Odena et al. 2017 (ACGAN)", of_real, 0.5, needs=NEEDS)
CLASS_OF_FAKE = Term(
    "class_of_fake", "Odena et al. 2017 (ACGAN)", of_fake, 0.25, net="generator", needs=NEEDS
)
BOTH = ["class_of_real", "class_of_fake"]


def spec(**fields):
    return GanSpec(
        name="classifying_gan", generator=DENSE.generator, discriminator=Classifier,
        labels="needs", paper="Odena et al. 2017", **fields,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def lent():
    """The model and its terms have names, as if they were installed."""
    with MODELS.lent(spec()), TERMS.lent(CLASS_OF_REAL), TERMS.lent(CLASS_OF_FAKE):
        yield


def small(seed=3, mixing=False):
    paddle.seed(seed)
    return ppgan_zoo.create(
        "classifying_gan", latent_dim=4, num_classes=3,
        generator={"hidden_units": (8,)}, discriminator={"mixing": mixing},
    )  # fmt: skip


def batch(seed=0, count=6):
    images = np.random.default_rng(seed).uniform(-1, 1, (count, 1, 28, 28))
    return Batch(images.astype(np.float32), np.arange(count, dtype=np.int64) % 3)


def softplus(x):
    return np.log1p(np.exp(x))


def cross_entropy(logits, labels):
    rows = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -rows[np.arange(len(labels)), labels].mean()


def test_it_keeps_every_promise_with_its_terms():
    check_model("classifying_gan", terms=BOTH)


@pytest.mark.parametrize("mixing", [False, True])
def test_terms_get_what_d_says_of_each_side(mixing):
    gan = small(mixing=mixing)
    trainer = ppgan_zoo.make_trainer(gan, terms=BOTH)
    assert trainer.game.one_batch is not mixing
    moment, real = trainer.chance.at(0), batch().map(paddle.to_tensor)
    code = moment.code(6)
    fake = Batch(gan.generate(code).detach(), code.labels)
    loss, scalars = trainer.game.discriminator_loss(gan, real, fake, moment)
    of_real, of_fake = (gan.judge(side.images, side.labels) for side in (real, fake))
    entropy = cross_entropy(of_real.extras["class_logits"].numpy(), real.labels.numpy())
    game = softplus(-of_real.logits.numpy()).mean() + softplus(of_fake.logits.numpy()).mean()
    assert scalars["term/class_of_real"].item() == pytest.approx(entropy, rel=1e-5)
    assert loss.item() == pytest.approx(game + 0.5 * entropy, rel=1e-5)

    loss, scalars = trainer.game.generator_loss(gan, real, code, moment)
    entropy = cross_entropy(of_fake.extras["class_logits"].numpy(), code.labels.numpy())
    game = softplus(-of_fake.logits.numpy()).mean()
    assert list(scalars) == ["term/class_of_fake"]
    assert loss.item() == pytest.approx(game + 0.25 * entropy, rel=1e-5)


def test_d_is_asked_once_for_objective_and_terms():
    gan, calls = small(mixing=True), []
    trainer = ppgan_zoo.make_trainer(gan, terms=BOTH, generator_steps=1)
    gan.discriminator.register_forward_post_hook(lambda *_: calls.append(1))
    trainer.step(batch())
    assert len(calls) == 2 + 1  # D: real, fake; G: fake


def test_a_judgement_is_split_with_all_that_it_says():
    both = Judgement(paddle.arange(5).reshape([5, 1]), {"code": paddle.arange(10).reshape([5, 2])})
    first, second = both.split([2, 3])
    assert first.logits.tolist() == [[0], [1]] and second.logits.tolist() == [[2], [3], [4]]
    assert second.extras["code"].tolist() == [[4, 5], [6, 7], [8, 9]]


def test_other_terms_and_objectives_look_at_its_logits():
    for objective in ("relativistic_pairing", "hinge"):
        trainer = ppgan_zoo.make_trainer(
            small(), objective=objective, terms=["r1", "consistency", "lecam", *BOTH]
        )
        assert all(np.isfinite(value.item()) for value in trainer.step(batch()).values())


@pytest.mark.parametrize("name", BOTH)
def test_a_d_that_does_not_say_it_is_refused(name):
    line = (
        f"terms: {name} needs a D that answers with 'class_logits', and gan_mlp's answers with "
        "logits; leave the term out or use another model"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
        ppgan_zoo.make_trainer(ppgan_zoo.create("gan_mlp"), terms=[name])


RECIPE = """\
model: {name: classifying_gan, generator: {hidden_units: [8]}}
latent: {dim: 4}
data: {name: mnist, batch_size: 16, limit: 64}
terms: [{name: class_of_real, weight: 1}, {name: class_of_fake}]
training: {iterations: 4}
checkpoint: {every_steps: 2}
samples: {every_steps: 2, grid: [2, 10], real_rows: 0}
log: {every_steps: 1}
"""


def test_a_recipe_trains_it_resumes_samples_and_exports_it(tmp_path):
    (tmp_path / "r.yml").write_text(RECIPE)
    train(load_recipe(tmp_path / "r.yml"), tmp_path / "whole", offline=True)
    first = load_recipe(tmp_path / "r.yml", ["training.iterations=2"])
    train(first, tmp_path / "parts", offline=True)
    resume(RunDirectory(tmp_path / "parts"), ["training.iterations=4"], offline=True)
    last = "checkpoints/step-00000004"
    assert tree_bytes(tmp_path / "whole" / last) == tree_bytes(tmp_path / "parts" / last)
    run = str(tmp_path / "whole")
    assert main(["sample", run, "-n", "2", "--class", "3", "--output", f"{tmp_path}/x.npy"]) == 0
    exported = ["--output", f"{tmp_path}/e", "--inference", "default"]
    assert main(["export", "--checkpoint", run, *exported]) == 0


def test_the_command_line_refuses_the_term_of_another_model(tmp_path, capsys):
    (tmp_path / "r.yml").write_text(RECIPE.replace("classifying_gan", "gan_mlp"))
    arguments = ["train", "-c", f"{tmp_path}/r.yml", "--offline", "--output", f"{tmp_path}/run"]
    assert main(arguments) == 2
    assert "needs a D that answers with 'class_logits'" in capsys.readouterr().err
