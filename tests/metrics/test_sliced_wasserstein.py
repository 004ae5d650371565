"""Closed forms of the sliced Wasserstein distance."""

import numpy as np
import pytest

from ppgan_zoo.metrics.sliced_wasserstein import sliced_wasserstein


def test_equal_sets_are_at_distance_zero_in_any_order():
    points = np.random.default_rng(0).normal(size=(50, 7))
    assert sliced_wasserstein(points, points[::-1]) == 0.0


def test_one_dimension_has_one_direction():
    # Sorted 0,1,2 against 1,3,5: root of (1 + 4 + 9) / 3.
    a, b = np.array([[2.0], [0.0], [1.0]]), np.array([[1.0], [5.0], [3.0]])
    assert sliced_wasserstein(a, b) == pytest.approx(np.sqrt(14 / 3))


def test_a_shift_costs_its_length_over_the_root_of_the_dimension():
    # E <u, shift>^2 over unit directions in d dimensions is |shift|^2 / d.
    points = np.random.default_rng(0).normal(size=(20, 16))
    shift = np.full(16, 3.0)
    got = sliced_wasserstein(points + shift, points, projections=20_000)
    assert got == pytest.approx(np.linalg.norm(shift) / 4, rel=0.02)


def test_images_are_flattened_and_the_seed_fixes_the_directions():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 9, 1, 4, 4)).astype(np.float32)
    assert sliced_wasserstein(a, b) == sliced_wasserstein(a.reshape(9, 16), b.reshape(9, 16))
    assert sliced_wasserstein(a, b, seed=1) != sliced_wasserstein(a, b, seed=2)


def test_sets_of_unequal_size_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        sliced_wasserstein(np.zeros((3, 2)), np.zeros((4, 2)))
