"""Every malformed input is refused in one line; nothing is run, changed or left behind.

Exit code 2, one printable line that names the place, what was found and what to do, at
most 2 GiB and 10 seconds. See :mod:`harness` for how a case is run.
"""

import checkpoint_cases
import command_cases
import data_cases
import export_cases
import numpy as np
import picture_cases
import place_cases
import plugin_cases
import prepare_cases
import program_cases
import pytest
import recipe_cases
import storage_cases
import weight_cases
from conftest import TINY
from data_cases import write_small_mnist
from harness import Done, ForkServer, Stock, judge, snapshot

from ppgan_zoo.recipe.load import load_recipe

MODULES = (
    recipe_cases, command_cases, data_cases, picture_cases, checkpoint_cases, export_cases,
    program_cases, storage_cases, weight_cases, plugin_cases, place_cases, prepare_cases,
)  # fmt: skip
CASES = [
    pytest.param(case, id=f"{module.__name__.removesuffix('_cases')}-{case.name}")
    for module in MODULES
    for case in module.CASES
]


@pytest.fixture(scope="module")
def server(stock):
    server = ForkServer(stock)
    yield server
    server.close()


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A short run, one of its checkpoints and its export."""
    from ppgan_zoo.export.exporter import export
    from ppgan_zoo.models.restore import find_checkpoint
    from ppgan_zoo.run.train import train

    folder = tmp_path_factory.mktemp("stock")
    write_small_mnist(folder / "data")
    (folder / "tiny.yml").write_text(TINY)
    overrides = ["training.epochs=null", "training.iterations=1", "checkpoint.every_steps=1"]
    overrides.append(f"data.directory={folder / 'data'}")
    recipe = load_recipe(folder / "tiny.yml", overrides)
    train(recipe, folder / "run", offline=True)
    checkpoint = find_checkpoint(folder / "run")
    export(checkpoint, folder / "exported")
    return Stock(folder / "data", folder / "run", checkpoint.path, folder / "exported")


def prepared(case, stock, tmp_path):
    """Make the case's folder and return it."""
    (tmp_path / "here").mkdir()
    case.build(tmp_path / "here", stock)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_refused_in_one_line(case, stock, server, tmp_path):
    folder = prepared(case, stock, tmp_path)
    before = snapshot(folder / "here")
    judge(case, server.run(case.arguments, folder))
    assert "canary" not in snapshot(folder / "here"), "something ran"
    assert snapshot(folder / "here") == before


def test_there_are_at_least_nine_hundred():
    names = [parameter.id for parameter in CASES]
    assert len(set(names)) == len(names) >= 900


def test_a_fork_does_what_a_process_of_its_own_does(stock, server, tmp_path, cli):
    (tmp_path / "here").mkdir()
    arguments = ("sample", str(stock.checkpoint), "-n", "4", "--device", "cpu", "--output")
    done = server.run((*arguments, "forked.npy"), tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert cli(*arguments, tmp_path / "own.npy").returncode == 0
    forked = np.load(tmp_path / "here" / "forked.npy")
    assert forked.tobytes() == np.load(tmp_path / "own.npy").tobytes()


def test_the_harness_sees_what_it_should(stock, server, tmp_path):
    """A command that is well is no case: the judge must not pass whatever it is given."""
    from harness import Case

    (tmp_path / "here").mkdir()
    done = server.run(("list",), tmp_path)
    assert done.code == 0
    with pytest.raises(AssertionError):
        judge(Case("sound", ("list",), ()), done)


OWN_PROCESSES = (
    "recipe-tag that runs a command", "command-unknown flag", "data-a gzip bomb",
    "checkpoint-a header of 2^63", "export-half the weights, signed",
    "weight-a pickle that runs a command",
)  # fmt: skip


@pytest.mark.parametrize("name", OWN_PROCESSES)
def test_refused_in_a_process_of_its_own(name, stock, tmp_path, cli):
    """As a user runs it, with the interpreter's own end."""
    (case,) = (parameter.values[0] for parameter in CASES if parameter.id == name)
    folder = prepared(case, stock, tmp_path)
    done = cli(*case.arguments, cwd=folder / "here")
    judge(case, Done(done.returncode, done.stdout, done.stderr, 0.0, 0))
    assert not (folder / "here" / "canary").exists()
