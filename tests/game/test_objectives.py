"""Objectives against closed forms in float64 numpy and constants worked out by hand."""

import math

import numpy as np
import paddle
import pytest

from ppgan_zoo.errors import ConfigError, UnknownNameError
from ppgan_zoo.game.objectives import LabelSmoothing, get_objective
from ppgan_zoo.registry import OBJECTIVES

LN2 = 0.6931471805599453
SMOOTHABLE = ["non_saturating", "minimax", "least_squares"]
# Those whose G looks at fake images alone; the others are in test_relativistic.py.
ABSOLUTE = [objective.name for objective in OBJECTIVES.all() if not objective.relativistic]


def logits(*values):
    return paddle.to_tensor(np.array(values, np.float32).reshape(-1, 1))


def d_loss(name, real, fake, smoothing=LabelSmoothing()):
    return OBJECTIVES.get(name).discriminator_loss(logits(*real), logits(*fake), smoothing)


def g_loss(name, fake, smoothing=LabelSmoothing()):
    return OBJECTIVES.get(name).generator_loss(logits(*fake), None, smoothing)


@pytest.mark.parametrize("name", ["non_saturating", "minimax", "least_squares", "hinge"])
@pytest.mark.parametrize("real", [0.0, 0.2])
def test_an_undecided_d_has_nothing_to_gain(name, real):
    objective = OBJECTIVES.get(name)
    smoothing = LabelSmoothing(real=real if objective.smoothable else 0.0, fake=real / 4)
    x = logits(objective.undecided(smoothing.middle))
    x.stop_gradient = False
    objective.discriminator_loss(x, x, smoothing).backward()
    assert x.grad.item() == pytest.approx(0.0, abs=1e-6)


# Closed forms, written as the papers do: with probabilities and logarithms, no softplus.


def log_d(x):
    """log sigmoid(x), in whichever form does not cancel."""
    return np.where(x > 0, -np.log1p(np.exp(-np.abs(x))), x - np.log1p(np.exp(-np.abs(x))))


def cross_entropy(x, target):
    return float(np.mean(-target * log_d(x) - (1 - target) * log_d(-x)))


def margins(first, last):
    """The margins that Paddle draws after seed 0, each kind of image after the other."""
    paddle.seed(0)
    drawn = np.concatenate([paddle.rand([64, 1]).numpy(), paddle.rand([32, 1]).numpy()])
    return 1 - 0.2 * drawn[first:last].astype(np.float64)


CLOSED = {
    "non_saturating": (
        lambda r, f, s: cross_entropy(r, 1 - s.real) + cross_entropy(f, s.fake),
        lambda f, s: cross_entropy(f, 1 - s.generator),
    ),
    "minimax": (
        lambda r, f, s: cross_entropy(r, 1 - s.real) + cross_entropy(f, s.fake),
        lambda f, s: float(np.mean((1 - s.generator) * log_d(-f) + s.generator * log_d(f))),
    ),
    "least_squares": (
        lambda r, f, s: np.mean((r - 1 + s.real) ** 2) / 2 + np.mean((f - s.fake) ** 2) / 2,
        lambda f, s: np.mean((f - 1 + s.generator) ** 2) / 2,
    ),
    "hinge": (
        lambda r, f, s: np.mean(np.maximum(0, 1 - r)) + np.mean(np.maximum(0, 1 + f)),
        lambda f, s: -np.mean(f),
    ),
    "hinge_random_margins": (
        lambda r, f, s: (
            np.mean(np.maximum(0, margins(0, 64) - r)) + np.mean(np.maximum(0, margins(64, 96) + f))
        ),
        lambda f, s: -np.mean(f),
    ),
    "wasserstein": (lambda r, f, s: np.mean(f) - np.mean(r), lambda f, s: -np.mean(f)),
}

SMOOTHINGS = [
    LabelSmoothing(),
    LabelSmoothing(real=0.1),
    LabelSmoothing(fake=0.2),
    LabelSmoothing(generator=0.3),
    LabelSmoothing(real=0.1, fake=0.2, generator=0.3),
]


def test_every_objective_has_a_closed_form_here():
    assert set(CLOSED) == set(ABSOLUTE)


@pytest.mark.parametrize(
    ("name", "smoothing"),
    [(name, smoothing) for name in ABSOLUTE for smoothing in SMOOTHINGS
     if name in SMOOTHABLE or not smoothing],
)  # fmt: skip
def test_closed_form(name, smoothing):
    random = np.random.default_rng(3)
    real, fake = random.normal(0.5, 3, (64, 1)), random.normal(-0.5, 3, (32, 1))
    real, fake = (x.astype(np.float32).astype(np.float64) for x in (real, fake))
    closed_d, closed_g = CLOSED[name]
    objective = OBJECTIVES.get(name)
    tensors = [paddle.to_tensor(x.astype(np.float32)) for x in (real, fake)]
    paddle.seed(0)
    found_d = objective.discriminator_loss(*tensors, smoothing)
    found_g = objective.generator_loss(tensors[1], None, smoothing)
    assert list(found_d.shape) == [] and list(found_g.shape) == []
    assert found_d.item() == pytest.approx(closed_d(real, fake, smoothing), rel=1e-5, abs=1e-6)
    assert found_g.item() == pytest.approx(closed_g(fake, smoothing), rel=1e-5, abs=1e-6)


