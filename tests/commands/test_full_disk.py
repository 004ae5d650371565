"""A disk that is full at whichever stage of whichever command: one line, exit code 2, no half."""

import os
import shutil
import subprocess

import pytest
from conftest import TINY, tree_bytes

from ppgan_zoo import cli
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.storage.run_directory import RunDirectory


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, and its recipe beside it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yml").write_text(TINY)
    train.train(load_recipe(folder / "tiny.yml", SHORT), folder / "run", offline=True)
    return folder / "run"


SHORT = ["training.epochs=1"]


@pytest.fixture
def disk(tmp_path):
    """Returns a function that mounts a file system with room for so many files and folders."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(files):
        options = ["-t", "tmpfs", "-o", f"nr_inodes={files + 1}", "tmpfs", folder]
        if os.geteuid() or subprocess.run(["mount", *options], capture_output=True).returncode:
            pytest.skip("cannot mount a file system here")
        return folder

    yield mount
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def one_line(capsys):
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("ppgan-zoo: ") and "No space left on device" in said[-1], said
    assert not any("Traceback" in line for line in said)
    return said[-1]


@pytest.mark.parametrize("files", [1, 3, 4, 8])
def test_a_start_for_which_there_is_no_room(files, run, disk, capsys):
    output = disk(files) / "deep" / "run"
    recipe = str(run.parent / "tiny.yml")
    code = cli.main(["train", "-c", recipe, "--output", str(output), "--offline", "-o", *SHORT])
    assert code == 2
    one_line(capsys)
    if not output.exists():
        assert list(output.parents[1].iterdir()) == []
        return
    # It has begun: what is there can be gone on with, once there is room.
    assert (output / "recipe.yml").is_file()
    shutil.copytree(output, run.parent / f"room-{files}")
    there = RunDirectory(run.parent / f"room-{files}")
    assert train.resume(there, offline=True).iteration == 4
    assert tree_bytes(there.checkpoints) == tree_bytes(run / "checkpoints")


@pytest.mark.parametrize("files", [1, 3, 5])
def test_an_export_for_which_there_is_no_room(files, run, disk, capsys):
    output = disk(files) / "deep" / "out"
    command = ["export", "--checkpoint", str(run), "--inference", "default", "--output"]
    assert cli.main([*command, str(output)]) == 2
    one_line(capsys)
    assert list(output.parents[1].iterdir()) == []


@pytest.mark.parametrize(("files", "name"), [(0, "x.npy"), (2, "x.npy"), (1, "x.png")])
def test_samples_for_which_there_is_no_room(files, name, run, disk, capsys):
    place = disk(files)
    assert cli.main(["sample", str(run), "-n", "4", "--output", str(place / name)]) == 2
    one_line(capsys)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("files", [1, 3])
def test_a_conversion_for_which_there_is_no_room(files, run, disk, capsys):
    output = disk(files) / "out"
    weights = run / "checkpoints" / "step-00000004" / "generator.safetensors"
    recipe = str(run.parent / "tiny.yml")
    assert cli.main(["convert", str(weights), "-c", recipe, "--output", str(output)]) == 2
    one_line(capsys)
    assert list(output.parent.iterdir()) == []


def test_an_evaluation_goes_on_without_a_cache_and_needs_room_for_its_result(
    run, disk, projection, monkeypatch, capsys
):
    place = disk(0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    command = ["evaluate", str(run), "--num-samples", "100", "--split", "train", "--offline",
               "--metrics", "fid", "--no-floor"]  # fmt: skip
    assert cli.main(command) == 0
    capsys.readouterr()
    assert cli.main([*command, "--output", str(place / "out.json")]) == 2
    one_line(capsys)
    assert list(place.iterdir()) == []
