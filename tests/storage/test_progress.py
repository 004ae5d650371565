"""A run's progress.json: what it says after a start, a resume, a rollback and a kill."""

import itertools
import time

import pytest

from ppgan_zoo.callbacks.progress_file import ProgressFile
from ppgan_zoo.errors import DataError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run import train
from ppgan_zoo.storage.progress import Progress, Stretch, read_progress


class Trainer:
    def __init__(self, iteration=0):
        self.iteration = iteration


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still unless it is moved."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "process_time", lambda: now[0] / 2)
    monkeypatch.setattr(time, "time", lambda: 2e9 + now[0])
    return now


def test_it_is_written_at_the_beginning_every_few_seconds_and_at_the_end(tmp_path, clock):
    path, trainer = tmp_path / "progress.json", Trainer()
    assert read_progress(path) is None
    callback = ProgressFile(path, 20)
    callback.on_train_begin(trainer)
    assert (read_progress(path).began, read_progress(path).done) == (2e9 + 1000, 0)
    seen = []
    for trainer.iteration in range(1, 13):
        clock[0] += 1.0
        callback.on_step_end(trainer, {})
        seen.append(read_progress(path).done)
    assert seen == [0] * 4 + [5] * 5 + [10] * 3
    callback.on_train_end(trainer, None)
    progress = read_progress(path)
    assert (progress.done, progress.iterations, progress.seconds) == (12, 20, 12.0)
    assert not progress.is_complete


def test_the_last_iteration_is_known_before_what_is_saved_after_it(tmp_path, clock):
    path, trainer = tmp_path / "progress.json", Trainer()
    callback = ProgressFile(path, 2)
    callback.on_train_begin(trainer)
    trainer.iteration = 2
    callback.on_step_end(trainer, {})
    assert read_progress(path).is_complete


def test_every_stretch_of_a_run_counts_and_a_failed_beginning_leaves_no_end(tmp_path, clock):
    path = tmp_path / "progress.json"
    for first, done in ((0, 10), (8, 20)):
        trainer, callback = Trainer(first), ProgressFile(path, 20)
        callback.on_train_begin(trainer)
        trainer.iteration = done
        clock[0] += 30.5
        callback.on_train_end(trainer, RuntimeError() if done == 10 else None)
        clock[0] += 999.0
    progress = read_progress(path)
    assert [(s.first, s.done, s.seconds) for s in progress.stretches] == [
        (0, 10, 30.5),
        (8, 20, 30.5),
    ]
    assert (progress.began, progress.seconds, progress.is_complete) == (2e9 + 1000, 61.0, True)
    assert (progress.cpu_seconds, progress.iterations_in_all) == (30.5, 22)


def test_the_processor_time_of_an_iteration_has_what_was_lost_before_it():
    def stretch(first, done, cpu_seconds):
        return Stretch(began=1.0, first=first, done=done, seconds=99.0, cpu_seconds=cpu_seconds)

    # 10 iterations lost to a restart; then back from 20 to 15.
    progress = Progress(
        iterations=40, stretches=(stretch(0, 10, 5.0), stretch(0, 20, 8.0), stretch(15, 40, 10.0))
    )
    assert progress.seconds_at(10, cpu=True) == 5.0 + 4.0
    assert progress.seconds_at(15, cpu=True) == 5.0 + 6.0
    assert progress.seconds_at(20, cpu=True) == 5.0 + 8.0 + 2.0
    assert progress.seconds_at(40, cpu=True) == progress.cpu_seconds == 23.0
    assert progress.seconds_at(10) == 99.0 + 99.0 / 2
    older = Progress(iterations=9, stretches=(stretch(0, 10, None),))
    assert older.cpu_seconds is None and older.seconds_at(5, cpu=True) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"iterations": 3, "stretches": []}', '{"iterations": -1}']
)
def test_a_damaged_file_is_one_line_and_a_resume_begins_a_new_one(text, tmp_path, clock):
    path = tmp_path / "progress.json"
    path.write_text(text)
    with pytest.raises(DataError, match="progress.json: cannot be read: ") as caught:
        read_progress(path)
    assert str(caught.value).isprintable()
    ProgressFile(path, 5).on_train_begin(Trainer(3))
    assert [stretch.first for stretch in read_progress(path).stretches] == [3]


def test_a_run_keeps_it_through_a_resume(tiny_recipe, tmp_path):
    run = train.train(load_recipe(tiny_recipe), tmp_path / "run", offline=True).run
    train.resume(run, ["training.epochs=4"], offline=True)
    progress = read_progress(run.progress)
    assert [(s.first, s.done) for s in progress.stretches] == [(0, 12), (12, 16)]
    assert (progress.iterations, progress.is_complete) == (16, True)
    starts = [stretch.began for stretch in progress.stretches]
    assert all(a < b for a, b in itertools.pairwise(starts)) and abs(time.time() - starts[0]) < 600
    assert all(stretch.seconds > 0 for stretch in progress.stretches)
