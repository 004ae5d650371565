"""The metrics against closed forms, hand-made points and torch-fidelity's numbers."""

import numpy as np
import pytest
from conftest import ROOT

from ppgan_zoo.metrics import distances
from ppgan_zoo.metrics.class_score import class_score
from ppgan_zoo.metrics.classes_found import classes_found
from ppgan_zoo.metrics.distances import mean_distance, nearest_distance, squared_distances
from ppgan_zoo.metrics.frechet import Gaussian, frechet_distance, frechet_standard_error
from ppgan_zoo.metrics.kernel_distance import kernel_distance
from ppgan_zoo.metrics.manifold import Manifold, density_coverage, precision, recall
from ppgan_zoo.metrics.memorisation import compare_distances, memorisation


@pytest.fixture(scope="module")
def recorded():
    with np.load(ROOT / "tests" / "reference" / "metrics.npz") as file:
        return dict(file)


def fid(a, b):
    return frechet_distance(Gaussian.of(a), Gaussian.of(b))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# Against torch-fidelity (tests/reference/record_metrics.py).


def test_every_figure_is_that_of_torch_fidelity(recorded):
    samples, real = recorded["samples"], recorded["real"]
    # Its covariance is singular, and torch-fidelity takes roots of rounding errors (1e-8).
    assert fid(samples, real) == pytest.approx(recorded["fid"], abs=1e-6)
    assert kernel_distance(samples, real).value == pytest.approx(recorded["kid"], rel=1e-12)
    score = class_score(softmax(recorded["logits"]), splits=4)
    assert score.value == pytest.approx(recorded["class_score"], rel=1e-12)
    assert score.std == pytest.approx(recorded["class_score_std"], rel=1e-12)
    assert precision(samples, Manifold.of(real, 3)) == pytest.approx(recorded["precision"])
    assert recall(Manifold.of(samples, 3), real) == pytest.approx(recorded["recall"])


def test_kid_of_the_same_subsets_is_that_of_torch_fidelity(recorded):
    rng = np.random.RandomState(2020)
    values = []
    for _ in range(5):
        chosen = [recorded[name][rng.choice(80, 30, replace=False)] for name in ("samples", "real")]
        values.append(kernel_distance(*chosen).value)
    assert np.mean(values) == pytest.approx(recorded["kid_subsets"], rel=1e-12)


# FID.


def test_fid_of_gaussians_that_share_axes_has_a_closed_form():
    # |m1 - m2|^2 plus the sum of squared differences of the standard deviations.
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    first, second = (
        Gaussian.from_covariance(np.array(mean), rotation @ np.diag(deviations) ** 2 @ rotation.T)
        for mean, deviations in (([0.0, 0, 0], [1.0, 2, 0]), ([1.0, 2, 2], [3.0, 2, 5]))
    )
    # The root of the zero in a given covariance is no better than the root of rounding.
    assert frechet_distance(first, second) == pytest.approx(9 + 4 + 0 + 25, rel=1e-7)


def test_fid_of_two_general_covariances_in_two_dimensions():
    # The trace of a 2 x 2 matrix's root is sqrt(trace + 2 sqrt(determinant)).
    a, b = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    want = np.trace(a) + np.trace(b) - 2 * root
    got = frechet_distance(*(Gaussian.from_covariance(np.zeros(2), c) for c in (a, b)))
    assert got == pytest.approx(want, rel=1e-12)


def test_fid_of_samples_nears_that_of_their_distributions():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(20_000, 4)).astype(np.float32)
    b = (2 * rng.normal(size=(20_000, 4)) + 1).astype(np.float32)
    assert fid(a, b) == pytest.approx(4 + 4, rel=0.03)
    assert 0 < fid(a[:10_000], a[10_000:]) < 0.01


def test_fid_is_zero_for_the_same_set_and_exact_for_a_shift():
    features = np.random.default_rng(2).normal(size=(50, 8))
    assert fid(features, features[::-1]) == pytest.approx(0.0, abs=1e-12)
    assert fid(features, features + 2.0) == pytest.approx(4 * 8, rel=1e-12)
    assert fid(features, features * 1e-6) == fid(features * 1e-6, features)


def test_moments_that_are_no_numbers_have_no_distance():
    known, unknown = (Gaussian(np.full(1, mean), np.eye(1)) for mean in (0.0, np.nan))
    assert np.isnan(frechet_distance(unknown, known))


