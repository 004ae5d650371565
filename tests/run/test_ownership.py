"""A run has one owner, from before anything slow to the end; nothing else's files are touched."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, tree_bytes

from ppgan_zoo import cli
from ppgan_zoo.errors import CheckpointError, ConfigError, TrainingError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.storage import files
from ppgan_zoo.storage.retention import list_checkpoints
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.run_lock import LOCK
from ppgan_zoo.training.trainer import Trainer


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "new" / "run")


@pytest.fixture
def recipe(tiny_recipe):
    return load_recipe(tiny_recipe)


def at(patch, iteration, happen):
    """Let something happen when that iteration is done, once."""
    step = Trainer.step
    left = [happen]

    def stepping(self, batch):
        scalars = step(self, batch)
        if self.iteration == iteration and left:
            left.pop()()
        return scalars

    patch.setattr(Trainer, "step", stepping)


def iterations(run):
    return [found.iteration for found in list_checkpoints(run.checkpoints)]


# Two on one output.


def test_a_second_start_is_refused_while_the_first_prepares(recipe, run, monkeypatch):
    build = train.build_job
    said = []

    def slowly(*arguments, **options):
        with monkeypatch.context() as patch:  # the second one comes while the first reads its data
            patch.setattr(train, "build_job", build)
            with pytest.raises(CheckpointError) as caught:
                train.train(recipe, run.path, offline=True)
        said.append(str(caught.value))
        return build(*arguments, **options)

    monkeypatch.setattr(train, "build_job", slowly)
    assert train.train(recipe, run.path, offline=True).iteration == 12
    assert said == [
        f"{run.path}: process {os.getpid()} is training this run; stop it first, or train into "
        "another --output"
    ]
    assert iterations(run)[-1] == 12


BOTH = """
import sys, time
from pathlib import Path
from ppgan_zoo import runtime
runtime.start("cpu")
from ppgan_zoo import cli
import ppgan_zoo.run.train
print("ready", flush=True)
sys.stdin.readline()
sys.exit(cli.main(["train", "-c", sys.argv[1], "--output", sys.argv[2], "--offline"]))
"""


def test_of_two_processes_on_one_output_one_wins_and_the_other_says_so(tiny_recipe, run):
    both = [
        subprocess.Popen(
            [sys.executable, "-c", BOTH, tiny_recipe, run.path], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=120)[1] for process in both]
    finally:
        for process in both:
            process.kill()
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], said
    loser = said[codes.index(2)]
    assert "is training this run" in loser or "already holds a run" in loser
    assert iterations(run)[-1] == 12
    assert len(run.starts()) == 1


def test_what_is_refused_leaves_nothing(recipe, run, tmp_path):
    short = recipe.model_copy(update={"data": recipe.data.model_copy(update={"batch_size": 1000})})
    with pytest.raises(ConfigError, match="batch_size"):
        train.train(short, run.path, offline=True)
    assert not run.path.parent.exists()
    run.path.mkdir(parents=True)
    with pytest.raises(ConfigError, match="batch_size"):
        train.train(short, run.path, offline=True)
    assert list(run.path.iterdir()) == []
    (run.path / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        train.train(recipe, run.path, offline=True)
    assert tree_bytes(run.path) == {"notes": b"mine"}


def test_a_start_that_was_killed_while_it_prepared_blocks_nothing(recipe, run):
    run.path.mkdir(parents=True)
    (run.path / LOCK).write_text("12345")
    assert train.train(recipe, run.path, offline=True).iteration == 12


# A lock or a folder that goes away.


def test_a_deleted_lock_is_made_anew_and_training_goes_on(recipe, run, monkeypatch):
    at(monkeypatch, 5, (run.path / LOCK).unlink)
    assert train.train(recipe, run.path, offline=True).iteration == 12
    assert (run.path / LOCK).read_text() == str(os.getpid())


def test_where_another_process_took_the_lock_nothing_more_is_written(recipe, run, monkeypatch):
    taken = []

    def take():
        (run.path / LOCK).unlink()
        lock = run.lock()
        lock.__enter__()
        taken.append((lock, tree_bytes(run.path)))

    at(monkeypatch, 5, take)
    with pytest.raises(TrainingError, match="another process took it"):
        train.train(recipe, run.path, offline=True)
    lock, before = taken[0]
    after = tree_bytes(run.path)
    lock.__exit__(None, None, None)
    for name in before.keys() | after.keys():
        if name not in ("train.log", "visualdl/vdlrecords.0000000000.log"):
            assert after[name] == before[name], name
    assert iterations(run) == [4]


def test_a_run_that_was_removed_and_begun_anew_is_not_written_to(recipe, run, monkeypatch):
    held = []

    def anew():
        shutil.rmtree(run.path)
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "step", STEP)
            train.train(recipe, run.path, offline=True)
        held.append(tree_bytes(run.path))

    at(monkeypatch, 6, anew)
    with pytest.raises(TrainingError, match="is another folder than the one"):
        train.train(recipe, run.path, offline=True)
    assert tree_bytes(run.path) == held[0]


STEP = Trainer.step


# A run from a stranger.


@pytest.mark.parametrize(
    "name",
    ["checkpoints", "samples", "visualdl", "train.log", ".lock", "recipe.yml", "manifest.json",
     "progress.json", "checkpoints/best.json", "checkpoints/step-00000012",
     "checkpoints/step-00000012/ema.safetensors", "visualdl/vdlrecords.0000000000.log",
     "visualdl/vdlrecords.9.log", "samples/step-00000012.png"],
)  # fmt: skip
def test_a_run_with_links_is_not_resumed(name, finished, tmp_path, capsys):
    run, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(finished.path, run)
    target = run / name
    if target.exists():
        target.rename(outside)
    else:
        outside.write_text("theirs")
    target.symlink_to(outside)
    before = tree_bytes(tmp_path)
    assert cli.main(["train", "--resume", str(run), "-o", "training.epochs=4", "--offline"]) == 2
    said = capsys.readouterr().err
    assert f"{target}: is a symbolic link" in said and said.count("\n") == 1
    assert tree_bytes(tmp_path) == before and target.is_symlink()


def test_a_run_that_is_reached_by_a_link_is_resumed(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "far")
    (tmp_path / "run").symlink_to(tmp_path / "far")
    run = RunDirectory(tmp_path / "run")
    assert train.resume(run, ["training.epochs=4"], offline=True).iteration == 16


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    from conftest import TINY

    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yml").write_text(TINY)
    return train.train(load_recipe(folder / "tiny.yml"), folder / "run", offline=True).run


# An error is not damage.


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES])
@pytest.mark.parametrize(
    "name", ["checkpoint.json", "generator.safetensors", "discriminator_optimizer.safetensors"]
)
def test_a_read_error_stops_a_resume_and_touches_nothing(
    number, name, finished, tmp_path, monkeypatch
):
    from ppgan_zoo.storage import checkpoint

    run = RunDirectory(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    newest = run.checkpoints / "step-00000012"
    read = files.read_regular

    def failing(path, limit=None):
        if path == newest / name:
            raise OSError(number, os.strerror(number), str(path))
        return read(path, limit)

    monkeypatch.setattr(checkpoint, "read_regular", failing)
    before = tree_bytes(run.checkpoints)
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read: {os.strerror(number)}"):
        train.resume(run, ["training.epochs=4"], offline=True)
    assert tree_bytes(run.checkpoints) == before
    monkeypatch.undo()
    assert train.resume(run, ["training.epochs=4"], offline=True).iteration == 16


def test_a_checkpoint_of_a_newer_format_stops_a_resume_and_touches_nothing(finished, tmp_path):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    manifest = run.checkpoints / "step-00000012" / "checkpoint.json"
    manifest.write_text('{"format": 2, "what": "nobody knows yet"}')
    before = tree_bytes(run.checkpoints)
    with pytest.raises(CheckpointError, match="but of 2, which a newer ppgan_zoo wrote"):
        train.resume(run, ["training.epochs=4"], offline=True)
    assert tree_bytes(run.checkpoints) == before


def test_damage_is_passed_over_and_what_may_be_somebodys_is_set_aside(finished, tmp_path):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    last, before_it = (run.checkpoints / f"step-{n:08d}" for n in (12, 8))
    (last / "checkpoint.json").write_bytes(b"\0" * 100)
    (last / "notes.txt").write_text("mine")
    held = tree_bytes(last)
    (before_it / "notes.txt").write_text("mine too")
    assert train.resume(run, ["training.epochs=4"], offline=True).iteration == 16
    assert tree_bytes(run.checkpoints / "aside-step-00000012.1") == held
    train.resume(run, ["training.epochs=6", "checkpoint.keep_last=1"], offline=True)
    aside = run.checkpoints / "aside-step-00000008.1"
    assert (aside / "notes.txt").read_text() == "mine too"
    log = run.log.read_text()
    assert "skipped a damaged checkpoint" in log and "renamed to aside-step-00000012.1" in log
    assert not before_it.exists()


def test_a_folder_of_somebody_is_not_taken_for_a_checkpoint(finished, tmp_path):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    mine = run.checkpoints / "step-00000014"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    assert train.resume(run, ["training.epochs=4"], offline=True).iteration == 16
    assert (run.checkpoints / "aside-step-00000014.1" / "notes.txt").read_text() == "mine"


def test_a_renamed_checkpoint_is_refused(finished, tmp_path):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    (run.checkpoints / "step-00000008").rename(run.checkpoints / "step-00000099")
    with pytest.raises(CheckpointError, match=r"step-00000099: is the checkpoint of iteration 8;"):
        train.resume(run, ["training.epochs=4"], offline=True)
