"""A run that becomes slower says so once, with what helps."""

import re

import paddle
import pytest

from ppgan_zoo import runtime
from ppgan_zoo.callbacks.slowdown import QUIET_S, WINDOW, Slowdown
from ppgan_zoo.ops.threads import ROUNDS, seconds_by_threads

GO_ON = "ppgan-zoo train --resume run"


class Run:
    """Iterations that take as long as they are told."""

    def __init__(self, seconds):
        self.now, self.lines, self.measured = 0.0, [], 0
        self.seconds = seconds
        self.watch = Slowdown(
            self.lines.append, GO_ON, clock=lambda: self.now, measure=self.measure
        )

    def measure(self):
        self.measured += 1
        self.now += 100.0  # no iteration's time
        return self.seconds

    def iterate(self, seconds, count=WINDOW):
        for _ in range(count):
            self.now += seconds
            self.watch.on_step_end(None, {})


def test_fewer_threads_are_advised_where_they_are_faster():
    run = Run({1: 0.003, 2: 0.005})
    run.iterate(0.1, WINDOW + 1)
    run.iterate(0.3)
    assert run.lines == [
        "an iteration takes 300 ms by now, and took 100 ms: other programs need the processor; a "
        "product of matrices takes 5 ms with 2 threads and 3 ms with 1: to go on faster, press "
        f"Ctrl-C and run: PPGAN_ZOO_THREADS=1 {GO_ON}"
    ]


@pytest.mark.parametrize("seconds", [{1: 0.005, 2: 0.003}, {1: 0.0048, 2: 0.005}, {1: 0.005}])
def test_and_not_where_they_are_not(seconds):
    run = Run(seconds)
    run.iterate(0.1, WINDOW + 1)
    run.iterate(0.3)
    assert run.lines == [
        "an iteration takes 300 ms by now, and took 100 ms: other programs need the processor"
    ]


def test_nothing_is_said_of_an_even_pace_or_of_a_pause_now_and_then():
    run = Run({1: 0.003, 2: 0.005})
    for _ in range(5):
        run.iterate(0.1, 20)
        run.iterate(60.0, 1)  # an evaluation
        run.iterate(0.15, 90)
    run.iterate(0.05, 200)  # faster is no reason either
    assert not run.lines
    assert not run.measured


def test_it_is_said_again_only_after_a_while():
    run = Run({1: 0.003, 2: 0.005})
    run.iterate(0.1, WINDOW + 1)
    run.iterate(0.3, WINDOW * 5)
    assert len(run.lines) == 1
    run.iterate(0.3, round(QUIET_S / 0.3) + WINDOW)
    assert len(run.lines) == 2


def test_the_time_of_a_product_is_the_median_over_turns(monkeypatch):
    monkeypatch.setattr(runtime, "threads", lambda: 4)
    used, now = [], [0.0]
    monkeypatch.setattr(paddle.base.core, "set_num_threads", used.append)

    def clock():  # twice for each product; its first run of each takes long
        now[0] += 50.0 if len(used) <= 3 else used[-1]
        return now[0]

    assert seconds_by_threads(clock) == {1: 1, 2: 2, 4: 4}
    assert used == [1, 2, 4] * (ROUNDS + 1) + [4]


def test_it_is_measured_here_and_leaves_the_threads_as_they_were():
    before = runtime.threads()
    found = seconds_by_threads()
    assert set(found) == {1, max(1, before // 2), before}
    assert all(0 < seconds < 10 for seconds in found.values())
    assert runtime.threads() == before


def test_the_command_that_is_advised_is_of_the_run(tmp_path, monkeypatch):
    from ppgan_zoo.recipe.load import recipe_from
    from ppgan_zoo.run import watch

    seen = []
    monkeypatch.setattr(
        watch, "Slowdown", lambda tell, go_on: seen.append(go_on) or Slowdown(tell, go_on)
    )
    from ppgan_zoo.run.train import train

    train(
        recipe_from({
            "model": {"name": "gan_mlp", "generator": {"hidden_units": [4]},
                      "discriminator": {"hidden_units": [4]}},
            "data": {"name": "mnist", "batch_size": 4, "limit": 8},
            "training": {"iterations": 1},
        }),
        tmp_path / "a run", offline=True,
    )  # fmt: skip
    assert re.fullmatch(r"ppgan-zoo train --resume '.*/a run'", seen[0])
