"""The example plugin, installed by pip as a stranger would, used by name alone."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, install_plugin

EXAMPLE = ROOT / "docs" / "example_plugin"
NAME = "example_resize_gan"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Environment variables under which the plugin is installed, in a folder of its own."""
    return install_plugin(EXAMPLE, tmp_path_factory.mktemp("plugin"))


def test_the_plugin_is_listed_with_its_owner(installed, cli):
    listed = json.loads(cli("list", "--format", "json", env=installed).stdout)
    (model,) = [model for model in listed["models"] if model["name"] == NAME]
    assert "example" in model["from"]
    assert model["summary"]


def test_without_the_plugin_the_name_is_unknown(cli):
    done = cli("info", NAME)
    assert done.returncode == 2
    assert f"unknown model '{NAME}'" in done.stderr


def test_the_plugin_is_trained_resumed_sampled_and_exported_by_name(installed, tmp_path, cli):
    def run(*arguments):
        done = cli(*arguments, env=installed, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    recipe = EXAMPLE / "example_resize_gan_mnist.yml"
    small = ["-o", "data.limit=64", "-o", "data.batch_size=16", "--offline"]
    length = ["-o", "training.epochs=null", "-o", "training.iterations=2"]
    run("train", "-c", recipe, "--output", "run", *small, *length)
    run("train", "--resume", "run", "-o", "training.iterations=4", "--offline")
    run("sample", "run", "-n", 4, "--output", "of_run.npy")
    run("export", "--checkpoint", "run", "--output", "model")
    run("sample", "model", "-n", 4, "--output", "of_model.npy")
    of_run, of_model = (np.load(tmp_path / f"of_{kind}.npy") for kind in ("run", "model"))
    assert of_run.shape == (4, 1, 28, 28)
    assert np.abs(of_run.astype(int) - of_model).max() <= 1
    # A run of a plugin that is gone says so, and an exported model needs no plugin.
    assert f"unknown model '{NAME}'" in cli("sample", tmp_path / "run").stderr
    assert cli("sample", tmp_path / "model", "--output", tmp_path / "x.npy").returncode == 0


def test_the_plugin_passes_the_conformance_checks(installed, cli):
    done = cli("check", NAME, "--format", "markdown", env=installed)
    assert done.returncode == 0, done.stderr

    def without_figures(text):
        return [line.partition(":")[0] for line in text.splitlines() if line.startswith("| ")]

    shown = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert without_figures(done.stdout) == without_figures(shown)
    script = f"from ppgan_zoo.testing import check_model; check_model({NAME!r})"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **installed},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
