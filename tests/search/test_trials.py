"""Settings with ranges: what is drawn, kept, given up and continued."""

import importlib.util
import json
import math

import pytest
from conftest import ROOT
from test_search import make_runner

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.search import Conditions, driver, load_search, trainings
from ppgan_zoo.search.results import Result, SearchDirectory
from ppgan_zoo.search.summary import report, summarise
from ppgan_zoo.search.trials import FILE, STARTUP_TRIALS, Trials, ends

optuna = pytest.importorskip("optuna", reason="the extra [optuna] is not installed")

RANGES = """
recipe: demo
minutes: 5
seeds: [3]
trials: 5
evaluate: {split: train}
settings:
  plain: {}
  tuned:
    ema.decay: 0.9
    optimizer.generator.learning_rate: {low: 1e-4, high: 1e-2, log: true}
    training.generator_steps: {low: 1, high: 3}
    model.generator: {choices: [{hidden_units: 8}, {hidden_units: 16}]}
"""
RATE = "optimizer.generator.learning_rate"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "s.yml"
    path.write_text(RANGES)
    return path


def result_of(run, fid, **options):
    evaluation = {"metrics": {"fid": fid}, "floor": None}
    return Result(
        setting=run.setting, seed=run.seed, recipe_sha256=run.recipe_sha256, minutes_allowed=5,
        evaluation=evaluation, **options,
    )  # fmt: skip


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_of_the_choices_is_looked_at_before_anything_runs(file, place):
    names = ["non_saturating", "hinge", "least_squares"]
    key = f"objective.name: {{choices: [{', '.join(names)}]}}"
    file.write_text(RANGES + f"    {key}\n")
    assert [run.recipe.objective.name for run in ends(load_search(file))] == names
    file.write_text(file.read_text().replace(names[place], "hinje"))
    with pytest.raises(ConfigError, match="settings.tuned: .*unknown objective 'hinje'"):
        load_search(file)


def test_a_setting_named_like_a_trial_is_refused(file):
    file.write_text(RANGES + "  tuned-004: {ema.decay: 0.5}\n")
    with pytest.raises(ConfigError, match="settings.tuned-004: is the name of a trial of"):
        load_search(file)
    # There are five now; there may be more, and one may have been drawn when there were.
    file.write_text(file.read_text().replace("tuned-004", "tuned-005"))
    with pytest.raises(ConfigError, match="settings.tuned-005: is the name of a trial of"):
        load_search(file)


@pytest.mark.parametrize("name", ["tuned-base", "tuned-01", "tuned-x01", "tuned"])
def test_a_setting_named_almost_like_a_trial_is_none(name, file, tmp_path):
    space = load_search(file).spaces["tuned"]
    assert space.number_of(name) is None
    assert (space.number_of("tuned-002"), space.number_of("tuned-1000")) == (2, 1000)
    if name != "tuned":
        file.write_text(RANGES.replace("plain", name))
        trials = Trials(load_search(file), tmp_path)
        search = trials.draw({}, 1)
        assert report(search, {}).count("\n- tuned-") == 1  # what was drawn


def test_a_curve_of_samples_does_not_go_with_giving_up(file):
    file.write_text(RANGES.replace("{split: train}", "{split: train, curve_samples: 100}"))
    with pytest.raises(ConfigError, match="settings.tuned: has ranges, and evaluate.curve_samples"):
        load_search(file)


def test_fewer_trials_than_were_drawn_are_counted_as_drawn(file, tmp_path):
    trials, _ = drawn_until_the_end(file, tmp_path / "out", lambda values: 1.0)
    assert trials.count == 5
    for count, wanted in ((3, 5), (7, 7)):
        file.write_text(RANGES.replace("trials: 5", f"trials: {count}"))
        assert Trials(load_search(file), tmp_path / "out").count == wanted


