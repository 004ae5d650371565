"""What is said of an iteration's scalars: whichever a game or a trainer returns."""

import re
from types import SimpleNamespace

import paddle
import pytest

from ppgan_zoo.callbacks.finite import FiniteCheck
from ppgan_zoo.callbacks.scalars import Means, in_words, losses_in_short
from ppgan_zoo.game.game import Game
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.storage.visualdl_reader import read_scalars
from ppgan_zoo.training.trainer import Trainer

FULL = {
    "loss/generator": 2.0,
    "term/r1": 0.5,
    "loss/discriminator": 1.0,
    "score/fake": 0.25,
    "score/real": 0.75,
}


def test_known_scalars_come_first_and_others_by_their_own_names():
    assert in_words(FULL) == [
        "D loss 1.0000", "G loss 2.0000", "D(real) 0.750", "D(fake) 0.250", "term/r1 0.5000",
    ]  # fmt: skip
    assert losses_in_short(FULL) == ["D 1.000", "G 2.000"]


@pytest.mark.parametrize(
    ("scalars", "words", "short"),
    [
        ({}, [], []),
        ({"loss/generator": paddle.to_tensor(3.0)}, ["G loss 3.0000"], ["G 3.000"]),
        ({"loss/encoder": 1.0, "k": 2.0}, ["loss/encoder 1.0000", "k 2.0000"], ["loss/encoder 1.000"]),
        ({"score/sharpness": 0.5}, ["score/sharpness 0.500"], []),
    ],
)  # fmt: skip
def test_what_is_missing_is_left_out(scalars, words, short):
    assert (in_words(scalars), losses_in_short(scalars)) == (words, short)


def test_a_mean_is_over_the_iterations_that_have_the_scalar():
    means = Means()
    for scalars in ({"a": 1.0, "b": 8.0}, {"a": 3.0}):
        means.add(scalars)
    assert means.iterations == 2
    assert means.take() == {"a": 2.0, "b": 8.0}
    assert (means.iterations, means.take()) == (0, {})


class OnTheDevice:
    """A number that is counted as long as anything keeps it."""

    kept = 0

    def __init__(self, value):
        self.value = value
        OnTheDevice.kept += 1

    def __del__(self):
        OnTheDevice.kept -= 1

    def __float__(self):
        return self.value


@pytest.mark.parametrize("watcher", ["means", "finite"])
def test_a_bounded_number_of_scalars_is_kept_on_the_device(watcher):
    """However long the epoch is: 60,000 iterations took 1.4 GiB."""
    most, means, finite = 0, Means(), FiniteCheck(10**9)
    for iteration in range(1, 2501):
        scalars = {"loss/generator": OnTheDevice(float(iteration))}
        if watcher == "means":
            means.add(scalars)
        else:
            finite.on_step_end(SimpleNamespace(iteration=iteration), scalars)
        most = max(most, OnTheDevice.kept)
    assert 1 < most <= 1001
    if watcher == "means":
        assert most <= 101
        assert means.take() == {"loss/generator": 1250.5}


def lines(run):
    return re.findall(r"INFO (epoch .*)  \d+ images/s", run.log.read_text())


def test_a_game_without_scores_is_logged_and_drawn(tiny_recipe, tmp_path, monkeypatch):
    def other(name, extra):
        original = getattr(Game, name)
        return lambda *arguments: (original(*arguments)[0], extra)

    monkeypatch.setattr(Game, "discriminator_loss", other("discriminator_loss", {}))
    balance = {"balance": paddle.to_tensor(0.5)}
    monkeypatch.setattr(Game, "generator_loss", other("generator_loss", balance))
    run = train.train(load_recipe(tiny_recipe), tmp_path / "run", offline=True).run
    assert len(lines(run)) == 3
    pattern = r"epoch 1\.00  iteration 4  D loss [\d.]+  G loss [\d.]+  balance 0\.5000"
    assert re.fullmatch(pattern, lines(run)[0])
    assert len(list(run.samples.glob("*.png"))) == 3
    curves = read_scalars(run.visualdl)
    assert "score/real" not in curves and len(curves["balance"]) == 12


def test_a_trainer_without_any_scalar_is_logged_and_drawn(tiny_recipe, tmp_path, monkeypatch):
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self, batch: step(self, batch) and {})
    run = train.train(load_recipe(tiny_recipe), tmp_path / "run", offline=True).run
    assert lines(run)[-1] == "epoch 3.00  iteration 12"
    assert len(list(run.samples.glob("*.png"))) == 3


def test_terms_are_in_the_line_though_a_lazy_one_is_not_in_each_iteration(tiny_recipe, tmp_path):
    recipe = load_recipe(tiny_recipe, ["terms=[{name: r1, every_steps: 3}, {name: lecam}]"])
    run = train.train(recipe, tmp_path / "run", offline=True).run
    assert all("  term/r1 " in line and "  term/lecam " in line for line in lines(run))
