"""Which form of a product is chosen: by time, among those that are right."""

import numpy as np
import paddle
import pytest

from ppgan_zoo.ops import trial
from ppgan_zoo.ops.onednn import OneDNNError


class Machine:
    """Forms that take as long as they are told, by a clock of their own."""

    def __init__(self, seconds, results=None):
        self.now = 0.0
        self.calls = dict.fromkeys(seconds, 0)
        self.seconds, self.results = seconds, results or {}

    def fastest(self, usual):
        return trial.fastest(
            {name: lambda name=name: self.run(name) for name in self.seconds},
            usual,
            clock=lambda: self.now,
        )

    def run(self, name):
        self.calls[name] += 1
        seconds = self.seconds[name]
        self.now += seconds(self.calls[name]) if callable(seconds) else seconds
        return [paddle.to_tensor(np.float32(self.results.get(name, [1.0, 2.0])))]


def test_the_fastest_is_taken():
    machine = Machine({"usual": 1.0, "fast": 0.5, "slow": 2.0})
    assert machine.fastest("usual") == "fast"


def test_the_usual_form_stays_where_little_is_gained():
    assert Machine({"usual": 1.0, "other": 0.95}).fastest("usual") == "usual"
    assert Machine({"usual": 1.0, "other": 0.85}).fastest("usual") == "other"


def test_the_first_run_which_plans_does_not_count():
    slow_at_first = Machine({"usual": 1.0, "other": lambda call: 9.0 if call == 1 else 0.5})
    assert slow_at_first.fastest("usual") == "other"


def test_the_least_time_counts_since_a_machine_is_disturbed_now_and_then():
    disturbed = Machine({"usual": 1.0, "other": lambda call: 0.5 if call == 3 else 1.3})
    assert disturbed.fastest("usual") == "other"


def test_a_hopeless_form_is_not_run_again():
    machine = Machine({"usual": 1.0, "fast": 0.9, "slow": 1.5})
    machine.fastest("usual")
    assert machine.calls["slow"] == 2
    assert machine.calls["fast"] == 1 + trial.ROUNDS


def test_one_disturbance_does_not_make_a_short_form_hopeless():
    disturbed = Machine({"usual": 1e-3, "other": lambda call: 5e-3 if call == 2 else 1e-4})
    assert disturbed.fastest("usual") == "other"


def test_short_products_are_run_more_often():
    machine = Machine({"usual": 1e-4, "other": 0.9e-4})
    machine.fastest("usual")
    assert machine.calls["other"] == 1 + trial.ROUNDS * trial.MORE


@pytest.mark.parametrize("wrong", [[1.0, 2.001], [1.0, np.nan], [np.inf, 2.0], [0.0, 0.0]])
def test_a_form_that_computes_something_else_is_not_taken(wrong):
    machine = Machine({"usual": 1.0, "other": 0.1}, {"other": wrong})
    assert machine.fastest("usual") == "usual"


def test_rounding_is_no_difference():
    machine = Machine({"usual": 1.0, "other": 0.1}, {"other": [1.0, 2.0 + 1e-5]})
    assert machine.fastest("usual") == "other"


@pytest.mark.parametrize(("error", "winner"), [(1e-2, trial.ROUGH), (1e-1, "usual")])
def test_a_rough_form_may_differ_more_but_not_at_will(error, winner):
    machine = Machine({"usual": 1.0, trial.ROUGH: 0.1}, {trial.ROUGH: [1.0, 2.0 * (1 + error)]})
    assert machine.fastest("usual") == winner


def test_a_form_that_the_processor_has_no_code_for_is_left_out():
    def refused():
        raise OneDNNError("unimplemented")

    forms = {"usual": lambda: [paddle.ones([1])], trial.ROUGH: refused}
    assert trial.fastest(forms, "usual") == "usual"


def test_its_numbers_are_not_of_the_runs_chance():
    before = [paddle.get_rng_state()[0].current_seed(), np.random.get_state()[1].tolist()]
    first = trial.drawn([2, 3], seed=4).numpy()
    assert (trial.drawn([2, 3], seed=4).numpy() == first).all()
    assert before == [paddle.get_rng_state()[0].current_seed(), np.random.get_state()[1].tolist()]
