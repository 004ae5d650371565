"""The models that come with the package: pinned, described, and able to draw."""

import numpy as np
import pytest
from conftest import ROOT

from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.metrics.features import open_features
from ppgan_zoo.registry import DATA, WEIGHTS
from ppgan_zoo.weights.card import card_text, read_card

SHIPPED = sorted(WEIGHTS.built_in)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_card_is_its_page_and_says_what_a_user_must_know(name):
    checkpoint = WEIGHTS.get(name).checkpoint()
    card = read_card(checkpoint)
    page = (checkpoint.path / "README.md").read_text(encoding="utf-8")
    assert page == card_text(card, checkpoint.iteration, checkpoint.model)
    assert card.name == name
    assert card.licence == "Apache-2.0" and card.data.licence != "not stated"
    assert card.faults and card.trained["git_commit"]
    assert card.rounding.largest_grey_levels <= 1
    (table,) = card.figures
    assert len(table.seeds) >= 3 and table.num_samples == 10_000 and table.floor["fid"] > 0
    fid = table.values["fid"]
    assert table.floor["fid"] < fid.lowest <= fid.mean <= fid.highest


@pytest.mark.parametrize("name", SHIPPED)
def test_the_package_holds_the_pinned_bytes_and_no_more(name):
    folder = WEIGHTS.get(name).folder
    assert folder == ROOT / "ppgan_zoo" / "weights" / name
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {"README.md", "checkpoint.json", "generator.safetensors"}
    assert sum(files.values()) < 4 << 20


@pytest.mark.parametrize("name", SHIPPED)
def test_its_samples_are_of_every_class(name, monkeypatch):
    monkeypatch.setattr("socket.socket", None)  # no network
    images = open_sampler(name).sample(256, 0)
    data = read_card(WEIGHTS.get(name).checkpoint()).data.name
    found = open_features(DATA.get(data).features)(images).probabilities
    counts = np.bincount(found.argmax(axis=1), minlength=10)
    assert (counts > 256 / 10 / 4).all(), counts
    assert np.median(found.max(axis=1)) > 0.9  # most are sure to be one of them


def test_each_is_on_the_page():
    text = (ROOT / "docs" / "pretrained.md").read_text(encoding="utf-8")
    for name in SHIPPED:
        fid = read_card(WEIGHTS.get(name).checkpoint()).figures[0].values["fid"]
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"{fid.mean:.2f} ({fid.lowest:.2f} to {fid.highest:.2f})" in row
