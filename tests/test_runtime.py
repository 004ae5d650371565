"""Threads, devices and silence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppgan_zoo import runtime
from ppgan_zoo.errors import ConfigError


def test_cores_are_those_of_the_affinity(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setattr(runtime.Path, "read_text", lambda self: "max 100000")
    assert runtime.available_cores() == 3
    monkeypatch.setattr(runtime.Path, "read_text", lambda self: "250000 100000")
    assert runtime.available_cores() == 2


def test_threads_can_be_overridden(monkeypatch):
    monkeypatch.setenv("PPGAN_ZOO_THREADS", "7")
    assert runtime.cpu_threads() == 7
    for wrong in ("0", "-1", "many", ""):
        monkeypatch.setenv("PPGAN_ZOO_THREADS", wrong)
        with pytest.raises(ConfigError, match="PPGAN_ZOO_THREADS"):
            runtime.cpu_threads()


@pytest.mark.parametrize("device", ["tpu", "gpu:", "gpu:x", "CPU", ""])
def test_devices_that_are_none(device):
    with pytest.raises(ConfigError, match="allowed are auto, cpu, gpu and gpu:N"):
        runtime.start(device)


def test_start_chooses_the_cpu_and_says_what_it_did():
    facts = runtime.start("cpu", threads=1).describe()
    assert (facts["device"], facts["threads"]) == ("cpu", 1)
    assert facts["paddle"]
    runtime.start("cpu")


def test_processors_of_one_name_are_told_apart(monkeypatch):
    one = runtime.start("cpu").describe()["processor_kind"]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    held = runtime.start("cpu").describe()["processor_kind"]
    assert one != held and held.endswith("allowed AVX2")
    fields = {"cpu family": "25", "model": "80", "stepping": "0", "flags": "fpu avx2 bmi"}
    monkeypatch.setattr(runtime, "cpu_field", lambda name: fields.get(name, "AMD EPYC"))
    other = "cpu family 25, model 80, stepping 0, instructions avx2, allowed AVX2"
    assert runtime.start("cpu").describe()["processor_kind"] == other


def test_start_is_silent_and_a_program_keeps_its_own_warnings():
    script = (
        "import warnings; from ppgan_zoo import runtime; runtime.start('cpu');"
        "import paddle; paddle.nn.BatchNorm1D(2)(paddle.ones([4, 2])); warnings.warn('mine')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert len(said) == 1
    assert "mine" in said[0]


def test_zlib_works_after_paddle_as_well():
    # Paddle 2.6 loads a zlib of its own, and Python's then crashes if it comes second.
    script = "import ppgan_zoo, paddle, gzip; gzip.compress(b'abc')"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("value", ["²", "١٢", "0", "-1", " 1", "1 ", "", "1.0", "1e3", "0x1", "1025",
                                   "100000", "9" * 400, "\udcff"])  # fmt: skip
def test_threads_of_odd_numbers_are_refused(value, monkeypatch):
    monkeypatch.setenv("PPGAN_ZOO_THREADS", value)
    with pytest.raises(ConfigError, match="must be a whole number from 1 to 1024"):
        runtime.cpu_threads()


def test_a_missing_module_is_installed_from_the_checkout_or_by_its_own_name(monkeypatch, tmp_path):
    root = Path(runtime.__file__).parent.parent
    monkeypatch.chdir(root)
    assert runtime.how_to_install("paddle") == "pip install -e '.[cpu]'"
    monkeypatch.chdir(tmp_path)
    assert runtime.how_to_install("paddle") == f"pip install -e '{root}[cpu]'"
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "site" / "ppgan_zoo" / "runtime.py"))
    assert runtime.how_to_install("paddle") == "pip install paddlepaddle"
    assert runtime.how_to_install("safetensors") == "pip install safetensors"


def test_paddle_s_own_search_for_nan_is_refused_in_a_line(cli):
    done = cli("info", "dcgan", "--full", env={"FLAGS_check_nan_inf": "1"})
    assert done.returncode == 2
    assert done.stderr.startswith("ppgan-zoo: FLAGS_check_nan_inf is set: ")


@pytest.mark.parametrize("home", ["/dev/null", "/proc"])
def test_a_home_that_cannot_be_written_is_done_without(home, tiny_recipe, tmp_path, cli):
    environment = {"HOME": home, "XDG_CACHE_HOME": "/dev/null/x"}
    quick = ["-o", "training={iterations: 1}", "-o", "checkpoint.best_by=null"]
    run = tmp_path / "run"
    done = cli("train", "-c", tiny_recipe, "--offline", "--output", run, *quick, env=environment)
    assert done.returncode == 0, done.stderr
    done = cli("export", "--checkpoint", run, "--output", tmp_path / "export", env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("safe", ["", "1"])
def test_a_process_of_ours_finds_no_modules_in_the_current_folder(safe, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONSAFEPATH", safe)
    monkeypatch.setenv("PYTHONPATH", str(Path(runtime.__file__).parents[1]))
    for name in ("struct", "random", "numpy", "yaml", "paddle", "ppgan_zoo"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the current folder ran')")
    done = subprocess.run(
        [*runtime.python_module("ppgan_zoo.child"), "info", "dcgan"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "dcgan" in done.stdout
    wrong = subprocess.run(
        [*runtime.python_module("ppgan_zoo.child"), "train", "-c", "a b", "--dry-run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2 and "a b" in wrong.stderr  # arguments arrive as they are
