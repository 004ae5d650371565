"""The fault run and the load run, in short."""

import importlib.util
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from ppgan_zoo.recipe.load import load_recipe


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), ROOT / "tools" / name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    sys.path.insert(0, str(ROOT / "tools"))  # as for a script that is started
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return module


def tool(name, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / name, *arguments],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PPGAN_ZOO_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc")
def test_kills_at_random_moments_change_no_byte():
    ended = tool("faults.py", "--kills", "6", "--seed", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "6 of 6 kills: resumed to the bytes of the run that nothing stopped" in ended.stdout


def test_open_files_and_threads_stay_constant(tmp_path):
    # Memory has not settled yet after so few iterations: the long run looks at it.
    load = load_tool("load.py")
    (tmp_path / "load.yml").write_text(load.RECIPE)
    recipe = load_recipe(tmp_path / "load.yml", ["training.iterations=300"])
    readings = load.watch(recipe, tmp_path / "run", 50)
    assert [reading.iteration for reading in readings] == [50, 100, 150, 200, 250, 300]
    assert len({(reading.files, reading.threads) for reading in readings[1:]}) == 1


@pytest.mark.parametrize(
    ("memory", "grown"),
    [
        ([100, 103, 104, 98, 104, 104, 99, 105], 105 / 103 - 1),  # dips and comes back
        ([100, 101, 102, 103, 104, 105, 106, 110], 110 / 101 - 1),
        ([104, 100], 100 / 104 - 1),
        ([7], 0.0),
    ],
)
def test_the_load_run_compares_peaks(memory, grown):
    load = load_tool("load.py")
    readings = [load.Reading(step, size, 8, 2) for step, size in enumerate(memory)]
    assert load.growth(readings) == pytest.approx(grown)
