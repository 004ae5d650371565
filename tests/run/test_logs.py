"""``log.to``: several kinds of logs beside each other, none, and packages that are missing."""

import importlib.util

import pytest

from ppgan_zoo.errors import ConfigError, PluginError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import LOGS
from ppgan_zoo.report.facts import read_run
from ppgan_zoo.run import train
from ppgan_zoo.storage.logs import LogKind, Logs
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.storage.visualdl_reader import read_scalars


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("tensorboard", ("tensorboard",)),
        ("[swanlab, visualdl]", ("swanlab", "visualdl")),
        ("[]", ()),
    ],
)
def test_a_name_a_list_or_nothing(tiny_recipe, given, found):
    recipe = load_recipe(tiny_recipe, [f"log.to={given}"])
    assert recipe.log.to == found
    assert load_recipe(tiny_recipe).log.to == ("visualdl",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tensorbord", "unknown log 'tensorbord' (did you mean 'tensorboard'?)"),
        ("[visualdl, visualdl]", "'visualdl' stands twice; name each log once"),
        ("7", "log.to: found 7"),
        ("null", "log.to"),
    ],
)
def test_what_is_no_log_is_one_line(tiny_recipe, given, said):
    with pytest.raises(ConfigError) as error:
        load_recipe(tiny_recipe, [f"log.to={given}"])
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["tensorboard", "swanlab"])
def test_a_missing_package_is_named_before_anything_is_made(
    tiny_recipe, tmp_path, monkeypatch, name
):
    find = importlib.util.find_spec
    missing = {"tensorboardX", "swanlab"}
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda module, *rest: None if module in missing else find(module),
    )
    recipe = load_recipe(tiny_recipe, [f"log.to=[visualdl, {name}]"])
    with pytest.raises(ConfigError) as error:
        train.train(recipe, tmp_path / "run", offline=True)
    assert f"log.to: {name}: needs " in str(error.value)
    assert "is not installed; run: pip install" in str(error.value) and name in str(error.value)
    assert not (tmp_path / "run").exists()


def test_no_log_at_all(tiny_recipe, tmp_path):
    run = train.train(load_recipe(tiny_recipe, ["log.to=[]"]), tmp_path / "run", offline=True).run
    assert not run.visualdl.exists()
    assert len(list(run.samples.glob("*.png"))) == 3
    assert read_run(run.path).curves == {}
    train.resume(run, ["log.to=visualdl", "training.epochs=4"], offline=True)
    assert [step for step, _ in read_scalars(run.visualdl)["loss/generator"]] == [13, 14, 15, 16]


def test_two_logs_get_the_same_and_a_resume_goes_on_in_both(tiny_recipe, tmp_path):
    pytest.importorskip("tensorboardX", reason="the extra [tensorboard] is not installed")
    from ppgan_zoo.storage.tensorboard_log import EVENTS_NAME, read_events

    short = load_recipe(tiny_recipe, ["log.to=[visualdl, tensorboard]", "training.epochs=1"])
    run = train.train(short, tmp_path / "run", offline=True).run
    train.resume(run, ["training.epochs=2"], offline=True)
    curves = {}
    for event in read_events(run.path / "tensorboard" / EVENTS_NAME):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    assert curves == read_scalars(run.visualdl)
    assert [step for step, _ in curves["loss/generator"]] == list(range(1, 9))
    run.delete()  # what logs wrote is a run's own
    assert not run.path.exists()


def test_a_log_of_a_program(tiny_recipe, tmp_path):
    """Registered as a plugin's would be: it is called with what the interface says."""
    said = []

    class Recorder:
        def __init__(self, folder, *, guard, resume_step):
            said.append(("begin", folder.name, resume_step))

        def scalar(self, tag, value, step):
            said.append((tag, step))

        def image(self, tag, array, step):
            said.append((tag, step, array.dtype.name))

        def histogram(self, tag, values, step):
            pass

        def hparams(self, values, metrics):
            said.append(("hparams", values["seed"]))

        def close(self):
            said.append(("close",))

    with LOGS.lent(LogKind("recorder", Recorder)):
        recipe = load_recipe(tiny_recipe, ["log.to=recorder", "training.epochs=1"])
        train.train(recipe, tmp_path / "run", offline=True)
    assert said[:2] == [("begin", "recorder", None), ("hparams", recipe.seed)]
    assert said[-1] == ("close",)
    assert [step for tag, step, *_ in said[2:-1] if tag == "loss/generator"] == [1, 2, 3, 4]
    assert ("samples", 4, "uint8") in said


@pytest.mark.parametrize("name", ["samples", "../out", "Upper", "checkpoints", ""])
def test_a_log_cannot_take_another_folder(name):
    with pytest.raises(PluginError, match="is to be that of a folder in a run"):
        LogKind(name, object).check("plugin")


def test_all_are_closed_though_one_fails():
    closed = []

    class Failing:
        def close(self):
            closed.append(self)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        Logs([Failing(), Failing()]).close()
    assert len(closed) == 2


def test_links_in_any_log_are_refused_at_a_resume(tiny_recipe, tmp_path):
    run = train.train(load_recipe(tiny_recipe), tmp_path / "run", offline=True).run
    (run.path / "tensorboard").symlink_to(tmp_path)
    with pytest.raises(Exception, match="tensorboard: is a symbolic link"):
        train.resume(RunDirectory(run.path), offline=True)
