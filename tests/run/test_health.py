"""The watch for trouble: its figures against closed forms, and that it changes nothing."""

import io
import json
import logging
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from conftest import tree_bytes
from paddle import nn

import ppgan_zoo
from ppgan_zoo.callbacks.health import TROUBLE_NAMES, Health
from ppgan_zoo.callbacks.progress import ProgressBar
from ppgan_zoo.cli import main
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import Term
from ppgan_zoo.game.view import View
from ppgan_zoo.metrics.distances import mean_distance
from ppgan_zoo.models.gan import build_gan
from ppgan_zoo.models.weights import spectral_norm
from ppgan_zoo.recipe.load import load_recipe, recipe_from
from ppgan_zoo.registry import MODELS
from ppgan_zoo.run import train
from ppgan_zoo.storage.retention import list_checkpoints
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.visualdl_reader import read_scalars
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.signals import nearness_to_training, ranking, take_signals

HEALTHY = {"ranking": 0.9, "sample_distance": 1.0, "generator_gradient": 5.0}


def small_trainer(name="gan_mlp", **options):
    paddle.seed(0)
    sizes = {"gan_mlp": {"hidden_units": (16,)}, "gan_mlp_bn": {"hidden_units": (16,)}}.get(
        name, {}
    )
    shared = {key: options.pop(key) for key in ("num_classes",) if key in options}
    gan = ppgan_zoo.create(name, latent_dim=4, generator=sizes, **shared, **options.pop("nets", {}))
    if options.pop("normalised", False):
        spectral_norm(gan.discriminator)
    return make_trainer(gan, seed=1, **options)


def real_images(count=8, shape=(1, 28, 28)):
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype(np.float32)


LABELS = np.int64([0, 1, 2, 0, 1, 2, 2, 2])


def signals_of(trainer, count=8):
    return take_signals(trainer, Batch(real_images(count), LABELS[:count]))


class Same:
    """The same batch in every iteration."""

    steps_per_epoch = 5

    def __init__(self, images):
        self.images = images

    def __getitem__(self, iteration):
        assert iteration >= 0
        return self.images


def watch(stop_on=(), **options):
    """Return a watch over random images and the text of its log."""
    logger = logging.Logger("health-test")
    text = io.StringIO()
    logger.addHandler(logging.StreamHandler(text))
    pixels = np.random.default_rng(1).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
    health = Health(
        Same(real_images()), 8, pixels, every_steps=1, stop_on=stop_on, logger=logger, **options
    )
    return health, text


def test_mean_distance_of_known_points():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    assert mean_distance(points) == pytest.approx((5 + 3 + 4) / 3)
    assert mean_distance(np.ones((5, 1, 2, 2), np.float32)) == 0.0


def test_ranking_counts_pairs_and_halves_ties():
    assert ranking(np.array([[2.0], [1.0]]), np.array([[1.0], [0.0]])) == pytest.approx(3.5 / 4)
    assert ranking(np.zeros((9, 1)), np.zeros((9, 1))) == 0.5


def test_nearness_to_training_is_0_for_copies_and_1_for_new_images_of_the_same_kind():
    rng = np.random.default_rng(0)
    training = rng.integers(0, 256, (2500, 1, 4, 4), dtype=np.uint8)
    copies = training[10:40] / np.float32(127.5) - 1
    assert nearness_to_training(copies, training, (-1.0, 1.0)) < 1e-3
    new = rng.integers(0, 256, (200, 1, 4, 4)) / np.float32(255)
    assert nearness_to_training(new, training, (0.0, 1.0)) == pytest.approx(1.0, abs=0.1)


