"""Which values of each factor avatars have: on real pictures that lack some, and by hand."""

import json

import numpy as np
import pytest

from ppgan_zoo.cli import main
from ppgan_zoo.data import load_image_set
from ppgan_zoo.data.avatars import NO_VALUE, STYLES, load_factor_names, load_factors
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.metrics import factors
from ppgan_zoo.metrics.features import FeatureSet, open_features
from ppgan_zoo.metrics.metric import RealFeatures, check_metrics, take_details, take_metrics

STYLE = STYLES.index("lorelei")
HAIR = list(load_factor_names()["lorelei"]).index("hairVariant")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def train():
    return factors._embedded()


@pytest.fixture(scope="module")
def real():
    images = load_image_set("avatars", split="test")
    return RealFeatures(open_features("avatars-v1")(images.images))


def part(features, rows):
    return FeatureSet(features.features[rows], features.probabilities[rows])


def told(samples, real):
    return take_details(samples, real, ["factors", "fid"])["factors"]


def test_shares_by_hand():
    found = factors.compare_shares(
        np.array([0.5, 0.01, 0.0, 0.49]), np.array([0.25, 0.25, 0.5, 0.0]), ("a", "b", "c", "d")
    )
    assert found.missing == ("b", "c")  # "b" has less than a tenth of its share; no "d" is wanted
    assert found.recall == pytest.approx(1 / 3)
    assert found.distance == pytest.approx((0.25 + 0.24 + 0.5 + 0.49) / 2)
    none = factors.compare_shares(np.zeros(2), np.array([0.5, 0.5]), ("a", "b"))
    assert (none.recall, none.distance, none.missing) == (0.0, 1.0, ("a", "b"))


def test_a_discriminant_of_two_gaussians_is_where_their_densities_meet():
    """Of equal spread 1, means 0 and 4, and shares 0.9 and 0.1: at 2 + log(9) / 4."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (90_000, 1)), rng.normal(4, 1, (10_000, 1))])
    reader = factors.Reader.of(rows, np.repeat([0, NO_VALUE], [90_000, 10_000]), ["x"])
    border = 2 + np.log(9) / 4
    assert reader.values == ("x", factors.NONE)
    assert list(reader.read(np.array([[border - 0.05], [border + 0.05]]))) == [0, 1]


def test_the_factors_that_are_judged_are_read_rightly(train, real):
    """As often as is stated, on the embedded test pictures, 100 of each style."""
    images, chosen = load_image_set("avatars", split="test"), load_factors("test")
    names, rights, stated = load_factor_names(), [], []
    assert sum(map(len, factors.READABLE.values())) == 39
    for style, judged in factors.READABLE.items():
        rows = images.labels == STYLES.index(style)
        for factor, accuracy in judged.items():
            reader = factors._readers()[style, factor]
            values = chosen[rows, list(names[style]).index(factor)]
            truth = [
                factors.NONE if value == NO_VALUE else names[style][factor][value]
                for value in values
            ]
            said = [reader.values[value] for value in reader.read(real.features.features[rows])]
            right = np.mean([a == b for a, b in zip(said, truth)])
            assert right > 0.8, (style, factor, right)
            rights.append(right)
            stated.append(accuracy)
    assert np.mean(rights) == pytest.approx(np.mean(stated), abs=0.02)
    assert min(stated) >= 0.9


def test_real_training_pictures_have_all_there_is(train, real):
    found = take_metrics(train[0], real, ["factors"])
    assert found["factor_recall"] == found["least_factor_recall"] == 1.0
    assert 0 < found["factor_distance"] < 0.15 and found["largest_factor_distance"] < 0.4
    same = take_metrics(real.features, real, ["factors"])
    assert same["factor_recall"] == 1.0 and same["largest_factor_distance"] == 0.0


def test_a_hair_that_is_never_drawn_is_named(train, real):
    features, labels = train
    values = load_factors("train")[:, HAIR]
    of_style = load_factors("test")[load_image_set("avatars", split="test").labels == STYLE, HAIR]
    dropped = np.bincount(of_style).argmax()
    kept = (labels != STYLE) | (values != dropped)
    found = told(part(features, kept), real)
    hair = found["lorelei"].pop("hairVariant")
    name = load_factor_names()["lorelei"]["hairVariant"][dropped]
    assert hair["missing"] == [name]
    assert hair["recall"] == pytest.approx(1 - 1 / len(set(of_style)), abs=1e-4)
    assert all(each["recall"] == 1 for style in found.values() for each in style.values())


def test_the_distance_is_that_of_the_true_values(train, real):
    """Of hair, which is read without an error: half of the samples are those of few kinds."""
    features, labels = train
    values, of_test = load_factors("train")[:, HAIR], load_factors("test")[:, HAIR]
    test_labels = load_image_set("avatars", split="test").labels
    kept = (labels != STYLE) | (values < 9)
    found = told(part(features, kept), real)["lorelei"]["hairVariant"]
    shares = [
        np.bincount(rows, minlength=48) / len(rows)
        for rows in (values[kept & (labels == STYLE)], of_test[test_labels == STYLE])
    ]
    assert found["distance"] == pytest.approx(0.5 * np.abs(shares[0] - shares[1]).sum(), abs=0.02)
    assert found["distance"] > 0.7


def test_a_style_that_is_never_drawn_has_no_recall(train, real):
    features, labels = train
    found = told(part(features, labels != STYLE), real)
    assert {(each["recall"], each["distance"]) for each in found["lorelei"].values()} == {(0, 1)}
    figures = take_metrics(part(features, labels != STYLE), real, ["factors"])
    assert figures["factor_recall"] == pytest.approx(36 / 39)
    assert (figures["least_factor_recall"], figures["largest_factor_distance"]) == (0, 1)


def test_what_are_no_avatars_is_refused(train, real):
    network, rng = open_features("avatars-v1"), np.random.default_rng(0)
    digits = load_image_set("mnist", offline=True, limit=200, notify=lambda _: None)
    noise = rng.integers(0, 256, (200, 3, 32, 32), np.uint8)
    others = [network(255 - digits.resized(32, 3).images), network(noise)]
    others.append(open_features("digits-v1")(digits.images))
    others.append(FeatureSet(np.zeros((200, 8), np.float32), np.eye(10, dtype=np.float32)[:1]))
    for other in others:
        with pytest.raises(ConfigError, match="factors: the real images are no avatars .* leave"):
            take_metrics(train[0], RealFeatures(other), ["factors"])
    with pytest.raises(ConfigError, match="is for the feature network avatars-v1 .* not for digit"):
        check_metrics(["factors"], classes=True, network="digits-v1")


def test_the_command_compares_two_sets_by_it(tmp_path, capsys):
    images = load_image_set("avatars", split="test").images
    for name, rows in (("one", slice(0, 500)), ("other", slice(500, None))):
        np.save(tmp_path / f"{name}.npy", images[rows].transpose(0, 2, 3, 1))
    words = ["evaluate", str(tmp_path / "one.npy"), "--against", str(tmp_path / "other.npy")]
    output = tmp_path / "result.json"
    words += ["--metrics", "factors", "--features"]
    assert main([*words, "avatars-v1", "--output", str(output)]) == 0
    assert "factors: recall" in capsys.readouterr().out
    result = json.loads(output.read_text())
    found = result["details"]["factors"]["cutouts"]["headVariant"]
    assert found == {"recall": 1.0, "distance": found["distance"], "missing": []}
    assert 0 < found["distance"] < 0.5 and result["floor"]["details"]["factors"]
    assert main([*words, "digits-v1"]) == 2
    assert "is for the feature network avatars-v1" in capsys.readouterr().err
