"""What rebuilds a model, and how its arguments are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from paddle import nn

from ppgan_zoo.commands.arguments import check_seed
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.models.facts import ModelFacts, build_model, check_type, model_facts
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Generator(nn.Layer):
    """Annotated with a name that is imported for type checkers alone."""

    def __init__(
        self,
        *,
        latent_dim: int = 3,
        image_shape: tuple[int, int, int] = (1, 2, 2),
        widths: Sequence[int] = (4,),
        depth: int = 1,
    ) -> None:
        super().__init__()
        self.latent_dim, self.image_shape, self.widths = latent_dim, image_shape, tuple(widths)
        self.layer = nn.Linear(latent_dim, 4)

    def forward(self, z):
        return self.layer(z).reshape([-1, *self.image_shape])


class Discriminator(nn.Layer):
    def __init__(self, *, image_shape: tuple[int, int, int] = (1, 2, 2)) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, images):
        return self.layer(images.reshape([images.shape[0], -1]))


@pytest.fixture
def model(monkeypatch):
    spec = GanSpec(name="hinted", generator=Generator, discriminator=Discriminator, paper="none")
    monkeypatch.setitem(MODELS._registered, "hinted", spec)
    return spec.name


def facts(name, **generator):
    return model_facts(name, (1, 2, 2), 3, arguments={"generator": generator})


def test_an_annotation_for_type_checkers_alone_is_no_obstacle(model):
    made = facts(model, widths=(7, 8), depth=2)
    assert build_model(made).generator.widths == (7, 8)
    # The annotations beside it are looked up all the same.
    with pytest.raises(
        ConfigError, match=r"model\.generator\.depth: found 'deep'; input should be"
    ):
        facts(model, depth="deep")


def test_the_type_of_an_argument_is_that_of_its_annotation():
    assert check_type(Generator, "depth", 3, "trainer.depth") == 3
    with pytest.raises(ConfigError, match=r"trainer\.depth: found 1\.5; input should be a valid"):
        check_type(Generator, "depth", 1.5, "trainer.depth")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"generator": {"dept": 1}}, "model.generator.dept: hinted's generator has no such"),
        ({"encoder": {}}, "model.nets.encoder: hinted has no such net; it has generator, discrim"),
        ({"generator": {"latent_dim": 4}}, "model.generator.latent_dim: found 4, but latent.dim"),
        ({"generator": {"image_shape": (1, 3, 3)}}, "model.generator.image_shape: found (1, 3, 3)"),
    ],
)
def test_arguments_that_are_refused(model, arguments, words):
    with pytest.raises(ConfigError) as caught:
        model_facts(model, (1, 2, 2), 3, arguments=arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("names", "right"), [((), True), ("abc", True), ("ab", False)])
def test_classes_have_a_name_each_or_none(names, right):
    facts = model_facts("gan_mlp", (1, 4, 4), 3, conditional=True, num_classes=3).to_json()
    told = {**facts, "classes": list(names)}
    if right:
        assert ModelFacts.from_json(told, "here").classes == tuple(names)
        return
    with pytest.raises(CheckpointError, match="here: .* found 2 names for num_classes 3"):
        ModelFacts.from_json(told, "here")


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_has_at_most_63_bits(seed):
    check_seed(2**63 - 1)
    with pytest.raises(ConfigError, match=f"--seed {seed}: give"):
        check_seed(seed)
