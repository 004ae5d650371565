"""The example of an objective and a term, installed by pip as a stranger would, used by name."""

import importlib.util
import json
import re

import numpy as np
import paddle
import pytest
from conftest import ROOT, install_plugin, tree_bytes

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.objectives import LabelSmoothing
from ppgan_zoo.game.terms import TermInputs, Terms

EXAMPLE = ROOT / "docs" / "example_objective_plugin"
RECIPE = EXAMPLE / "example_pearson_mnist.yml"
SMALL = [
    "-o", "model.generator.hidden_units=[8]", "-o", "model.discriminator.hidden_units=[8]",
    "-o", "data.limit=64", "-o", "data.batch_size=16", "-o", "training.epochs=null",
    "-o", "checkpoint.every_steps=3", "--offline",
]  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return install_plugin(EXAMPLE, tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def module():
    path = EXAMPLE / "ppgan_zoo_example_objective.py"
    found = importlib.util.spec_from_file_location("example_objective", path)
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def column(*values):
    return paddle.to_tensor(np.float32(values).reshape(-1, 1))


def test_the_objective_by_hand(module):
    pearson, none = module.PEARSON, LabelSmoothing()
    real, fake = column(3.0, -1.0), column(1.0, 2.0)
    # ((3-1)^2 + (-1-1)^2) / 4 = 2 and ((1+1)^2 + (2+1)^2) / 4 = 3.25; (1 + 4) / 4 = 1.25
    assert float(pearson.discriminator_loss(real, fake, none)) == pytest.approx(5.25)
    assert [float(half(side, none)) for half, side in
            zip(pearson.halves, (real, fake), strict=True)] == pytest.approx([2.0, 3.25])  # fmt: skip
    assert float(pearson.generator_loss(fake, None, none)) == pytest.approx(1.25)


def test_the_term_by_hand(module):
    terms = Terms([module.BRIGHTNESS.having(decay=0.5)])

    def value(real, fake):
        sides = [Batch(paddle.to_tensor(np.float32(side))) for side in (real, fake)]
        return float(terms.add_to(None, terms.terms, TermInputs(None, *sides, None))[0])

    # Standard deviations of two numbers at a distance d are d / sqrt(2).
    root = 2**-0.5
    assert value([1.0, 3.0], [0.0, 0.0]) == pytest.approx(2**2 + (2 * root) ** 2)
    # Weights 1/4 and 1/2, that is 1/3 and 2/3: means (2 + 2 * 5) / 3, deviations (2 + 2 * 8) / 3.
    wanted = (4 - 2) ** 2 + (6 * root - 2 * root) ** 2
    assert value([1.0, 9.0], [1.0, 3.0]) == pytest.approx(wanted, rel=1e-5)


def test_it_is_trained_by_name_and_a_resume_is_exact(installed, tmp_path, cli):
    def run(*arguments):
        done = cli(*arguments, env=installed, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    train = ["train", "-c", RECIPE, *SMALL]
    shown = run(*train, "-o", "training.iterations=6", "--dry-run").stdout
    assert "name: example_pearson" in shown and "decay: 0.9" in shown
    run(*train, "-o", "training.iterations=6", "--output", "whole")
    run(*train, "-o", "training.iterations=3", "--output", "parts")
    run("train", "--resume", "parts", "-o", "training.iterations=6", "--offline")
    last = "checkpoints/step-00000006"
    whole, parts = (tree_bytes(tmp_path / name / last) for name in ("whole", "parts"))
    assert "terms.safetensors" in whole
    assert whole == parts
    alternating = ["-o", "training.discriminator_batch=alternating", "--output", "alternating"]
    run(*train, "-o", "training.iterations=1", *alternating)
    check = ["check", "gan_mlp", "--term", "example_brightness", "--format", "json"]
    assert json.loads(run(*check).stdout)["passed"] is True


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("objective.name=example_person", "did you mean 'example_pearson'?"),
        ("objective.label_smoothing.real=0.1", "example_pearson has no labels to smooth"),
        ("terms=[{name: example_brightness, dekay: 0.9}]", "did you mean 'decay'?"),
        ("terms=[{name: example_brightness, decay: x}]", "terms: example_brightness: decay: found"),
        ("terms=[{name: example_brightness, decay: 1.0}]", "decay 1.0; give 0 or more, and less"),
    ],
)
def test_mistakes_are_one_line(override, said, installed, cli):
    once = ["-o", "training.iterations=1", "--dry-run"]
    done = cli("train", "-c", RECIPE, *SMALL, *once, "-o", override, env=installed)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_without_the_plugin_its_names_are_unknown(cli):
    done = cli("train", "-c", RECIPE, *SMALL, "--dry-run")
    assert done.returncode == 2
    assert "unknown objective 'example_pearson'" in done.stderr


def test_the_page_shows_the_example_as_it_is():
    page = (ROOT / "docs" / "adding_an_objective_or_term.md").read_text(encoding="utf-8")
    code = (EXAMPLE / "ppgan_zoo_example_objective.py").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2 and all(block in code for block in blocks)
    (recipe,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert recipe in RECIPE.read_text(encoding="utf-8")
    points = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    project = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    assert len(points) == 1 and points[0] in project
