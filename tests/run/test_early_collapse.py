"""A run whose G does not begin to learn: warned of, stopped, or begun again."""

import json
import logging
import os
import signal

import numpy as np
import pytest
from conftest import tree_bytes

from ppgan_zoo.errors import TrainingError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.training.first_phase import Look
from ppgan_zoo.training.loop import Callback

PHASE = "health.first_phase=4"  # of 12 iterations, which teach nothing that early


def run(recipe, output, action, *overrides, callbacks=()):
    chosen = load_recipe(recipe, [f"health.on_early_collapse={action}", PHASE, *overrides])
    return train.train(chosen, output, offline=True, callbacks=callbacks)


@pytest.fixture
def second_try(monkeypatch):
    """Let runs have begun from their second try on."""
    seen = []

    def look(self, trainer):
        seen.append((trainer.chance.restarts, trainer.iteration))
        return (0.3 if trainer.chance.restarts else 1.5), np.zeros(1)

    monkeypatch.setattr(Look, "__call__", look)
    return seen


class StopAt(Callback):
    """Sends the process SIGTERM in an iteration of a try."""

    def __init__(self, iteration, restarts):
        self.place = iteration, restarts

    def on_step_end(self, trainer, scalars):
        if (trainer.iteration, trainer.chance.restarts) == self.place:
            os.kill(os.getpid(), signal.SIGTERM)


def recorded(checkpoints):
    """All bytes, but for the forms of products: a look at samples has some of its own."""
    files = tree_bytes(checkpoints)
    for name, content in files.items():
        if name.endswith("checkpoint.json"):
            manifest = json.loads(content)
            files[name] = {k: v for k, v in manifest.items() if k not in ("products", "sha256")}
    return files


def test_a_warning_changes_no_byte(tiny_recipe, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="ppgan_zoo"):
        warned = run(tiny_recipe, tmp_path / "warned", "warn")
    log = (tmp_path / "warned" / "train.log").read_text()
    assert warned.iteration == 12 and warned.trouble is None
    assert log.count("early_collapse at iteration 4: G has not begun to learn: its samples") == 1
    plain = run(tiny_recipe, tmp_path / "plain", "null", "health.first_phase=500")
    assert recorded(warned.run.checkpoints) == recorded(plain.run.checkpoints)
    assert "early_collapse" not in (tmp_path / "plain" / "train.log").read_text()


def test_a_run_that_ends_within_its_first_phase_says_that_nobody_looks(tiny_recipe, tmp_path):
    run(tiny_recipe, tmp_path / "short", "restart", "health.first_phase=13")
    run(tiny_recipe, tmp_path / "whole", "warn", "health.first_phase=12")
    line = "the run ends before first_phase, 13 iterations"
    assert line in (tmp_path / "short" / "train.log").read_text()
    assert "ends before" not in (tmp_path / "whole" / "train.log").read_text()


def test_a_stop_ends_the_run_and_says_by_which_key(cli, tiny_recipe, tmp_path):
    done = cli(
        "train", "-c", tiny_recipe, "--offline", "--output", tmp_path / "run",
        "-o", "health.on_early_collapse=stop", "-o", PHASE,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "stopped at iteration 4 by health.on_early_collapse: early_collapse" in done.stderr


def test_a_restart_has_other_weights_and_is_counted(tiny_recipe, tmp_path, second_try):
    outcome = run(tiny_recipe, tmp_path / "run", "restart")
    assert second_try == [(0, 4), (1, 4)]
    assert outcome.iteration == 12
    manifest = json.loads(outcome.run.manifest.read_text())
    assert manifest["restarts"] == [{"iteration": 4, "distance": 1.5}]
    newest = open_checkpoint(outcome.run.checkpoints / "step-00000012")
    assert (newest.restarts, newest.rollbacks) == (1, 0)
    log = (tmp_path / "run" / "train.log").read_text()
    assert "restart 1 of at most 3: from the beginning with other weights" in log
    plain = run(tiny_recipe, tmp_path / "plain", "null", "health.first_phase=500")
    first = open_checkpoint(plain.run.checkpoints / "step-00000012").arrays("generator")
    for key, array in newest.arrays("generator").items():
        if array.ndim > 1:
            assert np.corrcoef(array.ravel(), first[key].ravel())[0, 1] < 0.5


def test_an_infinite_distance_is_a_collapse_too(tiny_recipe, tmp_path, monkeypatch):
    """Real images that are all the same, and a G that draws another."""
    monkeypatch.setattr(
        Look, "__call__", lambda self, t: (0.3 if t.chance.restarts else np.inf, np.zeros(1))
    )
    outcome = run(tiny_recipe, tmp_path / "run", "restart")
    manifest = json.loads(outcome.run.manifest.read_text())
    assert manifest["restarts"] == [{"iteration": 4, "distance": None}]


def test_samples_that_are_no_numbers_are_not_taken_for_a_collapse(
    tiny_recipe, tmp_path, monkeypatch
):
    monkeypatch.setattr(Look, "__call__", lambda self, trainer: (np.nan, np.zeros(1)))
    with pytest.raises(TrainingError, match="NaN|not finite|infinite"):
        run(tiny_recipe, tmp_path / "run", "restart")
    assert "restarts" not in json.loads((tmp_path / "run" / "manifest.json").read_text())


@pytest.mark.parametrize("place", [(2, 0), (2, 1), (6, 1), (9, 1)])
def test_a_restarted_run_that_is_stopped_and_resumed_ends_with_the_same_bytes(
    place, tiny_recipe, tmp_path, second_try
):
    whole = run(tiny_recipe, tmp_path / "whole", "restart")
    cut = run(tiny_recipe, tmp_path / "cut", "restart", callbacks=[StopAt(*place)])
    assert (cut.iteration, cut.signal) == (place[0], signal.SIGTERM)
    assert train.resume(cut.run, offline=True).iteration == 12
    newest = [tree_bytes(each.run.checkpoints / "step-00000012") for each in (whole, cut)]
    assert newest[0] == newest[1]  # the stop has left another checkpoint beside it
    manifest = json.loads(cut.run.manifest.read_text())
    assert len(manifest["starts"]) == 2 and len(manifest["restarts"]) == 1


def test_after_the_last_restart_the_run_ends_with_one_line(tiny_recipe, tmp_path):
    with pytest.raises(TrainingError, match=r"iteration 4: G has not begun.*after 1 restarts"):
        run(tiny_recipe, tmp_path / "run", "restart", "health.max_restarts=1")


def test_keys_that_have_no_effect_are_warned_of(tiny_recipe, tmp_path):
    run(tiny_recipe, tmp_path / "run", "warn", "health.max_restarts=2", "training.epochs=1")
    log = (tmp_path / "run" / "train.log").read_text()
    assert "health.max_restarts" in log and "health.on_early_collapse: restart" in log
