"""The processes of a run: signals, one owner, no child and no thread left behind."""

import os
import signal
import subprocess
import sys
import time

import paddle
import pytest
from conftest import ROOT

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.run import train
from ppgan_zoo.storage.retention import list_checkpoints
from ppgan_zoo.storage.run_directory import RunDirectory

# Paddle 2 has a second one, asleep from its import on.
THREADS = 1 if paddle.__version__.startswith("3") else 2


def test_a_signal_during_the_last_save_does_not_cut_it_off(tiny_recipe, tmp_path, monkeypatch):
    from ppgan_zoo.callbacks import checkpoints
    from ppgan_zoo.recipe.load import load_recipe

    save = checkpoints.save_checkpoint

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return save(*arguments, **options)

    monkeypatch.setattr(checkpoints, "save_checkpoint", interrupted)
    recipe = load_recipe(tiny_recipe, ["checkpoint.every_steps=100"])
    outcome = train.train(recipe, tmp_path / "run", offline=True)
    assert (outcome.iteration, outcome.signal) == (12, signal.SIGTERM)
    assert list_checkpoints(outcome.run.checkpoints)[-1].iteration == 12


def test_a_signal_saves_though_nobody_reads_what_is_said(tiny_recipe, tmp_path, monkeypatch):
    from ppgan_zoo.recipe.load import load_recipe
    from ppgan_zoo.training.trainer import Trainer

    class Closed:
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

        flush = write

    step = Trainer.step

    def stepping(self, real):
        scalars = step(self, real)
        if self.iteration == 6:
            monkeypatch.setattr(sys, "stderr", Closed())
            os.kill(os.getpid(), signal.SIGINT)
        return scalars

    monkeypatch.setattr(Trainer, "step", stepping)
    outcome = train.train(load_recipe(tiny_recipe), tmp_path / "run", offline=True)
    assert (outcome.iteration, outcome.signal) == (6, signal.SIGINT)
    assert list_checkpoints(outcome.run.checkpoints)[-1].iteration == 6


def children(pid):
    """Return the processes whose parent, or parent's parent and so on, is `pid`."""
    found = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found |= {int(child) for child in file.read().split()}
    return found


def of_session(session):
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session:
            found.add(int(pid))
    return found


def test_a_run_is_one_process_with_one_owner_and_leaves_none(tiny_recipe, tmp_path):
    run = RunDirectory(tmp_path / "run")
    process = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "train.py", "-c", tiny_recipe, "--output", run.path,
         "--offline", "-o", "training.epochs=100000"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PPGAN_ZOO_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while not list_checkpoints(run.checkpoints):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(20):
            assert children(process.pid) == set()
            assert len(os.listdir(f"/proc/{process.pid}/task")) <= THREADS
            time.sleep(0.01)
        with pytest.raises(CheckpointError, match=f"process {process.pid} is training this run"):
            train.resume(run, offline=True)
        assert of_session(process.pid) == {process.pid}
    finally:
        process.kill()
        process.communicate()
    assert of_session(process.pid) == set()
    with run.lock():  # died with its owner
        pass


class Backwards:
    """A clock that goes back an hour at every look."""

    def __init__(self):
        self.now = 2e9

    def __call__(self):
        self.now -= 3600.0
        return self.now


def test_a_clock_that_goes_backwards_changes_nothing(tiny_recipe, tmp_path, monkeypatch):
    from conftest import tree_bytes

    from ppgan_zoo.recipe.load import load_recipe
    from ppgan_zoo.storage.visualdl_reader import read_scalars

    recipe = load_recipe(tiny_recipe)
    right = train.train(recipe, tmp_path / "right", offline=True).run
    wrong = RunDirectory(tmp_path / "wrong")
    for clock in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, clock, Backwards())
    short = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 2})})
    train.train(short, wrong.path, offline=True)
    train.resume(wrong, ["training.epochs=3"], offline=True)
    assert tree_bytes(right.checkpoints) == tree_bytes(wrong.checkpoints)
    curves = read_scalars(right.visualdl), read_scalars(wrong.visualdl)
    for tag in curves[0].keys() - {"speed/images_per_second"}:
        assert curves[0][tag] == curves[1][tag]
    assert all(value > 0 for _, value in curves[1]["speed/images_per_second"])