@pytest.mark.parametrize("rows", [3, 40])
def test_a_singular_covariance_costs_no_digits(rows):
    # Doubling the deviations of samples that all lie on a line: the sum of the variances.
    line = np.random.default_rng(3).normal(size=(rows, 1)) @ np.ones((1, 60))
    line -= line.mean(axis=0)
    want = line.var(axis=0, ddof=1).sum()
    assert fid(3 + line, 3 + 2 * line) == pytest.approx(want, rel=1e-12)
    assert fid(np.ones((5, 60)), np.ones((7, 60))) == 0.0


def fid_error(a, b):
    return frechet_standard_error(Gaussian.of(a), Gaussian.of(b), a, b)


def test_the_standard_error_of_fid_has_a_closed_form_on_a_line():
    # (m1 - m2)^2 + (s1 - s2)^2, where a mean has the variance s^2 / n and s that of s^2 / 2n.
    rng = np.random.default_rng(5)
    a, b = 3.0 * rng.normal(size=(200_000, 1)), 1.0 + rng.normal(size=(100_000, 1))
    of_means, of_deviations = 9 / 200_000 + 1 / 100_000, 9 / 400_000 + 1 / 200_000
    want = np.sqrt(4 * 1 * of_means + 4 * (3 - 1) ** 2 * of_deviations)
    assert fid_error(a, b) == pytest.approx(want, rel=0.02)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_the_standard_error_of_fid_is_the_spread_of_repetitions(scale):
    rng = np.random.default_rng(6)
    mixed = rng.normal(size=(8, 8))
    found, told = [], []
    for _ in range(300):
        a, b = scale * rng.normal(size=(250, 8)) @ mixed, rng.normal(size=(400, 8)) @ mixed
        found.append(fid(a, b))
        told.append(fid_error(a, b))
    spread = np.std(found, ddof=1)
    # It is too large where there is nothing to find, as its docstring says, and never too small.
    assert 0.9 * spread < np.mean(told) < (1.6 if scale == 1.0 else 1.15) * spread


def test_the_standard_error_of_fid_needs_no_more_points_than_dimensions():
    rng = np.random.default_rng(7)
    few, other = rng.normal(size=(12, 30)), 2 + rng.normal(size=(15, 30))
    assert np.isfinite(fid_error(few, other)) and fid_error(few, other) > 0
    assert fid_error(np.ones((5, 60)), np.ones((7, 60))) == 0.0


@pytest.mark.parametrize("features", [np.zeros((1, 3)), np.zeros(4), np.full((3, 2), np.nan)])
def test_features_that_have_no_gaussian_are_refused(features):
    with pytest.raises(ValueError, match="features"):
        Gaussian.of(features)


# KID.


def test_kid_by_hand():
    # D = 1: k(a, b) = (ab + 1)^3. Pairs (0, 1): 1; (2, 3): 343; across: 1, 1, 27, 64.
    got = kernel_distance(np.array([[0.0], [1]]), np.array([[2.0], [3]]))
    assert got.value == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)
    assert np.isnan(got.standard_error)


def test_kid_does_not_depend_on_the_groups_and_may_be_negative():
    rng = np.random.default_rng(0)
    samples, real = rng.normal(size=(2, 101, 5))
    whole = kernel_distance(samples, real, groups=1).value
    assert kernel_distance(samples, real, groups=7).value == pytest.approx(whole, rel=1e-9)
    assert any(kernel_distance(*rng.normal(size=(2, 50, 5))).value < 0 for _ in range(10))


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_standard_error_of_kid_is_the_spread_of_repetitions(shift):
    rng = np.random.default_rng(0)
    runs = [
        kernel_distance(rng.normal(size=(200, 3)) + shift, rng.normal(size=(200, 3)), groups=10)
        for _ in range(150)
    ]
    spread = np.std([run.value for run in runs])
    error = np.sqrt(np.mean([run.standard_error**2 for run in runs]))
    # Never much too small; at no difference at all it is known to be too large.
    assert 0.8 < error / spread < 1.7
    if shift:
        assert error / spread < 1.25


def test_kid_of_unlike_sets_is_refused():
    with pytest.raises(ValueError, match="differ in kind"):
        kernel_distance(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="two points"):
        kernel_distance(np.zeros((1, 2)), np.zeros((3, 2)))


# Class score and modes.


