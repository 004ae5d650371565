"""A study of the collapse suite goes on where it stopped, to the same result."""

import json
import os
import signal

import numpy as np
import pytest

from ppgan_zoo.cli import main
from ppgan_zoo.collapse import study as study_module
from ppgan_zoo.collapse.recipes import collapse_recipe
from ppgan_zoo.collapse.setting import MixtureModes, run_setting, setting_facts
from ppgan_zoo.collapse.study import IMAGES, ROW, Study
from ppgan_zoo.errors import CheckpointError, ConfigError, DataError, Ended
from ppgan_zoo.training.loop import Callback

SHORT = ["training.iterations=12", "data.batch_size=8", "ema.decay=0.9"]
MACHINE = {"device": "cpu", "threads": 1}


class StopAt(Callback):
    """Sends a signal at an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration
        self.seen = []

    def on_step_end(self, trainer, scalars):
        self.seen.append(trainer.iteration)
        if trainer.iteration == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(study_module, "EVERY_STEPS", 5)


def study_in(path, machine=MACHINE, overrides=SHORT):
    recipe = collapse_recipe("ring", overrides)
    return Study(path, setting_facts(MixtureModes("ring"), recipe), machine), recipe


def run(path, callbacks=lambda iterations: (), seeds=(3,), **options):
    study, recipe = study_in(path, **options)
    with study.begin():
        return run_setting(MixtureModes("ring"), recipe, seeds, callbacks=callbacks, study=study)


def test_a_stopped_study_goes_on_to_the_same_samples(tmp_path):
    whole = run_setting(MixtureModes("ring"), collapse_recipe("ring", SHORT), [3, 4])
    watch = StopAt(7)
    with pytest.raises(Ended):
        run(tmp_path, lambda iterations: [watch])
    assert watch.seen == list(range(1, 8))
    assert os.listdir(tmp_path / "seed-3" / "checkpoints") == ["step-00000007"]
    watch = StopAt(None)
    parts = run(tmp_path, lambda iterations: [watch], seeds=[3, 4])
    assert watch.seen == list(range(8, 13))
    for one, other in zip(whole.seeds, parts.seeds, strict=True):
        assert np.array_equal(one.images, other.images)
        assert one.count == other.count
    assert parts.seeds[0].seconds > 0


def test_a_killed_study_goes_on_from_its_last_checkpoint(tmp_path):
    class KillError(Exception):
        pass

    class KillAt(StopAt):
        def on_step_end(self, trainer, scalars):
            if trainer.iteration == self.iteration:
                raise KillError

    with pytest.raises(KillError):
        run(tmp_path, lambda iterations: [KillAt(9)])
    watch = StopAt(None)
    parts = run(tmp_path, lambda iterations: [watch])
    assert watch.seen == list(range(6, 13))
    whole = run_setting(MixtureModes("ring"), collapse_recipe("ring", SHORT), [3])
    assert np.array_equal(whole.seeds[0].images, parts.seeds[0].images)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = run(tmp_path)
    watch = StopAt(None)
    again = run(tmp_path, lambda iterations: [watch])
    assert watch.seen == []
    assert again.seeds[0].row() == first.seeds[0].row()
    assert np.array_equal(again.seeds[0].images, first.seeds[0].images)


def test_a_study_of_another_setting_is_refused(tmp_path):
    run(tmp_path)
    other, _ = study_in(tmp_path, overrides=[*SHORT, "objective.name=hinge"])
    with (
        pytest.raises(ConfigError, match=r"recipe.objective.name is non_saturating, and .* hinge"),
        other.begin(),
    ):
        pass


def test_where_the_digits_lie_is_no_other_setting(tmp_path):
    facts = {"digits": {"sha256": "ab", "location": "here", "source": "embedded"}}
    with Study(tmp_path, facts, MACHINE).begin():
        pass
    facts["digits"]["location"] = "there"
    with Study(tmp_path, facts, MACHINE).begin():
        pass
    facts["digits"]["sha256"] = "cd"
    with pytest.raises(ConfigError, match=r"digits\.sha256"):
        Study(tmp_path, facts, MACHINE).check()


def test_damage_is_named(tmp_path):
    run(tmp_path)
    (tmp_path / "seed-3" / IMAGES).write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="delete the folder, and the run begins again"):
        run(tmp_path)
    (tmp_path / "seed-3" / ROW).write_text("[]")
    with pytest.raises(DataError, match="seed-3"):
        run(tmp_path)
    for damaged in ("{", "[1]", "[" * 9999, "1"):
        (tmp_path / "study.json").write_text(damaged)
        with pytest.raises(ConfigError, match=r"study\.json: cannot be read"):
            run(tmp_path)


def test_a_study_writes_through_no_link(tmp_path):
    study, other = tmp_path / "study", tmp_path / "other"
    run(study)
    other.mkdir()
    (study / "seed-4").symlink_to(other)
    with pytest.raises(CheckpointError, match="seed-4: is a symbolic link"):
        run(study, seeds=[3, 4])
    assert not list(other.iterdir())


def test_another_machine_is_told(tmp_path, capsys):
    with pytest.raises(Ended):
        run(tmp_path, lambda iterations: [StopAt(7)])
    run(tmp_path, machine={**MACHINE, "threads": 2})
    error = capsys.readouterr().err
    assert "stopped at iteration 7 and saved" in error
    assert "resumed with threads 2 (before: 1)" in error
    assert "goes on from iteration 7" in error


def test_the_command_given_again_goes_on_and_films_no_run_that_has_begun(tmp_path, capsys):
    out = str(tmp_path / "out")
    options = ["collapse", "ring", "--iterations", "6", "-o", "data.batch_size=8", "--output", out]
    assert main([*options, "--seeds", "1"]) == 0
    assert main([*options, "--seeds", "2", "--format", "json"]) == 0
    first, _, second = capsys.readouterr().out.partition("\n{")
    assert " 0  " in first
    seeds = json.loads("{" + second)["seeds"]
    assert [seed["seed"] for seed in seeds] == [0, 1]
    assert main([*options, "--film", "3"]) == 0
    assert "--film: there will be none: the run of seed 0 in" in capsys.readouterr().err
    assert not (tmp_path / "out" / "film.gif").exists()
    assert main([*options, "--objective", "hinge"]) == 2
    error = capsys.readouterr().err
    assert "recipe.objective.name is non_saturating" in error and error.count("\n") == 1
