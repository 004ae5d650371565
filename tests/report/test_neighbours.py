"""Samples beside their nearest training pictures: the right ones, and what the page says of them."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY

from ppgan_zoo.cli import main
from ppgan_zoo.evaluation import sampler as sampling
from ppgan_zoo.metrics.distances import nearest
from ppgan_zoo.report import neighbours as searching
from ppgan_zoo.report.facts import Neighbours, read_run
from ppgan_zoo.report.neighbours import find_neighbours
from ppgan_zoo.report.page import page


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "r.yml").write_text(TINY)
    arguments = ["train", "-c", str(folder / "r.yml"), "--offline"]
    assert main([*arguments, "--output", str(folder / "run")]) == 0
    return folder / "run"


@pytest.mark.parametrize("chunk", [1 << 23, 12])
def test_the_nearest_are_those_that_a_plain_search_finds(chunk, monkeypatch):
    from ppgan_zoo.metrics import distances

    monkeypatch.setattr(distances, "CHUNK_VALUES", chunk)
    rng = np.random.default_rng(0)
    points, others = rng.normal(size=(7, 4)), rng.normal(size=(11, 4))
    table = np.linalg.norm(points[:, None] - others[None], axis=2)
    least, places = nearest(points, others)
    np.testing.assert_array_equal(places, table.argmin(axis=1))
    np.testing.assert_allclose(least, table.min(axis=1), rtol=1e-12)
    own = np.arange(11)
    _, without_own = nearest(others, others, own=own)
    between = np.linalg.norm(others[:, None] - others[None], axis=2)
    np.fill_diagonal(between, np.inf)
    np.testing.assert_array_equal(without_own, between.argmin(axis=1))
    twice = np.concatenate([others, others])
    np.testing.assert_array_equal(nearest(points, twice)[1] % 11, places)  # either of the same


def training_of(run):
    """The pictures that the tiny recipe trains on."""
    from ppgan_zoo.recipe.load import load_recipe
    from ppgan_zoo.run.build import load_images

    return load_images(load_recipe(run / "recipe.yml"), offline=True).images


@pytest.mark.parametrize("by", ["digits-v1", "pixels"])
def test_copies_are_their_own_neighbours(run, monkeypatch, by):
    training = training_of(run)
    copies = training[[3, 0, 17]]
    monkeypatch.setattr(sampling.Sampler, "sample", lambda self, count, seed: copies[:count])
    if by == "pixels":
        monkeypatch.setattr(searching, "_network", lambda data, images: None)
    found = find_neighbours(run, 3, offline=True)
    np.testing.assert_array_equal(found.nearest, copies)
    assert found.ratio == pytest.approx(0.0, abs=1e-6)
    assert (found.measured_by, found.trained_on, found.is_known) == (by, len(training), True)


def test_samples_that_are_no_copies_are_compared_by_pixels_as_a_plain_search_does(run, monkeypatch):
    monkeypatch.setattr(searching, "_network", lambda data, images: None)
    found = find_neighbours(run, 5, offline=True)
    flat = training_of(run).reshape(len(training_of(run)), -1).astype(float)
    mine = found.samples.reshape(5, -1).astype(float)
    table = np.linalg.norm(mine[:, None] - flat[None], axis=2)
    np.testing.assert_array_equal(found.nearest.reshape(5, -1), flat[table.argmin(axis=1)])
    own = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.fill_diagonal(own, np.inf)
    usual = np.median(own.min(axis=1))  # of no more than 500 pictures, all are looked at
    assert found.ratio == pytest.approx(np.median(table.min(axis=1)) / usual, rel=1e-9)


def picture(neighbours, run):
    """The page's picture, and its caption."""
    text = page([replace(read_run(run), neighbours=neighbours)])
    section = text.split("<h3>Nearest training pictures</h3>")[1]
    return re.search(r"<figcaption>(.*?)</figcaption>", section)[1]


def test_the_page_shows_pairs_and_says_how_near_they_are(run):
    samples = np.zeros((14, 1, 8, 8), np.uint8)
    found = Neighbours(samples, samples + 9, 0.031, "digits-v1", 1234, True)
    caption = picture(found, run)
    assert "the nearest of 1,234 training pictures, by digits-v1." in caption
    assert "0.03 times as far" in caption
    unsure = picture(replace(found, is_known=False), run)
    assert "which may not be those the run was trained on" in unsure
    assert "Nearest" not in page([read_run(run)])


def test_the_command_puts_them_into_the_page(run, tmp_path, capsys):
    output = tmp_path / "r.html"
    arguments = ["report", str(run), "--output", str(output), "--offline"]
    assert main([*arguments, "--neighbours", "4"]) == 0
    assert "Nearest training pictures" in output.read_text()
    capsys.readouterr()
    for wrong, says in (
        (["--neighbours", "97"], "--neighbours 97: give 0 to 96"),
        (["--neighbours", "-1"], "--neighbours -1: give 0 to 96"),
        (["--data-dir", "x"], "--data-dir: is for --neighbours"),
    ):
        assert main([*arguments, *wrong]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line


def test_a_report_without_them_imports_no_paddle(run, tmp_path):
    script = (
        "import sys\nfrom ppgan_zoo.cli import main\n"
        "assert main(['report', sys.argv[1], '--output', sys.argv[2]]) == 0\n"
        "assert 'paddle' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(run), str(tmp_path / "r.html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
