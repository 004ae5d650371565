"""A checkpoint is found however its path is written, and while its run is being trained."""

import itertools
import os
import shutil
import threading
from pathlib import Path

import pytest

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.models.facts import build_model, model_facts
from ppgan_zoo.models.restore import find_checkpoint, load_generator
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.run.evaluate import find_data
from ppgan_zoo.storage import checkpoint as checkpoint_module
from ppgan_zoo.storage.checkpoint import save_checkpoint
from ppgan_zoo.storage.retention import prune_checkpoints, remember_best

FACTS = model_facts(
    "gan_mlp", (1, 28, 28), 4,
    arguments={"generator": {"hidden_units": (8,)}, "discriminator": {"hidden_units": (8,)}},
)  # fmt: skip
ARRAYS = {"generator": layer_arrays(build_model(FACTS).generator)}
RECIPE = (
    "model: {name: gan_mlp}\ndata: {name: fashion_mnist, batch_size: 8}\ntraining: {epochs: 1}\n"
)


def save(run, iteration):
    return save_checkpoint(run / "checkpoints", ARRAYS, iteration, FACTS.to_json())


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yml").write_text(RECIPE)
    saved = save(tmp_path / "run", 20)
    remember_best(tmp_path / "run" / "checkpoints", saved, "figure", 0.5)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("inside", "written"),
    [("checkpoints", "step-00000020"), (".", "checkpoints/step-00000020"),
     ("checkpoints/step-00000020", "."), ("..", "run/checkpoints/../checkpoints/step-00000020"),
     ("..", "link-to-the-checkpoint"), ("..", "link-to-the-run"), ("checkpoints", ".."),
     ("..", "link-to-checkpoints/step-00000020"), (".", ".")],
)  # fmt: skip
def test_a_path_is_the_same_however_it_is_written(inside, written, run, monkeypatch):
    (run.parent / "link-to-the-run").symlink_to(run)
    (run.parent / "link-to-checkpoints").symlink_to(run / "checkpoints")
    (run.parent / "link-to-the-checkpoint").symlink_to(run / "checkpoints" / "step-00000020")
    monkeypatch.chdir(run / inside)
    path = Path(written)
    assert find_data(path).name == "fashion_mnist"
    assert find_checkpoint(path).path == run / "checkpoints" / "step-00000020"
    origin = open_sampler(path).origin
    assert origin["path"] == str(run / "checkpoints" / "step-00000020")


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize("file", ["checkpoint.json", "generator.safetensors"])
def test_where_the_run_deletes_what_is_being_read_the_next_is_taken(best, file, run, monkeypatch):
    read = checkpoint_module.read_regular
    left = [run / "checkpoints" / "step-00000020" / file]

    def reading(path, limit=None):
        if path in left:
            left.clear()
            remember_best(run / "checkpoints", save(run, 40), "figure", 0.4)
            prune_checkpoints(run / "checkpoints", 1, 40)
        return read(path, limit)

    monkeypatch.setattr(checkpoint_module, "read_regular", reading)
    found = find_checkpoint(run, best=best)
    assert found.iteration == 40
    monkeypatch.undo()
    shutil.rmtree(run)  # what was found has been read
    arrays = layer_arrays(load_generator(found)[0])
    assert all((arrays[name] == array).all() for name, array in ARRAYS["generator"].items())


def test_a_run_in_which_checkpoints_come_and_go_is_read_each_time(run):
    ended = threading.Event()
    newest = [20]

    def train():
        while not ended.is_set():
            newest[0] += 1
            saved = save(run, newest[0])
            remember_best(run / "checkpoints", saved, "figure", 1 / newest[0])
            prune_checkpoints(run / "checkpoints", 1, newest[0])

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        for best in itertools.cycle((False, True)):
            before = newest[0]
            assert find_checkpoint(run, best=best).iteration >= before - 1
            if before > 60:
                break
    finally:
        ended.set()
        trainer.join()


def test_a_checkpoint_that_is_gone_is_said_to_be(run):
    found = run / "checkpoints" / "step-00000020"
    found.rename(run / "elsewhere")
    with pytest.raises(CheckpointError, match=r"step-00000020: the best checkpoint is not there"):
        find_checkpoint(run, best=True)
    assert os.listdir(run / "checkpoints") == ["best.json"]