def test_the_gradient_to_g_is_that_of_a_linear_discriminator():
    trainer = small_trainer(
        nets={"discriminator": {"hidden_units": ()}}, objective="non_saturating"
    )
    real = real_images()
    found = signals_of(trainer)
    weight = trainer.gan.discriminator.layers[0].weight.numpy()[:, 0]
    bias = float(trainer.gan.discriminator.layers[0].bias.numpy()[0])
    logits = found.samples.reshape(8, -1) @ weight + bias
    slope = np.mean(1 / (1 + np.exp(logits))) * np.linalg.norm(weight)
    assert found.generator_gradient == pytest.approx(slope * mean_distance(real), rel=1e-4)
    wins = (real.reshape(8, -1) @ weight)[:, None] + bias > logits[None]
    assert found.ranking == pytest.approx(wins.mean())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gan_mlp", {"view": View(augment=("translation",)), "objective": "relativistic_pairing"}),
        ("gan_mlp", {"normalised": True}),
        ("gan_mlp_bn", {"ema_decay": 0.9}),
        ("gan_mlp_bn", {"num_classes": 3, "objective": "relativistic_average"}),
        ("dcgan_fashion", {"nets": {"discriminator": {"channels": 2}}}),
        ("dcgan_dropout", {"nets": {"discriminator": {"channels": (8, 8, 8)}}}),
    ],
)
def test_a_check_changes_nothing_that_training_depends_on(name, options):
    def train_two(checked):
        trainer = small_trainer(name, **options)
        for step in range(2):
            trainer.step(Batch(real_images(), LABELS))
            if checked:
                assert math.isfinite(signals_of(trainer).generator_gradient)
        for parameter in [
            *trainer.gan.generator.parameters(),
            *trainer.gan.discriminator.parameters(),
        ]:
            assert parameter.grad is None
        return trainer.state()

    plain, checked = train_two(False), train_two(True)
    assert set(plain) == set(checked)
    for file, arrays in plain.items():
        for key, array in arrays.items():
            assert np.array_equal(array, checked[file][key]), (file, key)


def test_a_check_works_on_packed_images():
    trainer = small_trainer(
        nets={"discriminator": {"image_shape": (2, 28, 28)}}, view=View(packing=2)
    )
    assert len(signals_of(trainer, 7).samples) == 6


def test_images_are_judged_with_their_own_labels():
    trainer = small_trainer(num_classes=3)
    judge, judged = trainer.gan.discriminator.forward, []

    def judging(images, labels):
        judged.append(labels.numpy().tolist())
        return judge(images, labels) * 0.0 + labels.reshape([-1, 1]).astype("float32")

    trainer.gan.discriminator.forward = judging
    found = signals_of(trainer)
    of_loss, of_real, of_fake = judged
    assert of_real == LABELS.tolist() and of_fake == of_loss
    assert len(of_fake) == len(found.samples) == 8 and set(of_fake) <= {0, 1, 2}
    # D says the label alone, so the ranking is that of the labels.
    gaps = np.subtract.outer(of_real, of_fake)
    assert found.ranking == pytest.approx(((gaps > 0) + 0.5 * (gaps == 0)).mean())
    assert found.generator_gradient == 0.0


def test_the_watch_takes_batches_with_labels():
    health, _ = watch()
    health.batches = Same(Batch(real_images(), LABELS))
    health.images_per_update = 5
    trainer = small_trainer("gan_mlp_bn", num_classes=3)
    trainer.iteration = 10
    figures = health.figures(trainer)
    assert set(figures) == {*HEALTHY, "memorisation"}
    assert all(math.isfinite(value) for value in figures.values())


class Normalising(nn.Layer):
    """A third net, with running statistics."""

    def __init__(self, *, image_shape=(1, 28, 28)):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.BatchNorm1D(4))

    def forward(self, images):
        return self.layers(images)


class Counting:
    """A term of G's loss that remembers how often it was asked."""

    def __init__(self):
        self.asked = np.zeros(1, np.float32)

    def __call__(self, inputs):
        self.asked += 1.0
        return inputs.gan.nets["encoder"](inputs.fake.images).square().mean()

    def state(self):
        return {"asked": self.asked}

    def load_state(self, arrays):
        self.asked = arrays["asked"]


def test_a_check_leaves_third_nets_and_what_terms_remember_as_they_were():
    spec = replace(MODELS.get("gan_mlp"), other_nets={"encoder": Normalising})
    small = {"hidden_units": (8,)}
    gan = build_gan(spec, {"latent_dim": 4, **small}, small, encoder={})
    counting = Term("counting", "none", Counting, 1.0, net="generator")
    trainer = make_trainer(gan, terms=[counting], generator_steps=1)
    trainer.step(real_images())
    before = {
        (file, key): array.copy()
        for file, arrays in trainer.state().items()
        for key, array in arrays.items()
    }
    assert before["terms", "counting.asked"] == 1.0
    assert np.any(before["encoder", "layers.2._mean"])
    signals_of(trainer)
    after = trainer.state()
    assert all(np.array_equal(after[file][key], array) for (file, key), array in before.items())


