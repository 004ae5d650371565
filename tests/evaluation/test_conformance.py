"""The list of checks: what each finds, what depends on what, and models that stay large."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from ppgan_zoo.errors import ConfigError, UnknownNameError
from ppgan_zoo.evaluation.conformance import CHECKS, run_checks
from ppgan_zoo.evaluation.subject import Subject, tiny
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.registry import MODELS
from ppgan_zoo.testing import check_model


class Generator(nn.Layer):
    def __init__(self, *, latent_dim: int = 4, image_shape: tuple = (1, 4, 4), width: int = 32):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, tuple(image_shape)
        self.first = nn.Linear(latent_dim, width)
        self.last = nn.Linear(width, int(np.prod(image_shape)))

    def forward(self, z):
        return self.last(self.first(z).tanh()).tanh().reshape([-1, *self.image_shape])


class Discriminator(nn.Layer):
    def __init__(self, *, image_shape: tuple = (1, 4, 4)):
        super().__init__()
        self.dense = nn.Linear(int(np.prod(image_shape)), 1)

    def forward(self, images):
        return self.dense(images.reshape([images.shape[0], -1]))


class Labelled(Generator):
    """Takes labels; with `deaf` it makes nothing of them."""

    deaf = False

    def __init__(
        self, *, latent_dim: int = 4, image_shape: tuple = (1, 4, 4), num_classes: int = 0
    ):
        super().__init__(latent_dim=latent_dim, image_shape=image_shape)
        self.num_classes = num_classes
        if num_classes:
            self.embedding = nn.Embedding(num_classes, latent_dim)

    def forward(self, z, labels=None):
        if labels is not None:
            z = z + self.embedding(labels * 0 if self.deaf else labels)
        # Not super(), which Paddle cannot trace.
        return Generator.forward(self, z)


class Deaf(Labelled):
    deaf = True


class LabelledDiscriminator(Discriminator):
    def __init__(self, *, image_shape: tuple = (1, 4, 4), num_classes: int = 0):
        super().__init__(image_shape=image_shape)
        self.num_classes = num_classes
        if num_classes:
            self.embedding = nn.Embedding(num_classes, 1)

    def forward(self, images, labels=None):
        logits = super().forward(images)
        return logits if labels is None else logits + self.embedding(labels)


class Forgetful(Generator):
    """Keeps a number that no checkpoint holds, and computes with it in train mode."""

    def forward(self, z):
        self.calls = getattr(self, "calls", 0) + self.training
        return Generator.forward(self, z * (1.0 + 0.1 * self.calls * self.training))


class Traced(Generator):
    """Makes other images in a graph than outside of one."""

    def forward(self, z):
        images = Generator.forward(self, z)
        return images if paddle.in_dynamic_mode() else images * 0.5


class Fixed(Generator):
    def forward(self, z):
        return Generator.forward(self, z.reshape([8, -1]))


class Multiple(Generator):
    """Takes widths of 16 and more alone."""

    def __init__(self, *, latent_dim: int = 4, image_shape: tuple = (1, 4, 4), width: int = 32):
        if width % 16:
            raise ConfigError("width must be a multiple of 16")
        super().__init__(latent_dim=latent_dim, image_shape=image_shape, width=width)


class Sigmoid(Discriminator):
    def forward(self, images):
        return F.sigmoid(super().forward(images))


def spec(generator=Generator, discriminator=Discriminator, **fields):
    return GanSpec(
        name="tried", generator=generator, discriminator=discriminator, paper="", **fields
    )


def results(model, own=None, **options):
    outcomes = run_checks(Subject(model, {"latent_dim": 4}, own, **options))
    return {outcome.name: outcome for outcome in outcomes}


def names(found, result):
    return [name for name, outcome in found.items() if outcome.result == result]


def test_a_sound_model_passes_every_check_in_order():
    found = results(spec())
    assert list(found) == [check.name for check in CHECKS]
    assert names(found, "failed") == []
    assert names(found, "not run") == ["further nets", "two processes", "labels"]
    assert found["labels"].detail == "the model takes none"
    assert found["export"].detail.startswith("largest difference ")


def test_every_check_needs_checks_that_stand_before_it():
    before = set()
    for check in CHECKS:
        assert set(check.needs) <= before
        before.add(check.name)
    assert len(before) == len(CHECKS)


@pytest.mark.parametrize(
    ("model", "failed", "words"),
    [
        (spec(Forgetful), "state and resume", "a resumed model takes another step: "),
        (spec(Traced), "export", "largest difference from the trained generator"),
        (spec(discriminator=Sigmoid), "logits", "no output falls below 0"),
        (spec(image_range=(0.0, 1.0)), "image range", "outside of the declared image_range"),
        (
            spec(Deaf, LabelledDiscriminator, labels="needs"),
            "labels",
            "the labels make no difference to its images",
        ),
        (
            spec(Deaf, LabelledDiscriminator, labels="takes"),
            "labels",
            "built with 3 classes: labels: generator: the labels make no difference",
        ),
    ],
)
def test_one_broken_promise_fails_one_check(model, failed, words):
    found = results(model)
    assert names(found, "failed") == [failed], found
    assert words in found[failed].detail and "\n" not in found[failed].detail
    with pytest.raises(AssertionError, match="^tried: "):
        check_model(model, latent_dim=4)


def test_what_depends_on_a_failed_check_is_not_run():
    found = results(spec(Fixed))
    assert names(found, "failed") == ["shapes"]
    assert found["gradients"].detail == "it needs shapes"
    assert found["state and resume"].detail == "it needs a step"
    assert names(found, "passed") == ["constructors", "same seed, same weights"]


@pytest.mark.parametrize("labels", ["takes", "needs"])
def test_labels_are_checked_where_there_are_any(labels):
    found = results(spec(Labelled, LabelledDiscriminator, labels=labels))
    assert names(found, "failed") == []
    assert "3 classes" in found["labels"].detail


def test_widths_shrink_unless_they_are_given_or_the_net_refuses():
    assert tiny(Generator) == {"width": 8}
    assert tiny(MODELS.get("dcgan").discriminator) == {
        "channels": (8, 8), "hidden_units": 8, "padding": 0,
    }  # fmt: skip
    for model, own, small, width in (
        (spec(), None, True, 8),
        (spec(), None, False, 32),
        (spec(), {"generator": {"width": 5}}, True, 5),
        (spec(Multiple), None, True, 32),
        (spec(Multiple), {"generator": {"width": 48}}, True, 48),
    ):
        subject = Subject(model, {"latent_dim": 4}, own, small=small)
        assert subject.gan.generator.first.weight.shape == [4, width]


def test_a_model_that_cannot_be_built_is_refused():
    with pytest.raises(ConfigError, match="width must be a multiple of 16"):
        results(spec(Multiple), {"generator": {"width": 3}})
    with pytest.raises(ConfigError, match="model.generator.width: found 'x'"):
        results(spec(), {"generator": {"width": "x"}})
    with pytest.raises(ConfigError, match="model.nets.encoder: tried has no such net"):
        results(spec(), {"encoder": {"width": 3}})
    with pytest.raises(UnknownNameError, match="unknown term 'r3'"):
        results(spec(), terms=["r3"])


def test_a_name_that_another_model_has_is_no_trouble():
    model = GanSpec(name="dcgan", generator=Generator, discriminator=Discriminator, paper="")
    assert names(results(model), "failed") == []
    assert MODELS.get("dcgan").generator is not Generator


APART = """
import os

