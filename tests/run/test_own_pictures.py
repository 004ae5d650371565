"""Training on pictures of one's own, in the place of a recipe's data."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from conftest import tree_bytes
from PIL import Image

from ppgan_zoo.cli import main
from ppgan_zoo.data.prepare.prepare import prepare
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.evaluation.protocol import Protocol
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.run.evaluate import evaluate
from ppgan_zoo.run.own_pictures import own_pictures
from ppgan_zoo.run.train import train
from ppgan_zoo.storage.run_directory import RunDirectory

RECIPE = {
    "model": {"name": "gan_mlp", "generator": {"hidden_units": [8]},
              "discriminator": {"hidden_units": [8]}},
    "latent": {"dim": 4}, "data": {"name": "mnist", "batch_size": 8},
    "training": {"iterations": 4}, "checkpoint": {"every_steps": 2},
}  # fmt: skip


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for n in range(24):
        folder = tmp_path / "my pictures" / "xy"[n % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / f"{n}.png")
    return tmp_path / "my pictures"


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "r.yml").write_text(json.dumps(RECIPE))
    return tmp_path / "r.yml"


def test_a_folder_is_prepared_into_the_cache_once_and_trained_on(
    pictures, recipe, tmp_path, capsys
):
    command = ["train", "-c", str(recipe), "--data", str(pictures), "--offline"]
    assert main([*command, "--output", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert "preparing 24 pictures at 28x28 into" in said
    trained_on = RunDirectory(tmp_path / "run").trained_on()
    assert trained_on["image_shape"] == [1, 28, 28]
    assert (trained_on["name"], trained_on["count"]) == ("prepared", 24)
    assert main([*command, "--output", str(tmp_path / "again")]) == 0
    assert "was prepared before, in" in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path / "run"), "-o", "training.iterations=6"]) == 0
    assert RunDirectory(tmp_path / "run").trained_on() == trained_on


@pytest.mark.parametrize("damage", ["a pixel", "no manifest", "only the sheet"])
def test_a_damaged_set_in_the_cache_is_made_again(pictures, recipe, tmp_path, capsys, damage):
    command = ["train", "-c", str(recipe), "--data", str(pictures), "--dry-run"]
    assert main(command) == 0
    (kept,) = (tmp_path / "cache" / "ppgan_zoo" / "prepared").iterdir()
    before = tree_bytes(kept)
    rows = kept / "train_images.npy"
    if damage == "a pixel":
        rows.write_bytes(rows.read_bytes()[:-1] + b"?")
    else:
        (kept / "manifest.json").unlink()
    if damage == "only the sheet":
        rows.unlink()
        (kept / "report.json").unlink()
    assert main(command) == 0
    assert "what was prepared before is damaged, and is made again" in capsys.readouterr().err
    assert tree_bytes(kept) == before
    assert main(command) == 0
    assert "was prepared before, in" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_named(pictures, recipe, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/x")
    assert main(["train", "-c", str(recipe), "--data", str(pictures), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "cannot be made: Not a directory; let XDG_CACHE_HOME name a folder that" in said
    assert "--output" not in said


def test_a_prepared_set_is_taken_as_it_is(pictures, recipe, tmp_path, capsys):
    prepare(pictures, tmp_path / "set", Settings((16, 16)), jobs=1)
    command = ["train", "-c", str(recipe), "--data", str(tmp_path / "set"), "--dry-run"]
    assert main([*command, "-o", "data.image_size=32"]) == 0
    said = capsys.readouterr()
    assert "24 images (3, 16, 16) of prepared" in said.out
    assert "is 16x16, and the recipe says 32x32; the set is taken as it is" in said.err


def test_a_damaged_set_is_not_prepared_as_pictures(pictures, recipe, tmp_path, capsys):
    prepare(pictures, tmp_path / "set", Settings((16, 16)), jobs=1)
    (tmp_path / "set" / "manifest.json").unlink()
    command = ["train", "-c", str(recipe), "--data", str(tmp_path / "set"), "--dry-run"]
    assert main(command) == 2
    assert "a damaged prepared set, for it has no manifest.json" in capsys.readouterr().err


def test_a_run_in_the_folder_of_its_pictures_is_resumed(pictures, recipe, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    command = ["train", "-c", str(recipe), "-o", "data.name=folder", "-o", "data.directory=."]
    assert main([*command, "--output", "output/r"]) == 0
    assert list(Path("output/r/samples").glob("*.png"))
    assert main(["train", "--resume", "output/r", "-o", "training.iterations=6"]) == 0
    assert main(["train", "-c", str(recipe), "--data", ".", "--dry-run"]) == 0
    assert "preparing 24 pictures" in capsys.readouterr().err


def test_size_channels_and_ground_are_the_recipes(pictures):
    given = {**RECIPE, "data": {"name": "folder", "directory": "x", "batch_size": 8, "image_size": 12,
             "channels": 1, "options": {"background": [0, 0, 0]}}}  # fmt: skip
    said = []
    lines = own_pictures(recipe_from(given), pictures, said.append)
    found = recipe_from(given, overrides=lines).data
    assert (found.name, found.image_size, found.channels, found.options) == (
        "prepared",
        None,
        None,
        {},
    )
    manifest = json.loads((Path(found.directory) / "manifest.json").read_text())
    assert manifest["image_shape"] == [1, 12, 12]
    assert manifest["settings"]["ground"] == [0, 0, 0]
    assert manifest["classes"] == ["x", "y"]


def test_options_of_the_data_that_are_given_beside_data_hold(pictures, recipe, tmp_path, capsys):
    prepare(pictures, tmp_path / "set", Settings((16, 16)), jobs=1)
    rows = tmp_path / "set" / "train_images.npy"
    rows.write_bytes(rows.read_bytes()[:-1] + b"?")
    command = ["train", "-c", str(recipe), "--dry-run", "--data", str(tmp_path / "set")]
    assert main(command) == 2
    assert "another SHA-256 than the manifest says" in capsys.readouterr().err
    assert main([*command, "-o", "data.options.verify=false"]) == 0
    assert "  options:\n    verify: false\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "option", "found"),
    [
        ("set", "data.options.nonsense=1", "nonsense"),
        ("set", "data.options.background=[0, 0, 0]", "background"),
        ("my pictures", "data.options={nonsense: 1}", "nonsense"),
    ],
)
def test_an_option_that_a_prepared_set_does_not_have_is_refused(
    pictures, recipe, tmp_path, capsys, source, option, found
):
    prepare(pictures, tmp_path / "set", Settings((16, 16)), jobs=1)
    command = ["train", "-c", str(recipe), "--dry-run", "--data", str(tmp_path / source)]
    assert main([*command, "-o", option]) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == (
        f"ppgan-zoo: data.options: prepared has no option '{found}'; allowed: verify"
    )
    assert not (tmp_path / "cache").exists()  # before any work


def test_a_ground_of_the_command_line_is_taken(pictures, recipe):
    given = {**RECIPE, "data": {"name": "folder", "directory": "x", "batch_size": 8}}
    overrides = ["data.options.background=[9, 8, 7]", "data.options.verify=false"]
    lines = own_pictures(recipe_from(given, overrides=overrides), pictures, print, overrides)
    found = recipe_from(given, overrides=[*overrides, *lines]).data
    assert found.options == {"verify": False}
    manifest = json.loads((Path(found.directory) / "manifest.json").read_text())
    assert manifest["settings"]["ground"] == [9, 8, 7]


def test_a_ground_that_is_no_colour_is_refused(pictures):
    given = {**RECIPE, "data": {"name": "folder", "directory": "x", "batch_size": 8,
             "options": {"background": "white"}}}  # fmt: skip
    with pytest.raises(ConfigError, match=r"data\.options\.background: found 'white'"):
        own_pictures(recipe_from(given), pictures, print)


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        own_pictures(recipe_from(RECIPE), tmp_path / "none", print)


def test_a_recipe_for_another_set_answers_with_the_line_that_works(
    pictures, recipe, tmp_path, capsys
):
    command = ["train", "-c", str(recipe), "--data-dir", str(pictures), "--offline"]
    assert main([*command, "--output", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "does not hold mnist" in said
    line = said.split("pictures of your own: ppgan-zoo ")[1].strip()
    assert main([*shlex.split(line), "--output", str(tmp_path / "run")]) == 0
    (tmp_path / "empty").mkdir()
    assert main([*command[:4], str(tmp_path / "empty"), "--output", str(tmp_path / "r2")]) == 2
    assert "pictures of your own" not in capsys.readouterr().err


def test_data_and_a_data_directory_exclude_each_other(pictures, recipe, capsys):
    command = ["train", "-c", str(recipe), "--data", str(pictures), "--data-dir", "x"]
    assert main(command) == 2
    assert "leave out --data-dir" in capsys.readouterr().err


def test_own_pictures_are_evaluated_at_once_on_what_is_held_out(tmp_path, projection):
    pixels = np.random.default_rng(2).integers(0, 256, (1300, 8, 12, 3), np.uint8)
    np.save(tmp_path / "in.npy", pixels)
    made = prepare(tmp_path / "in.npy", tmp_path / "set", Settings((8, 12)), jobs=1).manifest
    given = {**RECIPE, "data": {"name": "prepared", "directory": str(tmp_path / "set"),
             "batch_size": 8, "limit": 300, "limit_seed": 4, "flip": True}}  # fmt: skip
    run = train(recipe_from(given), tmp_path / "run").run
    wanted = Protocol(
        features="digits-v1", num_samples=100, metrics=("fid", "memorisation"), floor=False
    )
    result = evaluate(run.path, wanted)
    assert result["real"]["image_shape"] == [3, 8, 12]
    assert result["real"]["split_sha256"] == made.splits["test"].sha256
    # What it was trained on is known to be that very part: nothing is to be said of it.
    assert [note for note in result["notes"] if "trained on" in note] == []
