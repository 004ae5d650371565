"""``train --processes``: the run of one process, by several; and what is left if one dies."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, wait_for
from distributed.launching import run_in

from ppgan_zoo.storage.retention import load_newest
from ppgan_zoo.storage.visualdl_reader import read_scalars

HERE = Path(__file__).parent

LONG = "training.epochs=2000"


@pytest.fixture
def environment(tmp_path):
    """Temporary files of the processes have a folder of their own, which must be empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    yield {"TMPDIR": str(folder)}
    assert not list(folder.iterdir())


def processes_in(folder):
    """Return the processes whose temporary files are in a folder: rank (or a name) to number."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (path / "environ").read_bytes().split(b"\0")
            if f"TMPDIR={folder}".encode() not in variables:
                continue
            words = (path / "cmdline").read_bytes().decode()
            values = dict(item.split(b"=", 1) for item in variables if b"=" in item)
            rank = values.get(b"PADDLE_TRAINER_ID", b"").decode()
            name = rank or ("launcher" if "paddle.distributed" in words else "command")
            found[name] = int(path.name)
    return found


def state_of(run):
    checkpoint, arrays = load_newest(run / "checkpoints", pytest.fail)
    return checkpoint.iteration, {
        f"{part}/{key}": array for part in arrays for key, array in arrays[part].items()
    }


def assert_same(run, other):
    (iteration, found), (wanted_iteration, wanted) = state_of(run), state_of(other)
    assert iteration == wanted_iteration and set(found) == set(wanted) and len(wanted) > 20
    for key in wanted:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-4, atol=1e-5, err_msg=key)


def files_of(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.suffix != ".log")


def begin(environment, *arguments):
    """Start ``train`` with several processes and wait for its first checkpoint."""
    command = [sys.executable, "-m", "ppgan_zoo", "train", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("processes", [1, 2])
def test_each_process_looks_at_its_share_of_the_samples(tmp_path, processes):
    run_in(processes, tmp_path, HERE / "evaluated_together.py", tmp_path, "well")
    seen = [np.load(tmp_path / f"{rank}.npz") for rank in range(processes)]
    wanted = np.load(tmp_path / "alone.npz")
    assert [int(found["count"]) for found in seen] == {1: [101], 2: [50, 51]}[processes]
    for found in seen:
        for key in ("features", "probabilities", "labels"):
            # In batches of another size a pixel may be rounded to the next grey level.
            np.testing.assert_allclose(found[key], wanted[key], rtol=0, atol=1e-2)


def test_a_process_that_fails_at_its_share_does_not_leave_the_others_waiting(tmp_path):
    run_in(2, tmp_path, HERE / "evaluated_together.py", tmp_path, "fails")
    assert (tmp_path / "lost").read_text() == "another process has ended"


def test_figures_of_several_processes_are_those_of_one(tiny_recipe, environment, tmp_path, cli):
    train = ["train", "-c", tiny_recipe, "--offline", "-o", "training.epochs=1",
             "-o", "evaluation.every_steps=3", "-o", "evaluation.num_samples=100",
             "-o", "checkpoint.best_by=fid"]  # fmt: skip
    curves = []
    for processes in (1, 2):
        run = tmp_path / str(processes)
        more = ["--processes", processes] if processes > 1 else []
        done = cli(*train, "--output", run, *more, env=environment)
        assert done.returncode == 0, done.stderr
        curves.append(read_scalars(run / "visualdl")["metric/fid"])
    (steps, one), (same_steps, two) = (zip(*points) for points in curves)
    assert steps == same_steps == (3, 4)
    np.testing.assert_allclose(two, one, rtol=1e-3)


def test_a_run_is_that_of_one_process_and_goes_on_in_another_number(
    tiny_recipe, environment, tmp_path, cli
):
    one, both = tmp_path / "one", tmp_path / "both"
    train = ["train", "-c", tiny_recipe, "--offline"]
    done = cli(*train, "--output", one, "-o", "training.epochs=5", env=environment)
    assert done.returncode == 0, done.stderr
    done = cli(*train, "--output", both, "--processes", 2, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"done: 12 iterations in {both}\n")
    assert "FLAGS" not in done.stderr and done.stderr.count("best so far: iteration 4") == 1
    assert (both / "train.log").read_text().count("12 iterations of batch 32") == 1
    (start,) = json.loads((both / "manifest.json").read_text())["starts"]
    assert start["runtime"]["processes"] == 2
    done = cli("train", "--resume", both, "-o", "training.epochs=5", "--offline", env=environment)
    assert done.returncode == 0 and "processes 1 (before: 2)" in done.stderr, done.stderr
    assert_same(both, one)
    assert files_of(both) == files_of(one)


@pytest.mark.parametrize(
    "victim",
    ["1", *(pytest.param(v, marks=pytest.mark.slow) for v in ("0", "launcher", "command"))],
)
def test_what_is_killed_ends_all_in_a_line_and_a_resume_is_exact(
    victim, tiny_recipe, tmp_path, cli, environment
):
    run, whole = tmp_path / "run", tmp_path / "whole"
    options = ["--offline", "-o", "health.every_steps=null", "-o", "samples.every_steps=1000"]
    begun = begin(
        environment, "-c", tiny_recipe, "--output", run, "--processes", 2, "-o", LONG, *options
    )
    wait_for(lambda: list((run / "checkpoints").glob("step-*")) or begun.poll() is not None)
    found = processes_in(environment["TMPDIR"])
    os.kill(found[victim], signal.SIGKILL)
    output, errors = begun.communicate(timeout=100)
    wait_for(lambda: not processes_in(environment["TMPDIR"]))
    if victim == "command":
        assert begun.returncode == -signal.SIGKILL
    elif victim == "launcher":
        assert begun.returncode == 128 + signal.SIGTERM and "stopped at iteration" in errors
    else:
        lines = [line for line in errors.splitlines() if line.startswith("ppgan-zoo: ")]
        assert begun.returncode == 2 and not output and len(lines) == 1, errors
        assert lines[0] == errors.splitlines()[-1] and "Traceback" not in errors
    done = wait_for(lambda: state_of(run))[0]
    more = ["-o", f"training.epochs={done // 4 + 1}"]
    again = cli("train", "--resume", run, *more, "--offline", env=environment)
    assert again.returncode == 0, again.stderr
    alone = cli(
        "train", "-c", tiny_recipe, "--output", whole, *options, *more, "--offline", env=environment
    )
    assert alone.returncode == 0, alone.stderr
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_after_the_same_iteration(
    number, tiny_recipe, tmp_path, environment, cli
):
    run = tmp_path / "run"
    begun = begin(
        environment, "-c", tiny_recipe, "--output", run, "--processes", 2, "-o", LONG, "--offline"
    )
    wait_for(lambda: list((run / "checkpoints").glob("step-*")))
    begun.send_signal(number)
    output, errors = begun.communicate(timeout=100)
    assert begun.returncode == 128 + number and not output
    assert "stopping: finishing" in errors and "and saved; continue with" in errors
    assert not processes_in(environment["TMPDIR"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-o", "data.batch_size=many"], "found 'many'; input should be a valid integer"),
        (["-o", "data.batch_size=33"], "33 images cannot be shared out to 2 processes"),
        (["--processes", "0"], "--processes 0: give 1 to 1024"),
    ],
)
def test_bad_input_is_refused_in_a_line_before_anything_is_started(
    arguments, line, tiny_recipe, tmp_path, environment, cli
):
    output = tmp_path / "run"
    done = cli(
        "train", "-c", tiny_recipe, "--output", output, "--processes", 2, *arguments, "--offline",
        env=environment,
    )  # fmt: skip
    assert done.returncode == 2 and not done.stdout and not output.exists()
    assert line in done.stderr and done.stderr.count("\n") == 1


def test_what_is_found_later_is_told_once(tiny_recipe, tmp_path, environment, cli):
    output = tmp_path / "run"
    done = cli(
        "train", "-c", tiny_recipe, "--output", output, "--processes", 2, "--data-dir", tmp_path,
        "--offline", env=environment,
    )  # fmt: skip
    assert done.returncode == 2 and not done.stdout and not output.exists()
    assert done.stderr.count("ppgan-zoo: ") == 1 and str(tmp_path) in done.stderr


@pytest.mark.slow
def test_paddles_launcher_starts_the_script_by_itself(tiny_recipe, tmp_path, cli):
    one, both = tmp_path / "one", tmp_path / "both"
    arguments = ["-c", tiny_recipe, "--offline", "--output"]
    run_in(2, tmp_path, ROOT / "tools" / "train.py", *arguments, both)
    assert cli("train", *arguments, one).returncode == 0
    assert_same(both, one)
    assert "done: 12 iterations" in (tmp_path / "log" / "workerlog.0").read_text()
    said = (tmp_path / "log" / "workerlog.1").read_text()
    assert "iteration" not in said and "done" not in said


@pytest.mark.slow
def test_all_go_back_to_a_checkpoint_with_the_leader(tiny_recipe, tmp_path):
    script = Path(__file__).with_name("rolled_back.py")
    for processes in (1, 2):
        run_in(processes, tmp_path, script, tiny_recipe, tmp_path / str(processes))
        assert (
            "rollback 1: back to step-00000004"
            in (tmp_path / str(processes) / "train.log").read_text()
        )
    assert_same(tmp_path / "2", tmp_path / "1")


@pytest.mark.slow
def test_a_prepared_set_is_one_file_in_the_memory_of_all(tiny_recipe, tmp_path, environment, cli):
    pictures, prepared, run = tmp_path / "pictures", tmp_path / "prepared", tmp_path / "run"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    np.savez(pictures / "set.npz", images=rng.integers(0, 256, (160, 28, 28), np.uint8))
    done = cli("data", "prepare", pictures / "set.npz", "--size", 28, "--output", prepared)
    assert done.returncode == 0, done.stderr
    begun = begin(
        environment, "-c", tiny_recipe, "--data", prepared, "--output", run, "--processes", 2,
        "-o", LONG, "-o", "data.limit=null", "--offline",
    )  # fmt: skip
    wait_for(lambda: list((run / "checkpoints").glob("step-*")) or begun.poll() is not None)
    found = processes_in(environment["TMPDIR"])
    mapped = []
    for rank in ("0", "1"):
        lines = Path(f"/proc/{found[rank]}/maps").read_text().splitlines()
        mapped.append({line.split()[4] for line in lines if str(prepared) in line})
    begun.send_signal(signal.SIGTERM)
    _, errors = begun.communicate(timeout=100)
    assert mapped[0] and mapped[0] == mapped[1], errors  # one inode: the system has one copy


@pytest.mark.slow
def test_the_leader_may_pause_for_longer_than_a_collective_waits(tiny_recipe, tmp_path, cli):
    one, both = tmp_path / "one", tmp_path / "both"
    assert cli("train", "-c", tiny_recipe, "--output", one, "--offline").returncode == 0
    run_in(2, tmp_path, Path(__file__).with_name("paused.py"), tiny_recipe, both)
    assert_same(both, one)
