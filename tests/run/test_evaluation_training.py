"""Metrics while training continues: when, of which weights, and that nothing is disturbed."""

import json

import pytest
from conftest import TINY, tree_bytes

from ppgan_zoo.callbacks.evaluation import Evaluation, SampleFeatures
from ppgan_zoo.data import load_image_set, to_uint8
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.evaluation.protocol import Protocol
from ppgan_zoo.metrics.frechet import Gaussian, frechet_distance
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.restore import load_generator
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.watching import EvaluationSection
from ppgan_zoo.run import train
from ppgan_zoo.run.evaluate import evaluate
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.visualdl_reader import read_scalars
from ppgan_zoo.training.chance import DISPLAY_DRAW
from ppgan_zoo.training.trainer import Trainer

EVALUATED = TINY.replace(
    "checkpoint: {every_steps: 4}", "checkpoint: {every_steps: 4, best_by: fid}"
) + ("evaluation: {every_steps: 3, metrics: [fid, modes], num_samples: 110}\n")
NAME = "fid-projection-train-110"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "r.yml"
    path.write_text(EVALUATED)
    return load_recipe(path)


def metrics_of(run):
    return {tag: points for tag, points in read_scalars(run.visualdl).items() if "metric/" in tag}


def weights(run):
    folder = run.checkpoints / "step-00000012"
    return {k: v for k, v in tree_bytes(folder).items() if k.endswith(".safetensors")}


def test_metrics_are_recorded_when_due_and_for_every_checkpoint_once(recipe, tmp_path, projection):
    run = train.train(recipe, tmp_path / "run", offline=True).run
    curves = metrics_of(run)
    assert set(curves) == {
        "metric/fid", "metric/fid_standard_error", "metric/modes", "metric/class_entropy",
    }  # fmt: skip
    # Every 3 iterations by evaluation.every_steps, every 4 by the checkpoints.
    for points in curves.values():
        assert [step for step, _ in points] == [3, 4, 6, 8, 9, 12]
    sampled = [images for images in projection.seen if len(images) == 110]
    assert len(sampled) == 6
    log = run.log.read_text()
    assert f"evaluated at iteration 3: fid {curves['metric/fid'][0][1]:.4f}  modes " in log


def test_the_best_checkpoint_has_the_lowest_fid_of_its_own_weights(recipe, tmp_path, projection):
    run = train.train(recipe, tmp_path / "run", offline=True).run
    fids = {step: value for step, value in metrics_of(run)["metric/fid"] if step % 4 == 0}
    best = json.loads((run.checkpoints / "best.json").read_text())
    assert best["figure"] == NAME
    assert best["value"] == pytest.approx(min(fids.values()), rel=1e-6)
    checkpoint = open_checkpoint(run.checkpoints / best["checkpoint"])
    assert fids[checkpoint.iteration] == pytest.approx(best["value"], rel=1e-6)
    assert checkpoint.manifest[NAME] == best["value"]
    # The same by hand, from the saved weights (EMA) and the training images.
    generator, facts = load_generator(checkpoint)
    z = facts.latent.sample(110, recipe.seed, DISPLAY_DRAW)
    samples = to_uint8(generate(generator, z), facts.image_range)
    real = load_image_set("mnist", offline=True, limit=128, notify=lambda line: None).images
    a, b = (Gaussian.of(projection(images).features) for images in (samples, real))
    assert best["value"] == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_evaluating_changes_nothing_in_the_training(recipe, tiny_recipe, tmp_path, projection):
    watched = train.train(recipe, tmp_path / "watched", offline=True).run
    plain = train.train(load_recipe(tiny_recipe), tmp_path / "plain", offline=True).run
    assert weights(watched) == weights(plain)
    losses = "loss/discriminator", "loss/generator"
    for tag in losses:
        assert read_scalars(watched.visualdl)[tag] == read_scalars(plain.visualdl)[tag]


def test_a_resumed_run_keeps_its_best_and_its_curves(recipe, tmp_path, projection, monkeypatch):
    whole = train.train(recipe, tmp_path / "whole", offline=True).run
    run = RunDirectory(tmp_path / "run")
    step = Trainer.step

    def failing(self, real):
        scalars = step(self, real)
        if self.iteration == 10:
            raise RuntimeError("power cut")
        return scalars

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", failing)
        with pytest.raises(RuntimeError, match="power cut"):
            train.train(recipe, run.path, offline=True)
    train.resume(run, offline=True)
    assert weights(run) == weights(whole)
    assert metrics_of(run) == metrics_of(whole)
    best = "best.json"
    assert (run.checkpoints / best).read_text() == (whole.checkpoints / best).read_text()


