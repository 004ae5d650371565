"""NaN and infinity: found by iteration and net, never saved, stopped at or gone back from."""

import math
import os
import signal
from dataclasses import replace

import numpy as np
import paddle
import pytest
from conftest import tree_bytes
from paddle import nn

from ppgan_zoo import cli
from ppgan_zoo.callbacks.finite import FiniteCheck, NonFiniteError
from ppgan_zoo.errors import TrainingError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.terms import Term, Terms
from ppgan_zoo.models.gan import build_gan
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import MODELS
from ppgan_zoo.run import train
from ppgan_zoo.run.recovery import first_cause
from ppgan_zoo.storage.retention import list_checkpoints
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.visualdl_reader import read_scalars
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.trainer import Trainer

SPARSE = ["log.every_steps=5"]  # looked at after iterations 5 and 10, and before saves: 4, 8, 12


@pytest.fixture
def recipe(tiny_recipe):
    return lambda *overrides: load_recipe(tiny_recipe, [*SPARSE, *overrides])


def spoil_loss(patch, net, iteration, value=math.nan, when=lambda chance: True):
    """Let one net's loss be `value` in iteration `iteration`, counted from 1."""
    name = f"{net}_loss"
    original = getattr(Game, name)

    def spoilt(self, gan, real, other, moment):
        loss, scalars = original(self, gan, real, other, moment)
        bad = moment.iteration + 1 == iteration and when(moment.chance)
        return (loss * value if bad else loss), scalars

    patch.setattr(Game, name, spoilt)


def spoil_gradient(patch, net, iteration):
    """Let one net's gradient overflow in an iteration whose losses are all finite."""
    name = f"{net}_loss"
    original = getattr(Game, name)

    def spoilt(self, gan, real, other, moment):
        loss, scalars = original(self, gan, real, other, moment)
        if moment.iteration + 1 == iteration:
            weight = gan.nets[net].parameters()[0]
            # Its value is 0 and its slope infinite, as that of a square root at 0.
            loss = loss + (weight * 0.0).sum().sqrt()
        return loss, scalars

    patch.setattr(Game, name, spoilt)


def failure(recipe, run):
    with pytest.raises(TrainingError) as caught:
        train.train(recipe, run.path, offline=True)
    assert str(caught.value).isprintable()
    return str(caught.value)


def weights(run):
    return {k: v for k, v in tree_bytes(run.checkpoints).items() if k.endswith(".safetensors")}


def all_finite(run):
    checkpoints = list_checkpoints(run.checkpoints)
    assert checkpoints
    return all(
        np.isfinite(array).all()
        for checkpoint in checkpoints
        for arrays in checkpoint.all_arrays().values()
        for array in arrays.values()
    )


