"""The collapse suite: its figures against closed forms, its data, and the command."""

import io
import json
import math
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from paddle import nn
from PIL import Image

from ppgan_zoo import GanSpec
from ppgan_zoo.cli import main
from ppgan_zoo.collapse import setting
from ppgan_zoo.collapse.film import Film, to_gif
from ppgan_zoo.collapse.mixtures import MIXTURES, MixtureBatches
from ppgan_zoo.collapse.modes import count_modes, reverse_kl
from ppgan_zoo.collapse.recipes import BASES, collapse_recipe
from ppgan_zoo.collapse.report import picture, table_head
from ppgan_zoo.collapse.setting import (
    MixtureModes,
    SettingResult,
    StackedMnistModes,
    run_seed,
    run_setting,
)
from ppgan_zoo.collapse.stacked_mnist import (
    StackedBatches,
    StackedDigits,
    classify,
    score_images,
    score_real,
)
from ppgan_zoo.collapse.study import SeedResult
from ppgan_zoo.data import ImageSet
from ppgan_zoo.errors import ConfigError, Ended, UnknownNameError
from ppgan_zoo.models.gan import Gan

SHORT = ["training.iterations=3", "data.batch_size=8"]


@dataclass
class Answer:
    probabilities: np.ndarray


class MeanGreyClassifier:
    """Names the digit of an image whose pixels are all 20 times that digit."""

    name, sha256, accuracy = "grey", "0" * 64, 1.0

    def __call__(self, images, *, batch_size=250):
        assert images.dtype == np.uint8 and images.shape[1] == 1
        digit = np.rint(images.mean(axis=(1, 2, 3)) / 20).astype(int)
        return Answer(np.eye(10)[digit.clip(0, 9)])


def grey_digits(count=50):
    labels = np.arange(count, dtype=np.int64) % 10
    pixels = np.broadcast_to((20 * labels)[:, None, None, None], (count, 1, 28, 28))
    return ImageSet.of("grey", pixels.astype(np.uint8), labels, source="test", location="test")


def test_reverse_kl_of_known_counts():
    assert reverse_kl(np.full(8, 5)) == pytest.approx(0.0, abs=1e-15)
    assert reverse_kl(np.array([7] + [0] * 24)) == pytest.approx(math.log(25))
    assert reverse_kl(np.array([3, 1, 0, 0])) == pytest.approx(
        0.75 * math.log(0.75 / 0.25) + 0.25 * math.log(0.25 / 0.25)
    )
    assert reverse_kl(np.zeros(8, int)) is None


def test_the_mixtures_are_the_published_ones():
    ring, grid = MIXTURES["ring"], MIXTURES["grid"]
    assert ring.means.shape == (8, 2) and ring.std == 0.01
    assert np.linalg.norm(ring.means, axis=1) == pytest.approx(np.ones(8))
    assert sorted(map(tuple, grid.means)) == [
        (x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)
    ]
    assert grid.std == 0.05


@pytest.mark.parametrize("name", MIXTURES)
def test_real_points_score_what_theory_says(name):
    mixture, count = MIXTURES[name], 40_000
    found = mixture.score(mixture.points(count, np.random.default_rng(0)))
    assert found.modes == len(mixture.means)
    # The length of a 2-D standard normal has the distribution function 1 - exp(-r^2 / 2).
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=2e-3)
    # 2 N KL is chi-squared with K - 1 degrees of freedom.
    assert found.reverse_kl < 3 * (len(mixture.means) - 1) / (2 * count)


def test_a_sample_counts_within_three_standard_deviations_of_the_nearest_mode():
    ring = MIXTURES["ring"]
    mean = ring.means[0]
    found = ring.score(
        np.stack([mean, mean + np.array([0.0299, 0]), mean + np.array([0.0301, 0]), np.zeros(2)])
    )
    assert (found.modes, found.high_quality) == (1, 0.5)
    assert found.reverse_kl == pytest.approx(math.log(8))
    nothing = ring.score(np.full((4, 2), np.nan))
    assert (nothing.modes, nothing.high_quality, nothing.reverse_kl) == (0, 0.0, None)


