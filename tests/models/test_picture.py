"""Pictures of nets: what stands in them, against nets that are built here by hand."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import paddle
import pytest
from conftest import ROOT
from paddle import nn

from ppgan_zoo import GanSpec
from ppgan_zoo.models.cost import count_parameters
from ppgan_zoo.models.create import create
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.picture import draw
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.ownership import is_sealed

TEXT = "{http://www.w3.org/2000/svg}text"


class _G(nn.Layer):
    def __init__(self):
        super().__init__()
        self.latent_dim, self.image_shape = 3, (1, 4, 4)
        self.scale = self.create_parameter([5])
        self.body = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 8))
        self.last = nn.Linear(8, 16)

    def forward(self, z):
        return self.last(self.body(z)).reshape([-1, 1, 4, 4])


class _D(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(1, 2, 3)
        self.unused = nn.Linear(7, 9)
        self.score = nn.Linear(8, 1)

    def forward(self, images):
        return self.score(self.conv(images).reshape([-1, 8]))


@pytest.fixture
def gan():
    spec = GanSpec(name="tiny", generator=_G, discriminator=_D, paper="")
    return Gan(spec, _G(), _D())


def _texts(picture):
    return [element.text for element in ElementTree.fromstring(picture).iter(TEXT)]


def test_the_boxes_stand_in_the_order_of_the_calls(gan):
    assert _texts(draw(gan)) == [
        "generator", "325 parameters",
        "parameters of its own", "5 parameters",
        "body.0: Linear, ReLU", "makes 8, 32 parameters",
        "body.2: Linear (x2)", "makes 8, 72 parameters",
        "last: Linear", "makes 16, 144 parameters",
        "discriminator", "101 parameters",
        "conv: Conv2D", "makes 2x2x2, 20 parameters",
        "score: Linear", "makes 1, 9 parameters",
        "unused: Linear", "in training alone, 72 parameters",
    ]  # fmt: skip


def test_the_model_is_left_as_it_was(gan):
    weights = {name: value.numpy() for name, value in gan.generator.state_dict().items()}
    draw(gan)
    assert gan.generator.training and gan.discriminator.training
    for name, value in gan.generator.state_dict().items():
        assert (value.numpy() == weights[name]).all()
    assert all(parameter.grad is None for parameter in gan.generator.parameters())
    assert paddle.is_grad_enabled()


@pytest.mark.parametrize("name", ["bigan", "fastgan", "stylegan2", "cgan", "infogan"])
def test_the_parameters_of_the_boxes_are_those_of_the_net(name):
    gan = create(name)
    texts = _texts(draw(gan))
    for net, layer in gan.nets.items():
        total = texts[texts.index(net) + 1]
        assert int(re.sub(r"\D", "", total)) == count_parameters(layer)


def test_names_are_escaped(gan):
    gan = Gan(GanSpec(name="a", generator=_G, discriminator=_D, paper=""), _G(), _D(),
              **{"<b>&": nn.Linear(1, 1)})  # fmt: skip
    assert "<b>&" in _texts(draw(gan))


def test_the_pictures_in_the_docs_are_current():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "net_pictures.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "models").glob("*.md"))
    for name in MODELS.built_in:
        assert f"](../images/nets/{name}.svg)" in pages


def test_info_draws_and_overwrites_nothing_else(cli, tmp_path):
    picture = tmp_path / "new" / "net.svg"
    for _ in range(2):
        done = cli("info", "gan_mlp", "--picture", str(picture))
        assert done.returncode == 0, done.stderr
    assert picture.read_text().startswith(draw(create("gan_mlp"))) and is_sealed(picture)
    mine = tmp_path / "mine.svg"
    mine.write_text("<svg/>")
    done = cli("info", "gan_mlp", "--picture", str(mine))
    assert done.returncode == 2 and "another name" in done.stderr
    assert mine.read_text() == "<svg/>"
    done = cli("info", "gan_mlp", "--picture", str(tmp_path / "net.png"))
    assert done.returncode == 2 and ".svg" in done.stderr
