"""Searches: the file, the runs, what is counted, and the table by hand-computed values."""

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, is_alive, tree_bytes, wait_for
from PIL import Image

from ppgan_zoo.cli import main
from ppgan_zoo.data import load_image_set
from ppgan_zoo.data.idx import write_idx
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.errors import CheckpointError, ConfigError, Ended, ZooError
from ppgan_zoo.metrics.features import FeatureKind
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import DATA, FEATURES
from ppgan_zoo.search import Conditions, load_search, run_search, running, trainings
from ppgan_zoo.search.driver import check, ended_by_signals
from ppgan_zoo.search.pictures import _stack, plot_fid
from ppgan_zoo.search.plan import Evaluate
from ppgan_zoo.search.results import Failure, Result, SearchDirectory, Training
from ppgan_zoo.search.running import Runner
from ppgan_zoo.search.summary import Spread, as_json, has_collapsed, report, summarise, table
from ppgan_zoo.storage.progress import read_progress
from ppgan_zoo.storage.run_directory import RunDirectory

SMALL = """\
model: {name: gan_mlp, generator: {hidden_units: [16]}, discriminator: {hidden_units: [16]}}
latent: {dim: 4}
data: {name: mnist, batch_size: 16}
training: {iterations: 20, discriminator_steps: 2}
checkpoint: {best_by: null}
"""
SEARCH = """\
recipe: small.yml
minutes: 5
seeds: [3, 1]
overrides: {ema.decay: 0.9, log.every_steps: 5}
settings:
  base: {}
  fast: {optimizer.generator.learning_rate: 1e-3, log.every_steps: 7}
"""


@pytest.fixture
def search_file(tmp_path):
    (tmp_path / "small.yml").write_text(SMALL)
    (tmp_path / "s.yml").write_text(SEARCH)
    return tmp_path / "s.yml"


# The file.


def test_every_seed_of_every_setting_is_a_run_and_settings_win_over_what_is_common(
    search_file, tmp_path
):
    search = load_search(search_file)
    assert [run.name for run in search.runs] == ["base-3", "fast-3", "base-1", "fast-1"]
    recipe = search.runs[3].recipe
    assert (recipe.seed, recipe.ema.decay, recipe.log.every_steps) == (1, 0.9, 7)
    assert recipe.optimizer.generator.learning_rate == 1e-3
    assert search.runs[3].arguments == (
        "-c", str(tmp_path / "small.yml"), "-o", "ema.decay=0.9",
        "-o", "optimizer.generator.learning_rate=0.001", "-o", "log.every_steps=7", "--seed", "1",
    )  # fmt: skip
    assert search.runs[3].recipe.images_per_step == 32


def test_a_setting_may_have_a_recipe_of_its_own_and_values_of_any_kind(search_file):
    text = SEARCH + (
        "  other: {recipe: demo, training.epochs: 1, training.iterations: null,\n"
        "    constraints.augment: [translation], data: {name: mnist, batch_size: 8}}\n"
    )
    search_file.write_text(text)
    other = load_search(search_file).runs[2]
    assert other.recipe.model.name == "dcgan"
    assert (other.recipe.training.epochs, other.recipe.training.iterations) == (1, None)
    assert other.recipe.constraints.augment == ("translation",)
    assert other.recipe.data.batch_size == 8