def test_a_file_with_ranges_has_its_plain_settings_for_runs_and_can_be_tried_at_both_ends(file):
    search = load_search(file)
    assert [run.name for run in search.runs] == ["plain-3"]
    assert set(search.spaces["tuned"].free) == {
        RATE, "training.generator_steps", "model.generator",
    }  # fmt: skip
    low, high = (run.recipe for run in ends(search))
    rates = [recipe.optimizer.generator.learning_rate for recipe in (low, high)]
    assert rates == [1e-4, 1e-2]
    assert [recipe.training.generator_steps for recipe in (low, high)] == [1, 3]
    assert [recipe.model.generator["hidden_units"] for recipe in (low, high)] == [8, 16]
    assert low.ema.decay == high.ema.decay == 0.9


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials: 5\n", "", "s.yml:8: settings.tuned: has ranges; say by trials how often"),
        ("trials: 5", "trials: 0", "s.yml:5: trials: found 0"),
        ("[3]", "[3, 4]", r"settings.tuned: has ranges, and seeds are \[3, 4\]; draw with one"),
        ("low: 1, high: 3", "low: 3, high: 3", "steps: .*high: found 3; give more than low, 3"),
        ("low: 1e-4", "low: 0.0", "low: found 0.0; log needs a number above 0"),
        ("low: 1, high", "low: 1, hihg", r"hihg: unknown key \(did you mean 'high'\?\)"),
        ("high: 1e-2", "high: many", "learning_rate: high: found 'many'; give a number"),
        ("high: 1e-2", "high: 20.0", "settings.tuned: .*learning_rate=20.0: .*learning_rate"),
        ("[{hidden_units: 8}, ", "[", "model.generator: choices"),
        ("training.generator_steps", "training.steps", "training.steps: unknown key"),
    ],
)
def test_a_wrong_range_is_one_line(old, new, message, file):
    assert old in RANGES
    file.write_text(RANGES.replace(old, new))
    with pytest.raises(ConfigError, match=message) as error:
        load_search(file)
    assert "\n" not in str(error.value)


def test_trials_without_a_range_are_said_to_be_in_vain(file):
    head, _, _ = RANGES.partition("  tuned:")
    file.write_text(head)
    with pytest.raises(ConfigError, match="trials: no setting has a range to draw from"):
        load_search(file)


def test_a_missing_optuna_is_one_line(file, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"settings.tuned: needs optuna, .* run: pip install"):
        load_search(file)


def test_the_example_of_the_page_is_a_search(tmp_path):
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    (tmp_path / "s.yml").write_text(page.split("```yaml\n")[2].split("```")[0], encoding="utf-8")
    search = load_search(tmp_path / "s.yml")
    assert search.file.trials == 20 and len(search.spaces["tuned"].free) == 4


def drawn_until_the_end(file, output, fid, count=1):
    """Draw and give results by a function of the drawn values; return all trials."""
    output.mkdir(exist_ok=True)
    search = load_search(file)
    trials, results = Trials(search, output), {}
    while (planned := trials.draw(results, count)) is not None:
        values = trials.drawn["tuned"]
        for run in planned.runs:
            if run.setting != "plain" and run not in results:
                results[run] = result_of(run, fid(values[int(run.setting[-3:])]))
    return trials, results


def test_trials_are_recipes_within_their_ranges_and_the_same_again(file, tmp_path):
    trials, results = drawn_until_the_end(file, tmp_path / "a", lambda values: 1.0)
    again, _ = drawn_until_the_end(file, tmp_path / "b", lambda values: 1.0)
    assert again.drawn == trials.drawn
    assert [run.name for run in results] == [f"tuned-{number:03d}-3" for number in range(5)]
    for run, values in zip(results, trials.drawn["tuned"], strict=True):
        assert run.recipe.optimizer.generator.learning_rate == values[RATE]
        assert 1e-4 <= values[RATE] <= 1e-2 and values["training.generator_steps"] in (1, 2, 3)
        assert run.recipe.model.generator == values["model.generator"]
        assert run.recipe.ema.decay == 0.9
    assert len({values[RATE] for values in trials.drawn["tuned"]}) == 5


def test_what_did_well_is_drawn_more_often(file, tmp_path):
    """FID is least at a rate of 1e-3; the first ten draws are random."""
    file.write_text(RANGES.replace("trials: 5", "trials: 30"))

    def distance(values):
        return abs(math.log10(values[RATE]) + 3)

    trials, _ = drawn_until_the_end(file, tmp_path / "out", distance)
    found = [distance(values) for values in trials.drawn["tuned"]]
    assert sum(found[20:]) / 10 < 0.6 * sum(found[:10]) / 10


def test_what_was_drawn_is_kept_and_gone_on_with(file, tmp_path):
    trials, results = drawn_until_the_end(file, tmp_path / "out", lambda values: 1.0)
    file.write_text(RANGES.replace("trials: 5", "trials: 7"))
    more = Trials(load_search(file), tmp_path / "out")
    assert more.drawn == trials.drawn
    assert {run.name for run in results} < {run.name for run in more.planned().runs}
    assert len(more.draw(results, 4).runs) == 1 + 7
    assert more.drawn["tuned"][:5] == trials.drawn["tuned"]
    assert more.draw(results, 4) is None
    file.write_text(RANGES.replace("high: 1e-2", "high: 2e-2"))
    with pytest.raises(ConfigError, match="is of other ranges than those of"):
        Trials(load_search(file), tmp_path / "out")
    (tmp_path / "out" / FILE).write_text("{")
    with pytest.raises(ConfigError, match=f"{FILE}: cannot be read"):
        Trials(load_search(file), tmp_path / "out")


