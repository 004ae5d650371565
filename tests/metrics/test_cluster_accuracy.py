"""Categories beside classes: by hand, and the assignment against all permutations."""

import itertools
import json

import numpy as np
import pytest

from ppgan_zoo.cli import main
from ppgan_zoo.metrics.cluster_accuracy import best_assignment, cluster_accuracy
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.run.train import train


def test_by_hand():
    predicted = np.array([0, 0, 1, 1, 2, 2])
    assert cluster_accuracy(predicted, np.array([2, 2, 0, 0, 1, 1])) == 1.0
    # Category 1 shows class 0 twice and class 1 once; category 0 class 1, and category 2 class 2.
    assert cluster_accuracy(predicted, np.array([1, 1, 1, 0, 2, 2])) == pytest.approx(5 / 6)
    # Two categories share a class: only one of them can have it.
    assert cluster_accuracy(np.zeros(4, int), np.array([0, 0, 0, 1])) == 0.75
    # More categories than classes, and the reverse.
    assert cluster_accuracy(np.array([0, 1, 1]), np.array([3, 1, 2])) == pytest.approx(2 / 3)
    assert cluster_accuracy(np.array([5, 5, 3]), np.array([0, 0, 1])) == 1.0


def test_of_chance_it_is_little_above_the_share_of_a_class():
    rng = np.random.default_rng(0)
    found = cluster_accuracy(rng.integers(0, 10, 20_000), rng.integers(0, 10, 20_000))
    assert 0.1 <= found < 0.12


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_no_other_assignment_costs_less(size):
    rng = np.random.default_rng(size)
    for trial in range(20):
        costs = rng.normal(size=(size, size)) if trial % 2 else rng.integers(-4, 4, (size, size))
        columns = best_assignment(costs)
        assert sorted(columns) == list(range(size))
        least = min(
            costs[np.arange(size), list(order)].sum()
            for order in itertools.permutations(range(size))
        )
        assert costs[np.arange(size), columns].sum() == pytest.approx(least)


@pytest.mark.parametrize(
    ("predicted", "categories"), [((3,), (2,)), ((0,), (0,)), ((2, 2), (2, 2))]
)
def test_what_does_not_fit_is_refused(predicted, categories):
    with pytest.raises(ValueError, match="categories"):
        cluster_accuracy(np.zeros(predicted, int), np.zeros(categories, int))


RECIPE = """\
model: {name: infogan, generator: {hidden_units: 8, channels: [4, 4]}, discriminator: {channels: [4, 4]}}
latent: {dim: 13}
data: {name: mnist, batch_size: 8, limit: 200}
training: {iterations: 2}
optimizer: {generator: {learning_rate: 0.1}}
checkpoint: {every_steps: 2}
evaluation: {every_steps: 2, metrics: [cluster_accuracy], num_samples: 100, split: train}
samples: {every_steps: 2, grid: [2, 2], real_rows: 0}
"""


def test_it_is_taken_in_training_and_by_evaluate_of_a_model_with_a_categorical_code(
    tmp_path, capsys
):
    (tmp_path / "r.yml").write_text(RECIPE)
    train(load_recipe(tmp_path / "r.yml"), tmp_path / "run", offline=True)
    logged = "".join(path.read_text() for path in (tmp_path / "run").glob("*.log"))
    assert "cluster_accuracy 0." in logged
    words = ["--split", "train", "--num-samples", "100", "--offline", "--format", "json"]
    assert main(["evaluate", str(tmp_path / "run"), *words]) == 0
    figures = json.loads(capsys.readouterr().out)["metrics"]
    assert 0.1 <= figures["cluster_accuracy"] <= 1.0 and "label_accuracy" not in figures
