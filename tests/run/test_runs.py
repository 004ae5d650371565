"""Runs that stop and go on: resume, signals, the lock, VisualDL's curves."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, tree_bytes

from ppgan_zoo import cli
from ppgan_zoo.errors import CheckpointError, ConfigError, DataError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.run.watch import flatten
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.visualdl_reader import read_image_steps, read_scalars, read_tags


@pytest.fixture
def recipe(tiny_recipe):
    return load_recipe(tiny_recipe)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 12 iterations that nothing stopped."""
    from conftest import TINY

    folder = tmp_path_factory.mktemp("whole")
    (folder / "r.yml").write_text(TINY)
    return train.train(load_recipe(folder / "r.yml"), folder / "run", offline=True).run


def weights(run, iteration=12):
    folder = run.checkpoints / f"step-{iteration:08d}"
    return {k: v for k, v in tree_bytes(folder).items() if k.endswith(".safetensors")}


def stop_at(monkeypatch, iteration, how):
    """Let `how` happen to the trainer after `iteration` iterations."""
    from ppgan_zoo.training.trainer import Trainer

    step = Trainer.step

    def stopping(self, real):
        scalars = step(self, real)
        if self.iteration == iteration:
            how(self)
        return scalars

    monkeypatch.setattr(Trainer, "step", stopping)


def crash(trainer):
    raise RuntimeError("power cut")


def test_the_curves_have_every_tag_at_the_true_iteration(whole):
    curves = read_scalars(whole.visualdl)
    assert set(curves) == {
        "loss/discriminator", "loss/generator", "score/real", "score/fake",
        "learning_rate/generator", "learning_rate/discriminator", "speed/images_per_second",
    }  # fmt: skip
    for points in curves.values():
        assert [step for step, _ in points] == list(range(1, 13))
    rates = [value for _, value in curves["learning_rate/generator"]]
    assert rates == pytest.approx([2e-4] * 12)
    assert all(0 < value < 1 for _, value in curves["score/real"])
    assert read_image_steps(whole.visualdl, "samples") == [4, 8, 12]
    tags = read_tags(whole.visualdl)
    assert {"generator/layers.0.weight", "discriminator/layers.2.bias"} <= set(tags["histogram"])


@pytest.mark.parametrize("stop", [3, 5, 7])
def test_a_crashed_run_resumes_to_the_same_bytes_and_curves(
    stop, recipe, whole, tmp_path, monkeypatch
):
    run = RunDirectory(tmp_path / "run")
    with monkeypatch.context() as patch:
        stop_at(patch, stop, crash)
        with pytest.raises(RuntimeError, match="power cut"):
            train.train(recipe, run.path, offline=True)
    outcome = train.resume(run, offline=True)
    assert (outcome.iteration, outcome.signal) == (12, None)
    assert weights(run) == weights(whole)
    for tag, points in read_scalars(run.visualdl).items():
        if tag != "speed/images_per_second":
            assert points == read_scalars(whole.visualdl)[tag]
    assert read_image_steps(run.visualdl, "samples") == [4, 8, 12]
    assert tree_bytes(run.samples) == tree_bytes(whole.samples)
    saved = 4 if stop > 4 else 0
    assert [start["resumed_from_iteration"] for start in run.starts()] == [None, saved]
    said = "resumed from step-00000004" if saved else "started again: no checkpoint had been saved"
    assert said in run.log.read_text()


def test_a_damaged_checkpoint_is_passed_over_and_named(recipe, whole, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    with monkeypatch.context() as patch:
        stop_at(patch, 9, crash)
        with pytest.raises(RuntimeError, match="power cut"):
            train.train(recipe, run.path, offline=True)
    file = run.checkpoints / "step-00000008" / "generator.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    train.resume(run, offline=True)
    assert weights(run) == weights(whole)
    log = run.log.read_text()
    assert "skipped a damaged checkpoint" in log
    assert "resumed from step-00000004" in log


def test_a_finished_run_can_be_trained_further(recipe, whole, tmp_path):
    short = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 2})})
    run = train.train(short, tmp_path / "run", offline=True).run
    assert train.resume(run, offline=True).iteration == 8  # nothing to do
    with pytest.raises(ConfigError, match="8 iterations are done, more than the 4 asked for"):
        train.resume(run, ["training.epochs=1"], offline=True)
    assert load_recipe(run.recipe).training.epochs == 2
    train.resume(run, ["training.epochs=3"], offline=True)
    assert weights(run) == weights(whole)
    assert load_recipe(run.recipe).training.epochs == 3


def test_a_kill_between_the_last_checkpoint_and_the_note_of_the_best_is_made_good(whole, tmp_path):
    run = RunDirectory(shutil.copytree(whole.path, tmp_path / "run"))
    (run.checkpoints / "best.json").unlink()
    (records,) = run.visualdl.iterdir()
    with records.open("ab") as file:
        file.write(b"\x20\0\0\0\0\0\0\0cut short")
    train.resume(run, offline=True)
    for part in ("checkpoints", "samples"):
        assert tree_bytes(run.path / part) == tree_bytes(whole.path / part)
    (kept,) = whole.visualdl.iterdir()
    assert records.read_bytes().startswith(kept.read_bytes())
    assert b"cut short" not in records.read_bytes()