# By hand. log(1 + e^50) is 50 and log(1 + e^-50) is 2e-22, in float32: 50 and 0.

BY_HAND = [
    # name, real logits, fake logits, D's loss, G's loss
    ("non_saturating", [0], [0], 2 * LN2, LN2),
    ("non_saturating", [50], [-50], 0, 50),
    ("non_saturating", [-50], [50], 100, 0),
    ("non_saturating", [50, -50], [0, -50], 25 + LN2 / 2, 25 + LN2 / 2),
    (
        "non_saturating",
        [math.log(3)],
        [math.log(3)],
        math.log(4 / 3) + math.log(4),
        math.log(4 / 3),
    ),
    ("minimax", [0], [0], 2 * LN2, -LN2),
    ("minimax", [50], [-50], 0, 0),
    ("minimax", [-50], [50], 100, -50),
    ("minimax", [math.log(3)], [math.log(3)], math.log(4 / 3) + math.log(4), -math.log(4)),
    ("least_squares", [0], [0], 0.5, 0.5),
    ("least_squares", [1], [0], 0, 0.5),
    ("least_squares", [50], [-50], (49**2 + 50**2) / 2, 51**2 / 2),
    ("least_squares", [3, 1], [1, -1], (4 + 0) / 4 + (1 + 1) / 4, (0 + 4) / 4),
    ("hinge", [0], [0], 2, 0),
    ("hinge", [50], [-50], 0, 50),
    ("hinge", [-50], [50], 102, -50),
    ("hinge", [2, 0.5], [-2, 0.5], 0.25 + 0.75, 0.75),
    # Between the margins of 0.8 and of 1 it depends on chance.
    ("hinge_random_margins", [1, 50], [-1, -50], 0, 25.5),
    ("wasserstein", [0], [0], 0, 0),
    ("wasserstein", [50], [-50], -100, 50),
    ("wasserstein", [3, -1], [2, 4], 2, -3),
]


@pytest.mark.parametrize(("name", "real", "fake", "wanted_d", "wanted_g"), BY_HAND)
def test_by_hand(name, real, fake, wanted_d, wanted_g):
    assert d_loss(name, real, fake).item() == pytest.approx(wanted_d, rel=1e-6, abs=1e-6)
    assert g_loss(name, fake).item() == pytest.approx(wanted_g, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "side", "wanted_d", "wanted_g"),
    [
        # Real logit 50, fake logit -50: each moved target costs 50 times its move.
        ("non_saturating", {"real": 0.1}, 5, 50),
        ("non_saturating", {"fake": 0.1}, 5, 50),
        ("non_saturating", {"generator": 0.1}, 0, 45),
        ("minimax", {"real": 0.1}, 5, 0),
        ("minimax", {"fake": 0.1}, 5, 0),
        ("minimax", {"generator": 0.1}, 0, -5),
        ("least_squares", {"real": 0.5}, (49.5**2 + 50**2) / 2, 51**2 / 2),
        ("least_squares", {"fake": 0.5}, (49**2 + 50.5**2) / 2, 51**2 / 2),
        ("least_squares", {"generator": 0.5}, (49**2 + 50**2) / 2, 50.5**2 / 2),
    ],
)
def test_smoothing_moves_its_own_side_only(name, side, wanted_d, wanted_g):
    smoothing = LabelSmoothing(**side)
    found_d, found_g = d_loss(name, [50], [-50], smoothing), g_loss(name, [-50], smoothing)
    assert found_d.item() == pytest.approx(wanted_d, rel=1e-6, abs=1e-6)
    assert found_g.item() == pytest.approx(wanted_g, rel=1e-6, abs=1e-6)


def test_smoothed_optimum():
    # With target 0.9, the best probability is 0.9: the gradient is zero at log(0.9 / 0.1).
    best = logits(math.log(9))
    best.stop_gradient = False
    loss = OBJECTIVES.get("non_saturating").discriminator_loss(
        best, logits(0), LabelSmoothing(real=0.1)
    )
    assert paddle.grad(loss, best)[0].item() == pytest.approx(0, abs=1e-6)


