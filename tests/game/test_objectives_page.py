"""docs/objectives.md names everything there is, and its examples work as they stand."""

import re

import pytest
from conftest import ROOT

from ppgan_zoo.models.facts import build_model
from ppgan_zoo.recipe.game import Constraints, TermSection
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.recipe.strict_yaml import lists_to_tuples, parse_yaml
from ppgan_zoo.registry import AUGMENTATIONS, OBJECTIVES, TERMS
from ppgan_zoo.run.build import build_trainer, facts_of

PAGE = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_name_and_key_is_on_the_page():
    for name in (*OBJECTIVES.built_in, *TERMS.built_in):
        assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE), name
    for name in (*Constraints.model_fields, *TermSection.model_fields, *AUGMENTATIONS.built_in):
        assert f"`{name}" in PAGE, name
    for term in TERMS.all():
        assert re.search(rf"^\| `{term.name}` .*\| {term.weight:g} \|", PAGE, re.MULTILINE), term


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_build_without_a_warning(example):
    base = {"model": {"name": "gan_mlp"}, "data": {"name": "mnist", "batch_size": 64}}
    recipe = recipe_from({**base, **lists_to_tuples(parse_yaml(example, "page").data)})
    trainer = build_trainer(recipe, build_model(facts_of(recipe, (1, 28, 28))), 10)
    assert trainer.warnings == []


def test_the_python_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "page", "exec"), {})
    assert capsys.readouterr().out == "[]\n"
