"""The leaderboard that the documentation shows is what its runs say."""

import shutil

from conftest import ROOT

from ppgan_zoo.cli import main
from ppgan_zoo.leaderboard.board import read_leaderboard
from ppgan_zoo.leaderboard.publish import samples_of
from ppgan_zoo.recipe.shipped import shipped_recipes

PUBLISHED = ROOT / "docs" / "results" / "leaderboard"


def test_the_page_is_that_of_its_runs(tmp_path, capsys):
    copy = tmp_path / "leaderboard"
    shutil.copytree(PUBLISHED, copy)
    assert main(["leaderboard", "show", str(copy)]) == 0
    for name in ("leaderboard.md", "leaderboard.json"):
        assert (copy / name).read_bytes() == (PUBLISHED / name).read_bytes()


def test_every_run_has_its_samples_and_is_of_a_shipped_recipe():
    leaderboard = read_leaderboard(PUBLISHED)
    assert leaderboard.runs
    wanted = {
        samples_of(PUBLISHED, board, entry.recipe, run.seed)
        for board, result in leaderboard.boards.items()
        for entry in result.entries.values()
        for run in entry.runs
        if run.outcome != "failed"
    }
    assert set((PUBLISHED / "samples").iterdir()) == wanted
    for result in leaderboard.boards.values():
        assert set(result.entries) <= set(shipped_recipes())
