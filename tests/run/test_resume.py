"""Killed and resumed in another process, every registered model ends with the same bytes.

So does what two signals ended: all that needs processes of its own, at one import of Paddle.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tree_bytes
from PIL import Image
from test_matrix import tiny

import ppgan_zoo
from ppgan_zoo.models.spec import constructor_arguments
from ppgan_zoo.recipe.load import load_recipe, recipe_from
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.retention import list_checkpoints, newest_valid_checkpoint
from ppgan_zoo.storage.run_directory import RunDirectory

# 6 iterations of 2 epochs; killed in the fifth, resumed from the checkpoint after the fourth.
COMMON = {
    "data": {"name": "mnist", "batch_size": 4, "limit": 12},
    "latent": {"dim": 13},
    "training": {"iterations": 6, "generator_steps": 2},
    "ema": {"decay": 0.9},
    "constraints": {
        "instance_noise": {"std": 0.1, "until_step": 5},
        "augment": ["translation"],
    },
    "terms": [{"name": "lecam"}, {"name": "consistency", "every_steps": 3}],
    "optimizer": {
        "generator": {"schedule": {"name": "cosine"}},
        "discriminator": {"name": "rmsprop", "schedule": {"name": "linear"}},
    },
    "samples": {"grid": [1, 2]},
    "checkpoint": {"every_steps": 2, "keep_last": 10},
}


TWICE = {signal.SIGINT: 130, signal.SIGTERM: 143}  # and the exit code


def job(signals, *arguments):
    return {"arguments": ["train", "--offline", *arguments], "at": 5, "signals": signals}


def recipe_of(model, pictures):
    """A recipe of small nets; on MNIST, or on pictures where the model takes no such size."""
    spec = MODELS.get(model)
    data = COMMON["data"]
    if constructor_arguments(spec.generator)["image_shape"].default[1:] != (28, 28):
        data = {**data, "name": "folder", "directory": str(pictures), "image_size": 32}
    nets = {net: tiny(getattr(spec, net)) for net in ("generator", "discriminator")}
    for arguments in nets.values():
        for name in arguments.keys() & {"dropout"}:
            arguments[name] = 0.3
    terms = [*COMMON["terms"], *({"name": name} for name in spec.terms)]
    return recipe_from({**COMMON, "data": data, "terms": terms, "model": {"name": model, **nets}})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of every model, one of them killed and resumed."""
    folder, jobs = tmp_path_factory.mktemp("runs"), []
    pictures = folder / "pictures"
    pictures.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3))):
        Image.fromarray(pixels.astype(np.uint8)).save(pictures / f"{number}.png")
    for model in ppgan_zoo.list_models():
        recipe = folder / f"{model}.yml"
        recipe.write_text(recipe_of(model, pictures).to_yaml())
        for name, signals in (("whole", []), ("killed", [signal.SIGKILL])):
            run = str(folder / f"{model}-{name}")
            jobs.append(job(signals, "-c", str(recipe), "--output", run))
        jobs.append(job([], "--resume", run))
    for number in TWICE:
        run = str(folder / f"twice-{number}")
        jobs.append(job([number] * 2, "-c", str(folder / "gan_mlp.yml"), "--output", run))
    ended = subprocess.run(
        [sys.executable, Path(__file__).with_name("forked_runs.py")],
        input=json.dumps(jobs), capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PPGAN_ZOO_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    codes = [0, -signal.SIGKILL, 0] * len(ppgan_zoo.list_models()) + list(TWICE.values())
    assert json.loads(ended.stdout) == codes, ended.stderr
    assert ended.stderr.count("stopping: finishing this iteration and saving") == len(TWICE)
    assert "Traceback" not in ended.stderr
    return folder


@pytest.mark.parametrize("number", TWICE)
def test_a_second_signal_ends_at_once(number, runs):
    folder = runs / f"twice-{number}" / "checkpoints"
    # Nothing of the fifth iteration was saved, and what was before is whole.
    assert newest_valid_checkpoint(folder, pytest.fail).iteration == 4
    assert [found.iteration for found in list_checkpoints(folder)] == [2, 4]


@pytest.mark.parametrize("model", ppgan_zoo.list_models())
def test_k_and_k_iterations_are_2k(model, runs):
    whole, killed = (runs / f"{model}-{name}" / "checkpoints" for name in ("whole", "killed"))
    assert tree_bytes(whole) == tree_bytes(killed)  # manifests, figures and the best, too
    last = open_checkpoint(whole / "step-00000006")
    assert {"generator", "discriminator", "ema", "terms", "generator_optimizer"} <= {
        Path(file).stem for file in last.manifest["files"]
    }
    samples = [tree_bytes(runs / f"{model}-{name}" / "samples") for name in ("whole", "killed")]
    assert samples[0] == samples[1]


def test_a_run_that_becomes_longer_says_which_schedules_go_on_with_other_values(
    tiny_recipe, tmp_path
):
    from ppgan_zoo.run import train

    falling = [
        "optimizer.generator.schedule={name: linear}",
        "objective.top_share={name: linear, first: 1, last: 0.5}",
        "optimizer.discriminator.schedule={name: cosine, until_step: 9}",
        "terms=[{name: r1, weight: {name: linear, first: 1, last: 0.5}}]",
        "training={iterations: 4}",
    ]
    train.train(load_recipe(tiny_recipe, falling), tmp_path / "run", offline=True)
    run = RunDirectory(tmp_path / "run")
    train.resume(run, offline=True)
    assert "goes on with other values" not in run.log.read_text()
    train.resume(run, ["training.iterations=6"], offline=True)
    (line,) = [line for line in run.log.read_text().splitlines() if "goes on with" in line]
    assert "6 iterations in place of 4: what changes until the end of training goes on" in line
    assert "(objective.top_share, optimizer.generator.schedule, terms.0.weight)" in line


def test_the_best_is_known_again_though_a_kill_came_before_it_was_noted(runs):
    from ppgan_zoo.run import train
    from ppgan_zoo.storage.retention import read_best

    run = RunDirectory(runs / "gan_mlp-killed")
    best = read_best(run.checkpoints)
    (run.checkpoints / "best.json").write_text('{"half')
    train.resume(run, ["training.iterations=7"], offline=True)
    figures = {
        path.name: open_checkpoint(path).manifest["sliced_wasserstein"]
        for path in run.checkpoints.glob("step-*")
    }
    known = read_best(run.checkpoints)
    assert known["value"] == min(figures.values()) == figures[known["checkpoint"]]
    assert known["value"] <= best["value"]
