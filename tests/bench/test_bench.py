"""The benchmark: its counts by hand, its command in a process, its refusals."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, TINY, is_alive, wait_for

import ppgan_zoo
from ppgan_zoo.bench.driver import SAMPLE_COLUMNS, table
from ppgan_zoo.bench.process import Request, most_expensive_operations, time_recipe
from ppgan_zoo.models.cost import iteration_flop


def small(**arguments):
    return ppgan_zoo.create(
        "gan_mlp", latent_dim=10, generator={"hidden_units": (20,)},
        discriminator={"hidden_units": (30,)}, **arguments,
    )  # fmt: skip


def test_an_iteration_needs_these_operations():
    g, d = (10 * 20, 20 * 784), (784 * 30, 30)
    # D: G forward; real and fake forward, weight gradients, gradients of the hidden layer.
    of_d = sum(g) + 2 * sum(d) + 2 * sum(d) + 2 * d[1]
    # G: both forward, D's input gradients, G's weight gradients and its hidden gradients.
    of_g = sum(g) + sum(d) + sum(d) + sum(g) + g[1]
    assert iteration_flop(small(), 8) == 2 * 8 * (of_d + of_g)
    counts = {"discriminator_steps": 5, "generator_steps": 2}
    assert iteration_flop(small(), 8, **counts) == 2 * 8 * (5 * of_d + 2 * of_g)
    assert iteration_flop(small(), 8, generator_batch_multiple=2) == 2 * 8 * (of_d + 2 * of_g)
    assert iteration_flop(small(), 8, relativistic=True) == 2 * 8 * (of_d + of_g + sum(d))


def test_the_command_measures_a_recipe(cli, tmp_path):
    (tmp_path / "tiny.yml").write_text(TINY)
    done = cli(
        "bench", "-c", "tiny.yml", "--iterations", 4, "--seconds", 0, "--warmup", 1,
        "--format", "json", "-o", "data.batch_size=16", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["recipe"] == "tiny"
    assert row["iterations"] == 4
    lower, upper = row["ms_quartiles"]
    assert 0 < lower <= row["ms_per_iteration"] <= upper
    assert row["processor_ms_per_iteration"] > 0
    assert row["setting"] == {
        "image_shape": [1, 28, 28], "num_classes": 0, "objective": "non_saturating", "terms": [],
    }  # fmt: skip
    assert row["images_per_second"] == pytest.approx(16e3 / row["ms_per_iteration"])
    assert 0 < row["share_of_ceiling"] < 1
    assert 0.1 < row["first_step_seconds"] < 100
    assert 50 < row["peak_memory_mib"] < 4000
    assert math.isfinite(row["memory_growth_mib"])
    assert row["runtime"]["device"] == "cpu"
    assert row["runtime"]["convolutions"].startswith(("oneDNN 3", "Paddle ("))


def test_a_model_with_labels_is_measured_too(tiny_recipe):
    request = Request(
        str(tiny_recipe), ["model.conditional=true"], warmup=1, iterations=2, seconds=0.0
    )
    trained, sampled = time_recipe(request), time_recipe(replace(request, sample=True))
    g, d = (8 + 10) * 32 + 32 + 32 * 784 + 784, (784 + 10) * 32 + 32 + 32 + 1  # one-hot labels
    assert trained["parameters"] == sampled["parameters"] == [g, d]
    assert sampled["samples_per_second"] > 0


def test_refusals_are_one_line_and_start_nothing(cli, tmp_path):
    for arguments, said in (
        (("--iterations", "0"), "--iterations 0"),
        (("-c", "dcgan_mnits"), "did you mean 'dcgan_mnist'"),
        (("--profile", "--sample"), "leave out --sample"),
        (("-c", "demo", "-o", "data.batch_size=100000"), "data.batch_size"),
    ):
        done = cli("bench", *arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stdout
        assert said in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_measures_ends_with_the_command(tiny_recipe, number):
    command = [sys.executable, "-m", "ppgan_zoo", "bench", "-c", tiny_recipe, "--seconds", "600"]
    bench = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
        found = wait_for(lambda: [pid for pid in children.read_text().split() if is_python(pid)])
        bench.send_signal(number)
        assert bench.wait(timeout=100) != 0
        wait_for(lambda: not any(map(is_alive, map(int, found))))
    finally:
        bench.kill()
        bench.wait()


def is_python(pid):
    try:
        return b"ppgan_zoo.bench.process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_the_most_expensive_operations_are_named(monkeypatch):
    from ppgan_zoo.errors import ConfigError
    from ppgan_zoo.training.assemble import make_trainer

    monkeypatch.setenv("PPGAN_ZOO_OPS", "off")
    trainer = make_trainer(small())
    import numpy as np

    real = np.zeros((4, 1, 28, 28), np.float32)
    try:
        found = most_expensive_operations(lambda: trainer.step(real) and None)
    except ConfigError as error:
        pytest.skip(str(error))  # Paddle's GPU build on a machine without one
    by_name = {row["operation"]: row for row in found}
    # D sees all images through 2 layers, of which G makes one half; twice G: 2 + 2 layers each.
    assert by_name["matmul"]["calls"] == 2 + 2 + 2 * 4
    assert [row["ms"] for row in found] == sorted((row["ms"] for row in found), reverse=True)


def test_tables_of_both_kinds():
    row = {"recipe": "r", "ms_per_batch": 1234.56, "ms_quartiles": [1, 2],
           "samples_per_second": 9.6}  # fmt: skip
    assert table([row], SAMPLE_COLUMNS, markdown=True).splitlines() == [
        "| recipe | ms / batch of 128 | quartiles | samples / s |",
        "| --- | --- | --- | --- |",
        "| r | 1,234.6 | 1.0 to 2.0 | 10 |",
    ]
    plain = table([row], SAMPLE_COLUMNS).splitlines()
    assert len(plain) == 2
    assert len(plain[0]) == len(plain[1])
