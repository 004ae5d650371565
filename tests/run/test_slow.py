"""What takes minutes: ``make slow``."""

import numpy as np
import pytest

from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.metrics.features import open_features
from ppgan_zoo.metrics.label_accuracy import label_accuracy
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.run.train import train

pytestmark = pytest.mark.slow


def test_a_model_with_labels_draws_the_digit_that_is_asked_for(tmp_path):
    """In 95 of 100 cases at least, after half of the recipe, on the embedded images."""
    recipe = load_recipe(
        find_recipe("mnist_conditional"),
        ["training.iterations=1500", "samples.every_steps=500", "checkpoint.every_steps=500"],
    )
    train(recipe, tmp_path / "run", offline=True)
    sampler = open_sampler(tmp_path / "run")
    labels = sampler.labels_in_turn(1000)
    found = open_features("digits-v1")(sampler.sample(1000, 5, labels))
    assert label_accuracy(found.probabilities, labels) >= 0.95
    for label in range(10):  # and of each class
        of_one = np.flatnonzero(labels == label)
        assert label_accuracy(found.probabilities[of_one], labels[of_one]) >= 0.8, label