def test_points_are_a_function_of_seed_and_iteration_and_survive_the_way_to_images():
    ring = MIXTURES["ring"]
    batches = MixtureBatches(ring, 16, seed=3)
    assert batches[5].shape == (16, 2, 1, 1) and batches[5].dtype == np.float32
    assert np.array_equal(batches[5], MixtureBatches(ring, 16, seed=3)[5])
    assert not np.array_equal(batches[5], batches[6])
    assert not np.array_equal(batches[5], MixtureBatches(ring, 16, seed=4)[5])
    points = ring.points(10, np.random.default_rng(0))
    assert ring.to_points(ring.to_images(points)) == pytest.approx(points, abs=1e-6)
    assert abs(ring.to_images(points)).max() < 1.0  # within reach of G's tanh


def test_stacked_images_are_a_function_of_seed_and_position():
    digits = grey_digits()
    images = StackedDigits(digits, 1000, seed=1)
    some = images.images(np.array([7, 3]))
    assert some.shape == (2, 3, 28, 28)
    assert np.array_equal(some[1], StackedDigits(digits, 4, seed=1).images(np.array([3]))[0])
    assert not np.array_equal(images.chosen, StackedDigits(digits, 1000, seed=2).chosen)
    # Each channel is the digit that the mode says.
    hundreds, tens, ones = np.unravel_index(images.modes(), (10, 10, 10))
    assert np.array_equal(some[0, :, 0, 0], 20 * np.array([hundreds[7], tens[7], ones[7]]))
    batches = StackedBatches(images, 300, (-1.0, 1.0))
    assert batches.steps_per_epoch == 3
    assert np.array_equal(batches[0], batches[3])
    assert batches[1][0] == pytest.approx(images.images(np.array([300]))[0] / 127.5 - 1, abs=1e-6)


def test_stacked_modes_are_counted_by_the_classifier():
    digits, network = grey_digits(), MeanGreyClassifier()
    images = StackedDigits(digits, 5000, seed=0)
    truth = images.modes()
    assert np.array_equal(classify(images.images(np.arange(100)), network), truth[:100])
    found = score_real(digits, 5000, network)
    assert found == count_modes(truth, 1000)
    assert found.modes > 980 and found.high_quality is None
    one = np.broadcast_to(images.images(np.array([0])) / 127.5 - 1, (40, 3, 28, 28))
    assert score_images(one.astype(np.float32), (-1, 1), network).reverse_kl == pytest.approx(
        math.log(1000)
    )
    assert score_images(np.full((2, 3, 4, 4), np.nan), (-1, 1), network).modes == 0


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_a_setting_runs_over_its_seeds_and_says_all_in_json(name):
    overrides = [
        *SHORT, "objective.name=relativistic_pairing", "constraints.packing=2", "ema.decay=0.5",
        "terms=[{name: r1}, {name: r2}]",
    ]  # fmt: skip
    recipe, seen = collapse_recipe(name, overrides), []
    result = run_setting(MixtureModes(name), recipe, range(4, 6), seen.append)
    assert [seed.seed for seed in seen] == [4, 5]
    assert not np.array_equal(seen[0].images, seen[1].images)
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert data["recipe"]["constraints"]["packing"] == 2
    assert data["floor"]["modes"] == data["modes"] == len(MIXTURES[name].means)
    again = run_setting(MixtureModes(name), recipe, [4])
    assert np.array_equal(again.seeds[0].images, seen[0].images)
    assert again.std() == {"modes": None, "high_quality": None, "reverse_kl": None}


def test_stacked_mnist_trains_a_model_of_three_channels():
    test = StackedMnistModes(grey_digits(), grey_digits(), MeanGreyClassifier(), samples=20)
    small = ["model.generator.channels=2", "model.discriminator.channels=2"]
    result = run_setting(test, collapse_recipe("stacked_mnist", [*SHORT, *small]), [0])
    assert result.seeds[0].images.shape == (20, 3, 28, 28)
    data = result.to_json()
    assert (data["classifier"], data["modes"], data["samples"]) == ("grey", 1000, 20)
    assert data["seeds"][0]["high_quality"] is None
    assert Image.open(io.BytesIO(picture(result))).mode == "RGB"


