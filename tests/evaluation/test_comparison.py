"""Two sets of pictures compared: any source, size and colour, by the shipped networks."""

import json

import numpy as np
import pytest
from PIL import Image

from ppgan_zoo.cli import main
from ppgan_zoo.data import load_image_set
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.comparison import Comparison, compare
from ppgan_zoo.metrics.features import open_features
from ppgan_zoo.metrics.frechet import Gaussian, frechet_distance


@pytest.fixture(scope="module")
def digits():
    return load_image_set("mnist", offline=True, limit=400, notify=lambda _: None).images


@pytest.fixture(scope="module")
def sets(digits, tmp_path_factory):
    """Two hundred digits as an array, and as many others as a folder of pictures."""
    folder = tmp_path_factory.mktemp("sets")
    np.save(folder / "array.npy", digits[:200, 0])
    (folder / "folder").mkdir()
    for number, image in enumerate(digits[200:]):
        Image.fromarray(image[0]).save(folder / "folder" / f"{number:03d}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


DIGITS = Comparison(features="digits-v1")


def quiet(_line):
    pass


def test_the_figures_are_those_of_the_features(sets, digits):
    result = compare(sets / "folder", sets / "array.npy", DIGITS, notify=quiet)
    network = open_features("digits-v1")
    one, other = (network(part).features for part in (digits[200:], digits[:200]))
    wanted = frechet_distance(Gaussian.of(other), Gaussian.of(one))
    assert result["metrics"]["fid"] == pytest.approx(wanted, rel=1e-4)
    assert result["pictures"]["count"] == result["real"]["count"] == 200
    assert result["settings"]["filter"] == "Pillow LANCZOS"
    assert 0 < result["metrics"]["recall"] <= 1 and result["floor"]["real"]["count"] == 100
    assert "digits-v1 sees every picture as 28 x 28 grey" in result["notes"][0]


def test_a_copy_is_told(sets):
    """Of a copy of all, half lie on the half that is taken for trained on, half beside it."""
    result = compare(sets / "array.npy", sets / "array.npy", DIGITS, notify=quiet)
    figures = result["metrics"]
    assert figures["fid"] == pytest.approx(0, abs=1e-6)
    assert figures["precision"] == figures["recall"] == figures["coverage"] == 1
    assert figures["memorisation"] == pytest.approx(0.75, abs=0.01)
    assert figures["memorisation_z"] > 3


def test_fresh_pictures_are_no_copies(sets):
    figures = compare(sets / "folder", sets / "array.npy", DIGITS, notify=quiet)["metrics"]
    assert 0.35 < figures["memorisation"] < 0.65


def test_pictures_of_another_size_and_colour(sets, digits):
    (sets / "large").mkdir()
    for number, image in enumerate(digits[:200]):
        large = Image.fromarray(image[0]).resize((84, 84), Image.Resampling.BICUBIC).convert("RGB")
        large.save(sets / "large" / f"{number:03d}.png")
    near = compare(sets / "large", sets / "array.npy", DIGITS, notify=quiet)["metrics"]
    far = compare(sets / "folder", sets / "array.npy", DIGITS, notify=quiet)["metrics"]
    assert near["fid"] < far["fid"]


def test_a_part_of_a_large_set(sets):
    how = Comparison(features="digits-v1", most=100, metrics=("fid",), floor=False)
    result = compare(sets / "folder", sets / "array.npy", how, notify=quiet)
    assert result["pictures"]["count"] == 100 and list(result["metrics"]) == [
        "fid",
        "fid_standard_error",
    ]
    assert result["floor"] is None


def test_the_command(sets, capsys):
    words = ["evaluate", str(sets / "folder"), "--against", str(sets / "array.npy")]
    words += ["--features", "digits-v1", "--output", str(sets / "r.json")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "200 pictures of" in said and "features digits-v1" in said
    assert "floor: one half of the second set against the other, 100 pictures each" in said
    result = json.loads((sets / "r.json").read_text())
    assert result["features"]["name"] == "digits-v1" and result["made_by"].startswith("ppgan_zoo")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--best",), "--best: is for a model"),
        (("--data", "mnist"), "--data: is for a model"),
        (("--split", "train"), "--split train: is for a model"),
        (("--resize", "64"), "--resize 64: digits-v1 takes 28 x 28 pixels"),
        (("--metrics", "label_accuracy"), "label_accuracy needs samples that are made for a class"),
        (("--num-samples", "5"), "--num-samples 5: give 100"),
        (("--features", "nothing-v1"), "unknown feature network 'nothing-v1'"),
    ],
)
def test_what_cannot_be_compared_is_one_line(options, said, sets, capsys):
    words = ["evaluate", str(sets / "folder"), "--against", str(sets / "array.npy")]
    assert main([*words, "--features", "digits-v1", *options]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_set_that_is_not_there_or_too_small(sets, digits, capsys):
    words = ["evaluate", str(sets / "nowhere"), "--against", str(sets / "array.npy")]
    assert main([*words, "--features", "digits-v1"]) == 2
    assert "nowhere" in capsys.readouterr().err
    np.save(sets / "few.npy", digits[:99, 0])
    words[1] = str(sets / "few.npy")
    assert main([*words, "--features", "digits-v1"]) == 2
    assert "99 pictures; metrics need 100" in capsys.readouterr().err


def test_a_network_of_any_size_needs_one(sets, monkeypatch):
    from ppgan_zoo.evaluation import comparison

    network = open_features("digits-v1")
    anything = type(network)("any-v1", "0" * 64, 4, None, None, lambda images: None, None)
    monkeypatch.setattr(comparison, "open_features", lambda name, weights: anything)
    with pytest.raises(ConfigError, match=r"any-v1: takes pictures of any size; .* --resize 64"):
        compare(sets / "folder", sets / "array.npy", Comparison(features="any-v1"), notify=quiet)
