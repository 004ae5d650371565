"""The relativistic objectives: closed forms, values worked out by hand, and directions."""

import numpy as np
import paddle
import pytest

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.objectives import LabelSmoothing, get_objective
from ppgan_zoo.registry import OBJECTIVES

HARD = LabelSmoothing()
NAMES = ["relativistic_average", "relativistic_pairing"]


def column(*values):
    return paddle.to_tensor(np.array(values, np.float32).reshape(-1, 1), stop_gradient=False)


def losses(name, real, fake):
    objective = get_objective(name)
    real, fake = column(*real), column(*fake)
    return (
        float(objective.discriminator_loss(real, fake, HARD)),
        float(objective.generator_loss(fake, real, HARD)),
    )


def softplus(x):
    return np.logaddexp(0.0, x)


# By hand: softplus(0) = ln 2, softplus(50) = 50, softplus(-50) = 0; for the mixed row
# real = (2, 0) and fake = (-1, 1): both means are known, 1 and 0.
LN2 = 0.6931472
BY_HAND = [
    ("relativistic_average", [0.0], [0.0], 2 * LN2, 2 * LN2),
    ("relativistic_average", [50.0], [-50.0], 0.0, 200.0),
    ("relativistic_average", [-50.0], [50.0], 200.0, 0.0),
    # D: (sp(-2) + sp(0)) / 2 + (sp(-2) + sp(0)) / 2; G: (sp(2) + sp(0)) / 2 twice
    ("relativistic_average", [2.0, 0.0], [-1.0, 1.0], 0.1269280 + LN2, 2.1269280 + LN2),
    ("relativistic_pairing", [0.0], [0.0], LN2, LN2),
    ("relativistic_pairing", [50.0], [-50.0], 0.0, 100.0),
    ("relativistic_pairing", [-50.0], [50.0], 100.0, 0.0),
    # pairs differ by 3 and by -1: D (sp(-3) + sp(1)) / 2, G (sp(3) + sp(-1)) / 2
    ("relativistic_pairing", [2.0, 0.0], [-1.0, 1.0],
     (0.0485874 + 1.3132617) / 2, (3.0485874 + 0.3132617) / 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "real", "fake", "of_d", "of_g"), BY_HAND)
def test_values_by_hand(name, real, fake, of_d, of_g):
    assert losses(name, real, fake) == pytest.approx((of_d, of_g), abs=1e-5)


def closed_form(name, real, fake):
    if name == "relativistic_average":
        of_d = softplus(-(real - fake.mean())).mean() + softplus(fake - real.mean()).mean()
        of_g = softplus(-(fake - real.mean())).mean() + softplus(real - fake.mean()).mean()
        return of_d, of_g
    return softplus(-(real - fake)).mean(), softplus(-(fake - real)).mean()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_closed_form_at_random_logits(name, scale):
    real, fake = scale * np.random.default_rng(3).normal(size=(2, 16))
    assert losses(name, real, fake) == pytest.approx(closed_form(name, real, fake), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_d_raises_real_and_lowers_fake_and_a_step_of_g_raises_fake(name):
    objective = get_objective(name)
    real, fake = column(-3.0, 0.0, 2.0), column(1.0, 0.0, -4.0)
    objective.discriminator_loss(real, fake, HARD).backward()
    assert (real.grad.numpy() < 0).all() and (fake.grad.numpy() > 0).all()
    fake = column(1.0, 0.0, -4.0)
    objective.generator_loss(fake, real.detach(), HARD).backward()
    assert (fake.grad.numpy() < 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_only_differences_of_scores_count(name):
    real, fake = np.random.default_rng(4).normal(size=(2, 8))
    assert losses(name, real + 7, fake + 7) == pytest.approx(losses(name, real, fake), abs=1e-5)


def test_smoothing_is_for_objectives_with_labels_only():
    able = {name for name, objective in OBJECTIVES.items() if objective.smoothable}
    assert able == {"non_saturating", "minimax", "least_squares"}
    for name in OBJECTIVES.keys() - able:
        with pytest.raises(ConfigError, match="has no labels to smooth"):
            get_objective(name, LabelSmoothing(generator=0.1))
