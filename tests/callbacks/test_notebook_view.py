"""What training draws below a cell, by an IPython display that the test reads."""

import re

import pytest

import ppgan_zoo
from ppgan_zoo.callbacks.notebook import MOST_POINTS, NotebookView, _thinned
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.training.loop import Callback

pytest.importorskip("IPython", reason="ipykernel is not installed")


@pytest.fixture
def shown(monkeypatch):
    """All pages that were displayed or put in the place of one."""
    pages = []

    class Handle:
        def update(self, page):
            pages.append(page.data)

    def display(page, display_id):
        pages.append(page.data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    return pages


def trainer_of(**shared):
    gan = ppgan_zoo.create("gan_mlp", latent_dim=4, **shared)
    return ppgan_zoo.make_trainer(gan, seed=0)


def test_samples_and_curves_are_drawn_anew(batches, shown, capsys):
    view = NotebookView(6, every_steps=2, grid=(2, 3))
    trainer_of().fit(batches, iterations=6, callbacks=[view])
    assert len(shown) == 1 + 3 + 1  # before, every two iterations, and at the end
    captions = [re.search(r"<figcaption>(.*?)</figcaption>", page)[1] for page in shown]
    assert captions[0] == "iteration 0" and captions[-1] == "iteration 6"
    assert re.fullmatch(r"iteration 4  D [\d.]+  G [\d.]+", captions[2])
    assert ["<svg" in page for page in shown] == [False, False, True, True, True]
    assert {tag: [step for step, _ in points] for tag, points in view.points.items()} == {
        tag: [2, 4, 6]
        for tag in ("loss/discriminator", "loss/generator", "score/real", "score/fake")
    }
    bar = capsys.readouterr().err
    assert "training" in bar and "6/6" in bar


def test_an_error_leaves_the_last_drawing(batches, shown):
    class Failing(Callback):
        def on_step_end(self, trainer, scalars):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        trainer_of().fit(batches, iterations=6, callbacks=[NotebookView(grid=(1, 2)), Failing()])
    assert len(shown) == 1


def test_outside_of_a_notebook_it_only_shows_the_bar(batches, monkeypatch, capsys):
    monkeypatch.setattr("IPython.display.display", lambda page, display_id: None)
    trainer_of().fit(batches, iterations=2, callbacks=[NotebookView(every_steps=1, grid=(1, 2))])
    assert "training" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"every_steps": 0}, {"grid": (0, 3)}])
def test_wrong_numbers_are_one_line(wrong):
    with pytest.raises(ConfigError, match="1 or more"):
        NotebookView(**wrong)


def test_a_long_curve_is_thinned_evenly_and_keeps_its_end():
    drawn = _thinned([(step, step / 2) for step in range(10_001)])
    assert drawn.shape == (MOST_POINTS, 2)
    assert drawn[0].tolist() == [0, 0] and drawn[-1].tolist() == [10_000, 5_000]
    steps = drawn[1:, 0] - drawn[:-1, 0]
    assert steps.min() >= 25 and steps.max() <= 26