@pytest.mark.parametrize("net", ["generator", "discriminator"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_bad_loss_stops_the_run_and_is_named(net, value, recipe, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    spoil_loss(monkeypatch, net, 7, value)
    said = failure(recipe(), run)
    assert said.startswith(f"iteration 7: the {net}'s loss is {value}; last good checkpoint: ")
    assert str(run.checkpoints / "step-00000004") in said
    assert "recovery.non_finite=rollback" in said
    assert [c.iteration for c in list_checkpoints(run.checkpoints)] == [4]
    assert all_finite(run)
    assert said in run.log.read_text()


@pytest.mark.parametrize("net", ["generator", "discriminator"])
def test_a_bad_gradient_is_named_though_another_loss_showed_it(net, recipe, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    spoil_gradient(monkeypatch, net, 6)
    said = failure(recipe("training.generator_steps=1"), run)
    assert said.startswith(f"iteration 6: the {net}'s gradient of ")
    assert [c.iteration for c in list_checkpoints(run.checkpoints)] == [4]


def test_before_the_first_checkpoint_there_is_none_to_name(recipe, tmp_path, monkeypatch):
    spoil_loss(monkeypatch, "generator", 2)
    said = failure(recipe(), RunDirectory(tmp_path / "run"))
    assert "iteration 2: the generator's loss is nan; last good checkpoint: none was saved" in said


def test_what_does_not_come_again_is_told_as_it_was_seen(recipe, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    faults = iter([True])
    spoil_loss(monkeypatch, "generator", 6, when=lambda trainer: next(faults, False))
    assert failure(recipe("training.generator_steps=1"), run).startswith(
        "iteration 6: the generator's loss is nan"
    )


def test_the_command_line_says_one_line(tiny_recipe, tmp_path, monkeypatch, capfd):
    spoil_loss(monkeypatch, "generator", 2)
    run = tmp_path / "run"
    arguments = ["train", "-c", tiny_recipe, "--output", run, "--offline"]
    assert cli.main([str(argument) for argument in arguments]) == 2
    said = capfd.readouterr().err
    assert said.splitlines()[-1].startswith("ppgan-zoo: iteration 2: the generator's loss is nan")
    assert "Traceback" not in said


# Rollback.

ROLLBACK = ["recovery.non_finite=rollback"]


def first_course_only(chance):
    return chance.rollbacks == 0


@pytest.fixture
def rolled_back(recipe, tmp_path, monkeypatch):
    spoil_loss(monkeypatch, "generator", 7, when=first_course_only)
    run = RunDirectory(tmp_path / "run")
    train.train(recipe(*ROLLBACK), run.path, offline=True)
    return run


def test_a_rollback_goes_on_along_another_course(rolled_back, recipe, tmp_path, monkeypatch):
    log = rolled_back.log.read_text()
    assert "iteration 7: the generator's loss is nan; rollback 1: back to step-00000004" in log
    assert all_finite(rolled_back)
    monkeypatch.undo()
    whole = RunDirectory(tmp_path / "whole")
    train.train(recipe(), whole.path, offline=True)
    before, after = weights(whole), weights(rolled_back)
    assert "step-00000012/generator.safetensors" in before.keys() & after.keys()
    assert (
        after["step-00000012/generator.safetensors"]
        != before["step-00000012/generator.safetensors"]
    )
    steps = [step for step, _ in read_scalars(rolled_back.visualdl)["loss/generator"]]
    assert steps == [5, 10]


@pytest.mark.parametrize("stop", [6, 9])
def test_a_killed_run_that_rolls_back_resumes_to_the_same_bytes(
    stop, rolled_back, recipe, tmp_path, monkeypatch
):
    """Stopped before the rollback and after it."""
    run = RunDirectory(tmp_path / "stopped")
    step = Trainer.step
    with monkeypatch.context() as patch:

        def stopping(self, real):
            if self.iteration == stop and self.chance.rollbacks == (stop > 7):
                raise RuntimeError("power cut")
            return step(self, real)

        patch.setattr(Trainer, "step", stopping)
        with pytest.raises(RuntimeError, match="power cut"):
            train.train(recipe(*ROLLBACK), run.path, offline=True)
    train.resume(run, offline=True)
    assert weights(run) == weights(rolled_back)
    assert list_checkpoints(run.checkpoints)[-1].rollbacks == 1


@pytest.mark.parametrize(("bad", "saved"), [(7, 4), (2, 0)])
def test_a_signal_while_a_nan_is_pending_ends_the_run(bad, saved, recipe, tmp_path, monkeypatch):
    """The rollback makes a new trainer, which must not forget that a stop was asked for."""
    run = RunDirectory(tmp_path / "run")
    spoil_loss(monkeypatch, "generator", bad)
    step = Trainer.step

    def stepping(self, real):
        scalars = step(self, real)
        if self.iteration == bad:
            os.kill(os.getpid(), signal.SIGTERM)
        return scalars

    monkeypatch.setattr(Trainer, "step", stepping)
    outcome = train.train(recipe(*ROLLBACK), run.path, offline=True)
    assert (outcome.iteration, outcome.signal) == (saved, signal.SIGTERM)
    assert [c.iteration for c in list_checkpoints(run.checkpoints)] == [saved] * bool(saved)


def test_rollbacks_are_limited(recipe, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    spoil_loss(monkeypatch, "discriminator", 7)
    said = failure(recipe(*ROLLBACK, "recovery.max_rollbacks=2"), run)
    assert "iteration 7: the discriminator's loss is nan, after 2 rollbacks" in said
    assert run.log.read_text().count("back to step-00000004") == 2


def test_with_no_checkpoint_it_goes_back_to_the_beginning(recipe, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path / "run")
    spoil_loss(monkeypatch, "generator", 2, when=first_course_only)
    outcome = train.train(recipe(*ROLLBACK), run.path, offline=True)
    assert outcome.iteration == 12
    assert "rollback 1: back to the beginning" in run.log.read_text()


# The callback alone.


class Counting(dict):
    """Scalars that count how often they are fetched from the device."""

    fetches = 0

    def items(self):
        Counting.fetches += 1
        return super().items()


def test_losses_are_fetched_once_in_a_while_only():
    check, trainer = FiniteCheck(10), type("Trainer", (), {"iteration": 0})()
    Counting.fetches = 0
    for trainer.iteration in range(1, 10):
        check.on_step_end(trainer, Counting({"loss/generator": paddle.ones([])}))
    assert Counting.fetches == 0
    trainer.iteration = 10
    check.on_step_end(trainer, Counting({"loss/generator": paddle.ones([])}))
    assert Counting.fetches == 10


def test_the_first_of_the_kept_iterations_is_named():
    check, trainer = FiniteCheck(10), type("Trainer", (), {"iteration": 0})()
    with pytest.raises(NonFiniteError, match="iteration 3: the discriminator's score/fake is inf"):
        for trainer.iteration in range(1, 11):
            bad = trainer.iteration >= 3
            scores = paddle.to_tensor(math.inf if bad else 0.5)
            check.on_step_end(trainer, {"loss/generator": paddle.ones([]), "score/fake": scores})


class Encoder(nn.Layer):
    """A third net: images to codes."""

    def __init__(self, *, image_shape=(1, 28, 28)):
        super().__init__()
        self.layer = nn.Linear(784, 4)

    def forward(self, images):
        return self.layer(images.reshape([-1, 784]))


def encoding(inputs):
    """G's images must tell their code."""
    return ((inputs.gan.nets["encoder"](inputs.fake.images) - inputs.code.z) ** 2).mean()


ENCODING = Term("encoding", "none", encoding, 1.0, net="generator")


def three_nets(*terms):
    """Return a trainer of gan_mlp and an encoder, which learns with G."""
    spec = replace(MODELS.get("gan_mlp"), other_nets={"encoder": Encoder})
    small = {"hidden_units": (8,)}
    gan = build_gan(spec, {"latent_dim": 4, **small}, small, encoder={})
    return make_trainer(gan, terms=[ENCODING, *terms], ema_decay=0.9)


@pytest.mark.parametrize(
    ("file", "key", "said"),
    [
        ("generator", "w", "the generator's weight w is"),
        ("encoder", "layer.weight", "the encoder's weight layer.weight is"),
        ("ema", "w", "the generator's EMA weight w is"),
        ("discriminator_optimizer", "w|moment1", "the discriminator's optimizer state w|moment1 is"),
        ("generator_optimizer", "w|moment1", "the generator's optimizer state w|moment1 is"),
        ("generator_optimizer", "encoder.w|m", "the encoder's optimizer state w|m is"),
        ("discriminator_optimizer", "encoder.w|m", "the discriminator's optimizer state encoder.w|m"),
        ("terms", "lecam.real", "the discriminator's state of term lecam.real is"),
        ("terms", "encoding.mean", "the generator's state of term encoding.mean is"),
        ("pace", "rate", ": state of pace rate is"),
    ],
)  # fmt: skip
def test_a_state_is_looked_at_before_it_is_saved(file, key, said):
    trainer = three_nets("lecam")
    trainer.iteration = 8
    with pytest.raises(NonFiniteError, match="^iteration 8: .* is NaN or infinite$") as caught:
        FiniteCheck(1).before_save(trainer, {file: {key: np.float32([1.0, np.nan])}})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("scalar", "said"),
    [
        ("loss/encoder", "iteration 1: the encoder's loss is nan"),
        ("score/real", "iteration 1: the discriminator's score/real is nan"),
        ("term/r1", "iteration 1: the discriminator's term/r1 is nan"),
        ("term/encoding", "iteration 1: the generator's term/encoding is nan"),
        ("term/unknown", "iteration 1: term/unknown is nan"),
        ("balance", "iteration 1: balance is nan"),
    ],
)
def test_a_scalar_is_put_down_to_the_net_whose_it_is(scalar, said):
    trainer = three_nets("r1")
    trainer.iteration = 1
    with pytest.raises(NonFiniteError) as caught:
        FiniteCheck(1).on_step_end(trainer, {"loss/generator": 1.0, scalar: math.nan})
    assert str(caught.value) == said


@pytest.mark.parametrize("every_steps", [1, 2])
def test_the_cause_is_found_in_a_term_of_the_generator(every_steps, batches):
    trainer = three_nets()
    bad = replace(
        ENCODING, name="bad", every_steps=every_steps,
        function=lambda inputs: encoding(inputs) * (math.inf if inputs.iteration >= 2 else 1.0),
    )  # fmt: skip
    trainer.game.terms = Terms([bad])
    found = first_cause(trainer, batches, 5)
    assert str(found) == "iteration 3: the generator's term/bad is inf"


def test_the_cause_is_found_in_a_third_net(batches):
    trainer = three_nets()

    def steep(inputs):
        weight = inputs.gan.nets["encoder"].layer.weight
        slope = (weight * 0.0).sum().sqrt()  # its value is 0 and its slope infinite
        return encoding(inputs) + (slope if inputs.iteration == 1 else 0.0)

    trainer.game.terms = Terms([replace(ENCODING, function=steep)])
    found = first_cause(trainer, batches, 5)
    assert str(found) == "iteration 2: the encoder's gradient of layer.weight is NaN or infinite"
