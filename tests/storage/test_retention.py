"""Many checkpoints: the newest valid one is found, the best is remembered, the rest go."""

import os

import numpy as np
import pytest

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage import checkpoint as checkpoint_module
from ppgan_zoo.storage.checkpoint import save_checkpoint
from ppgan_zoo.storage.retention import (
    list_checkpoints,
    load_newest,
    newest_valid_checkpoint,
    prune_checkpoints,
    read_best,
    remember_best,
)

ARRAYS = {"generator": {"w": np.arange(6, dtype=np.float32)}, "optimizer": {"m": np.float32([0.5])}}


def save(folder, iteration=5):
    return save_checkpoint(folder, ARRAYS, iteration, {"name": "gan_mlp"})


def refusal(call):
    with pytest.raises(CheckpointError) as caught:
        call()
    assert str(caught.value).isprintable()  # so it is one line
    return str(caught.value)


def test_every_file_is_read_once(tmp_path, monkeypatch):
    save(tmp_path)
    reads = []
    original = checkpoint_module.read_regular

    def reading(path, limit=None):
        reads.append(path.name)
        return original(path, limit)

    monkeypatch.setattr(checkpoint_module, "read_regular", reading)
    checkpoint, arrays = load_newest(tmp_path, print)
    assert reads == ["checkpoint.json", "generator.safetensors", "optimizer.safetensors"]
    assert set(arrays) == set(ARRAYS) and checkpoint.iteration == 5


def test_the_newest_has_the_highest_number_whatever_the_clock_said(tmp_path):
    iterations = [99_999_999, 100_000_000, 7]
    for age, iteration in enumerate(iterations):
        path = save(tmp_path, iteration).path
        os.utime(path, (10**9 - age, 10**9 - age))
    assert [found.iteration for found in list_checkpoints(tmp_path)] == sorted(iterations)
    assert newest_valid_checkpoint(tmp_path, print).iteration == 100_000_000
    prune_checkpoints(tmp_path, keep_last=2, newest=100_000_000)
    assert [found.iteration for found in list_checkpoints(tmp_path)] == [99_999_999, 100_000_000]


def test_the_newest_valid_one_is_found_past_damaged_ones(tmp_path):
    for iteration in (9, 10, 100, 1000):
        save(tmp_path, iteration)
    (tmp_path / "step-00001000" / "optimizer.safetensors").write_bytes(b"")
    (tmp_path / "step-00000100" / "checkpoint.json").unlink()
    (tmp_path / ".step-00002000-abc").mkdir()
    notes = []
    assert newest_valid_checkpoint(tmp_path, notes.append).iteration == 10
    assert [note.split(str(tmp_path))[0] for note in notes] == [
        "skipped a damaged checkpoint: "
    ] * 2
    assert "step-00001000" in notes[0] and "step-00000100" in notes[1]
    assert [found.iteration for found in list_checkpoints(tmp_path)] == [9, 10, 1000]


def test_no_valid_one(tmp_path):
    path = save(tmp_path).path
    (path / "checkpoint.json").unlink()
    for folder in (tmp_path, tmp_path / "none"):
        assert "no valid checkpoint" in refusal(lambda: newest_valid_checkpoint(folder, str))


def test_pruning_keeps_the_last_and_the_best(tmp_path):
    saved = {iteration: save(tmp_path, iteration) for iteration in (1, 2, 3, 4, 5)}
    remember_best(tmp_path, saved[2], "sliced_wasserstein", 0.25)
    (tmp_path / ".step-00000003-mine").mkdir()
    (tmp_path / "notes").mkdir()
    prune_checkpoints(tmp_path, keep_last=2, newest=5)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".step-00000003-mine", "best.json", "notes", "step-00000002", "step-00000004", "step-00000005",
    ]  # fmt: skip


def test_pruning_drops_an_abandoned_future(tmp_path):
    for iteration in (1, 2, 3, 8, 9):
        save(tmp_path, iteration)
    prune_checkpoints(tmp_path, keep_last=2, newest=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_best(tmp_path):
    assert read_best(tmp_path) is None
    remember_best(tmp_path, save(tmp_path), "sliced_wasserstein", 0.25)
    wanted = {"checkpoint": "step-00000005", "figure": "sliced_wasserstein", "value": 0.25}
    assert read_best(tmp_path) == wanted
    for content in ("", "[]", "{}", '{"checkpoint": 1, "figure": 2}', "\0"):
        (tmp_path / "best.json").write_text(content)
        assert "best.json: cannot be read" in refusal(lambda: read_best(tmp_path))
