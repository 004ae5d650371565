"""docs/architecture.md names what there is, and quotes the step as it is."""

import ast
import importlib
import inspect
import re
import textwrap

import pytest
from conftest import ROOT
from test_architecture import ORDER

from ppgan_zoo import registry
from ppgan_zoo.training.trainer import Trainer

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
QUOTED = set(re.findall(r"`([^`\s]+)`", PROSE))
REGISTRIES = {
    name: value for name, value in vars(registry).items() if isinstance(value, registry.Registry)
}


@pytest.mark.parametrize("path", sorted(n for n in QUOTED if "/" in n or n.endswith(".py")))
def test_every_path_exists(path):
    assert (ROOT / path).exists() or (ROOT / "ppgan_zoo" / path).exists()


def test_a_concept_is_defined_where_the_page_says():
    found = re.findall(r"`(\w+)` \(`ppgan_zoo/([\w/]+)\.py`\)", PROSE)
    assert len(found) == 10  # nine concepts, of which Batch and Code are one
    for name, path in found:
        module = importlib.import_module("ppgan_zoo." + path.replace("/", "."))
        assert getattr(module, name).__module__ == module.__name__, name


def test_the_folders_are_in_their_order():
    rows = re.findall(r"^\| ((?:`\w+/`(?:, )?)+) \|", PAGE, re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)/`", row)) for row in rows] == list(ORDER[1:-1])


def test_the_step_is_quoted_as_it_is():
    (quoted,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    source = textwrap.dedent(inspect.getsource(Trainer.step))
    first = ast.parse(source).body[0].body[1]  # after the docstring
    body = "\n".join(source.splitlines()[first.lineno - 1 :])
    assert quoted.strip() == textwrap.dedent(body).strip()


def test_every_registry_has_its_row():
    for name, group in re.findall(r"\| `([A-Z]+)` \| `([\w.]+)` \|", PAGE):
        assert REGISTRIES.pop(name).group == group
    assert not REGISTRIES


@pytest.mark.parametrize("name", ["README.md", "README_cn.md"])
def test_both_languages_link_to_it(name):
    assert "](docs/architecture.md)" in (ROOT / name).read_text(encoding="utf-8")
