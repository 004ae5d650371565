"""Full disks, failing writers, a run directory that goes away: one line, nothing lost."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, tree_bytes
from interrupted_saves import ARRAYS, save_and_prune

from ppgan_zoo.errors import TrainingError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.storage import visualdl_log
from ppgan_zoo.storage.checkpoint import save_checkpoint
from ppgan_zoo.storage.files import write_atomically
from ppgan_zoo.storage.progress import Progress
from ppgan_zoo.storage.retention import (
    checkpoint_folders,
    list_checkpoints,
    newest_valid_checkpoint,
    read_best,
)
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.scratch import PREFIX
from ppgan_zoo.storage.visualdl_log import VisualDLLog
from ppgan_zoo.storage.visualdl_reader import read_scalars, read_tags
from ppgan_zoo.training.trainer import Trainer


def disk_full():
    return OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def recipe(tiny_recipe):
    return lambda *overrides: load_recipe(tiny_recipe, overrides)


def failing_saves(patch, which):
    """Let the writes of the checkpoints of these iterations fail, after a part of them."""
    from ppgan_zoo.storage import checkpoint

    original = checkpoint.to_json

    def full(content):
        if content.get("iteration") in which:
            raise disk_full()
        return original(content)

    patch.setattr(checkpoint, "to_json", full)


def iterations(run):
    return [found.iteration for found in list_checkpoints(run.checkpoints)]


def hidden(run):
    return [path.name for path in run.checkpoints.iterdir() if path.name.startswith(".")]


def at(patch, iteration, happen):
    """Let something happen to the run before iteration `iteration` is over."""
    step = Trainer.step

    def stepping(self, real):
        scalars = step(self, real)
        if self.iteration == iteration:
            happen()
        return scalars

    patch.setattr(Trainer, "step", stepping)


def test_a_full_disk_stops_the_run_and_keeps_the_last_good_one(recipe, run, monkeypatch):
    with monkeypatch.context() as patch:
        failing_saves(patch, {8})
        with pytest.raises(TrainingError) as caught:
            train.train(recipe(), run.path, offline=True)
    said = str(caught.value)
    assert said.isprintable()
    assert "iteration 8: checkpoint not saved: " in said
    assert "No space left on device; last good checkpoint: " in said
    assert str(run.checkpoints / "step-00000004") in said
    assert iterations(run) == [4] and hidden(run) == []
    assert said in run.log.read_text()
    assert train.resume(run, offline=True).iteration == 12  # there is room again


def test_by_configuration_it_goes_on(recipe, run, monkeypatch):
    failing_saves(monkeypatch, {4, 8})
    train.train(recipe("recovery.write_error=continue"), run.path, offline=True)
    assert iterations(run) == [12] and hidden(run) == []
    log = run.log.read_text()
    assert "iteration 4: checkpoint not saved" in log and "iteration 8: checkpoint" in log
    assert "last good checkpoint: none" in log and log.count("training continues") == 2


def test_the_last_checkpoint_must_be_written_all_the_same(recipe, run, monkeypatch):
    failing_saves(monkeypatch, {10})
    overrides = "recovery.write_error=continue", "training.epochs=null", "training.iterations=10"
    with pytest.raises(TrainingError, match="iteration 10: checkpoint not saved"):
        train.train(recipe(*overrides), run.path, offline=True)
    assert iterations(run) == [4, 8]


def test_grids_curves_and_log_lines_may_fail_and_it_is_said_once(recipe, run, monkeypatch, capfd):
    """Every writer of what only watches fails, at every call."""
    from visualdl import LogWriter

    from ppgan_zoo.callbacks import samples
    from ppgan_zoo.storage import run_log

    def broken(*arguments, **options):
        raise RuntimeError("broken\nwriter")

    def full(*arguments, **options):
        raise disk_full()

    for name in ("scalar", "image", "histogram", "hparams"):
        monkeypatch.setattr(LogWriter, f"add_{name}", broken)
    monkeypatch.setattr(samples, "save_png", full)
    monkeypatch.setattr(Progress, "write", full)
    outcome = train.train(recipe(), run.path, offline=True)
    assert outcome.iteration == 12 and iterations(run)[-1] == 12
    log = run.log.read_text()
    assert log.count("VisualDL records: cannot be written: RuntimeError: broken writer") == 1
    assert log.count("sample grids: cannot be written: No space left on device") == 1
    assert log.count("progress.json: cannot be written: No space left on device") == 1
    assert "Traceback" not in capfd.readouterr().err
    assert run_log.logging.getLogger("ppgan_zoo.run.train").handlers == []


def test_a_visualdl_that_cannot_even_be_opened(recipe, run, monkeypatch):
    def broken(*arguments, **options):
        raise OSError(errno.EACCES, "Permission denied", "/home/.visualdl")

    monkeypatch.setattr(VisualDLLog, "_open", broken)
    assert train.train(recipe(), run.path, offline=True).iteration == 12
    said = "VisualDL records: cannot be written: /home/.visualdl: Permission denied"
    assert run.log.read_text().count(said) == 1


def test_curves_go_on_when_there_is_room_again(recipe, run, monkeypatch):
    from visualdl import LogWriter

    add = LogWriter.add_scalar

    def full_for_a_while(self, tag, value, step, *arguments, **options):
        if step in (2, 3):
            raise disk_full()
        return add(self, tag, value, step, *arguments, **options)

    monkeypatch.setattr(LogWriter, "add_scalar", full_for_a_while)
    train.train(recipe(), run.path, offline=True)
    steps = [step for step, _ in read_scalars(run.visualdl)["loss/generator"]]
    assert steps == [1, *range(4, 13)]


def test_curves_go_on_when_a_disk_that_was_full_at_a_resume_has_room_again(
    recipe, run, monkeypatch
):
    train.train(recipe("training.epochs=1"), run.path, offline=True)
    monkeypatch.setattr(visualdl_log, "RETRY_SECONDS", 0.0)
    drop_after, calls = visualdl_log._drop_after, []

    def full_for_a_while(folder, step):
        calls.append(step)
        if len(calls) < 5:
            raise disk_full()
        return drop_after(folder, step)

    monkeypatch.setattr(visualdl_log, "_drop_after", full_for_a_while)
    train.resume(run, ["training.epochs=2"], offline=True)
    steps = [step for step, _ in read_scalars(run.visualdl)["loss/generator"]]
    assert steps[:4] == [1, 2, 3, 4] and steps[-1] == 8  # with those from before the resume
    assert run.log.read_text().count("VisualDL records: cannot be written") == 1


def test_hyperparameters_that_found_no_room_are_written_later(recipe, run, monkeypatch):
    monkeypatch.setattr(visualdl_log, "RETRY_SECONDS", 0.0)
    set_aside, calls = visualdl_log.set_aside, []

    def full_at_first(*arguments):
        calls.append(arguments)
        if len(calls) < 3:
            raise disk_full()
        return set_aside(*arguments)

    monkeypatch.setattr(visualdl_log, "set_aside", full_at_first)
    train.train(recipe(), run.path, offline=True)
    assert read_tags(run.visualdl)["hyper_parameters"] == ["hparam"]
    assert [path.name for path in run.visualdl.iterdir()] == [visualdl_log.RECORDS_NAME]


@pytest.mark.parametrize(
    ("scalars", "said"),
    [
        ({"50%": 1.0}, "VisualDL records: 50%: cannot be written: ValueError: tag '50%'"),
        (
            {"samples": 1.0},
            "VisualDL records: samples: cannot be written: ValueError: tag 'samples'",
        ),
        ({"hparam": 1.0}, "VisualDL records: hparam: cannot be written: ValueError: tag 'hparam'"),
        ({"": 1.0}, "cannot be written: ValueError: tag ''"),
        ({"a\x1b[31m": 1.0}, None),
        (None, None),
    ],
)
def test_scalars_of_any_name_or_none_at_all_end_no_run(scalars, said, recipe, run, monkeypatch):
    step = Trainer.step

    def stepping(self, real):
        own = step(self, real)
        return {} if scalars is None else {**own, **scalars}

    monkeypatch.setattr(Trainer, "step", stepping)
    assert train.train(recipe(), run.path, offline=True).iteration == 12
    log = run.log.read_text()
    assert log.count("cannot be written") == (said is not None)
    assert said is None or said in log
    assert "\x1b" not in log
    if scalars is not None:
        assert len(read_scalars(run.visualdl)["loss/generator"]) == 12


@pytest.mark.parametrize("write_error", ["stop", "continue"])
def test_a_run_directory_that_goes_away_ends_the_run(
    write_error, recipe, run, tmp_path, monkeypatch
):
    at(monkeypatch, 6, lambda: shutil.rmtree(run.path))
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(TrainingError, match="iteration 8: checkpoint not saved.*No such file"):
        train.train(recipe(f"recovery.write_error={write_error}"), run.path, offline=True)
    assert {path.name for path in tmp_path.iterdir()} == before  # nothing is made anew


def test_a_read_only_run_directory_ends_the_run(recipe, run, monkeypatch):
    from ppgan_zoo.storage import scratch

    def read_only(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    at(monkeypatch, 6, lambda: monkeypatch.setattr(scratch.tempfile, "mkdtemp", read_only))
    with pytest.raises(TrainingError, match=r"iteration 8: .*step-00000008: Read-only file system"):
        train.train(recipe(), run.path, offline=True)
    assert iterations(run) == [4]


KILLED = """
import os, signal, sys
from pathlib import Path
from ppgan_zoo.storage.files import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_resume_clears_what_a_kill_left_half_written_and_nothing_else(recipe, run):
    train.train(recipe(), run.path, offline=True)
    for half in ("manifest.json", "samples/step-00000004.png", "checkpoints/best.json"):
        done = subprocess.run([sys.executable, "-c", KILLED, run.path / half], check=False,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
        assert done.returncode == -signal.SIGKILL
    assert len(list(run.path.rglob(f"{PREFIX}*/new"))) == 3
    mine = (".my-notes", "samples/.step-00000004.png-mine", "checkpoints/.step-00000004-mine",
            f"samples/{PREFIX}mine")  # fmt: skip
    for name in mine:
        (run.path / name).write_text("mine")
    (run.path / f"{PREFIX}mine").mkdir()
    (run.path / f"{PREFIX}mine" / "notes").write_text("mine")
    train.resume(run, offline=True)
    assert list(run.path.rglob(f"{PREFIX}*/new")) == []
    for name in (*mine, f"{PREFIX}mine/notes"):
        assert (run.path / name).read_text() == "mine"


def test_an_error_of_a_write_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "manifest.json", "x")
    assert caught.value.filename == str(tmp_path / "manifest.json")


