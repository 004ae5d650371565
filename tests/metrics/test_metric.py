"""Metrics by name: their order, what each needs, and those of plugins."""

import importlib.metadata
import sys
import types

import numpy as np
import pytest

from ppgan_zoo.errors import ConfigError, PluginError
from ppgan_zoo.metrics.features import FeatureSet
from ppgan_zoo.metrics.label_accuracy import label_accuracy
from ppgan_zoo.metrics.metric import Metric, RealFeatures, check_metrics, metric_names, take_metrics
from ppgan_zoo.metrics.table import ROWS, format_result
from ppgan_zoo.registry import METRICS

FIGURES = {
    "fid": ("fid", "fid_standard_error"),
    "kid": ("kid", "kid_standard_error"),
    "class_score": ("class_score", "class_score_std"),
    "precision_recall": ("precision", "recall"),
    "density_coverage": ("density", "coverage"),
    "modes": ("modes", "class_entropy"),
    "sharpness": ("sharpness",),
    "memorisation": ("memorisation", "memorisation_z", "memorisation_ratio"),
    "label_accuracy": ("label_accuracy",),
    "cluster_accuracy": ("cluster_accuracy",),
    "factors": (
        "factor_recall", "least_factor_recall", "factor_distance", "largest_factor_distance",
    ),
}  # fmt: skip
OF_ANY_IMAGES = [name for name in FIGURES if name != "factors"]  # which is for avatars alone


@pytest.fixture(autouse=True)
def registered():
    """What a test registers is gone after it."""
    before = dict(METRICS._registered)
    yield
    METRICS._registered.clear()
    METRICS._registered.update(before)