def test_the_class_score_runs_from_one_to_the_number_of_classes():
    assert class_score(np.eye(4)[np.arange(40) % 4]).value == pytest.approx(4.0)
    assert class_score(np.eye(4)[np.zeros(40, int)]).value == pytest.approx(1.0)
    unsure = np.full((40, 4), 0.25)
    assert class_score(unsure).value == pytest.approx(1.0)


def test_the_class_score_by_hand():
    # Half sure of class 0, half of neither: KL is log(4/3) and log(1/sqrt(0.75)).
    score = class_score(np.array([[1.0, 0.0], [0.5, 0.5]]), splits=1)
    assert score.value == pytest.approx(np.exp(np.mean([np.log(4 / 3), -np.log(0.75) / 2])))
    assert score.std == 0.0
    with pytest.raises(ValueError, match="10 splits"):
        class_score(np.eye(3))


def test_a_class_with_a_tenth_of_its_share_is_found():
    shares = np.array([500, 400, 90, 9, 1, 0])
    found = classes_found(np.eye(6)[np.repeat(np.arange(6), shares)])
    assert found.found == 3  # a tenth of 1000 / 6 is 16.7
    assert found.shares == pytest.approx(shares / 1000)
    positive = shares[:5] / 1000
    assert found.entropy == pytest.approx(-np.sum(positive * np.log(positive)))
    assert classes_found(np.eye(6)).entropy == pytest.approx(np.log(6))


# Neighbours.


def test_distances_do_not_depend_on_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(11, 3)) + 1e3, rng.normal(size=(7, 3)) + 1e3
    direct = ((a[:, None] - b) ** 2).sum(axis=2)
    for values in (1, 14, 1000):
        monkeypatch.setattr(distances, "BLOCK_VALUES", values)
        got = np.concatenate([squared for _, squared in squared_distances(a, b)])
        assert got == pytest.approx(direct, rel=1e-9)
        assert nearest_distance(a, b) == pytest.approx(np.sqrt(direct.min(axis=1)), rel=1e-9)


def test_a_copy_is_at_distance_zero():
    points = (1e4 + np.random.default_rng(0).normal(size=(30, 128))).astype(np.float32)
    assert np.all(nearest_distance(points, points[::-1]) == 0.0)
    with pytest.raises(ValueError, match="no distances"):
        nearest_distance(points, points[:, :5])
    with pytest.raises(ValueError, match="no distances"):
        nearest_distance(points, points[:0])


@pytest.mark.parametrize("chunk", [1, 7, 10, 1000])
def test_nearest_distances_do_not_depend_on_the_chunks(monkeypatch, chunk):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 1, 2, 2), np.uint8)
    samples = rng.uniform(0, 255, (4, 1, 2, 2)).astype(np.float32)
    gaps = samples.reshape(4, 1, 4) - images.reshape(1, 9, 4).astype(float)
    monkeypatch.setattr(distances, "CHUNK_VALUES", chunk)
    assert nearest_distance(samples, images) == pytest.approx(
        np.sqrt((gaps**2).sum(axis=2)).min(axis=1), rel=1e-9
    )


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_point_among_the_others_is_not_compared_with_itself(monkeypatch, chunk):
    monkeypatch.setattr(distances, "CHUNK_VALUES", chunk)
    line = np.array([[0.0], [1.0], [5.0], [5.0]])
    chosen = np.array([3, 0, 1])
    assert nearest_distance(line[chosen], line).tolist() == [0.0, 0.0, 0.0]
    assert nearest_distance(line[chosen], line, own=chosen).tolist() == [0.0, 1.0, 1.0]
    assert nearest_distance(line[:1], line[:1], own=np.array([0])).tolist() == [np.inf]


def test_the_mean_distance_by_hand(monkeypatch):
    # A triangle of sides 3, 4 and 5, as points and as images.
    corners = np.array([[0, 0], [3, 0], [0, 4]], np.uint8)
    assert mean_distance(corners) == pytest.approx(4.0)
    monkeypatch.setattr(distances, "BLOCK_VALUES", 1)
    assert mean_distance(corners.reshape(3, 1, 1, 2)) == pytest.approx(4.0)
    assert mean_distance(np.full((5, 3), 1e4)) == 0.0
    with pytest.raises(ValueError, match="two or more"):
        mean_distance(corners[:1])