def test_a_real_limit_on_file_sizes(recipe, run):
    """The system refuses the write half-way: weights files are above 64 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"iteration 4: checkpoint not saved.*too large"):
            train.train(recipe(), run.path, offline=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(run.checkpoints.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if os.geteuid() or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("cannot mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(("write_error", "iteration"), [("stop", 8), ("continue", 12)])
def test_a_real_full_disk(write_error, iteration, recipe, small_disk, capfd):
    run = RunDirectory(small_disk / "run")
    # Each checkpoint takes 0.6 MiB: the second does not fit beside the first.
    said = rf"iteration {iteration}: checkpoint not saved: .*: No space left on device; last good"
    with pytest.raises(TrainingError, match=said):
        train.train(recipe(f"recovery.write_error={write_error}"), run.path, offline=True)
    assert iterations(run) == [4] and hidden(run) == []
    newest_valid_checkpoint(run.checkpoints, pytest.fail)
    assert "Traceback" not in capfd.readouterr().err


# Every call of the system, in turn.


@pytest.fixture(scope="module")
def interrupted_at():
    """Return a function that saves in a child that ends at its n-th call; True if it did not."""
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("interrupted_saves.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip

    def interrupted_at(folder, call, *, kill):
        request = json.dumps({"folder": str(folder), "call": call, "kill": kill})
        server.stdin.write(request + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, "the process that forks died"
        return int(answer) == 0

    yield interrupted_at
    server.stdin.close()
    assert server.wait(timeout=30) == 0


@pytest.mark.parametrize("kill", [True, False])
def test_at_whichever_call_it_ends_a_reader_finds_the_newest_whole_one(
    kill, interrupted_at, tmp_path
):
    call, ended, newest = 0, False, []
    while not ended:
        call += 1
        folder = tmp_path / f"{kill}{call}"
        for iteration in (1, 2):
            save_checkpoint(folder, ARRAYS, iteration, {"name": "x"})
        ended = interrupted_at(folder, call, kill=kill)
        found = newest_valid_checkpoint(folder, pytest.fail)  # no damaged one is ever visible
        newest.append(found.iteration)
        assert len(checkpoint_folders(folder)) >= 1
        best = read_best(folder)
        assert best is None or (folder / best["checkpoint"]).is_dir()
        if not kill and found.iteration == 2:  # an error was handled: nothing is left behind
            assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []
        save_and_prune(folder)  # the next start does it again
        assert [p.name for p in sorted(folder.iterdir())] == ["best.json", "step-00000003"]
        assert tree_bytes(folder / "step-00000003") == tree_bytes(
            save_checkpoint(tmp_path / "twin", ARRAYS, 3, {"name": "x"}).path
        )
        assert call < 200
    assert call > 15
    assert set(newest) == {2, 3}
    assert not kill or newest == sorted(newest)  # an error of a call may also be of no weight
