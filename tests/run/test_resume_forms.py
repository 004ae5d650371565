"""A resumed run computes its products as it did before, whatever is faster by now."""

import json
import shutil

import pytest

from ppgan_zoo import ops
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.train import train as train_recipe
from ppgan_zoo.storage.checkpoint import open_checkpoint

RECIPE = """
model:
  name: gan_mlp
  generator: {hidden_units: [256]}
  discriminator: {hidden_units: [256]}
latent: {dim: 64}
data: {name: mnist, batch_size: 32, limit: 128}
training: {iterations: 4}
checkpoint: {every_steps: 2, keep_last: 5}
"""


def write(folder):
    path = folder / "recipe.yml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def train(cli, tmp_path):
    """Train with a cache of its own; returns the final checkpoint's arrays and products."""
    if ops.library() is None:
        pytest.skip(ops.describe())
    write(tmp_path)

    def run(name, *arguments):
        done = cli(
            "train", "--offline", *arguments, cwd=tmp_path,
            env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "PPGAN_ZOO_THREADS": "1",
                 ops.SWITCH: "auto"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        last = tmp_path / name / "checkpoints" / "step-00000004"
        arrays = {file.name: file.read_bytes() for file in last.glob("*.safetensors")}
        return arrays, open_checkpoint(last).products, done.stderr

    return run


def flip(folder, products):
    """Keep another form of each product in the cache, and return these."""
    (kept,) = (folder / "cache" / "ppgan_zoo" / "products").glob("*.jsonl")
    head, *lines = kept.read_text().splitlines()
    assert dict(map(json.loads, lines)) == products
    flipped = {key: "padded" if form == "paddle" else "paddle" for key, form in products.items()}
    kept.write_text("\n".join([head, *map(json.dumps, map(list, flipped.items()))]) + "\n")
    return flipped


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resume_keeps_the_forms_of_the_run(processes, train, tmp_path):
    """In every one of its processes: those that do not read checkpoints are told."""
    together = ["--processes", processes]
    arrays, products, _ = train("run", "-c", "recipe.yml", "--output", "run", *together)
    assert len(products) >= 6  # three products of each large layer, at least
    # Now others are said to be faster.
    flipped = flip(tmp_path, products)

    shutil.copytree(tmp_path / "run", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-00000004")
    resumed = train("cut", "--resume", "cut", *together)
    assert resumed[:2] == (arrays, products)
    anew = train("anew", "-c", "recipe.yml", "--output", "anew", *together)
    assert anew[1] == flipped
    assert anew[0] != arrays  # so the forms do make a difference


@pytest.mark.parametrize("key", ["processor", "processor_kind"])
def test_on_another_machine_a_resume_finds_its_own_and_says_so(train, tmp_path, key):
    _, products, _ = train("run", "-c", "recipe.yml", "--output", "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000004")
    manifest = tmp_path / "run" / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["starts"][-1]["runtime"][key] = "another"
    manifest.write_text(json.dumps(facts))
    flipped = flip(tmp_path, products)
    _, found, said = train("run", "--resume", "run")
    assert found == flipped
    assert "before: another" in said
    assert "the bytes will differ" in said


def test_a_run_begun_after_a_resume_in_one_process_finds_its_own(tmp_path, monkeypatch):
    if ops.library() is None:
        pytest.skip(ops.describe())
    monkeypatch.setenv(ops.SWITCH, "auto")
    recipe = load_recipe(write(tmp_path))
    run = train_recipe(recipe, tmp_path / "run", offline=True).run
    ops.adopt({"of another run": "paddle"})
    train_recipe(recipe, tmp_path / "next", offline=True)
    assert ops.choices_used() == open_checkpoint(run.checkpoints / "step-00000004").products