def test_a_run_worse_than_the_median_at_the_same_iteration_is_hopeless(file, tmp_path):
    file.write_text(RANGES.replace("trials: 5", "trials: 6"))
    (tmp_path / "out").mkdir()
    trials = Trials(load_search(file), tmp_path / "out")
    planned = trials.draw({}, 6)
    plain, *runs = planned.runs
    results = {}
    for place, run in enumerate(runs[:STARTUP_TRIALS]):
        assert not trials.is_hopeless(run, [(100, 1e6)], results)
        curve = ((0.5, 100, 50.0 + place), (1.0, 200, 20.0 + place))
        results[run] = result_of(run, 10.0, curve=curve)
    # The medians are 51.5 at iteration 100 and 21.5 at 200.
    for curve, is_hopeless in (
        ([(100, 51.0)], False),
        ([(100, 52.0)], True),
        ([(100, 52.0), (200, 21.0)], False),
        ([(100, 21.0), (200, 22.0), (300, 22.0)], False),  # nothing to compare with at 300
        ([], False),
    ):
        assert trials.is_hopeless(runs[4], curve, results) == is_hopeless
    assert not trials.is_hopeless(plain, [(100, 1e6)], results)


def test_a_run_that_is_given_up_is_stopped_measured_and_counted(
    file,
    tmp_path,
    stand_in,
    monkeypatch,
):
    monkeypatch.setattr(trainings, "PRUNE_SECONDS", 0.05)
    monkeypatch.setattr(trainings, "curve", lambda place: ((0.1, 50, 99.0),))
    stand_in(train_plain_3="takes long")
    search = load_search(file)
    runner = make_runner(search, tmp_path / "out")
    asked = []

    def is_hopeless(run, curve, results):
        asked.append((run.name, curve, results))
        return len(asked) > 1

    runner.is_hopeless = is_hopeless
    (results,) = runner.carry_out({})
    (result,) = results.values()
    assert asked == [("plain-3", [(50, 99.0)], {})] * 2 or asked[0][1] == [(50, 99.0)]
    assert (result.pruned, result.cut, result.status) == (True, True, "pruned")
    assert result.training.iterations == 10 and result.metrics["fid"] == 7.0
    assert SearchDirectory(tmp_path / "out").read_result(search.runs[0], 5).pruned
    assert "was given up after 0.50 minutes, at iteration 10" in report(search, results)
    assert [row.cut for row in summarise(search, results) if row.setting == "plain"] == [1]


def test_a_whole_search_draws_trains_and_goes_on(
    file,
    tmp_path,
    stand_in,
    monkeypatch,
):
    """With the zoo's processes replaced; trials stand in the table beside plain settings."""
    checked, lines = [], []
    monkeypatch.setattr(driver, "check", lambda search, runs, _: checked.append(len(runs)))
    monkeypatch.setattr(driver, "_draw", lambda *arguments: None)
    out = tmp_path / "out"
    text = driver.run_search(load_search(file), out, Conditions(jobs=2), notify=lines.append)
    assert checked == [1 + 2]  # the plain setting, and both ends of the ranges
    assert lines[0].startswith("6 runs, 0 done; the others train for at most 15 minutes")
    names = ["plain", *(f"tuned-{number:03d}" for number in range(5))]
    assert all(f"| {name} " in text for name in names)
    page = (out / "table.md").read_text()
    kept = json.loads((out / FILE).read_text())["drawn"]["tuned"]
    assert len(kept) == 5
    assert f"- tuned-004: `{RATE}` {kept[4][RATE]:.4g}, `training.generator_steps` " in page
    results = json.loads((out / "results.json").read_text())
    assert [run["setting"] for run in results["runs"]] == names and results["missing"] == []
    assert results["search"]["settings"]["tuned-000"]["ema.decay"] == 0.9
    marks = {path: path.read_text() for path in out.glob("runs/*/train.log")}
    lines.clear()
    file.write_text(RANGES.replace("trials: 5", "trials: 6"))
    driver.run_search(load_search(file), out, Conditions(jobs=2), notify=lines.append)
    assert lines[0].startswith("7 runs, 6 done")
    assert len(list(out.glob("runs/*/train.log"))) == 7
    assert {path: path.read_text() for path in marks} == marks
