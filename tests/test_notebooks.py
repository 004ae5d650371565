"""The notebooks of docs: without outputs, right in every name, and run from beginning to end."""

import ast
import importlib
import json
import re

import pytest
from conftest import ROOT

from ppgan_zoo.collapse.recipes import collapse_recipe
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.recipe.shipped import shipped_recipes
from ppgan_zoo.registry import MODELS, OBJECTIVES, TERMS, WEIGHTS

FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ids = [path.stem for path in NOTEBOOKS]


def cells(path, kind):
    return [
        "".join(cell["source"])
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == kind
    ]


def code(path):
    """All code of a notebook as one module, without IPython's own lines."""
    return ast.parse(
        "\n".join(
            "\n".join(line for line in cell.splitlines() if not line.startswith("%"))
            for cell in cells(path, "code")
        )
    )


def test_there_are_three():
    assert [name.partition("-")[0] for name in ids] == ["1", "2", "3"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_is_stripped_and_explains_itself(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert book["nbformat"] == 4 and book["metadata"]["kernelspec"]["name"] == "python3"
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert cells(path, "markdown")[0].startswith("# ")
    assert "## Try it\n" in cells(path, "markdown")[-1]
    assert all(len(line) <= 120 for cell in cells(path, "markdown") for line in cell.splitlines())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_every_name_that_a_notebook_imports_exists(path):
    found = 0
    for node in ast.walk(code(path)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("ppgan_zoo"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                found += 1
    assert found


def texts(path):
    """All constants of a notebook's code that are text, and what its prose has in backquotes."""
    in_code = {
        node.value
        for node in ast.walk(code(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return in_code, set(re.findall(r"`([^`\n]+)`", "\n".join(cells(path, "markdown"))))


def test_the_names_of_models_objectives_and_terms_exist():
    first, second, third = (texts(path) for path in NOTEBOOKS)
    assert "mnist_tuned" in WEIGHTS.names() and "mnist_tuned" in first[0]
    assert "gan_mlp_bn" in MODELS.names() and "gan_mlp_bn" in first[0]
    named = {"non_saturating", "least_squares", "wasserstein", "hinge", "relativistic_pairing"}
    assert named <= set(OBJECTIVES.names()) and named <= second[0] | second[1]
    assert "zero_centered_gp" in TERMS.names()
    for _, prose in (first, second, third):
        for words in prose:
            if found := re.search(r"ppgan-zoo train -c (\w+)", words):
                assert found[1] in shipped_recipes()


def literals(path, name):
    """The values of the assignments to a name, and of its calls' first dictionaries."""
    return [node.value for node in ast.walk(code(path)) if isinstance(node, ast.Assign)
            and [target.id for target in node.targets if isinstance(target, ast.Name)] == [name]]  # fmt: skip


@pytest.mark.parametrize(("number", "model"), [(0, "gan_mlp_bn"), (2, "gan_mlp")])
def test_the_recipes_of_the_notebooks_are_recipes(number, model):
    """`RATE` is the one name in them."""
    (rate,) = (ast.literal_eval(value) for value in literals(NOTEBOOKS[number], "RATE"))
    (call,) = literals(NOTEBOOKS[number], "recipe")
    text = ast.unparse(call.args[0]).replace("RATE", repr(rate)).replace("my_gan", model)
    recipe = recipe_from(ast.literal_eval(text))
    assert recipe.training.iterations <= 500


def test_the_settings_of_the_comparison_are_settings():
    (settings,) = literals(NOTEBOOKS[1], "SETTINGS")
    for overrides in ast.literal_eval(settings).values():
        assert collapse_recipe("ring", overrides).data.name == "ring"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_runs(path, tmp_path):
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    import nbformat

    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    client = nbclient.NotebookClient(
        book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/html", "image/png"} & shown
    assert not [output for output in outputs if output["output_type"] == "error"]
