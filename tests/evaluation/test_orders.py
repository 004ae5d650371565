"""Which pictures are made: in parts the same as at once, and a seed the same wherever it stands."""

import numpy as np
import pytest

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.orders import Order, parse_picture_seeds
from ppgan_zoo.evaluation.sampler import Sampler
from ppgan_zoo.models.latent import Latent

LATENTS = [
    Latent(5),
    Latent(4, "uniform"),
    Latent(20, categorical=(10, 3), continuous=2),
    Latent(6, truncation=0.3),  # most numbers are drawn again, and again
]


@pytest.mark.parametrize("latent", LATENTS, ids=str)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_z_in_blocks_is_z_at_once(latent, size):
    blocks = list(latent.blocks(100, size, 3, 14))
    assert {len(block) for block in blocks[:-1]} <= {size}
    np.testing.assert_array_equal(np.concatenate(blocks), latent.sample(100, 3, 14))
    assert np.abs(latent.sample(100, 3, 14)).max() <= (latent.truncation or 9)


def test_a_late_round_of_truncation_begins_where_the_others_are(monkeypatch):
    """Seed 1 needs a further round in a later block: that stream skips the rows before it."""
    monkeypatch.setattr("ppgan_zoo.models.latent._ROWS_SKIPPED", 3)
    latent = Latent(1, truncation=0.8)
    blocks = list(latent.blocks(500, 2, 1))
    np.testing.assert_array_equal(np.concatenate(blocks), latent.sample(500, 1))


def test_a_seed_has_the_z_that_it_has_alone():
    latent = Latent(5)
    order = Order.of_seeds(latent, np.array([9, 3, 7]), np.array([0, 1, 0]), ("a", "b"))
    codes = list(order.codes(128))
    assert [len(code) for code in codes] == [1, 1, 1]
    np.testing.assert_array_equal(codes[1].z, latent.sample(1, 3))
    assert order.describe(1) == {"seed": 3, "index": 0, "label": 1, "class": "b"}
    assert [order.stem(place) for place in range(3)] == ["000009", "000003", "000007"]


def test_pictures_of_one_seed_are_numbered():
    order = Order.of_one_seed(Latent(5), 300, 4, None)
    assert [len(code) for code in order.codes(128)] == [128, 128, 44]
    assert order.describe(257) == {"seed": 4, "index": 257} and order.stem(257) == "000257"


def test_lists_of_seeds():
    assert list(parse_picture_seeds("3,17, 40-43,0")) == [3, 17, 40, 41, 42, 43, 0]
    assert len(parse_picture_seeds("0-999999")) == 1_000_000
    for text in ("", "3,", "-1", "1.5", "4-2", "3,3", "1-5,4", "0-1000000", "1-2-3", "9" * 30):
        with pytest.raises(ConfigError, match=r"--seeds"):
            parse_picture_seeds(text)


@pytest.mark.parametrize("count", [1, 4, 5, 7, 11, 24, 25, 26])
def test_a_picture_shows_every_class_that_there_is_room_for(count):
    sampler = Sampler(Latent(2), (-1.0, 1.0), lambda code: None, (1, 2, 2), {}, 5)
    labels, columns = sampler.labels_in_rows(count)
    assert len(labels) == count and set(labels) == set(range(min(count, 5)))
    whole = labels[: 5 * columns].reshape(-1, columns)
    assert (whole == np.arange(len(whole))[:, None]).all()  # a row for each class
    assert labels[5 * columns :].tolist() == list(range(max(0, count - 5 * columns)))
