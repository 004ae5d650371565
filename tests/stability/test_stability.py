"""The share of a recipe's seeds that begin to learn."""

import dataclasses
import json
import os
import re
import sys

import numpy as np
import pytest

from ppgan_zoo.commands.arguments import parse_run_seeds
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.stability import driver
from ppgan_zoo.stability.driver import Study, run_study
from ppgan_zoo.stability.report import summarise, table, wilson
from ppgan_zoo.training.first_phase import BEGUN, FirstPhase, start_distance


@pytest.fixture(scope="module")
def digits():
    from ppgan_zoo.data import load_image_set

    images = load_image_set("mnist", offline=True, limit=256).images
    return images.astype(np.float32) / 127.5 - 1


def test_a_flat_picture_for_all_is_at_one_and_real_images_are_near(digits):
    real, others = digits[:128], digits[128:]
    mean = np.broadcast_to(real.mean(axis=0), real.shape)
    assert start_distance(real, real) == 0.0
    assert start_distance(mean, real) == pytest.approx(1.0, abs=0.05)
    assert start_distance(others, real) < 0.35 < BEGUN


@pytest.mark.parametrize("board", [1.0, 0.3])
def test_noise_and_checkerboards_are_far(board, digits):
    real = digits[:128]
    rng = np.random.default_rng(0)
    squares = np.tile([[1.0, -1.0], [-1.0, 1.0]], (14, 14)) * board
    assert start_distance(rng.uniform(-1, 1, real.shape), real) > 1.3
    assert start_distance(real.mean(axis=0) + np.zeros_like(real) + squares, real) > 1.3
    # One good digit for every z is no beginning either.
    assert start_distance(np.broadcast_to(real[0], real.shape), real) > BEGUN


def test_the_distance_is_of_any_channels_sizes_and_ranges():
    rng = np.random.default_rng(1)
    real = rng.random((32, 3, 9, 7)) * np.linspace(0, 1, 7)
    samples = rng.random((32, 3, 9, 7))
    found = start_distance(samples, real)
    assert 0.5 < found < 5
    assert start_distance(255 * samples, 255 * real) == pytest.approx(found)
    same = np.ones((4, 1, 8, 8))
    assert start_distance(same, same) == 0.0
    assert start_distance(same * 0.5, same) == np.inf


def test_noise_that_nobody_sees_is_near_where_real_images_have_no_detail(digits):
    """Pictures of large pixels are the same in each block of 2x2."""
    large = digits[:, :, ::2, ::2].repeat(2, axis=2).repeat(2, axis=3)
    real, others = large[:128], large[128:]
    noise = np.random.default_rng(0).standard_normal(others.shape)
    assert start_distance(others + 1e-4 * noise, real) < 0.5
    assert start_distance(others + 2 / 127.5 * noise, real) < BEGUN
    assert start_distance(others + 0.1 * noise, real) > 1.0


def test_a_fate_takes_two_checks_or_the_end_of_the_phase():
    phase = FirstPhase(iterations=100)
    assert phase.see(25, 0.9) is None
    assert phase.see(50, BEGUN - 0.01) is None
    assert phase.see(75, BEGUN - 0.01) == "begun"
    late = FirstPhase(iterations=100)
    assert [late.see(at, 1.0) for at in (25, 50, 75)] == [None] * 3
    assert late.see(100, 0.1) == "failed"  # one check is none
    assert FirstPhase(iterations=100).see(25, float("nan")) == "failed"


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # worked out from the formula of the paper
        (40, 40, 0.912378, 1.0),
        (7, 9, 0.452589, 0.936775),
        (0, 8, 0.0, 0.324408),
        (38, 40, 0.834961, 0.986179),
    ],
)
def test_the_interval_is_wilson_s(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-6)


def test_a_share_of_nothing_is_refused():
    for successes, trials in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="is no share"):
            wilson(successes, trials)


DATA = {"name": "x", "source": "directory", "count": 1000, "sha256": "0"}


def test_the_table_counts_every_run():
    answers = {
        seed: {"begun": seed != 3, "iteration": 100 + 25 * seed, "seconds": 1.0, "data": DATA}
        for seed in range(5)
    }
    row = summarise("demo", "auto", answers)
    assert (row.runs, row.begun, row.failed, row.iterations) == (5, 4, (3,), (137, 200))
    last = table([row]).splitlines()[-1]
    assert last.startswith(
        "| demo | x, 1,000 images (directory) | auto | 4 of 5 | 80.0% | 37.6% to 96.4% | 137, 200 | 3 |"
    )


def test_seeds_are_a_list_of_numbers_and_ranges():
    assert parse_run_seeds("0-3,9,2") == (0, 1, 2, 3, 9)
    for text in ("", "a", "3-1", "0-1000", "1,,2", "-1", "9999999999", "0-999,1000"):
        with pytest.raises(ConfigError, match="--seeds"):
            parse_run_seeds(text)


def test_a_study_from_the_command_line_counts_continues_and_draws(cli, tiny_recipe, tmp_path):
    output = tmp_path / "study"
    command = ("stability", tiny_recipe, "--output", output, "--iterations", "2",
               "--every-steps", "1", "--format", "json")  # fmt: skip
    done = cli(*command, "--seeds", "0")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)  # two iterations teach nothing
    assert (row["runs"], row["begun"], row["failed_seeds"]) == (1, 0, [0])
    held = (output / "stability.json").read_text()
    done = cli(*command, "--seeds", "0-1", "--ops", "auto")
    assert done.returncode == 0 and "2 runs, 1 done" in done.stderr
    assert json.loads(done.stdout)[0]["runs"] == 2
    study = json.loads((output / "stability.json").read_text())
    assert study["runs"][0] == json.loads(held)["runs"][0]
    assert {path.name for path in output.glob("*.png")} == {"auto-0.png", "auto-1.png"}
    assert "images" in json.loads(done.stdout)[0]["data"]
    other = cli(*command, "--seeds", "0", "-o", "latent.dim=4")
    assert other.returncode == 2 and "another --output" in other.stderr