def test_the_example_of_the_page_is_a_search(tmp_path):
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    (tmp_path / "s.yml").write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert len(load_search(tmp_path / "s.yml").runs) == 12


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/results").glob("*.yml")), ids=lambda p: p.stem
)
def test_the_recorded_searches_are_those_of_their_figures(path):
    planned = {(run.setting, run.seed): run for run in load_search(path).runs}
    done = json.loads(path.with_suffix(".json").read_text())["runs"]
    page = (ROOT / "docs/results.md").read_text()
    assert {(run["setting"], run["seed"]) for run in done} == set(planned)
    for run in done:
        recipe = planned[run["setting"], run["seed"]].recipe
        assert run["training"]["iterations"] == recipe.training.iterations
        assert f"{run['evaluation']['metrics']['fid']:.2f}" in page


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("minutes: 5", "minuets: 5", r"s.yml:2: minuets: unknown key \(did you mean 'minutes'\?\)"),
        ("minutes: 5", "minutes: 0", "s.yml:2: minutes: found 0"),
        ("[3, 1]", "[3, 3]", r"seeds: found \[3, 3\]; give each seed once"),
        ("[3, 1]", "[]", "seeds"),
        ("small.yml", "smal.yml", "s.yml:1: recipe: smal.yml: no such recipe file"),
        ("small.yml", "dem", r"s.yml:1: recipe: unknown recipe 'dem' \(did you mean 'demo'\?\)"),
        ("  base: {}", "  ../base: {}", "found the name '../base'; allowed: letters"),
        ("  base: {}", "  base:", "settings.base: found nothing; allowed: a section of keys"),
        ("base: {}", "base: {ema.decy: 1}", "s.yml:6: settings.base: -o ema.decy=1: ema.decy: unk"),
        ("base: {}", "base: {seed: 1}", "settings.base: seed: is set by the key seeds"),
        ("base: {}", "base: {data.directory: x}", "data.directory: is set by --data-dir"),
        ("base: {}", "base: {recipe: 3}", "settings.base: recipe: found int; give a name or"),
        ("base: {}", "base: {log.to: [], evaluation.every_steps: 2}", "log.to: a search reads the"),
        ("base: {}", "base: {model.name: dcgann}", "unknown model 'dcgann'"),
        ("base: {}", "base: {data.name: fashion_mnist}", "train on fashion_mnist and mnist, whose"),
        (
            "recipe: small",
            "evaluate: {metrics: [fidd]}\nrecipe: small",
            "evaluate.metrics.0: unknown metric",
        ),
        ("recipe: small", "evaluate: {num_samples: 9}\nrecipe: small", "evaluate.num_samples: f"),
        (
            "recipe: small",
            "evaluate: {split: train, metrics: [memorisation]}\nrecipe: small",
            "evaluate: metrics: memorisation compares with held-out images; set split to test",
        ),
    ],
)
def test_a_mistake_in_the_file_is_one_line_before_anything_runs(
    old, new, message, search_file, tmp_path, capsys
):
    assert old in SEARCH
    search_file.write_text(SEARCH.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_search(search_file)
    assert main(["search", str(search_file), "--output", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_data_without_a_test_split_are_compared_with_as_they_are(search_file, monkeypatch):
    def load(*, directory, split, offline, image_size, channels, limit, notify):
        raise AssertionError("a plan loads no images")

    kind = DataKind("noise", load, has_splits=False)
    monkeypatch.setitem(DATA._registered, "noise", kind)
    text = SEARCH.replace("overrides: {", "overrides: {data.name: noise, ")
    search_file.write_text(text)
    with pytest.raises(ConfigError, match="evaluate.split: noise has no test split; set it to tr"):
        load_search(search_file)
    search_file.write_text(text + "evaluate: {split: train}\n")
    assert len(load_search(search_file).runs) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("base: {}", "base: {model.generator.hidden: [3]}", "settings.base: model.generator.hidden:"),
        ("minutes: 5", "minutes: 5\nevaluate: {features: inception-v3}", "evaluate: .*inception-v3"),
        ("minutes: 5", "minutes: 5\nevaluate: {split: train, best: true}",
         "settings.base: checkpoint.best_by is null, so there is no best"),
        ("minutes: 5", "minutes: 5", "evaluate.split: mnist: test split not found.*set it to train"),
    ],
)  # fmt: skip
def test_what_only_building_shows_is_refused_before_any_run(
    old, new, message, search_file, tmp_path, monkeypatch
):
    train_split = "minutes: 5\nevaluate: {split: train}" if "split" not in message else "minutes: 5"
    text = SEARCH.replace(old, new)
    search_file.write_text(text if "evaluate" in text else text.replace("minutes: 5", train_split))
    monkeypatch.setattr(running, "ZOO", ("/nonexistent",))
    with pytest.raises(ConfigError, match=message):
        run_search(load_search(search_file), tmp_path / "out", Conditions(offline=True))


def test_label_accuracy_is_a_figure_of_settings_with_labels_alone(search_file):
    text = SEARCH + "evaluate: {split: train, metrics: [label_accuracy]}\n"
    search_file.write_text(text)
    search = load_search(search_file)
    with pytest.raises(ConfigError, match="settings.base: metrics: label_accuracy needs samples"):
        check(search, list(search.runs), Conditions(offline=True))
    search_file.write_text(text.replace("overrides: {", "overrides: {model.conditional: true, "))
    search = load_search(search_file)
    check(search, list(search.runs), Conditions(offline=True))


def test_the_output_must_be_free_or_a_search(search_file, tmp_path, capsys):
    assert main(["search", str(search_file), "--output", str(tmp_path)]) == 2
    assert "is not empty and holds no search" in capsys.readouterr().err
    assert main(["search", str(search_file), "--output", "o", "--jobs", "999"]) == 2
    assert "--jobs 999: give 1 to" in capsys.readouterr().err


# The runs, by a stand-in for the zoo that takes no time.


def make_runner(search, output, lines=None, retry_failed=False, jobs=1):
    directory = SearchDirectory(output)
    output.mkdir(exist_ok=True)
    directory.begin()
    notify = [].append if lines is None else lines.append
    return Runner(search, directory, Conditions(jobs=jobs), retry_failed, notify)


def carry_out(search, output, **options):
    """Do what is missing; returns all results by name."""
    runner = make_runner(search, output, **options)
    known = runner.directory.results(search)
    for done in runner.carry_out(known):
        known = done
    return {run.name: result for run, result in known.items()}


@pytest.fixture
def search(search_file):
    return load_search(search_file)


def test_every_run_is_trained_and_measured_and_only_the_first_takes_the_floor(
    search, tmp_path, stand_in
):
    lines = []
    results = carry_out(search, tmp_path / "out", lines=lines)
    assert list(results) == [run.name for run in search.runs]
    first = results["base-3"]
    assert first.training == Training(
        iterations=20, images=20 * 32, seconds=40.0, started="2026-01-01T00:00:00+00:00",
        git_commit="abc", device="cpu", threads=2, processor="A chip", cpu_seconds=20.0,
        zoo="0.1.0", data_sha256="d" * 64,
    )  # fmt: skip
    assert first.training.ms_per_iteration == 2000
    train_command, evaluate_command = first.commands
    assert train_command[:4] == ("ppgan-zoo", "train", "-c", str(tmp_path / "small.yml"))
    assert train_command[-2:] == ("--output", str(tmp_path / "out" / "runs" / "base-3"))
    assert "--no-floor" not in evaluate_command
    assert [bool(result.floor) for result in results.values()] == [True, False, False, False]
    assert lines[0] == "[1/4] base, seed 3 ..."
    assert lines[1] == "[1/4] base, seed 3: FID 7.00, 10 modes, 0.67 minutes, 640 images"


def test_failures_are_kept_with_stage_exit_code_and_last_line(search, tmp_path, stand_in):
    stand_in(train_base_3="fails", evaluate_fast_3="crashes", evaluate_base_1="undefined")
    lines = []
    results = carry_out(search, tmp_path / "out", lines=lines)
    message = "data: the disk is gone"
    assert results["base-3"].failure == Failure(stage="train", exit_code=1, message=message)
    assert results["fast-3"].failure == Failure(
        stage="evaluate", exit_code=-11, message="wrote nothing"
    )
    assert results["base-1"].failure.message.startswith("FID is not defined")
    assert results["fast-1"].failure is None
    assert "FAILED in evaluate (signal SIGSEGV): wrote nothing" in lines[3]
    # A second call leaves them as they are, unless it is told otherwise.
    stand_in()
    assert carry_out(search, tmp_path / "out") == results
    trained = (tmp_path / "out" / "runs" / "fast-3" / "train.log").read_text()
    again = carry_out(search, tmp_path / "out", retry_failed=True)
    assert not any(result.failure for result in again.values())
    # What failed in its evaluation was not trained again.
    assert (tmp_path / "out" / "runs" / "fast-3" / "train.log").read_text() == trained


def test_a_command_that_somebody_else_ended_is_done_again_once(search, tmp_path, stand_in):
    stand_in(train_base_3="dies once", evaluate_base_3="dies once", train_fast_3="dies",
             evaluate_base_1="is ended")  # fmt: skip
    results = carry_out(search, tmp_path / "out")
    assert results["base-3"].failure is None and results["base-3"].metrics["fid"] == 7.0
    assert results["fast-3"].failure == Failure(
        stage="train", exit_code=-9, message="wrote nothing"
    )
    assert results["base-1"].failure.exit_code == 143
    commands = (tmp_path / "out" / "runs" / "fast-3.log").read_text().count("$ ppgan-zoo train")
    assert commands == 2


def test_a_recipe_that_changes_while_the_search_runs_is_not_counted(tmp_path):
    (tmp_path / "small.yml").write_text(SMALL)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.recipe.write_text(SMALL)
    planned = load_recipe(tmp_path / "small.yml")
    trainings.check_recipe(run, planned)
    run.recipe.write_text(SMALL.replace("mnist,", f"mnist, directory: {tmp_path},"))
    trainings.check_recipe(run, planned)  # a run's paths are absolute, a file's need not be
    run.recipe.write_text(SMALL.replace("dim: 4", "dim: 5"))
    with pytest.raises(ConfigError, match="was trained by another recipe than the search began"):
        trainings.check_recipe(run, planned)


CHILD = """
import subprocess, sys
child = subprocess.Popen([*{zoo!r}, "train", "-c", {recipe!r}, "--offline", "--output", {output!r}],
                         start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.slow
def test_a_search_that_is_killed_leaves_no_training_behind(tmp_path):
    (tmp_path / "long.yml").write_text(SMALL.replace("iterations: 20", "iterations: 1000000"))
    output = tmp_path / "run"
    code = CHILD.format(zoo=running.ZOO, recipe=str(tmp_path / "long.yml"), output=str(output))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    wait_for(lambda: (output / "progress.json").exists())
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(child))


def test_a_run_over_its_budget_is_stopped_measured_and_counted(search_file, tmp_path, stand_in):
    search_file.write_text(SEARCH.replace("minutes: 5", "minutes: 0.003"))
    stand_in(train_base_3="takes long")
    search = load_search(search_file)
    results = carry_out(search, tmp_path / "out")
    cut = results["base-3"]
    assert (cut.cut, cut.failure, cut.status) == (True, None, "cut")
    assert (cut.training.iterations, cut.training.seconds) == (10, 30.0)
    assert cut.metrics["fid"] == 7.0
    assert [row.cut for row in summarise(search, dict(zip(search.runs, results.values())))] == [
        1,
        0,
    ]


def test_a_budget_of_cpu_minutes_is_measured_by_the_processor(search_file, tmp_path, stand_in):
    # 15 seconds of the processor are over 0.2 minutes, and under the clock's many less.
    search_file.write_text(SEARCH.replace("minutes: 5", "minutes: 0.2"))
    stand_in(train_base_3="takes long")
    runner = make_runner(load_search(search_file), tmp_path / "out")
    runner.conditions = Conditions(cpu_minutes=True)
    started = time.monotonic()
    (results,) = itertools.islice(runner.carry_out({}), 1)
    assert time.monotonic() - started < 10
    (cut,) = results.values()
    assert cut.status == "cut" and cut.training.cpu_seconds == 15.0


def test_a_restart_is_counted_with_what_it_lost(search, tmp_path, stand_in):
    stand_in(train_base_3="restarts")
    lines = []
    results = carry_out(search, tmp_path / "out", lines=lines)
    training = results["base-3"].training
    assert (training.iterations, training.lost_iterations, training.restarts) == (20, 5, 1)
    assert (training.images, training.seconds, training.cpu_seconds) == (25 * 32, 48.0, 26.0)
    assert training.ms_per_iteration == 48000 / 25
    assert lines[1].endswith("800 images, restarted once")
    by_run = dict(zip(search.runs, results.values()))
    assert [row.restarted for row in summarise(search, by_run)] == [1, 0]
    text = report(search, by_run)
    assert "base-3 was restarted once: G had not begun to learn, and 5 iterations were lost" in text


def test_kept_checkpoints_give_a_curve_with_what_a_restart_took(search_file, tmp_path, stand_in):
    search_file.write_text(SEARCH + "evaluate: {curve_samples: 500}\n")
    stand_in(train_base_3="restarts")
    results = carry_out(load_search(search_file), tmp_path / "out")
    command = results["base-3"].commands[1]
    assert command[command.index("--curve") + 1] == "500"
    assert results["base-3"].curve == ((round(28 / 60, 4), 10, 9.0), (round(48 / 60, 4), 20, 7.5))
    assert results["fast-3"].curve == ((round(20 / 60, 4), 10, 9.0), (round(40 / 60, 4), 20, 7.5))


def test_results_of_before_a_new_key_of_evaluate_are_as_good_as_ever(search, tmp_path, stand_in):
    carry_out(search, tmp_path / "out")
    path = SearchDirectory(tmp_path / "out").result(search.runs[0])
    held = json.loads(path.read_text())
    assert held["measured_by"].pop("curve_samples", "absent") is None
    path.write_text(json.dumps(held))
    assert running.is_measured(Result.model_validate_json(path.read_text()), search)


def test_a_search_that_is_stopped_leaves_no_process_and_goes_on(search, tmp_path, stand_in):
    stand_in(train_fast_3="takes long")
    runner = make_runner(search, tmp_path / "out")
    work = runner.carry_out({})
    next(work)  # base-3 is done
    stopping = tmp_path / "out" / "runs" / "fast-3" / "recipe.yml"

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(work)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stopping.exists()
    # It was told to stop, and waited for.
    assert read_progress(stopping.parent / "progress.json").done == 10
    results = runner.directory.results(search)
    assert [run.name for run in results] == ["base-3"]
    done = (stopping.parent.parent / "base-3" / "train.log").read_text()
    stand_in()
    results = carry_out(search, tmp_path / "out")
    assert results["fast-3"].training.seconds == 40.0  # begun again
    assert len(results) == 4
    assert (stopping.parent.parent / "base-3" / "train.log").read_text() == done


def test_signals_that_follow_the_first_end_the_search_sooner_and_leave_no_process(
    search, tmp_path, stand_in
):
    stand_in(train_base_3="never ends")
    run = tmp_path / "out" / "runs" / "base-3"

    def send():
        while not (run / "recipe.yml").exists():
            time.sleep(0.01)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises((Ended, KeyboardInterrupt)), ended_by_signals() as is_hurried:
        runner = make_runner(search, tmp_path / "out")
        runner.is_hurried = is_hurried
        for _ in runner.carry_out({}):
            pass
    sender.join()
    assert is_hurried()
    with pytest.raises(ProcessLookupError):
        os.kill(int((run / "visualdl" / "pid.0.log").read_text()), 0)


def test_a_signal_that_was_ignored_is_ignored_by_a_search_too():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_protocol_measures_anew_and_trains_nothing(search_file, tmp_path, stand_in):
    carry_out(load_search(search_file), tmp_path / "out")
    marks = {p: p.read_text() for p in (tmp_path / "out" / "runs").glob("*/train.log")}
    search_file.write_text(SEARCH + "evaluate: {num_samples: 500}\n")
    results = carry_out(load_search(search_file), tmp_path / "out")
    assert all("500" in result.commands[1] for result in results.values())
    assert [bool(result.floor) for result in results.values()] == [True, False, False, False]
    assert {p: p.read_text() for p in marks} == marks


def test_the_floor_outlives_the_setting_that_it_was_measured_with(search_file, tmp_path, stand_in):
    before = carry_out(load_search(search_file), tmp_path / "out")
    search_file.write_text(SEARCH.replace("  base: {}\n", ""))
    after = carry_out(load_search(search_file), tmp_path / "out")
    assert list(after) == ["fast-3", "fast-1"]
    assert {result.floor["fid"] for result in after.values()} == {before["base-3"].floor["fid"]}
    # Figures of another protocol are another floor.
    search_file.write_text(search_file.read_text() + "evaluate: {num_samples: 500}\n")
    results = SearchDirectory(tmp_path / "out").results(load_search(search_file))
    for run, result in results.items():
        other = result.model_copy(update={"measured_by": {"num_samples": 500}})
        assert other.with_floor_of(before["base-3"]).floor == other.floor, run


def test_a_run_that_is_gone_is_missed_before_it_is_measured_anew(
    search_file, tmp_path, stand_in, monkeypatch
):
    search_file.write_text(SEARCH + "evaluate: {split: train}\n")
    carry_out(load_search(search_file), tmp_path / "out")
    (tmp_path / "out" / "runs" / "fast-3").rename(tmp_path / "elsewhere")
    search_file.write_text(SEARCH + "evaluate: {split: train, num_samples: 500}\n")
    search, message = (
        load_search(search_file),
        "fast-3: is gone, and is to be measured; put it back",
    )
    with pytest.raises(ConfigError, match=message):
        run_search(search, tmp_path / "out", Conditions(offline=True))
    assert SearchDirectory(tmp_path / "out").read_result(search.runs[1], 5).failure is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1e-3", "2e-3", "fast-3.json: is of another recipe than this run's now; give another"),
        ("minutes: 5", "minutes: 6", "base-3.json: was given 5 minutes, and minutes is now 6"),
    ],
)
def test_results_of_other_settings_are_not_mixed_in(
    old, new, message, search_file, tmp_path, stand_in
):
    carry_out(load_search(search_file), tmp_path / "out")
    search_file.write_text(SEARCH.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        carry_out(load_search(search_file), tmp_path / "out")


def test_a_damaged_result_and_a_run_at_work_are_said(search, tmp_path, stand_in):
    carry_out(search, tmp_path / "out")
    directory = SearchDirectory(tmp_path / "out")
    path = directory.result(search.runs[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    with pytest.raises(ConfigError, match="base-3.json: cannot be read"):
        carry_out(search, tmp_path / "out")
    path.unlink()
    place = directory.run(search.runs[0])
    with place.lock(), pytest.raises(CheckpointError, match="is training this run"):
        carry_out(search, tmp_path / "out")


def test_a_run_that_the_search_did_not_make_is_not_deleted(search, tmp_path, stand_in):
    """Whatever it looks like, and whatever else lies in one that it did make."""
    stand_in(train_base_3="dies")
    carry_out(search, tmp_path / "out")
    directory = SearchDirectory(tmp_path / "out")
    first = directory.run(search.runs[0]).path
    theirs = tmp_path / "theirs"
    shutil.copytree(directory.run(search.runs[1]).path, theirs)
    (theirs / ".claim").unlink()
    elsewhere = tmp_path / "elsewhere"
    stand_in()
    for what in ("a run", "a run with the mark of another", "a link", "a file", "notes"):
        shutil.rmtree(first)
        claim = directory.run(search.runs[1]).path / ".claim"
        if what == "a file":
            first.write_text("mine")
        elif what == "a link":
            directory.run(search.runs[0]).claim(directory.mark(search.runs[0]))
            first.rename(elsewhere)
            first.symlink_to(elsewhere)
        elif what == "notes":
            directory.run(search.runs[0]).claim(directory.mark(search.runs[0]))
            (first / "notes.txt").write_text("mine")
        else:
            shutil.copytree(theirs, first)
            if what == "a run with the mark of another":
                shutil.copyfile(claim, first / ".claim")
        before = tree_bytes(tmp_path / "out")
        said = "no run wrote it" if what == "notes" else "this search did not make it"
        with pytest.raises(ZooError, match=said):
            carry_out(search, tmp_path / "out", retry_failed=True)
        after = tree_bytes(tmp_path / "out")
        after.pop("runs/base-3/.lock", None)
        assert after == before, what
        if first.is_symlink() or first.is_file():
            first.unlink()
            first.mkdir()
    shutil.rmtree(first)
    assert carry_out(search, tmp_path / "out", retry_failed=True)["base-3"].status == "finished"


@pytest.mark.parametrize("names", [["runs/mine.txt"], ["search.yml"], ["results.json"]])
def test_a_folder_that_holds_no_search_is_not_written_to(names, search_file, tmp_path):
    for name in names:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("mine")
    before = tree_bytes(tmp_path)
    with pytest.raises(ConfigError, match="holds no search"):
        run_search(load_search(search_file), tmp_path / "out", Conditions(offline=True))
    assert tree_bytes(tmp_path) == before


def test_runs_at_the_same_time_share_the_threads(search, tmp_path, stand_in, monkeypatch):
    monkeypatch.setenv("PPGAN_ZOO_THREADS", "7")
    assert Conditions(jobs=2).of_a_process()["PPGAN_ZOO_THREADS"] == "3"
    results = carry_out(search, tmp_path / "out", jobs=2)
    assert sorted(results) == sorted(run.name for run in search.runs)


# The table.


def result(setting, seed, fid, *, modes=10, entropy=2.3, seconds=60.0, floor=None, **more):
    return Result(
        setting=setting, seed=seed, recipe_sha256="", minutes_allowed=5,
        training=Training(
            iterations=100, images=3200, seconds=seconds, started="", git_commit="abc",
            device="cpu", threads=2, processor="A chip",
        ),
        evaluation={
            "metrics": {"fid": fid, "kid": fid / 1000, "modes": modes, "class_entropy": entropy},
            "floor": floor, "notes": ["take care"],
            "real": {"count": 200, "split": "test", "name": "mnist"},
            "settings": {"num_samples": 1000}, "features": {"name": "digits-v1", "sha256": "0" * 64},
        },
        **more,
    )  # fmt: skip


FLOOR = {"metrics": {"fid": 0.45, "kid": 0.0, "modes": 10, "class_entropy": math.log(10)}}


@pytest.fixture
def results(search):
    failure = Failure(stage="train", exit_code=-9, message="out of memory")
    made = [
        result("base", 3, 10.0, floor=FLOOR, seconds=60.0),
        result("fast", 3, 4.0, modes=9, cut=True),
        result("base", 1, 14.0, seconds=120.0),
        result("fast", 1, 0.0, failure=failure),
    ]
    return dict(zip(search.runs, made, strict=True))


def test_rows_are_means_and_deviations_of_the_runs_that_did_not_fail(search, results):
    fast, base = summarise(search, results)
    assert (fast.setting, fast.runs, fast.failed, fast.cut, fast.collapsed) == ("fast", 2, 1, 1, 1)
    assert fast.figures["fid"] == Spread(4.0, None, 1)
    assert (base.setting, base.runs, base.failed, base.cut, base.collapsed) == ("base", 2, 0, 0, 0)
    # 10 and 14: mean 12, squared deviations 4 + 4 over n - 1 = 1.
    assert base.figures["fid"] == Spread(12.0, pytest.approx(math.sqrt(8)), 2)
    assert base.minutes.mean == 1.5
    assert base.ms_per_iteration.mean == 900.0
    assert base.images.mean == 3200


def test_the_table_reads_as_text_and_ends_with_the_floor(search, results):
    lines = table(search, results).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][:7] == ["setting", "runs", "failed", "restarted", "cut", "collapsed", "FID"]
    assert cells[2][:8] == ["fast", "2", "1", "0", "1", "1", "4.000", "4.000"]
    assert cells[3][:8] == ["base", "2", "0", "0", "0", "0", "12.000 ± 2.828", "12.000 ± 2.828"]
    assert cells[3][-3:] == ["1.50", "3,200", "900.0"]
    assert cells[4][:8] == ["floor (real images)", "", "", "", "", "", "0.450", "0.000"]


def test_a_search_under_way_says_so_and_settings_without_figures_come_last(search, results):
    half = {run: results[run] for run in (search.runs[0], search.runs[3])}
    cells = [line.split("|") for line in table(search, half).splitlines()]
    assert [row[1].strip() for row in cells[2:]] == ["base", "fast", "floor (real images)"]
    assert cells[2][2].strip() == "1 of 2"
    assert cells[3][7].strip() == "-"
    assert as_json(search, half)["missing"] == ["fast-3", "base-1"]


def test_the_report_names_all_that_went_wrong(search, results):
    text = report(search, results)
    assert "- fast-1 failed in train (signal SIGKILL): out of memory" in text
    assert "- fast-3 collapsed: 9 classes" in text
    assert "- fast-3 was cut after 1.00 minutes, at iteration 100" in text
    assert text.count("- Note: take care") == 1
    assert "1,000 samples against 200 test images of mnist, features digits-v1" in text
    data = json.loads(json.dumps(as_json(search, results)))
    assert [run["collapsed"] for run in data["runs"]] == [False, True, False, None]
    assert [run["status"] for run in data["runs"]] == ["finished", "cut", "finished", "failed"]
    assert data["floor"] == FLOOR["metrics"]


@pytest.mark.parametrize(
    ("modes", "entropy", "floor", "collapsed"),
    [
        (10, math.log(10), FLOOR["metrics"], False),
        (9, math.log(10), FLOOR["metrics"], True),
        (10, math.log(7.6), FLOOR["metrics"], False),  # 7.6 of 10 classes' worth
        (10, math.log(7.4), FLOOR["metrics"], True),
        (10, math.log(7.4), None, True),
        (9, math.log(9), {"fid": 1.0, "modes": 9, "class_entropy": math.log(9)}, False),
        (None, None, FLOOR["metrics"], None),
    ],
)
def test_a_collapse_is_a_lost_class_or_a_low_entropy(modes, entropy, floor, collapsed):
    assert has_collapsed({"fid": 1.0, "modes": modes, "class_entropy": entropy}, floor) is collapsed


def test_the_plot_has_a_point_for_each_run_and_the_curves(search, results, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: drawn.append(self))
    run = search.runs[2]
    curve = ((0.5, 50, 30.0), (1.9, 95, 16.0))
    drawn_into = tmp_path / "plot.png"
    plot_fid(search, {**results, run: results[run].model_copy(update={"curve": curve})}, drawn_into)
    (axes,) = drawn[0].axes
    fast, base = (points.get_offsets().tolist() for points in axes.collections)
    assert (fast, base) == ([[1.0, 4.0]], [[1.0, 10.0], [2.0, 14.0]])
    line, floor = axes.lines
    assert line.get_xydata().tolist() == [[0.5, 30.0], [1.9, 16.0]]
    assert set(floor.get_ydata()) == {0.45}
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["fast (1 failed)", "base", "floor (real images)"]


@pytest.mark.parametrize("name", ["$\\frac$", "a$b", "\x1b[31m\n", "\udcff", "世界"])
def test_a_plot_takes_a_search_of_any_name(name, search, results, tmp_path):
    plot_fid(replace(search, path=tmp_path / f"{name}.yml"), results, tmp_path / "plot.png")
    assert Image.open(tmp_path / "plot.png", formats=["PNG"]).size[0] > 100


def test_rows_of_samples_are_put_under_each_other_whatever_their_form():
    grey, color = np.full((4, 6), 7, np.uint8), np.full((5, 9, 3), 9, np.uint8)
    pixels = _stack([grey, color])
    assert pixels.shape == (9, 9, 3)
    assert (pixels[:4, :6] == 7).all() and (pixels[4:] == 9).all()


# All of it.


def test_a_search_from_the_command_line(search_file, tmp_path, monkeypatch, capsys):
    images = load_image_set("mnist", offline=True, limit=600, notify=lambda line: None).images
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    write_idx(tmp_path / "data" / "mnist" / "train-images-idx3-ubyte", images[:400, 0])
    write_idx(tmp_path / "data" / "mnist" / "t10k-images-idx3-ubyte", images[400:, 0])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    search_file.write_text(
        "recipe: small.yml\nminutes: 0.1\nseeds: [0]\nevaluate: {num_samples: 100}\n"
        "settings:\n"
        "  short: {evaluation.every_steps: 10, evaluation.num_samples: 100}\n"
        "  endless: {training.iterations: 100000000}\n"
    )
    command = ["search", str(search_file), "--output", str(tmp_path / "out"), "--offline",
               "--data-dir", "data", "--jobs", "2"]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PPGAN_ZOO_THREADS", "2")
    assert main(command) == 0
    said = capsys.readouterr()
    assert "floor (real images)" in said.out
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    short, endless = data["runs"]
    assert (short["status"], short["training"]["iterations"]) == ("finished", 20)
    assert [step for _, step, _ in short["curve"]] == [10, 20]
    assert 0 <= short["curve"][0][0] <= short["minutes"] <= 0.3
    assert endless["status"] == "cut"
    assert 0.5 < endless["training"]["seconds"] < 60
    assert endless["evaluation"]["model"]["iteration"] == endless["training"]["iterations"] > 0
    assert all(run["evaluation"]["real"]["split"] == "test" for run in data["runs"])
    assert (tmp_path / "out" / "table.md").read_text().count("\n|") == 5
    assert Image.open(tmp_path / "out" / "fid_by_minutes.png").size[0] > 600
    picture = Image.open(tmp_path / "out" / "samples.png")
    assert picture.height > 2 * 56 and picture.width > 16 * 56
    # Again: nothing to do.
    started = time.monotonic()
    monkeypatch.setattr(running, "ZOO", ("/nonexistent",))
    assert main(command) == 0
    assert capsys.readouterr().out == said.out
    assert time.monotonic() - started < 30


def test_a_search_that_measures_nothing_is_an_error(search, tmp_path, stand_in, monkeypatch):
    monkeypatch.setattr("ppgan_zoo.search.driver.check", lambda *_: None)
    stand_in(**{f"train_{name.replace('-', '_')}": "fails" for name in ("base-3", "base-1", "fast-3", "fast-1")})  # fmt: skip
    with pytest.raises(ConfigError, match="all 4 runs failed, the first in train: data: the disk"):
        run_search(search, tmp_path / "out", Conditions())
    assert (tmp_path / "out" / "fid_by_minutes.png").is_file()


def test_a_mistake_is_said_without_importing_paddle(search_file):
    search_file.write_text(SEARCH.replace("minutes: 5", "minutes: -5"))
    code = (
        "import sys; from ppgan_zoo.cli import main; code = main(sys.argv[1:]);"
        "sys.exit(code if 'paddle' not in sys.modules else 'Paddle was imported')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "search", search_file, "--output", "never"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.parametrize(
    ("data", "features", "metrics"),
    [
        ("mnist", None, ["fid", "modes", "kid"]),
        ("prepared", None, ["fid", "kid"]),
        ("prepared", "digits-v1", ["fid", "modes", "kid"]),
        ("mnist", "inception-v3", ["fid", "kid"]),
    ],
)
def test_modes_are_counted_by_a_network_that_knows_the_classes(data, features, metrics):
    assert Evaluate(features=features, metrics=("kid",)).names(data) == metrics


def test_a_package_s_network_says_whether_it_tells_the_classes():
    for tells, metrics in ((True, ["fid", "modes"]), (False, ["fid"])):
        with FEATURES.lent(FeatureKind("means-v1", lambda weights: None, tells_classes=tells)):
            assert Evaluate(features="means-v1").names("mnist") == metrics