def test_mean_and_deviation_over_the_seeds_that_have_a_figure():
    ring = MixtureModes("ring")
    good, lost = ring.floor(), ring.mixture.score(np.zeros((4, 2)))
    result = SettingResult(
        ring, collapse_recipe("ring"),
        tuple(SeedResult(i, count, 1.0, np.zeros((4, 2, 1, 1))) for i, count in enumerate([good, lost])),
        good,
    )  # fmt: skip
    assert result.mean() == {
        "modes": 4.0, "high_quality": good.high_quality / 2, "reverse_kl": good.reverse_kl,
    }  # fmt: skip
    assert result.std()["modes"] == pytest.approx(8 / math.sqrt(2))
    assert result.std()["reverse_kl"] is None


def test_the_head_of_the_table_has_weights_packing_and_warm_up():
    recipe = collapse_recipe(
        "ring",
        [
            "objective.name=relativistic_pairing",
            "terms=[{name: r1, weight: 0.01}, {name: lecam}]",
            "constraints.packing=2",
            "ema.decay=0.99",
            "ema.warmup=4",
        ],
    )
    assert table_head("ring", recipe, 8).splitlines()[0] == (
        "ring: gan_mlp, relativistic_pairing + 0.01 r1 + 0.01 lecam + packing 2 "
        "+ ema 0.99 (warmup 4); 3,000 iterations of batch 256; 8 modes"
    )


