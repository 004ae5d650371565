"""Ways through the latent space: ends, lengths, bounds, and numbers worked out by hand."""

import numpy as np
import pytest
from test_directions import space_of

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.latents.interpolation import between, lerp, round_trip, slerp


def test_halfway_between_two_orthogonal_unit_vectors():
    a, b = np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(slerp(a, b, 0.5), [0.70711, 0.70711], atol=1e-5)
    np.testing.assert_allclose(lerp(a, b, 0.5), [0.5, 0.5])
    # A third of 90 degrees.
    np.testing.assert_allclose(slerp(a, b, 1 / 3), [np.cos(np.pi / 6), 0.5], atol=1e-6)


def test_the_arc_ends_where_it_should_and_keeps_the_length():
    a, b = np.random.default_rng(0).standard_normal((2, 50)).astype(np.float32)
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    t = np.linspace(0, 1, 9)[:, None]
    way = slerp(a, b, t)
    np.testing.assert_allclose(way[[0, -1]], [a, b], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linalg.norm(a), rtol=1e-5)
    chords = np.linalg.norm(np.diff(way, axis=0), axis=1)
    np.testing.assert_allclose(chords, chords[0], rtol=1e-4)


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0])
def test_parallel_vectors_take_the_straight_line(factor):
    a = np.array([3.0, 4.0], np.float32)
    np.testing.assert_allclose(slerp(a, factor * a, 0.25), 0.75 * a + 0.25 * factor * a, rtol=1e-6)


def test_the_prior_chooses_the_way():
    normal, uniform = space_of("r3gan"), space_of("dcgan")
    assert normal.latent.prior == "normal" and uniform.latent.prior == "uniform"
    a, b = normal.points(2, 0)
    np.testing.assert_allclose(between(normal, a, b, 3)[1], slerp(a, b, 0.5))
    a, b = uniform.points(2, 0)
    np.testing.assert_allclose(between(uniform, a, b, 3)[1], (a + b) / 2, atol=1e-6)
    assert np.abs(between(uniform, a, b, 20)).max() <= 1  # stays in the cube
    styles = space_of("stylegan2")
    a, b = styles.points(2, 0)
    np.testing.assert_allclose(between(styles, a, b, 3)[1], (a + b) / 2, atol=1e-6)


def test_codes_go_straight():
    space = space_of("infogan", latent_dim=80)
    a, b = space.points(2, 0)
    codes = slice(space.free_dim, None)
    np.testing.assert_allclose(between(space, a, b, 3)[1][codes], (a + b)[codes] / 2, atol=1e-6)


def test_a_round_trip_is_closed_and_visits_every_stop():
    space = space_of("r3gan")
    stops = space.points(3, 0)
    way = round_trip(space, stops, 4)
    assert way.shape == (12, space.dim)
    np.testing.assert_allclose(way[::4], stops, atol=1e-5)
    np.testing.assert_allclose(way[11], slerp(stops[2], stops[0], 0.75))


def test_what_is_no_way():
    space = space_of("r3gan")
    stops = space.points(2, 0)
    with pytest.raises(ConfigError, match="give 2 or more"):
        between(space, *stops, 1)
    with pytest.raises(ConfigError, match="give 2 and 1 or more"):
        round_trip(space, stops[:1], 3)
    with pytest.raises(ConfigError, match="give 2 and 1 or more"):
        round_trip(space, stops, 0)


def test_truncation_of_w_is_a_straight_line_to_the_average():
    space = space_of("stylegan2")
    w = space.points(4, 0)
    np.testing.assert_allclose(space.truncated(w, 1.0), w, atol=1e-6)
    np.testing.assert_allclose(
        space.truncated(w, 0.0), np.tile(space.points(10_000, 0x57A7).mean(axis=0), (4, 1)), atol=1e-5
    )  # fmt: skip
    half = space.truncated(w, 0.5)
    np.testing.assert_allclose(half - space.centre, (w - space.centre) / 2, atol=1e-6)


@pytest.mark.parametrize("name", ["gan_mlp", "stylegan2"])
def test_points_are_what_samples_are_made_of(name):
    from ppgan_zoo.data import to_uint8
    from ppgan_zoo.models.nets import generate

    space = space_of(name)
    wanted = generate(space.generator, space.latent.sample(5, 3))
    made = space.images(space.points(5, 3))
    np.testing.assert_array_equal(made, to_uint8(wanted, space.image_range))
