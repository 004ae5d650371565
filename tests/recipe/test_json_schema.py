"""The JSON schema of recipes, by an independent validator: it takes what the zoo takes."""

import json
import subprocess
import sys

import jsonschema
import pytest
from conftest import ROOT

from ppgan_zoo.cli import main
from ppgan_zoo.models.docstrings import argument_meanings
from ppgan_zoo.models.spec import constructor_arguments
from ppgan_zoo.recipe.shipped import shipped_recipes
from ppgan_zoo.recipe.strict_yaml import read_yaml
from ppgan_zoo.registry import MODELS

PAGE = ROOT / "docs" / "recipe.schema.json"
LINE = "# yaml-language-server: $schema=../docs/recipe.schema.json"


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(PAGE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def recipe(**sections):
    whole = {
        "model": {"name": "dcgan"},
        "data": {"name": "mnist", "batch_size": 8},
        "training": {"iterations": 5},
    }
    return {**whole, **sections}


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_valid_and_leads_an_editor_to_the_schema(name, validator):
    path = shipped_recipes()[name]
    assert list(validator.iter_errors(read_yaml(path).data)) == []
    assert path.read_text(encoding="utf-8").startswith(LINE + "\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": {"name": "no_such_model"}},
        {"model": {"name": "dcgan", "generator": {"hidden_unit": 5}}},
        {"model": {"name": "dcgan", "generator": {"hidden_units": "many"}}},
        {"model": {"name": "bigan", "nets": {"decoder": {}}}},
        {"data": {"name": "mnist", "batch_size": 0}},
        {"data": {"name": "minst", "batch_size": 8}},
        {"objective": {"name": "hing"}},
        {"terms": [{"name": "r3"}]},
        {"trainig": {"iterations": 5}},
        {"training": {"iterations": -1}},
        {"ema": {"decay": 2.0}},
        {"constraints": {"augment": ["colours"]}},
        {"constraints": {"augment": [{"name": "colours"}]}},
        {"constraints": {"augment": [{"color": 0.5}]}},
        {"evaluation": {"metrics": ["fdi"]}},
    ],
)
def test_what_the_zoo_refuses_is_marked(wrong, validator):
    assert list(validator.iter_errors(recipe())) == []
    assert list(validator.iter_errors(recipe(**wrong)))


@pytest.mark.parametrize(
    "right",
    [
        {"model": {"name": "bigan", "nets": {"encoder": {}}}},
        {"model": {"name": "stylegan2", "generator": {"w_dim": 16, "style_mixing": 0.5}}},
        {"terms": [{"name": "r1", "weight": {"name": "cosine", "first": 1.0, "last": 0.1}}]},
        {"evaluation": {"features": "digits-v1", "metrics": ["fid", "kid"]}},
        {"constraints": {"augment": ["translation"]}},
        {"constraints": {"augment": [{"name": "bgc", "color": 0.5}, "cutout"]}},
    ],
)
def test_what_the_zoo_takes_is_not(right, validator):
    assert list(validator.iter_errors(recipe(**right))) == []


def test_the_file_is_current():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "recipe_schema.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_prints_it(capsys):
    assert main(["schema", "--built-in"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(PAGE.read_text(encoding="utf-8"))


def test_meanings_are_read_from_the_docstring():
    class Documented:
        """One.

        Args:
            first: Its meaning,
                in two lines.
            second (optional): Another: with a colon.
            **rest: What is left.

        Raises:
            ValueError: Never.
        """

    assert argument_meanings(Documented) == {
        "first": "Its meaning, in two lines.",
        "second": "Another: with a colon.",
        "rest": "What is left.",
    }
    assert argument_meanings(type("Silent", (), {})) == {}


@pytest.mark.parametrize("name", sorted(MODELS.built_in))
def test_every_argument_of_every_net_is_explained(name):
    for net in MODELS.get(name).nets.values():
        assert set(constructor_arguments(net)) <= set(argument_meanings(net)), net
