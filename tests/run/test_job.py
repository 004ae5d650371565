"""A job: a recipe made real, and the order in which the modules of a run know one another."""

import ast
import graphlib

import pytest
from conftest import ROOT

from ppgan_zoo.collapse.recipes import collapse_recipe
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.job import build_job


def imports_of(path):
    """Return the modules beside `path` that it imports, anywhere in it."""
    package = f"ppgan_zoo.{path.parent.name}"
    found = {
        node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    return {name.removeprefix(f"{package}.") for name in found if name.startswith(f"{package}.")}


def test_the_modules_of_a_run_import_one_another_in_one_direction():
    modules = {path.stem: imports_of(path) for path in (ROOT / "ppgan_zoo" / "run").glob("*.py")}
    assert {"job", "watch", "recovery"} <= modules["train"]
    assert "build" in modules["job"] and "job" in modules["watch"]
    graphlib.TopologicalSorter(modules).prepare()  # raises CycleError


def test_a_job_knows_its_own_counts(tiny_recipe):
    recipe = load_recipe(
        tiny_recipe,
        ["training.discriminator_steps=2", "training.generator_steps=1", "ema.decay=null"],
    )
    job = build_job(recipe, offline=True)
    assert (job.images_per_update, job.images_per_step) == (32, 64)
    assert (job.batches.steps_per_epoch, job.iterations) == (2, 6)
    g, d = 8 * 32 + 32 * 784, 784 * 32 + 32  # multiply-adds of an image
    assert job.parameters() == {"generator": g + 32 + 784, "discriminator": d + 32 + 1}
    of_d = g + 2 * d + 4 * d - 2 * 784 * 32  # no gradient to the images
    of_g = (g + d) + d + 2 * g - 8 * 32  # none to z
    assert job.flop_per_iteration() == 2 * 32 * (2 * of_d + of_g)


def test_larger_batches_of_g_take_more_time_and_memory(tiny_recipe):
    one, two = (
        build_job(
            load_recipe(tiny_recipe, [f"training.generator_batch_multiple={n}"]), offline=True
        )
        for n in (1, 2)
    )
    assert one.images_per_step == two.images_per_step
    assert one.memory_bytes() < two.memory_bytes() < 2 * one.memory_bytes()
    assert one.flop_per_iteration() < two.flop_per_iteration() < 2 * one.flop_per_iteration()


@pytest.mark.parametrize("average", ["ema.decay=0.9", "ema.half_life=500"])
def test_the_memory_of_a_moving_average_counts_however_it_is_set(average, tiny_recipe):
    without = load_recipe(tiny_recipe, ["ema.decay=null"])
    job = build_job(without, offline=True)
    averaged = build_job(load_recipe(tiny_recipe, ["ema.decay=null", average]), offline=True)
    assert averaged.memory_bytes() - job.memory_bytes() == 4 * job.parameters()["generator"]


def test_a_fresh_trainer_begins_with_the_same_weights(tiny_recipe):
    job = build_job(load_recipe(tiny_recipe), offline=True)
    first, again = (trainer.state()["generator"] for trainer in (job.trainer, job.fresh_trainer()))
    assert first.keys() == again.keys()
    assert all((first[name] == again[name]).all() for name in first)


def test_a_setting_of_the_collapse_suite_counts_its_images_alike():
    recipe = collapse_recipe("ring", ["data.batch_size=10", "training.discriminator_steps=3"])
    assert recipe.images_per_step == 30