def test_an_image_alone_has_no_distances_and_shows_no_trouble():
    found = signals_of(small_trainer(), 1)
    assert math.isnan(found.sample_distance) and math.isnan(found.generator_gradient)
    assert 0.0 <= found.ranking <= 1.0


def test_a_generator_that_ignores_z_is_named():
    trainer = small_trainer()
    first = trainer.gan.generator.layers[0].weight
    first.set_value(np.zeros(first.shape, np.float32))
    health, text = watch()
    for trainer.iteration in range(1, 11):
        assert "identical_samples" not in text.getvalue()
        health.check(trainer)
    assert "identical_samples at iteration 10: G's samples lie 0.00 times" in text.getvalue()
    assert health.tags == "samples alike"


def test_a_sure_discriminator_leaves_no_gradient_in_the_minimax_game():
    trainer = small_trainer(objective="minimax")
    last = trainer.gan.discriminator.layers[4]
    last.bias.set_value(np.full(1, -20.0, np.float32))
    assert signals_of(trainer).generator_gradient < 1e-6
    other = small_trainer(objective="non_saturating")
    other.gan.discriminator.layers[4].bias.set_value(np.full(1, -20.0, np.float32))
    assert signals_of(other).generator_gradient > 0.1


def test_trouble_is_named_once_when_it_begins_and_once_when_it_ends(monkeypatch):
    health, text = watch()
    trainer = small_trainer()
    course = [0.2] * 9 + [1.0] + [0.2] * 12 + [1.0] * 9 + [0.2] + [1.0] * 10 + [math.nan]
    tags = []
    for trainer.iteration, value in enumerate(course, start=1):
        monkeypatch.setattr(health, "figures", lambda t: {**HEALTHY, "sample_distance": value})
        health.check(trainer)
        tags.append(health.tags)
    lines = text.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("health: identical_samples at iteration 20:")
    assert "constraints.packing" in lines[0]
    assert lines[1] == "health: identical_samples is over (iteration 42)"
    assert tags[18] == "" and tags[19] == tags[40] == "samples alike" and tags[41] == ""
    assert not trainer.stop_requested and health.stopped_by is None


def test_a_critic_may_rank_all_right(monkeypatch):
    for objective, named in (("wasserstein", False), ("hinge", True)):
        health, text = watch()
        trainer = small_trainer(objective=objective)
        monkeypatch.setattr(health, "figures", lambda t: {**HEALTHY, "ranking": 1.0})
        for trainer.iteration in range(1, 11):
            health.check(trainer)
        assert ("strong_discriminator at iteration 10" in text.getvalue()) is named


def sick_from(monkeypatch, iteration):
    """Let every check from an iteration on show identical samples."""
    figures = Health.figures

    def faked(self, trainer):
        found = dict(figures(self, trainer))
        found["sample_distance"] = 0.1 if trainer.iteration >= iteration else 1.0
        return found

    monkeypatch.setattr(Health, "figures", faked)


STOPPING = ["health.every_steps=1", "health.stop_on=[identical_samples]",
            "checkpoint={every_steps: 1, keep_last: 1, best_by: null}"]  # fmt: skip


def test_stop_on_ends_the_run_and_keeps_the_last_good_checkpoint(
    tiny_recipe, tmp_path, monkeypatch, capsys
):
    sick_from(monkeypatch, 2)
    run = tmp_path / "run"
    options = [word for override in STOPPING for word in ("-o", override)]
    code = main(["train", "-c", str(tiny_recipe), "--output", str(run), "--offline", *options])
    assert code == 3
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("stopped at iteration 11 by health.stop_on: identical_samples; ")
    assert line.endswith(str(run / "checkpoints" / "step-00000001"))
    kept = [checkpoint.path.name for checkpoint in list_checkpoints(run / "checkpoints")]
    assert sorted(kept) == ["step-00000001", "step-00000011"]
    assert "WARNING health: identical_samples at iteration 11" in (run / "train.log").read_text()


def test_the_last_good_checkpoint_is_kept_after_a_resume_too(tiny_recipe, tmp_path, monkeypatch):
    sick_from(monkeypatch, 3)
    run = RunDirectory(tmp_path / "run")
    train.train(load_recipe(tiny_recipe, [*STOPPING, "training.epochs=1"]), run.path, offline=True)
    for epochs in (2, 5):
        outcome = train.resume(run, [f"training.epochs={epochs}"], offline=True)
        kept = [found.iteration for found in list_checkpoints(run.checkpoints)]
        assert kept == [2, outcome.iteration]
    assert outcome.trouble == "identical_samples" and outcome.good_until == 2


