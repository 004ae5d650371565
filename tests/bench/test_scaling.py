"""The model of scaling: its formula by hand, and what an iteration exchanges, counted by hand."""

import importlib.util
import sys

import pytest
from conftest import ROOT, TINY

from ppgan_zoo.recipe.load import load_recipe


@pytest.fixture(scope="module")
def scaling():
    spec = importlib.util.spec_from_file_location("scaling", ROOT / "benchmarks" / "scaling.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["scaling"] = module  # where its dataclasses look for their names
    spec.loader.exec_module(module)
    return module


def test_the_formula_by_hand(scaling):
    traffic = scaling.Traffic(
        reduced=1000.0, gathered=10.0, reduced_rows=5.0, reductions=3.0, gathers=2.0
    )
    network = scaling.Network("test", bandwidth=100.0, latency=0.5)
    # 2 * 3/4 * (1000 + 4 * 5) + 3 * 10 = 1560 bytes; 3 all-reduces of 6 hops, 2 gathers of 3.
    assert scaling.seconds_of(traffic, network, 4) == pytest.approx(15.6 + 24 * 0.5)
    assert scaling.seconds_of(traffic, network, 4, tree=True) == pytest.approx(15.6 + 16 * 0.5)
    assert scaling.seconds_of(traffic, network, 1) == 0.0
    assert scaling.efficiency(27.6, 0.0, traffic, network, 4, False) == pytest.approx(0.5)
    # Drawing for three more takes 3 * 9.2 seconds.
    assert scaling.efficiency(27.6, 9.2, traffic, network, 4, False) == pytest.approx(1 / 3)


def test_an_iteration_of_dense_layers_counted_by_hand(scaling, tmp_path):
    path = tmp_path / "tiny.yml"
    path.write_text(TINY)
    found = scaling.traffic_of(load_recipe(path), 2)
    # D is updated once, G twice. Both have a hidden layer of 32; z is of 8, an image of 784.
    generator = 8 * 32 + 32 + 32 * 784 + 784
    discriminator = 784 * 32 + 32 + 32 * 1 + 1
    # Logits of 32 images: D's real and fake ones, and those of two updates of G.
    assert found.gathers == 4 and found.gathered == 4 * 32 * 4
    # On the way back each of them is all-reduced, as rows of all; then gradients, and scalars:
    # two losses and two scores.
    assert found.reductions == 4 + 3 + 1
    assert found.reduced_rows == found.gathered
    assert found.reduced == 4 * (discriminator + 2 * generator) + 4 * 4


def test_what_is_drawn_for_all_is_counted_and_batches_are_not_fetched_for_all(
    scaling, tmp_path, monkeypatch
):
    from ppgan_zoo.data import batches
    from ppgan_zoo.training.chance import Chance

    path = tmp_path / "tiny.yml"
    path.write_text(TINY)
    fetched, scale, arrays = [], batches.scale_to_range, Chance.arrays
    monkeypatch.setattr(
        batches, "scale_to_range", lambda x, *more: (fetched.append(len(x)), scale(x, *more))[1]
    )
    monkeypatch.setattr(scaling.time, "process_time", iter(range(10**6)).__next__)
    found = scaling._counted(load_recipe(path), 3, 2)
    assert fetched[-3:] == [32, 32, 32]
    assert found.drawing == 3 * 3  # z of one update of D and of two of G, a tick each
    assert Chance.arrays is arrays
