"""Parts of a set: even over the classes, shuffled, by a seed."""

import itertools

import numpy as np
import pytest

from ppgan_zoo.data.part import choose_part

LABELS = np.repeat(np.arange(4), [50, 30, 5, 100])


@pytest.mark.parametrize("count", [1, 3, 4, 10, 20, 60, 184, 185, 500])
def test_every_class_has_its_share(count):
    chosen = choose_part(len(LABELS), count, 0, LABELS)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, len(LABELS))
    found = np.bincount(LABELS[chosen], minlength=4)
    # By hand: fill the classes in turn, as far as they go.
    expected, left = np.zeros(4, int), min(count, len(LABELS))
    while left >= (open_ := np.array([50, 30, 5, 100]) > expected).sum() and open_.any():
        expected[open_] += 1
        left -= open_.sum()
    assert np.abs(found - expected).max() <= 1 and found.sum() - expected.sum() == left


def test_a_smaller_part_is_a_part_of_a_larger_one():
    for labels in (None, LABELS):
        parts = [set(choose_part(185, count, 7, labels).tolist()) for count in (3, 40, 90, 185)]
        assert all(one < other for one, other in itertools.pairwise(parts))


def test_the_seed_chooses_and_the_order_is_that_of_the_set():
    one, other = (choose_part(1000, 100, seed) for seed in (0, 1))
    assert len(set(one) & set(other)) < 30
    assert (np.diff(one) > 0).all()
    assert 400 < one.mean() < 600  # from all over the set, not from its start
    np.testing.assert_array_equal(one, choose_part(1000, 100, 0))
