"""The estimate of a run's duration and the line a minute, by a clock that the tests turn."""

import logging

import pytest

from ppgan_zoo.callbacks.pace import Pace, seconds_of_an_iteration
from ppgan_zoo.storage.durations import in_short, in_time


class _Trainer:
    iteration = 0
    stop_requested = False

    def step(self, batch):
        self.iteration += 1
        return {"loss": 1.0, "word": "none"}


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO)
    return caplog


def _train(total, seconds, *, to=None, start=0, bar=False):
    """Run the callback over a training whose iterations take so many seconds each."""
    now = 1000.0
    pace = Pace(total, logging.getLogger("pace").info, clock=lambda: now, has_bar=lambda: bar)
    trainer = _Trainer()
    trainer.iteration = start
    while trainer.iteration < (to or total):
        trainer.step(None)
        # The first iteration of a process is slow, and must not count.
        now += 100.0 if trainer.iteration == start + 1 else seconds
        pace.on_step_end(trainer, {})


def test_the_estimate_comes_after_seconds_and_is_of_what_is_left(said):
    _train(1000, 0.5, to=40)
    assert said.messages == [
        "about 8 min 10 s for the 989 iterations to come, at 500 ms an iteration"
    ]


def test_a_resumed_run_counts_its_own_iterations_alone(said):
    _train(1000, 1.0, start=900, to=910)
    assert said.messages == [
        "about 1 min 30 s for the 94 iterations to come, at 1.0 s an iteration"
    ]


def test_a_run_that_ends_soon_is_not_told_of(said):
    _train(30, 0.5)
    assert said.messages == []


def test_without_a_bar_a_line_a_minute_says_where_the_run_is(said):
    _train(400, 1.0)
    assert said.messages[1:] == [
        "iteration 66 of 400 (16 %), about 5 min 30 s left",
        "iteration 126 of 400 (31 %), about 4 min 30 s left",
        "iteration 186 of 400 (46 %), about 3 min 30 s left",
        "iteration 246 of 400 (61 %), about 2 min 30 s left",
        "iteration 306 of 400 (76 %), about 1 min 30 s left",
        "iteration 366 of 400 (91 %), about 34 s left",
    ]


def test_with_a_bar_the_estimate_is_all(said):
    _train(400, 1.0, bar=True)
    assert len(said.messages) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (61, "1 min"), (250, "4 min 10 s"),
        (599, "10 min"), (3570, "1 h"), (5700, "1 h 35 min"), (7200, "2 h"),
        (2 * 86400 - 20, "2 days"), (76 * 3600, "3 days 4 h"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert in_time(seconds) == words


def test_the_time_of_an_iteration_in_words():
    assert (in_short(0.0854), in_short(1.64)) == ("85 ms", "1.6 s")


def test_iterations_are_timed_without_the_first():
    asked = []

    class Batches:
        steps_per_epoch = 10

        def __getitem__(self, iteration):
            asked.append(iteration)

    trainer = _Trainer()
    seconds, timed = seconds_of_an_iteration(trainer, Batches(), seconds=0.0)
    assert (timed, trainer.iteration, asked) == (1, 2, [0, 1])
    assert seconds >= 0
    assert seconds_of_an_iteration(_Trainer(), Batches(), seconds=100.0, most=4)[1] == 4
