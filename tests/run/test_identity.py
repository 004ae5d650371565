"""A resumed run is the run that it says it is: what was changed since is refused, or recorded."""

import json
import re
import shutil

import pytest
from conftest import TINY, tree_bytes

from ppgan_zoo.errors import CheckpointError, ConfigError, ZooError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.run.identity import ARITHMETIC, changes_of_machine, differences
from ppgan_zoo.storage.retention import list_checkpoints
from ppgan_zoo.storage.run_directory import RunDirectory

MORE = ["training.epochs=4"]


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A run, and one of another seed and of another model."""
    folder = tmp_path_factory.mktemp("stock")
    (folder / "tiny.yml").write_text(TINY)
    for name, overrides in {
        "run": [], "seed": ["seed=1"], "model": ["model.generator.activation=relu"],
    }.items():  # fmt: skip
        recipe = load_recipe(folder / "tiny.yml", overrides)
        train.train(recipe, folder / name, offline=True)
    return folder


@pytest.fixture
def run(stock, tmp_path):
    shutil.copytree(stock / "run", tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def edit(run, old, new):
    text = run.recipe.read_text()
    assert re.search(old, text)
    run.recipe.write_text(re.sub(old, new, text, count=1))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("seed: 0", "seed: 1", "seed"),
        ("batch_size: 32", "batch_size: 16", "data.batch_size"),
        ("generator:\n", "generator:\n    activation: relu\n", "model.generator.activation"),
        ("- 32", "- 33", "model.generator.hidden_units"),
        ("conditional: false", "conditional: true", "model.conditional"),
        ("decay: 0.9", "decay: 0.5", "ema.decay"),
        ("learning_rate: [0-9.e-]+", "learning_rate: 0.5", "optimizer.generator.learning_rate"),
        ("dim: 8", "dim: 9", "latent.dim"),
        ("limit: 128", "limit: 127", "data.limit"),
        ("first: discriminator", "first: generator", "training.first"),
        ("terms: null", "terms: [{name: r1}]", "terms"),
        ("  shared: false", "  shared: true", "latent.shared"),
    ],
)
def test_a_key_that_was_changed_by_hand_is_named(old, new, key, run):
    edit(run, old, new)
    before = tree_bytes(run.path)
    with pytest.raises(ZooError) as caught:
        train.resume(run, MORE, offline=True)
    assert key in str(caught.value) and "was changed by hand: the run started with" in str(
        caught.value
    )
    after = tree_bytes(run.path)
    assert {k: v for k, v in after.items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }


def test_what_a_resume_may_change_may_be_changed_by_hand_and_is_recorded(run):
    edit(run, "epochs: 3", "epochs: 4")
    edit(run, "keep_last: [0-9]+", "keep_last: 2")
    assert train.resume(run, offline=True).iteration == 16
    first, second = run.starts()
    assert (first["recipe"]["training"]["epochs"], second["recipe"]["training"]["epochs"]) == (3, 4)
    assert second["recipe"]["checkpoint"]["keep_last"] == 2


def test_a_run_that_was_moved_says_so_in_its_manifest(run, stock):
    assert train.resume(run, MORE, offline=True).iteration == 16
    first, second = run.starts()
    assert first["directory"] == str(stock / "run") and second["directory"] == str(run.path)
    assert first["host"] == second["host"]


@pytest.mark.parametrize(
    ("other", "says"), [("seed", "its seed is 1"), ("model", "activation is relu")]
)
def test_a_checkpoint_of_another_run_is_refused(other, says, run, stock):
    shutil.rmtree(run.checkpoints)
    shutil.copytree(stock / other / "checkpoints", run.checkpoints)
    before = tree_bytes(run.checkpoints)
    with pytest.raises(CheckpointError, match=f"is of another run: .*{says}"):
        train.resume(run, MORE, offline=True)
    assert tree_bytes(run.checkpoints) == before


def test_a_run_without_its_manifest_is_refused(run):
    run.manifest.unlink()
    with pytest.raises(CheckpointError, match=r"manifest.json: is missing"):
        train.resume(run, MORE, offline=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m["starts"][0].pop("data"), "'starts.0.data'"),
        (lambda m: m["starts"][0]["data"].update(count="many"), "'starts.0.data.count'"),
        (lambda m: m["starts"][0]["data"].pop("sha256"), "'starts.0.data.sha256'"),
        (lambda m: m["starts"][0].update(data=[]), "'starts.0.data'"),
        (lambda m: m.update(starts=[1]), "no mapping"),
        (lambda m: m.update(starts=5), "cannot be read"),
        (lambda m: m["starts"][0].update(recipe=[1]), "manifest.json"),
        (lambda m: m["starts"][0]["recipe"].update(seed="x"), "seed"),
    ],
)  # fmt: skip
def test_a_manifest_that_was_changed_by_hand_is_one_line(change, says, run):
    manifest = json.loads(run.manifest.read_text())
    change(manifest)
    run.manifest.write_text(json.dumps(manifest))
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        train.resume(run, MORE, offline=True)
    assert says in str(caught.value) and "manifest.json" in str(caught.value)


def test_another_machine_is_said(run):
    manifest = json.loads(run.manifest.read_text())
    manifest["starts"][0]["runtime"].update(threads=64, processor="A chip")
    run.manifest.write_text(json.dumps(manifest))
    train.resume(run, MORE, offline=True)
    (line,) = [line for line in run.log.read_text().splitlines() if " resumed with " in line]
    assert "WARNING" in line and "threads 1 (before: 64)" in line and "(before: A chip)" in line
    train.resume(run, ["training.epochs=5"], offline=True)  # on the same one
    assert run.log.read_text().count(" resumed with ") == 1


def test_nothing_is_said_of_the_same_machine(run):
    train.resume(run, MORE, offline=True)
    assert " resumed with " not in run.log.read_text()


def test_the_line_names_each_difference_that_matters():
    before = {"device": "gpu:0", "threads": 2, "paddle": "3.3.1", "memory": "kept"}
    now = {"device": "cpu", "threads": 2, "paddle": "2.6.2", "memory": "system"}
    line = changes_of_machine(before, now)
    assert "device cpu (before: gpu:0), paddle 2.6.2 (before: 3.3.1):" in line
    assert "memory" not in line and "threads" not in line
    assert changes_of_machine(before, {**before, "memory": "system"}) is None
    assert changes_of_machine({}, now) is None and "threads" in ARITHMETIC


def test_differences_have_dotted_keys():
    before = {"a": {"b": 1, "c": [1]}, "d": 2}
    now = {"a": {"b": 1, "c": [2]}, "e": 3}
    found = [(key, str(was), str(is_)) for key, was, is_ in differences(before, now)]
    assert found == [("a.c", "[1]", "[2]"), ("d", "2", "nothing"), ("e", "nothing", "3")]


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(stock, tmp_path):
    """At whichever moment: with its recipe alone, with a manifest, with folders and a log."""
    whole = RunDirectory(stock / "run")
    for number, kept in enumerate((
        ["recipe.yml"], ["recipe.yml", "checkpoints"], ["recipe.yml", "manifest.json", "train.log"],
        ["recipe.yml", "manifest.json", "samples", "visualdl", "progress.json"],
    )):  # fmt: skip
        run = RunDirectory(tmp_path / str(number))
        run.path.mkdir()
        for name in kept:
            source = whole.path / name
            if name == "checkpoints":
                run.checkpoints.mkdir()
            elif source.is_dir():
                shutil.copytree(source, run.path / name)
            else:
                shutil.copyfile(source, run.path / name)
        assert train.resume(run, offline=True).iteration == 12
        assert tree_bytes(run.checkpoints) == tree_bytes(whole.checkpoints)
        assert "started again: no checkpoint had been saved" in run.log.read_text()
    assert list_checkpoints(run.checkpoints)[-1].manifest["seed"] == 0