def test_the_watch_records_its_figures_and_leaves_the_weights_as_they_were(tiny_recipe, tmp_path):
    runs = {}
    for value in ("1", "null"):
        recipe = load_recipe(tiny_recipe, [f"health.every_steps={value}"])
        runs[value] = train.train(recipe, tmp_path / value, offline=True).run
    same = [
        {k: v for k, v in tree_bytes(run.checkpoints).items() if k.endswith(".safetensors")}
        for run in runs.values()
    ]
    assert same[0] == same[1] and len(same[0]) > 4
    curves = read_scalars(runs["1"].visualdl)
    for signal in ("ranking", "sample_distance", "generator_gradient"):
        assert [step for step, _ in curves[f"health/{signal}"]] == list(range(1, 13))
    assert [step for step, _ in curves["health/memorisation"]] == [10]
    assert not any(tag.startswith("health/") for tag in read_scalars(runs["null"].visualdl))


def test_a_resume_may_change_the_watch(tiny_recipe, tmp_path):
    run = train.train(
        load_recipe(tiny_recipe, ["training.epochs=1"]), tmp_path / "r", offline=True
    ).run
    changed = ["training.epochs=2", "health.every_steps=2"]
    assert train.resume(RunDirectory(run.path), changed, offline=True).iteration == 8
    assert [step for step, _ in read_scalars(run.visualdl)["health/ranking"]] == [6, 8]


def test_the_recipe_knows_the_names_of_the_troubles(tiny_recipe):
    recipe = load_recipe(tiny_recipe, [f"health.stop_on={json.dumps(list(TROUBLE_NAMES))}"])
    assert recipe.health.stop_on == TROUBLE_NAMES
    assert recipe_from(recipe.model_dump(mode="json")) == recipe
    with pytest.raises(ConfigError, match="found 'identical_sample'"):
        load_recipe(tiny_recipe, ["health.stop_on=[identical_sample]"])
    with pytest.raises(ConfigError, match="stop_on needs checks"):
        load_recipe(tiny_recipe, ["health={every_steps: null, stop_on: [memorisation]}"])


def test_the_progress_bar_says_in_short_what_is_there():
    shown = []
    bar = ProgressBar(10, 8, 1, lambda: "samples alike, memorising")
    bar.bar = SimpleNamespace(
        disable=False, update=lambda: None, format_dict={"rate": 2.0},
        set_postfix_str=lambda text, refresh: shown.append(text),
    )  # fmt: skip
    bar.on_step_end(
        SimpleNamespace(iteration=1), {"loss/discriminator": 1.0, "loss/generator": 2.0}
    )
    assert shown == ["D 1.000 G 2.000 16 images/s samples alike, memorising"]


def test_what_was_not_measured_does_not_count_as_healthy(monkeypatch):
    """Memorisation is looked for at every tenth check only."""
    health, _ = watch(stop_on=["memorisation", "identical_samples"])
    trainer = small_trainer()
    known = []
    for trainer.iteration in range(1, 31):
        found = dict(HEALTHY)
        if trainer.iteration % 10 == 0:
            found["memorisation"] = 1.0 if trainer.iteration < 30 else 0.1
        monkeypatch.setattr(health, "figures", lambda t: found)
        health.check(trainer)
        known.append(health.good_until)
    assert known == [None] * 9 + [10] * 10 + [20] * 11


def test_a_figure_that_is_no_number_is_not_measured(monkeypatch):
    health, _ = watch(stop_on=["identical_samples"])
    trainer = small_trainer()
    for trainer.iteration, value in enumerate((1.0, math.nan, math.nan), start=1):
        monkeypatch.setattr(health, "figures", lambda t: {**HEALTHY, "sample_distance": value})
        health.check(trainer)
    assert health.good_until == 1


def test_a_batch_of_one_image_is_watched_through_a_whole_run(tiny_recipe, tmp_path):
    recipe = load_recipe(
        tiny_recipe, ["data={name: mnist, batch_size: 1, limit: 3}", "health.every_steps=1"]
    )
    run = train.train(recipe, tmp_path / "run", offline=True).run
    log = run.log.read_text()
    assert "cannot be written" not in log and "RuntimeWarning" not in log
    figures = read_scalars(run.visualdl)
    assert len(figures["health/ranking"]) == 9
    assert all(math.isnan(value) for _, value in figures["health/sample_distance"])
