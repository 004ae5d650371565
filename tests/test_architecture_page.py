"""docs/architecture.md, in both languages, names what there is and quotes the step as it is."""

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

PAGES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("architecture.md", "architecture.zh.md")
}
PROSE = {name: re.sub(r"```.*?```", "", page, flags=re.DOTALL) for name, page in PAGES.items()}
QUOTED = set(re.findall(r"`([^`\s]+)`", "".join(PROSE.values())))
REGISTRIES = {
    name: value for name, value in vars(registry).items() if isinstance(value, registry.Registry)
}


@pytest.mark.parametrize("path", sorted(n for n in QUOTED if "/" in n or n.endswith(".py")))
def test_every_path_exists(path):
    assert (ROOT / path).exists() or (ROOT / "ppgan_zoo" / path).exists()


@pytest.mark.parametrize("prose", PROSE.values(), ids=PROSE)
def test_a_concept_is_defined_where_the_page_says(prose):
    found = re.findall(r"`(\w+)`(?: \(|（)`ppgan_zoo/([\w/]+)\.py`[)）]", prose)
    assert len(found) == 10  # nine concepts, of which Batch and Code are one
    for name, path in found:
        module = importlib.import_module("ppgan_zoo." + path.replace("/", "."))
        assert getattr(module, name).__module__ == module.__name__, name


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_folders_are_in_their_order(page):
    rows = re.findall(r"^\| ((?:`\w+/`(?:, |、)?)+) \|", page, re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)/`", row)) for row in rows] == list(ORDER[1:-1])


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_step_is_quoted_as_it_is(page):
    (quoted,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    source = textwrap.dedent(inspect.getsource(Trainer.step))
    first = ast.parse(source).body[0].body[1]  # after the docstring
    body = "\n".join(source.splitlines()[first.lineno - 1 :])
    assert quoted.strip() == textwrap.dedent(body).strip()


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_registry_has_its_row(page):
    rows = re.findall(r"\| `([A-Z]+)` \| `([\w.]+)` \|", page)
    assert dict(rows) == {name: value.group for name, value in REGISTRIES.items()}


@pytest.mark.parametrize(("readme", "page"), zip(("README.md", "README_cn.md"), PAGES, strict=True))
def test_both_languages_link_to_it(readme, page):
    assert f"](docs/{page})" in (ROOT / readme).read_text(encoding="utf-8")
