"""The plan of the package: which folder may import which, and what a newcomer reads first."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from ppgan_zoo.models.facts import build_model, model_facts
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.storage.checkpoint import save_checkpoint

PACKAGE = ROOT / "ppgan_zoo"

# Bottom to top; folders in one line stand beside each other. A module imports its own folder and
# lines above its own. Root modules are the lowest line, but for the doors that open on all.
ORDER = (
    ("errors", "registry", "runtime", "__init__"),
    ("storage",),
    ("recipe",),
    ("distributed",),
    ("ops",),
    ("data",),
    ("weights",),
    ("models",),
    ("game",),
    ("metrics",),
    ("export",),
    ("convert",),
    ("training",),
    ("callbacks",),
    ("evaluation",),
    ("latents",),
    ("run",),
    ("bench", "search", "collapse", "stability"),
    ("leaderboard",),
    ("playground",),
    ("report",),
    ("commands",),
    ("cli", "__main__", "child", "testing"),
)
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
ROOT_MODULES = {*ORDER[0], *ORDER[-1]}

# The one exception. The registry and the package itself hand out things of every folder: by
# strings, which are imported when a name is first used. Only a type checker follows their
# imports, which say what those things are.
TYPE_ONLY = {"ppgan_zoo", "ppgan_zoo.registry"}

# Who may import by a string, which this test cannot follow.
BY_STRING = {*TYPE_ONLY, "ppgan_zoo.cli"}

# What others may take of the recipe's folder, for it knows no recipe: a reader of YAML, and the
# bounds that constructors check as well.
NOT_OF_RECIPES = {"ppgan_zoo.recipe.strict_yaml", "ppgan_zoo.recipe.bounds"}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
FOLDERS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


def part_of(module):
    """Return the folder that a module is in, or the root module that it is."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def home_of(module):
    """Return what a module may import without going down: its folder, or the root's line."""
    part = part_of(module)
    return f"root {LEVEL[part]}" if part in ROOT_MODULES else part


def type_only(tree):
    """Return the nodes that only a type checker runs."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }


def imports_of(module):
    """Return the modules of the package that one imports, wherever in its file."""
    left_out = type_only(TREES[module]) if module in TYPE_ONLY else set()
    found = set()
    for node in ast.walk(TREES[module]):
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write the whole name of what is imported"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return {name for name in found if name.split(".")[0] == "ppgan_zoo"}


IMPORTS = {module: imports_of(module) for module in MODULES}


def test_every_part_of_the_package_has_its_place():
    assert {part_of(module) for module in MODULES} == set(LEVEL)


def test_the_root_holds_the_modules_of_the_design():
    assert {path.stem for path in PACKAGE.glob("*.py")} == ROOT_MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    upwards = {
        name
        for name in IMPORTS[module]
        if home_of(name) != home_of(module) and LEVEL[part_of(name)] >= LEVEL[part_of(module)]
    }
    assert not upwards


def test_what_is_imported_exists():
    assert set().union(*IMPORTS.values()) <= set(MODULES)


def test_only_the_doors_import_by_strings():
    found = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
    }
    assert found == BY_STRING


def test_no_modules_import_each_other_in_a_circle():
    # A circle is an error here, and its message names the modules of it.
    assert len(list(graphlib.TopologicalSorter(IMPORTS).static_order())) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_the_recipe_is_known_to_itself_and_to_what_runs_it_alone(module):
    if part_of(module) != "recipe" and LEVEL[part_of(module)] < LEVEL["run"]:
        assert not {name for name in IMPORTS[module] - NOT_OF_RECIPES if part_of(name) == "recipe"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_says_what_stands_in_it_and_where_to_begin(folder):
    said = ast.get_docstring(TREES[f"ppgan_zoo.{folder.name}"])
    first, _, rest = said.partition("\n\n")
    assert re.fullmatch(r"[A-Z].*[.?]", first), first
    (reading,) = [text for text in rest.split("\n\n") if text.startswith("Read ``")]
    names = set(re.findall(r"``([a-z_]+)``", reading))
    assert names <= {path.stem for path in folder.glob("*.py")}


LOADING = """
import sys
from pathlib import Path
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.restore import find_checkpoint, load_generator

generator, facts = load_generator(find_checkpoint(Path(sys.argv[1])))
print(generate(generator, facts.latent.sample(2, 0)).shape)
print(*sorted(name for name in sys.modules if name.startswith("ppgan_zoo.")))
"""


def test_sampling_needs_neither_training_nor_metrics_nor_recipes(tmp_path):
    nets = {"generator": {"hidden_units": (4,)}, "discriminator": {"hidden_units": (4,)}}
    facts = model_facts("gan_mlp", (1, 4, 4), 2, arguments=nets)
    arrays = {"generator": layer_arrays(build_model(facts).generator)}
    saved = save_checkpoint(Path(tmp_path), arrays, 1, facts.to_json())
    done = subprocess.run(
        [sys.executable, "-c", LOADING, saved.path],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shape, modules = done.stdout.splitlines()[-2:]
    assert shape == "(2, 1, 4, 4)"
    for module in modules.split():
        assert LEVEL[part_of(module)] <= LEVEL["models"], module
        assert part_of(module) != "recipe" or module in {"ppgan_zoo.recipe", *NOT_OF_RECIPES}
