"""N processes compute what one computes, on every model and every part of a training step."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from distributed.launching import run_in
from distributed.trained_together import CASES

from ppgan_zoo.registry import MODELS

SCRIPT = Path(__file__).with_name("trained_together.py")
TOLERANCE = 1e-5

PARTS = 12
"""Of the long test: all of it in one is more than ten minutes on a machine that does other work."""

QUICK = (
    "everything", "gan_mlp_bn", "relativistic_average", "accumulated", "larger_batch_of_g",
    "local_in_two", "local",
)  # fmt: skip


def run(folder, processes, dtype, iterations, names):
    """Train cases in a group of processes; return its folder."""
    output = folder / f"{processes}-{dtype}"
    output.mkdir()
    run_in(processes, folder, SCRIPT, output, dtype, iterations, *names, timeout=3000)
    return output


def compare(alone, together, processes, names):
    for name in names:
        with np.load(alone / f"{name}.npz") as one, np.load(together / f"{name}.npz") as many:
            assert set(one) == set(many) and len(one) > 8
            for key in one:
                # An average's statistics are of whole batches, and not of their parts.
                if name == "local" and key.startswith("ema/") and "_" in key:
                    continue
                np.testing.assert_allclose(
                    many[key], one[key], rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"{name}: {key}"
                )
            for rank in range(1, processes):  # to the bit: they never drift apart
                with np.load(together / f"{name}-{rank}.npz") as other:
                    for key in many:
                        np.testing.assert_array_equal(other[key], many[key], f"{name}: {key}")


def test_two_processes_equal_one(tmp_path):
    """Of "local" the other side is one process that takes the batch in two parts."""
    alone = run(tmp_path, 1, "float64", 2, QUICK[:-1])
    shutil.copy(alone / "local_in_two.npz", alone / "local.npz")
    compare(alone, run(tmp_path, 2, "float64", 2, QUICK), 2, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_after_twenty_iterations_every_model_and_part_is_that_of_one_process(tmp_path, part):
    every = [*MODELS.names(), *(name for name in CASES if not name.startswith("local"))]
    names = every[part::PARTS]
    alone = run(tmp_path, 1, "float64", 20, names)
    for processes in (2, 4):
        compare(alone, run(tmp_path, processes, "float64", 20, names), processes, names)


@pytest.mark.slow
def test_in_float32_two_processes_are_off_by_rounding(tmp_path):
    names = ["gan_mlp", "gan_mlp_bn", "dcgan", "wgan_gp", "stylegan2", "r3gan"]
    alone, both = run(tmp_path, 1, "float32", 2, names), run(tmp_path, 2, "float32", 2, names)
    for name in names:
        with np.load(alone / f"{name}.npz") as one, np.load(both / f"{name}.npz") as many:
            for key in one:
                # But for biases, which may have a gradient of rounding alone, that Adam follows.
                if key.startswith(("generator/", "discriminator/")) and one[key].ndim > 1:
                    off = np.abs(many[key] - one[key]).max()
                    assert off < 2e-5, f"{name}: {key} is {off:.1e} off"