def test_runs_on_other_data_are_not_counted_together(cli, tiny_recipe, tmp_path):
    output = tmp_path / "study"
    command = ("stability", tiny_recipe, "--output", output, "--iterations", "2",
               "--every-steps", "1")  # fmt: skip
    assert cli(*command, "--seeds", "0").returncode == 0
    file = output / "stability.json"
    study = json.loads(file.read_text())
    study["runs"][0]["data"].update(sha256="0" * 64, count=60000, source="directory")
    file.write_text(json.dumps(study))
    other = cli(*command, "--seeds", "0-1")
    assert other.returncode == 2
    assert re.search(
        r"were trained on \w+, 60,000 images \(directory\), and now there is", other.stderr
    )
    assert json.loads(file.read_text()) == study


def test_a_study_that_was_stopped_before_its_first_answer_is_begun_again(tmp_path, monkeypatch):
    study = Study("demo", seeds=(0,), iterations=2, every_steps=1)

    def stopped(study, path, output, *rest):
        (output / "auto-0.png").write_bytes(b"a picture")
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "_carry_out", stopped)
    for each in (study, study, dataclasses.replace(study, iterations=4)):  # another one, too
        with pytest.raises(KeyboardInterrupt):
            run_study(each, tmp_path / "study", notify=lambda line: None)


def test_the_same_images_may_lie_elsewhere():
    first, other = (
        Study("demo", overrides=(f"data.directory={name}",)) for name in ("here", "there")
    )
    path = find_recipe("demo")
    assert first.sha256(path) == other.sha256(path) == Study("demo").sha256(path)


def test_what_is_wrong_is_one_line(cli, tiny_recipe, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for arguments, said in (
        ((tiny_recipe, "--output", tmp_path / "full"), "is not empty and holds no study"),
        ((tiny_recipe, "--output", tmp_path / "a", "--jobs", "0"), "--jobs 0: give 1 to"),
        ((tiny_recipe, "--output", tmp_path / "d", "--every-steps", "2"), "give 1 at most"),
        ((tiny_recipe, "--output", tmp_path / "b", "-o", "data.limit=1"), "data.batch_size"),
        (("nothing", "--output", tmp_path / "c"), "nothing"),
    ):
        looks = () if "--every-steps" in arguments else ("--every-steps", "1")
        done = cli("stability", *arguments, "--iterations", "2", "--seeds", "0", *looks)
        assert done.returncode == 2, done.stdout
        assert said in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "full").iterdir() if path.name != ".lock"] == [
        "mine.txt"
    ]


@pytest.fixture
def crashing(monkeypatch, tmp_path):
    """Let the first `times` processes of a study end as `code` says, after a word on stderr."""

    def install(times, code):
        left = tmp_path / "left"
        left.write_text("x" * times)
        text = (
            "import pathlib, sys\n"
            f"left = pathlib.Path({str(left)!r})\n"
            "if text := left.read_text():\n"
            "    left.write_text(text[1:])\n"
            "    print('the memory is gone', file=sys.stderr, flush=True)\n"
            f"    {code}\n"
            f"print({json.dumps(json.dumps({**ANSWER, 'data': DATA}))})\n"
        )
        program = tmp_path / "python"
        program.write_text(f'#!/bin/sh\nexec "{PYTHON}" "{tmp_path / "child.py"}"\n')
        program.chmod(0o755)
        (tmp_path / "child.py").write_text(text)
        monkeypatch.setattr("ppgan_zoo.runtime.sys.executable", str(program))

    return install


ANSWER = {"begun": True, "iteration": 25, "distances": [], "seconds": 1.0, "runtime": {}}
PYTHON = sys.executable  # the real one, which the fixture hides
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def study_of(seeds, tiny_recipe, output):
    said = []
    rows = run_study(Study(str(tiny_recipe), seeds=seeds), output, notify=said.append)
    return rows, said


def test_a_process_that_is_killed_is_started_again(crashing, tiny_recipe, tmp_path):
    crashing(1, KILLED)
    (row,), said = study_of((0, 1), tiny_recipe, tmp_path / "study")
    assert (row.runs, row.begun) == (2, 2)
    assert said[1].endswith(
        "auto, seed 0: its process ended with signal SIGKILL: the memory is gone; it is started again"
    )
    assert [line[:15] for line in said[2:]] == ["[1/2] auto, see", "[2/2] auto, see"]


def test_one_that_ends_twice_ends_the_study_and_the_next_call_goes_on(
    crashing, tiny_recipe, tmp_path
):
    output = tmp_path / "study"
    crashing(0, "")
    study_of((0,), tiny_recipe, output)
    crashing(2, "sys.exit(3)")
    with pytest.raises(ConfigError, match=r"seed 1: .* ended twice .* exit code 3: the memory is"):
        study_of((0, 1), tiny_recipe, output)
    (row,), said = study_of((0, 1), tiny_recipe, output)
    assert (row.runs, row.begun, said[0]) == (2, 2, "2 runs, 1 done")


def test_a_run_that_is_over_holds_no_file_open(crashing, tiny_recipe, tmp_path):
    crashing(0, "")
    open_files = []

    def count(line):
        open_files.append(len(os.listdir("/proc/self/fd")))

    run_study(Study(str(tiny_recipe), seeds=(0, 1, 2, 3)), tmp_path / "study", notify=count)
    first, *later = open_files[1:]
    assert later == [first] * 3