def test_precision_and_recall_by_hand():
    # k = 1 on a line. Real balls: radius 1 about 0, 1 and 9 about 10. Samples: 1 and 2 about.
    real = np.array([[0.0], [1.0], [10.0]])
    samples = np.array([[2.5], [-0.5], [30.0], [12.0]])
    balls = Manifold.of(real, 1)
    assert np.sqrt(balls.squared_radii) == pytest.approx([1, 1, 9])
    assert balls.hits(samples)[0].tolist() == [1, 1, 0, 1]
    assert precision(samples, balls) == 0.75
    # The samples' balls reach 3, 3, 18 and 9.5: 0 and 1 lie in the first two, 10 in the last.
    assert recall(Manifold.of(samples, 1), real) == 1.0
    assert recall(Manifold.of(samples[:2] / 10, 1), real) == pytest.approx(1 / 3)


def test_density_and_coverage_by_hand():
    real = np.array([[0.0], [1.0], [10.0]])
    balls = Manifold.of(real, 1)
    # 0.5 lies in two balls; 1.5 in those about 1 and 10; the ball about 10 reaches from 1.
    assert density_coverage(np.array([[0.5], [1.5]]), balls) == (2.0, 1.0)
    assert density_coverage(np.array([[0.5], [-9.0]]), balls) == (1.0, pytest.approx(2 / 3))
    assert Manifold.of(real, 2).squared_radii == pytest.approx([100, 81, 100])
    with pytest.raises(ValueError, match="3-th neighbour"):
        Manifold.of(real, 3)


@pytest.mark.parametrize("count", [999, 3000])
def test_a_copy_lies_in_the_balls_whose_surface_it_is_on(count):
    """Each point is in the ball of every point whose k-th neighbour it is."""
    points = np.random.default_rng(0).standard_normal((count, 16)).astype(np.float32)
    assert density_coverage(points, Manifold.of(points, 5)) == (pytest.approx(1.2), 1.0)


def test_equal_sets_are_within_reach_and_distant_ones_are_not():
    points = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    balls = Manifold.of(points, 5)
    assert precision(points, balls) == 1.0
    density, coverage = density_coverage(points, balls)
    # Each of the balls holds its 5 neighbours and its own centre.
    assert (density, coverage) == (pytest.approx(6 / 5), 1.0)
    assert density_coverage(points + 100, balls) == (0.0, 0.0)
    assert precision(points + 100, balls) == recall(balls, points + 100) == 0.0


def test_density_and_coverage_of_the_same_distribution_are_as_the_paper_says():
    # Naeem et al., Lemma 2: E coverage = 1 - prod_{i<k} (n - i) / (2n - i) (equal sizes), about 1 - 1/2^k.
    rng = np.random.default_rng(0)
    density, coverage = density_coverage(
        rng.normal(size=(2000, 8)), Manifold.of(rng.normal(size=(2000, 8)), 5)
    )
    assert density == pytest.approx(1.0, abs=0.03)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.01)


# Memorisation.


def test_memorisation_by_hand():
    # Of six pairs, 1 < 2, 1 < 4, 3 < 4 and half of 2 = 2: four and a half.
    got = compare_distances(np.array([1.0, 3.0, 2.0]), np.array([2.0, 4.0]))
    assert got.probability == pytest.approx((1 + 1 + 0 + 1 + 0.5 + 1) / 6)
    assert got.ratio == pytest.approx(2 / 3)
    # U = 4.5, mean 3, variance 6/12 (6 - 6/20) with one tie of two.
    assert got.z == pytest.approx(1.5 / np.sqrt(0.5 * (6 - 6 / 20)))


def test_copies_are_found_out_and_fresh_samples_are_not():
    rng = np.random.default_rng(0)
    training, held_out, fresh = rng.normal(size=(3, 400, 4))
    copies = training[:200] + 0.01 * rng.normal(size=(200, 4))
    copied = memorisation(copies, training, held_out)
    assert copied.probability > 0.98 and copied.z > 10 and copied.ratio < 0.1
    honest = memorisation(fresh, training, held_out)
    assert honest.probability == pytest.approx(0.5, abs=0.06)
    assert abs(honest.z) < 3
    far = memorisation(3 * fresh, training, held_out)
    assert far.probability < 0.2 and far.z < -10


def test_two_sets_of_copies_are_at_chance():
    nothing = np.zeros(5)
    got = compare_distances(nothing, nothing)
    assert (got.probability, got.z) == (0.5, 0.0)
    assert np.isnan(got.ratio)
