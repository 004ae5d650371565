"""Values, gradients and double gradients across processes are those of the whole batch."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from distributed.collectives_of_two import FUNCTIONS
from distributed.launching import run_in

from ppgan_zoo.distributed.collectives import average, drawn, own, whole
from ppgan_zoo.distributed.group import Group, ProcessLostError, losses_told


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    script = Path(__file__).with_name("collectives_of_two.py")
    run_in(2, folder, script, folder / "found")
    return [dict(np.load(folder / f"found-{rank}.npz")) for rank in (0, 1)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_gradients_are_those_of_the_whole_batch(found, name):
    for of_rank in found:
        for what in ("loss", "gradient", *(["statistics"] if name == "batch_norm" else [])):
            alone, together = (of_rank[f"{name} {size} {what}"] for size in (1, 2))
            assert np.abs(alone).max() > 1e-3
            np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_noise_is_each_processs_rows_of_that_of_one(found):
    both = np.concatenate([of_rank["drawn mine"] for of_rank in found])
    np.testing.assert_array_equal(both, found[0]["drawn 1"])


def test_a_state_goes_from_the_leader_to_the_others(found):
    other = found[1]
    np.testing.assert_array_equal(other["received"], np.arange(3.0))
    assert (other["count"], other["number"], other["over"]) == (5, 7, True)


def test_one_process_that_is_to_stop_stops_all(found):
    assert [bool(of_rank["stop"]) for of_rank in found] == [True, True]


def test_who_waits_for_the_leader_hears_from_it_meanwhile(found):
    """Gloo waits for half a minute, and the leader may take longer: so one wait becomes several."""
    assert found[0]["reductions"] == found[1]["reductions"] > 3


def test_outside_of_a_step_a_process_is_alone():
    x = paddle.arange(4, dtype="float32")
    assert average(x) is x and whole(x) is x and own(x) is x
    assert drawn(paddle.zeros, [3, 2]).shape == [3, 2]
    assert Group().agree(True) and not Group().agree(False)


def test_a_collective_that_fails_is_one_line():
    gone = RuntimeError("[gloo/transport/tcp/pair.cc:584] TIMEOUT self_rank = 0 pair_rank = 1")
    with (
        pytest.raises(ProcessLostError, match="another process has ended"),
        losses_told(Group(0, 2)),
    ):
        raise gone
    with pytest.raises(RuntimeError, match="pair_rank"), losses_told(Group()):
        raise gone
    with pytest.raises(RuntimeError, match="shape"), losses_told(Group(0, 2)):
        raise RuntimeError("shape")