def test_the_command_writes_table_json_and_picture(tmp_path, capsys):
    flags = ["--iterations", "2", "--seeds", "1", "-o", "data.batch_size=8"]
    options = ["collapse", "ring", *flags, "--penalty", "r1:0.5", "--objective", "hinge"]
    assert main([*options, "--output", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "hinge + 0.5 r1; 2 iterations of batch 8; 8 modes" in lines[0]
    assert [line.split()[0] for line in lines[1:6]] == ["seed", "0", "mean", "std", "real"]
    data = json.loads((tmp_path / "out" / "result.json").read_text())
    assert data["recipe"]["terms"] == [{"name": "r1", "weight": 0.5, "every_steps": 1}]
    with Image.open(tmp_path / "out" / "samples.png") as cloud:
        assert cloud.size == (320, 340)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").touch()
    assert main([*options, "--output", str(tmp_path / "other")]) == 2
    assert "is no empty directory" in capsys.readouterr().err
    assert main(["collapse", "grid", *flags, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["test"] == "grid"


def test_the_film_is_of_the_first_run_and_changes_none(tmp_path, capsys):
    flags = ["ring", "--iterations", "9", "--seeds", "2", "-o", "data.batch_size=8"]
    films = []
    for name, more in (("plain", []), ("film", ["--film", "4"]), ("again", ["--film", "4"])):
        assert main(["collapse", *flags, *more, "--output", str(tmp_path / name)]) == 0
        assert ("film.gif" in capsys.readouterr().out) is bool(more)
    with Image.open(tmp_path / "film" / "film.gif") as film:
        assert (film.n_frames, film.size) == (4, (320, 320))
    seeds = [
        [
            {**seed, "seconds": 0}
            for seed in json.loads((tmp_path / name / "result.json").read_text())["seeds"]
        ]
        for name in ("plain", "film")
    ]
    assert seeds[0] == seeds[1]
    films = [(tmp_path / name / "film.gif").read_bytes() for name in ("film", "again")]
    assert films[0] == films[1]


def test_a_film_is_kept_when_its_run_is_over_and_does_not_keep_a_study_from_going_on(
    tmp_path, capsys, monkeypatch
):
    def stopped(*arguments, **options):
        if options["title"] == "run 2 of 2":
            raise Ended(130)
        return run_seed(*arguments, **options)

    command = ["collapse", "ring", "--iterations", "9", "--seeds", "2", "-o", "data.batch_size=8",
               "--film", "4", "--output", str(tmp_path / "study")]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(setting, "run_seed", stopped)
        with pytest.raises(Ended):
            main(command)
    film = (tmp_path / "study" / "film.gif").read_bytes()
    assert main(command) == 0  # the same command goes on
    assert (tmp_path / "study" / "film.gif").read_bytes() == film
    assert "--film" not in capsys.readouterr().err


def test_a_frame_holds_the_points_of_g_and_the_belief_of_d():
    recipe = collapse_recipe("ring", ["training.iterations=4", "data.batch_size=8"])
    test = MixtureModes("ring")
    film = Film(test.mixture, 4, 3)
    run_seed(test, recipe, lambda iterations: [film])
    assert [frame.iteration for frame in film.frames] == [0, 1, 4]
    last = film.frames[-1]
    assert last.points.shape == (600, 2) and last.belief.shape == (61, 61)
    assert (last.belief > 0).all() and (last.belief < 1).all()
    assert (film.frames[0].belief != last.belief).any()
    packed = collapse_recipe(
        "ring", ["training.iterations=1", "data.batch_size=8", "constraints.packing=2"]
    )
    film = Film(test.mixture, 1, 2, packing=2)
    run_seed(test, packed, lambda iterations: [film])
    assert [frame.belief for frame in film.frames] == [None, None] and to_gif(film)[:3] == b"GIF"


def test_belief_is_the_sigmoid_of_ds_logit_at_the_place():
    mixture = MIXTURES["ring"]
    spec = GanSpec(name="slope", generator=nn.Layer, discriminator=nn.Layer, paper="")

    class Slope(nn.Layer):
        def forward(self, images):  # the second coordinate, in points of the plane
            return images.reshape([-1, 2])[:, 1:] * mixture.extent

    trainer = type("Trainer", (), {"gan": Gan(spec, nn.Layer(), Slope())})
    belief = Film(mixture, 1, 2)._belief(trainer)
    heights = np.linspace(-1.45, 1.45, 61)
    np.testing.assert_allclose(
        belief, (1 / (1 + np.exp(-heights)))[:, None] * np.ones(61), atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["ring", "--film", "4"], "--film: give --output"),
        (["ring", "--film", "1", "--output", "x"], "--film 1: give 2 to 500"),
        (["stacked_mnist", "--film", "4", "--output", "x"], "--film: stacked_mnist has images"),
        (["ring", "--seeds", "0"], "--seeds 0: give 1 to 1000"),
        (["ring", "--samples", "9"], "ring takes 2,500"),
        (["ring", "--packing", "3"], "constraints.packing"),
        (["ring", "--penalty", "r9"], "unknown term 'r9'"),
        (
            ["ring", "-o", "samples.real_rows=1"],
            "samples: a setting of the collapse suite has constraints, data",
        ),
        (["grid", "-o", "data.limit=5"], "data.limit: unknown key"),
        (["ring", "-o", "model.name=nothing"], "unknown model 'nothing'"),
    ],
)
def test_mistakes_are_one_line(options, line, capsys):
    assert main(["collapse", *options]) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1


def test_every_base_recipe_is_sound_and_others_are_refused():
    for name in BASES:
        assert collapse_recipe(name).data.name == name
    with pytest.raises(UnknownNameError, match="did you mean 'ring'"):
        collapse_recipe("rings")
    with pytest.raises(ConfigError, match="the collapse suite needs it"):
        collapse_recipe("ring", ["training.iterations=null", "training.epochs=1"])


def test_the_command_stacks_the_training_digits_that_it_finds(monkeypatch, tmp_path, capsys):
    asked = []
    features = SimpleNamespace(
        open_features=lambda name: asked.append(name) or MeanGreyClassifier()
    )
    monkeypatch.setitem(sys.modules, "ppgan_zoo.metrics.features", features)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = [
        "--samples",
        "30",
        "--seeds",
        "1",
        "--iterations",
        "1",
        "--offline",
        "--format",
        "json",
    ]
    small = ["-o", "model.generator.channels=2", "-o", "model.discriminator.channels=2"]
    assert main(["collapse", "stacked_mnist", *options, *small]) == 0
    data = json.loads(capsys.readouterr().out)
    assert asked == ["digits-v1"]
    assert data["samples"] == 30 and 1 <= data["floor"]["modes"] <= 30
    assert data["digits"]["name"] == data["floor_digits"]["name"] == "mnist"
