"""The latent prior: a pure function of its key."""

import numpy as np
import pytest

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.models.latent import Latent

PRIORS = ["normal", "uniform"]


@pytest.mark.parametrize("prior", PRIORS)
def test_shape_and_type(prior):
    z = Latent(7, prior).sample(5, 0)
    assert (z.shape, z.dtype) == ((5, 7), np.float32)
    assert Latent(7, prior).sample(0, 0).shape == (0, 7)


def test_normal_moments():
    # 400,000 draws: the mean is off by 0.0016, the 4th moment by 0.015 (one standard error).
    z = Latent(100).sample(4000, 1).astype(np.float64)
    assert abs(z.mean()) < 0.007
    assert abs((z**2).mean() - 1) < 0.01
    assert abs((z**4).mean() - 3) < 0.07
    assert 4 < np.abs(z).max() < 6.5
    correlation = np.corrcoef(z.T) - np.eye(100)
    assert np.abs(correlation).max() < 0.1  # 1 / sqrt(4000) is 0.016


def test_uniform_moments():
    z = Latent(100, "uniform").sample(4000, 1).astype(np.float64)
    assert -1 <= z.min() < -0.9999 and 0.9999 < z.max() <= 1
    assert abs(z.mean()) < 0.004  # standard error 0.58 / 632
    assert abs((z**2).mean() - 1 / 3) < 0.003
    assert np.abs(np.histogram(z, 10, (-1, 1))[0] / z.size - 0.1).max() < 0.003


@pytest.mark.parametrize("prior", PRIORS)
def test_first_rows_do_not_depend_on_the_count(prior):
    many = Latent(9, prior).sample(1000, 3, 1, 4)
    for count in (1, 2, 3, 64, 999):
        assert (Latent(9, prior).sample(count, 3, 1, 4) == many[:count]).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_equal_keys_give_equal_bytes_whatever_was_drawn_before(prior):
    first = Latent(9, prior).sample(8, 5, 2).tobytes()
    Latent(9, prior).sample(8, 6)
    np.random.seed(0)
    np.random.random(3)
    assert Latent(9, prior).sample(8, 5, 2).tobytes() == first


@pytest.mark.parametrize("prior", PRIORS)
def test_different_keys_give_different_draws(prior):
    keys = [(0,), (1,), (0, 1), (1, 1), (0, 0, 1), (0, 1, 1), (0, 1, 2), (0, 2, 1), (2**31 - 1,)]
    draws = {Latent(4, prior).sample(2, *key).tobytes() for key in keys}
    assert len(draws) == len(keys)


def test_a_draw_leaves_numpys_own_random_state_alone():
    np.random.seed(7)
    wanted = np.random.random()
    np.random.seed(7)
    Latent(4).sample(3, 1)
    assert np.random.random() == wanted


def test_uniform_from_the_raw_bits():
    # The top 24 bits of each half of a PCG64 word, low half first, over 2^24: in [0, 1).
    words = np.random.PCG64(np.random.SeedSequence((42, 2))).random_raw(2)
    bits = [(int(word) >> shift & 0xFFFFFFFF) >> 8 for word in words for shift in (0, 32)]
    wanted = [2 * part / 2**24 - 1 for part in bits]
    assert Latent(4, "uniform").sample(1, 42, 2)[0].tolist() == wanted


def test_recorded_normal_values():
    # Printed on numpy 2.2 and 2.4; another value would change every run of a seed.
    recorded = [-0.40827518701553345, 0.35265645384788513, -1.4608937501907349]
    assert Latent(3).sample(1, 42, 2)[0].tolist() == recorded


def test_unknown_prior():
    with pytest.raises(ConfigError, match="latent prior 'gaussian': known: normal, uniform"):
        Latent(3, "gaussian")
