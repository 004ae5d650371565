"""Whatever a command tells the user to do works, in the very state in which it was told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from conftest import ROOT
from PIL import Image

from ppgan_zoo import create
from ppgan_zoo.cli import main


@pytest.fixture
def recipe(tmp_path):
    """A recipe of two iterations, with a checkpoint and a grid after each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    path = tmp_path / "r.yml"
    path.write_text(
        "model: {name: gan_mlp, generator: {hidden_units: [8]}, discriminator: {hidden_units: [8]}}\n"
        f"latent: {{dim: 4}}\ndata: {{name: folder, directory: {folder}, batch_size: 4, "
        "image_size: 8}\ntraining: {iterations: 2}\nsamples: {every_steps: 1, grid: [2, 2]}\n"
        "checkpoint: {every_steps: 1, best_by: null}\nlog: {every_steps: 1}\n"
    )
    return path


def kills(recipe, folder, every):
    """Return what came of each kill."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_beginnings.py")), folder, recipe,
         str(every)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PPGAN_ZOO_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_kills(found):
    assert {kill["outcome"] for kill in found} == {"begun again", "resumed"}
    # Before the first checkpoint too: such a run begins.
    assert {kill["had_saved"] for kill in found if kill["outcome"] == "resumed"} == {True, False}
    assert all(kill["same"] for kill in found), [kill for kill in found if not kill["same"]]


def test_a_run_that_was_killed_at_any_moment_is_begun_or_resumed_as_it_is_told(recipe, tmp_path):
    check_kills(kills(recipe, tmp_path / "kills", every=13))


@pytest.mark.slow
def test_a_run_that_was_killed_at_every_change_of_the_disk_goes_on(recipe, tmp_path):
    check_kills(kills(recipe, tmp_path / "kills", every=1))


def pasted(text):
    """Return the arguments that bash makes of a printed command, and make sure it is the zoo's."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True)
    program, *arguments = map(os.fsdecode, done.stdout.split(b"\0")[:-1])
    assert program == "ppgan-zoo"
    return arguments


def after(text, label):
    """Return what a line says after a label."""
    (line,) = [line for line in text.splitlines() if label in line]
    return line.partition(label)[2].strip()


NAMES = ["a run", "it's #1", "~", "-dash", "ü 世界 🦆", "a\\b", "$HOME `id`", "a\nb\x1b[31m",
         os.fsdecode(b"\xff\xfc"), os.fsdecode(b"it's \xe4")]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_is_pasted_and_works_whatever_a_run_is_called(
    name, recipe, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    train = ["train", "-c", str(recipe), "--offline", f"--output={name}"]
    assert main(train) == 0
    export = pasted(after(capsys.readouterr().out, "export:"))
    assert main([*export, "--inference", "default"]) == 0
    assert main(["sample", f"./{name}/export", "--output", "s.png", "-n", "4"]) == 0
    capsys.readouterr()
    assert main(train) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.strip().isprintable()
    advice = after(said, "continue it with ").rpartition(", or give")[0]
    assert main([*pasted(advice), "-o", "training.iterations=3"]) == 0
    assert (tmp_path / name / "checkpoints" / "step-00000003").is_dir()


def test_a_run_is_resumed_by_the_key_that_it_is_told_to_raise(recipe, tmp_path, capsys):
    run = str(tmp_path / "run")
    epochs = ["-o", "training={epochs: 2}"]
    assert main(["train", "-c", str(recipe), *epochs, "--offline", "--output", run]) == 0
    assert main(["train", "--resume", run, "-o", "training.epochs=1"]) == 2
    assert "4 iterations are done, more than the 2 asked for; raise training.epochs" in (
        capsys.readouterr().err
    )
    assert main(["train", "--resume", run, "-o", "training.epochs=3"]) == 0


def test_a_pickle_is_converted_sampled_and_exported_as_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weights = "-their weights #1.pdparams"
    paddle.save(create("gan_mlp").generator.state_dict(), weights)
    assert main(["sample", f"./{weights}"]) == 2
    *words, name, output, folder = pasted(after(capsys.readouterr().err, "If you trust the file:"))
    assert (name, output, folder) == ("NAME", "--output", "DIR")
    (tmp_path / "a name" / "checkpoints").mkdir(parents=True)  # as a killed conversion leaves it
    convert = [*words, "gan_mlp", "--output", "a name"]
    assert main(convert) == 0
    said = capsys.readouterr().out
    assert main([*pasted(after(said, "samples:")), "-n", "4", "--output", "s.png"]) == 0
    *export, folder = pasted(after(said, "export:"))
    assert folder == "DIR"
    assert main([*export, "an export", "--inference", "default"]) == 0
    assert main(convert) == 2
    assert "a name: exists already; give another --output" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_not_said_to_be_one(recipe, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    assert main(["train", "-c", str(recipe), "--output", str(tmp_path / "full")]) == 2
    said = capsys.readouterr().err
    assert "full: is not empty; give another --output" in said and "--resume" not in said


def test_a_failure_at_the_end_of_the_collapse_suite_leaves_nothing_that_blocks_its_name(
    tmp_path, monkeypatch, capsys
):
    from ppgan_zoo.collapse import report

    command = [
        "collapse",
        "ring",
        "--iterations",
        "2",
        "--seeds",
        "1",
        "--output",
        str(tmp_path / "o"),
    ]
    with monkeypatch.context() as patch:

        def full(result):
            raise OSError(28, "No space left on device")

        patch.setattr(report, "picture", full)
        assert main(command) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert main(command) == 0
    made = {path.name for path in (tmp_path / "o").iterdir()}
    assert {"result.json", "samples.png"} <= made