import numpy as np
from paddle import nn

from ppgan_zoo.models.spec import GanSpec


class Generator(nn.Layer):
    def __init__(self, *, latent_dim: int = 4, image_shape: tuple = (1, 4, 4)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, tuple(image_shape)
        self.dense = nn.Linear(latent_dim, 16)
        if TURNED and os.environ.get("PADDLE_TRAINER_ID") == "1":
            self.dense.weight.set_value(-self.dense.weight)

    def forward(self, z):
        return self.dense(z).tanh().reshape([-1, *self.image_shape])


class Discriminator(nn.Layer):
    def __init__(self, *, image_shape: tuple = (1, 4, 4)):
        super().__init__()
        self.dense = nn.Linear(16, 1)

    def forward(self, images):
        return self.dense(images.reshape([images.shape[0], -1]))


SPEC = GanSpec(name="turned", generator=Generator, discriminator=Discriminator, paper="none")
"""


@pytest.mark.parametrize("turned", [False, True])
def test_two_processes_must_keep_the_same_weights(turned, tmp_path, monkeypatch):
    module = f"turned_{turned}".lower()
    (tmp_path / f"{module}.py").write_text(f"TURNED = {turned}\n{APART}")
    monkeypatch.syspath_prepend(tmp_path)
    target = f"{module}:SPEC"
    subject = Subject(MODELS.load(target), {"latent_dim": 4}, target=target)
    (found,) = [outcome for outcome in run_checks(subject) if outcome.name == "two processes"]
    if turned:
        assert found.result == "failed"
        assert found.detail == "two processes part: they differ in generator.dense.weight"
    else:
        assert (found.result, found.detail) == ("passed", "the weights of one")


def test_two_processes_are_not_tried_of_a_spec_that_only_this_process_has():
    spec = GanSpec(name="here", generator=Generator, discriminator=Discriminator, paper="none")
    found = {o.name: o for o in run_checks(Subject(spec, {"latent_dim": 4}))}["two processes"]
    assert found.result == "not run" and "give its name or MODULE:SPEC" in found.detail
    names = [o.name for o in run_checks(Subject(spec, {"latent_dim": 4}), processes=False)]
    assert "two processes" not in names and len(names) == len(CHECKS) - 1