@pytest.mark.parametrize(
    "override", ["seed=1", "data.batch_size=16", "optimizer.generator.name=sgd"]
)
def test_a_resume_cannot_make_it_another_run(override, whole):
    with pytest.raises(ConfigError, match="cannot be changed on a resume"):
        train.resume(whole, [override], offline=True)


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("[]", "found []: leave the key out"),
        (
            "\n  - name: r1\n    weight: 3.0\n    every_steps: 4",
            "write terms: [{name: r1, weight: 3.0, every_steps: 4}] there, and leave the key out",
        ),
    ],
)
def test_a_run_of_an_old_recipe_is_told_what_to_write(old, said, whole, tmp_path, capsys):
    """Of a version whose terms stood in the section constraints, where every run's recipe has it."""
    run = RunDirectory(shutil.copytree(whole.path, tmp_path / "run"))
    text = run.recipe.read_text()
    assert text.count("\nconstraints:\n") == text.count("\nterms: null\n") == 1
    text = text.replace("\nterms: null\n", "\n")
    text = text.replace("\nconstraints:\n", f"\nconstraints:\n  penalties: {old}\n")
    run.recipe.write_text(text)
    line = text[: text.index("  penalties:")].count("\n") + 1
    before = tree_bytes(run.path)
    assert cli.main(["train", "--resume", str(run.path), "--offline"]) == 2
    assert capsys.readouterr().err == (
        f"ppgan-zoo: {run.recipe}:{line}: constraints.penalties: is at the top level now, as "
        f"terms; {said}\n"
    )
    assert tree_bytes(run.path) == before
    # What it says is right.
    terms = said.removeprefix("write ").split(" there")[0] if "write" in said else "terms: []"
    section = text[text.index("  penalties:") : text.index("  spectral_norm:")]
    run.recipe.write_text(text.replace(section, "") + terms + "\n")
    assert [term.name for term in load_recipe(run.recipe).terms] == (["r1"] if old != "[]" else [])


def test_a_resume_on_other_data_is_refused(recipe, tmp_path):
    run = train.train(recipe, tmp_path / "run", offline=True).run
    for file, old, new in (
        (run.recipe, "limit: 128", "limit: 96"), (run.manifest, '"limit": 128', '"limit": 96'),
    ):  # fmt: skip
        file.write_text(file.read_text().replace(old, new))
    with pytest.raises(DataError, match=r"started on 128 images of mnist.*found 96 others"):
        train.resume(run, offline=True)


def test_the_lock_is_held_and_dies_with_its_owner(whole):
    script = (
        "import sys, time; from pathlib import Path; from ppgan_zoo.storage.run_directory import RunDirectory;"
        "lock = RunDirectory(Path(sys.argv[1])).lock(); lock.__enter__();"
        "print('locked', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(whole.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout.readline() == "locked\n"
        said = f"process {owner.pid} is training this run"
        with pytest.raises(CheckpointError, match=said), whole.lock():
            pass
    finally:
        owner.kill()
        owner.wait()
    with whole.lock():
        pass


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(number, code, tiny_recipe, tmp_path):
    run = RunDirectory(tmp_path / "run")
    process = subprocess.Popen(
        [
            sys.executable, ROOT / "tools" / "train.py", "-c", tiny_recipe, "--output", run.path,
            "--offline", "-o", "training.epochs=100000",
        ],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (run.checkpoints.is_dir() and any(run.checkpoints.glob("step-*"))):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert f"--resume {run.path}" in said
    assert "Traceback" not in said
    iteration = int(said.split("stopped at iteration ")[1].split()[0])
    newest = sorted(run.checkpoints.glob("step-*"))[-1]
    assert open_checkpoint(newest).iteration == iteration
    total = f"training.epochs={iteration // 4 + 1}"
    assert train.resume(run, [total], offline=True).iteration == (iteration // 4 + 1) * 4


def test_hyperparameters_have_names_that_visualdl_shows(recipe):
    # Its table stays empty under a name with a dot.
    flat = flatten(recipe.model_dump(mode="json"))
    assert flat["model/name"] == "gan_mlp"
    assert flat["model/generator/hidden_units"] == [32]
    assert not [name for name in flat if "." in name]


def test_a_period_that_never_comes_is_told(tiny_recipe, tmp_path, capsys):
    keys = ["evaluation={every_steps: 13, num_samples: 100}", "log.histogram_every_steps=13",
            "health.every_steps=13"]  # fmt: skip
    words = [word for key in keys for word in ("-o", key)]
    dry = ["train", "-c", str(tiny_recipe), "--offline", "--dry-run"]
    assert cli.main([*dry, *words]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert said == [
        f"warning: {key}: 13 has no effect in the 12 iterations of this run; give less"
        for key in ("evaluation.every_steps", "log.histogram_every_steps", "health.every_steps")
    ]
    assert cli.main([*dry, *(word.replace("13", "12") for word in words)]) == 0
    assert cli.main(dry) == 0  # the watch of every recipe, at every hundredth iteration
    assert "warning: " not in capsys.readouterr().out