def points(seed, classes=4):
    """Features of 120 images of 5 dimensions, and what class each surely is of."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(120, 5)).astype(np.float32)
    classes_of = np.eye(classes, dtype=np.float32)[np.arange(120) % classes]
    return FeatureSet(features, classes_of, sharpness=1 + features[:, 0] ** 2)


@pytest.fixture
def real():
    return RealFeatures(points(1), points(2).features)


def test_every_metric_is_taken_in_the_order_of_the_table(real):
    assert {metric.name: metric.figures for metric in METRICS.all()} == FIGURES
    assert metric_names() == list(FIGURES)
    shown = np.arange(120) % 4
    found = take_metrics(
        points(0), real, reversed(OF_ANY_IMAGES), labels=shown, categories=(shown + 1) % 4
    )
    assert list(found) == [figure for name in OF_ANY_IMAGES for figure in FIGURES[name]]
    assert (found["modes"], found["label_accuracy"], found["cluster_accuracy"]) == (4, 1.0, 1.0)
    assert found["class_score"] == pytest.approx(4.0, rel=0.01)
    assert set(found) - set(ROWS) == {
        "fid_standard_error", "kid_standard_error", "class_score_std",
    }  # fmt: skip


def test_the_metrics_that_say_what_they_need():
    needs = {
        need: [metric.name for metric in METRICS.all() if getattr(metric, f"needs_{need}")]
        for need in ("classes", "training_images", "labels", "categories")
    }
    assert needs == {
        "classes": ["class_score", "modes", "label_accuracy", "cluster_accuracy", "factors"],
        "training_images": ["memorisation"],
        "labels": ["label_accuracy"],
        "categories": ["cluster_accuracy"],
    }
    assert [m.name for m in METRICS.all() if not m.source] == ["modes", "factors"]
    assert {m.name: m.network for m in METRICS.all() if m.network} == {"factors": "avatars-v1"}


def test_what_is_not_there_is_named_in_one_line(real):
    bare = FeatureSet(points(0).features, None)
    for samples, side, names, words in (
        (points(0), real, ["fjd"], "metrics: unknown metric 'fjd' (did you mean 'fid'?); known: "),
        (bare, real, ["fid", "modes"], "metrics: modes needs predicted classes"),
        (points(0), RealFeatures(points(1)), ["memorisation"], "memorisation: needs the training"),
        (
            points(0),
            real,
            ["label_accuracy"],
            "metrics: label_accuracy needs samples that are made",
        ),
        (
            points(0),
            real,
            ["cluster_accuracy"],
            "metrics: cluster_accuracy needs samples that are made for a category each",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            take_metrics(samples, side, names)
        assert str(caught.value).startswith(words)
        assert "\n" not in str(caught.value)
    assert check_metrics(("label_accuracy",), classes=True, labels=True) == ["label_accuracy"]


def test_what_real_images_need_is_worked_out_once(real, monkeypatch):
    seen = []

    def count(side, k):
        seen.append(k)
        return len(side.features.features) + k

    assert [real.once(count, k) for k in (3, 5, 3)] == [123, 125, 123]
    assert seen == [3, 5]
    assert RealFeatures(points(1)).once(count, 3) == 123
    assert seen == [3, 5, 3]
    # The same figures the second time, from what was kept.
    names = OF_ANY_IMAGES[:-2]  # all that need nothing of the samples but what they are
    assert take_metrics(points(0), real, names) == take_metrics(points(0), real, names)


# Label accuracy.


def test_label_accuracy_by_hand():
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.1, 0.9], [0.8, 0.2]])
    assert label_accuracy(probabilities, np.array([0, 1, 0, 1])) == 0.5
    assert label_accuracy(probabilities, np.array([0, 1, 1, 0])) == 1.0
    with pytest.raises(ValueError, match="labels"):
        label_accuracy(probabilities, np.array([0, 1]))


def test_labels_that_do_not_fit_the_samples_or_the_network_are_refused(real):
    with pytest.raises(ValueError, match=r"labels \[3\] for 120 samples"):
        take_metrics(points(0), real, ["label_accuracy"], labels=np.zeros(3, np.int64))
    with pytest.raises(ConfigError, match="of class 4, and the feature network knows 0 to 3"):
        take_metrics(points(0), real, ["label_accuracy"], labels=np.full(120, 4))


# Plugins.


def mean_gap(samples, real):
    centre = real.once(centre_of)
    return (float(np.linalg.norm(samples.features.mean(axis=0) - centre)),)


def centre_of(real):
    return real.features.features.mean(axis=0)


MEAN_GAP = Metric("a_mean_gap", ("mean_gap",), mean_gap)


def test_a_registered_metric_is_taken_last(real):
    METRICS.register(MEAN_GAP)
    assert metric_names() == [*FIGURES, "a_mean_gap"]
    found = take_metrics(points(0), real, ["a_mean_gap", "fid"])
    assert list(found) == ["fid", "fid_standard_error", "mean_gap"]
    gap = points(0).features.mean(axis=0) - points(1).features.mean(axis=0)
    assert found["mean_gap"] == pytest.approx(np.linalg.norm(gap))


def test_a_metric_of_an_installed_package_is_taken_by_name(real, monkeypatch):
    point = importlib.metadata.EntryPoint("a_mean_gap", "gap_module:GAP", "ppgan_zoo.metrics")
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda *, group: importlib.metadata.EntryPoints([point] if group == point.group else []),
    )
    module = types.ModuleType("gap_module")
    module.GAP = MEAN_GAP
    monkeypatch.setitem(sys.modules, "gap_module", module)
    assert list(take_metrics(points(1), real, ["a_mean_gap"])) == ["mean_gap"]


@pytest.mark.parametrize("figures", [(), ("a", "a")])
def test_a_metric_without_figures_is_refused(figures):
    with pytest.raises(PluginError, match="figures .*; give one name or more, none twice"):
        METRICS.register(Metric("empty", figures, mean_gap))


def test_the_table_shows_figures_that_the_zoo_does_not_know():
    result = {
        "notes": [], "floor": None, "settings": {"num_samples": 120, "seed": 0},
        "metrics": {"mean_gap": 0.25, "kid": 0.001, "kid_standard_error": 0.0005},
        "model": {"model": "m", "iteration": 1, "weights": "ema", "path": "p"},
        "real": {"count": 120, "split": "test", "name": "s"},
        "features": {"name": "n", "sha256": "0" * 64},
    }  # fmt: skip
    rows = [line.split() for line in format_result(result).splitlines()[-2:]]
    assert rows == [
        ["KID", "x", "1000", "1.000", "+-", "0.500", "lower"],
        ["mean", "gap", "0.2500"],
    ]