def test_a_best_by_another_protocol_is_not_compared_with(recipe, tmp_path, projection):
    short = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 2})})
    run = train.train(short, tmp_path / "run", offline=True).run
    train.resume(run, ["training.epochs=3", "evaluation.num_samples=100"], offline=True)
    best = json.loads((run.checkpoints / "best.json").read_text())
    assert (best["figure"], best["checkpoint"]) == ("fid-projection-train-100", "step-00000012")


def test_a_run_without_evaluation_opens_no_feature_network(tiny_recipe, tmp_path, projection):
    run = train.train(load_recipe(tiny_recipe), tmp_path / "run", offline=True).run
    assert projection.seen == []
    assert metrics_of(run) == {}
    assert json.loads((run.checkpoints / "best.json").read_text())["figure"] == "sliced_wasserstein"


def test_the_best_by_fid_needs_no_other_key(tiny_recipe, tmp_path, projection):
    overrides = ["checkpoint.best_by=fid", "training.epochs=1", "evaluation.num_samples=100",
                 "evaluation.metrics=[kid]"]  # fmt: skip
    run = train.train(load_recipe(tiny_recipe, overrides), tmp_path / "run", offline=True).run
    curves = metrics_of(run)
    assert set(curves) == {
        f"metric/{name}" for name in ("fid", "fid_standard_error", "kid", "kid_standard_error")
    }
    assert [step for step, _ in curves["metric/fid"]] == [4]


def test_figures_are_taken_anew_after_a_new_beginning():
    class Weights:
        iteration = 5

    class Log:
        def scalar(self, *point):
            points.append(point)

    class Logger:
        def info(self, *line):
            pass

    class Taker:
        def features(self, trainer):
            return next(taken)

        def figures(self, features):
            return {"fid": features}

    points, taken = [], iter([2.0, 1.0])
    features = SampleFeatures(Taker(), [], Group())
    watch = Evaluation(features, every_steps=None, log=Log(), logger=Logger())
    assert watch.figures(Weights()) == watch.figures(Weights()) == {"fid": 2.0}
    watch.on_train_begin(Weights())  # such as after going back to a checkpoint
    assert watch.figures(Weights()) == {"fid": 1.0}
    assert points == [("metric/fid", 2.0, 5), ("metric/fid", 1.0, 5)]


def test_a_choice_made_on_the_test_images_is_told_by_evaluate(recipe, tmp_path, projection):
    from ppgan_zoo.data import write_idx

    images = load_image_set("mnist", offline=True, limit=250, notify=lambda line: None).images
    write_idx(tmp_path / "train-images-idx3-ubyte", images[:128, 0])
    write_idx(tmp_path / "t10k-images-idx3-ubyte", images[128:, 0])
    on_test = recipe.model_copy(update={
        "data": recipe.data.model_copy(update={"directory": str(tmp_path)}),
        "evaluation": EvaluationSection(split="test", metrics=("memorisation",), num_samples=100),
    })  # fmt: skip
    run = train.train(on_test, tmp_path / "run").run
    assert {"metric/fid", "metric/memorisation"} <= set(metrics_of(run))
    assert {122, 128} <= {len(images) for images in projection.seen}
    result = evaluate(run.path, Protocol(num_samples=100, metrics=("fid",), floor=False), best=True)
    assert "chose its best checkpoint by these test images" in result["notes"][0]


# What is refused, before anything is written.


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["data.limit=96"], ConfigError, "96 real images of mnist.*metrics need 100"),
        (["evaluation.split=test"], DataError, "mnist: test split not found"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_training(
    overrides, error, message, tmp_path, projection, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "r.yml").write_text(EVALUATED)
    with pytest.raises(error, match=message):
        train.train(load_recipe(tmp_path / "r.yml", overrides), tmp_path / "run", offline=True)
    assert not (tmp_path / "run").exists()


def test_images_that_the_network_does_not_take_are_refused_before_training(
    recipe, tmp_path, projection, monkeypatch
):
    def refuse(self, images, *, batch_size=250):
        raise ConfigError(f"takes no {images.shape[2]} pixels")

    monkeypatch.setattr(type(projection), "__call__", refuse)
    with pytest.raises(ConfigError, match="takes no 28 pixels"):
        train.dry_run(recipe, offline=True)