def test_margins_are_drawn_for_each_logit_between_four_fifths_and_one():
    # Of a logit of 0 the loss is the margin itself.
    paddle.seed(1)
    zeros = paddle.zeros([1, 20_000])
    real, fake = OBJECTIVES.get("hinge_random_margins").halves
    for half in (real, fake):
        assert half(zeros, LabelSmoothing()).item() == pytest.approx(0.9, abs=0.002)
    moved = paddle.full([1, 20_000], 0.9)  # E max(0, U(0.8, 1) - 0.9) = 0.1^2 / (2 * 0.2)
    assert real(moved, LabelSmoothing()).item() == pytest.approx(0.025, abs=0.001)


# Directions, at scores inside every objective's active region: between the two targets.


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_a_step_of_d_lifts_real_and_lowers_fake(name):
    real, fake = logits(0.1, 0.4, 0.7), logits(0.1, 0.4, 0.7)
    real.stop_gradient = fake.stop_gradient = False
    loss = OBJECTIVES.get(name).discriminator_loss(real, fake, LabelSmoothing())
    up_real, up_fake = paddle.grad(loss, [real, fake])
    assert (-up_real.numpy() > 0).all()
    assert (-up_fake.numpy() < 0).all()


@pytest.mark.parametrize("name", ABSOLUTE)
def test_a_step_of_g_lifts_fake(name):
    fake = logits(-0.6, -0.1, 0.3, 0.9)
    fake.stop_gradient = False
    loss = OBJECTIVES.get(name).generator_loss(fake, None, LabelSmoothing())
    assert (-paddle.grad(loss, fake)[0].numpy() > 0).all()


def test_minimax_saturates_where_non_saturating_does_not():
    # d/dx of -E log(1 - ...): sigmoid(x); of E -log sigmoid(x): sigmoid(x) - 1.
    for name, wanted in (
        ("minimax", -4.5397868702434395e-05),
        ("non_saturating", -0.9999546021312976),
    ):
        fake = logits(-10)
        fake.stop_gradient = False
        loss = OBJECTIVES.get(name).generator_loss(fake, None, LabelSmoothing())
        assert paddle.grad(loss, fake)[0].item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", ABSOLUTE)
@pytest.mark.parametrize("value", [-100.0, 100.0])
def test_finite_everywhere_with_its_gradient(name, value):
    for smoothing in SMOOTHINGS if name in SMOOTHABLE else SMOOTHINGS[:1]:
        real, fake = logits(value, -value, 0), logits(-value, value, 0)
        real.stop_gradient = fake.stop_gradient = False
        objective = OBJECTIVES.get(name)
        loss = objective.discriminator_loss(real, fake, smoothing)
        loss = loss + objective.generator_loss(fake, None, smoothing)
        assert np.isfinite(loss.item())
        assert all(np.isfinite(g.numpy()).all() for g in paddle.grad(loss, [real, fake]))


@pytest.mark.parametrize("name", ["non_saturating", "minimax", "least_squares"])
def test_gradient_against_finite_differences(name):
    # Float64 closed forms, differentiated by central differences.
    random = np.random.default_rng(1)
    fake = random.normal(0, 2, (5, 1)).astype(np.float32)
    smoothing = LabelSmoothing(generator=0.1)
    tensor = paddle.to_tensor(fake, stop_gradient=False)
    found = paddle.grad(OBJECTIVES.get(name).generator_loss(tensor, None, smoothing), tensor)[0]
    for row in range(5):
        step = np.zeros((5, 1))
        step[row] = 1e-5
        closed = CLOSED[name][1]
        wanted = (closed(fake + step, smoothing) - closed(fake - step, smoothing)) / 2e-5
        assert found.numpy()[row, 0] == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_scores():
    assert OBJECTIVES.get("non_saturating").score(logits(0, 50)).item() == pytest.approx(0.75)
    assert OBJECTIVES.get("wasserstein").score(logits(0, 50)).item() == pytest.approx(25)
    for objective in OBJECTIVES.all():
        score = objective.score(logits(-100, 100)).item()
        assert not objective.probability or 0 <= score <= 1


# Refusals.


def test_unknown_objective():
    with pytest.raises(UnknownNameError, match=r"unknown objective 'hinje' \(did you mean 'hinge'"):
        get_objective("hinje")


@pytest.mark.parametrize("name", OBJECTIVES.names())
@pytest.mark.parametrize("side", ["real", "fake", "generator"])
def test_smoothing_needs_labels(name, side):
    smoothing = LabelSmoothing(**{side: 0.1})
    if name in SMOOTHABLE:
        assert get_objective(name, smoothing) is OBJECTIVES.get(name)
    else:
        with pytest.raises(ConfigError) as caught:
            get_objective(name, smoothing)
        assert f"{name} has no labels to smooth" in str(caught.value)
        assert "non_saturating, minimax, least_squares" in str(caught.value)


def test_no_smoothing_is_fine_everywhere():
    for name in OBJECTIVES.names():
        assert get_objective(name, LabelSmoothing()) is get_objective(name)
