"""The leaderboard: who takes part, how long, what counts, parts put together, pages."""

import json
import math
import re

import numpy as np
import pytest

from ppgan_zoo.cli import main
from ppgan_zoo.data import load_image_set, write_idx
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.leaderboard.board import (
    BoardResult,
    Entry,
    Leaderboard,
    Score,
    lines_of,
    merge,
    read_leaderboard,
)
from ppgan_zoo.leaderboard.contest import BOARDS, Pace, competitors, find_paces, search_file
from ppgan_zoo.leaderboard.driver import check_folder, write_pages
from ppgan_zoo.leaderboard.length import stretched
from ppgan_zoo.leaderboard.page import markdown, page, rows_of
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.search import load_search

MNIST, MNIST_LABELS = BOARDS[0], BOARDS[1]


def a_score(seed, fid=2.0, outcome="good", minutes=5.0):
    figures = {} if outcome == "failed" else {"fid": fid, "recall": 0.5}
    return Score(seed=seed, outcome=outcome, minutes=minutes, images=6400, iterations=100,
                 processor="A <fast> one", figures=figures)  # fmt: skip


def an_entry(name, *runs):
    return Entry(recipe=name, model="m|n", parameters={"generator": 10, "discriminator": 20},
                 memory_mib=7, runs=runs)  # fmt: skip


def a_leaderboard(*entries, minutes=5.0):
    board = BoardResult(
        features="digits-v1", floor={"fid": 0.3, "recall": 0.85},
        entries={entry.recipe: entry for entry in entries},
    )  # fmt: skip
    return Leaderboard(minutes=minutes, boards={"mnist": board})


def test_a_stretched_recipe_keeps_the_shares_of_its_course(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_text(
        "model: {name: gan_mlp}\ndata: {name: mnist, batch_size: 8}\n"
        "training: {iterations: 1000}\n"
        "optimizer: {generator: {name: adam, schedule: {name: linear, start: 500, final: 0.0}}}\n"
        "terms: [{name: r1, weight: {name: linear, first: 1.0, last: 0.1, until_step: 250}, every_steps: 4}]\n"
        "constraints: {instance_noise: {std: 0.1, until_step: 333}}\n"
    )
    changed = stretched(load_recipe(path), 1000, 3000)
    assert changed == {
        "training.epochs": None,
        "training.iterations": 3000,
        "optimizer.generator.schedule.start": 1500,
        "constraints.instance_noise.until_step": 999,
        "terms": [
            {
                "name": "r1", "every_steps": 4,
                "weight": {"name": "linear", "first": 1.0, "last": 0.1, "until_step": 750},
            }
        ],
    }  # fmt: skip
    words = [f"{key}={json.dumps(value)}" for key, value in changed.items()]
    longer = load_recipe(path, words)
    assert longer.training.iterations == 3000 and longer.terms[0].weight.until_step == 750


def test_the_boards_part_all_recipes_for_such_images_between_them():
    plain, told = competitors(MNIST), competitors(MNIST_LABELS)
    assert {"demo", "fashion_tuned", "gan_mlp_mnist", "dcgan_mnist"} <= set(plain)
    assert {"mnist_conditional", "cgan_mnist", "sngan_mnist", "r3gan_mnist"} <= set(told)
    assert not set(plain) & set(told)
    assert not {"fastgan_folder", "sngan_cifar", "sngan_avatars"} & {*plain, *told}
    assert list(competitors(MNIST, ["demo", "cgan_mnist"])) == ["demo"]
    with pytest.raises(ConfigError, match="--recipes r3gan_cifar10: no shipped recipe for 28x28"):
        competitors(MNIST, ["r3gan_cifar10"])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_board_is_a_search_that_can_be_begun(board, tmp_path):
    recipes = competitors(board)
    pace = Pace(seconds=0.1, own=1000, iterations=2000, parameters={}, memory_mib=1)
    paces = dict.fromkeys(recipes, pace)
    path = tmp_path / f"{board.name}.yml"
    path.write_text(search_file(board, recipes, paces, 5.0, (0, 1)))
    search = load_search(path)
    assert len(search.runs) == 2 * len(recipes)
    assert {run.recipe.training.iterations for run in search.runs} == {2000}
    assert {run.recipe.data.name for run in search.runs} == {board.data}
    assert ("label_accuracy" in search.file.evaluate.metrics) is board.labels


def test_paces_are_timed_once_and_are_of_one_budget(tmp_path):
    said = []

    def find(minutes):
        return find_paces(
            competitors(MNIST, ["gan_mlp_mnist"]), minutes, tmp_path / "paces.json",
            offline=True, directory=None, notify=said.append,
        )["gan_mlp_mnist"]  # fmt: skip

    first = find(1.0)
    assert first.own == 12000
    assert first.parameters == {"generator": 1_506_448, "discriminator": 533_505}
    assert first.iterations == int(0.95 * 60 / first.seconds)
    assert find(1.0) == first and len(said) == 1
    with pytest.raises(ConfigError, match="of a budget of 1 minutes, and --budget is 2"):
        find(2.0)


def test_every_run_counts_and_failed_ones_have_no_figures():
    board = a_leaderboard(
        an_entry("steady", *(a_score(seed, fid) for seed, fid in enumerate((2.0, 3.0, 4.0)))),
        an_entry("lucky", a_score(0, 1.0), a_score(1, outcome="failed"), a_score(2, 9.0, "collapsed")),
        an_entry("broken", a_score(0, outcome="failed")),
    ).boards["mnist"]  # fmt: skip
    steady, lucky, broken = lines_of(board)
    assert [line.entry.recipe for line in (steady, lucky, broken)] == ["steady", "lucky", "broken"]
    assert (steady.figures["fid"].mean, steady.figures["fid"].deviation) == (3.0, 1.0)
    assert steady.good == 3 and math.isclose(steady.interval[0], 0.4385, abs_tol=1e-4)
    assert lucky.good == 1 and lucky.figures["fid"].mean == 5.0
    assert broken.good == 0 and broken.figures == {}
    heading, *rows = rows_of(board)
    assert heading[2:4] == ["FID", "recall"]
    assert rows[0][2:6] == ["3.00 ± 1.00", "0.50 ± 0.00", "3 of 3", "44 to 100 %"]
    assert rows[2][2:5] == ["-", "-", "0 of 1"]
    assert rows[3][:4] == ["real images", "", "0.30", "0.85"]


def test_parts_are_put_together_and_contradictions_refused():
    one = a_leaderboard(an_entry("a", a_score(0), a_score(2)), an_entry("b", a_score(0)))
    two = a_leaderboard(an_entry("a", a_score(1), a_score(2)), an_entry("c", a_score(0)))
    whole = merge([("one", one), ("two", two)]).boards["mnist"]
    assert {name: [run.seed for run in entry.runs] for name, entry in whole.entries.items()} == {
        "a": [0, 1, 2], "b": [0], "c": [0],
    }  # fmt: skip
    other = a_leaderboard(an_entry("a", a_score(0, 7.0)))
    with pytest.raises(ConfigError, match=r"two: mnist: a, seed 0: is in another part too"):
        merge([("one", one), ("two", other)])
    with pytest.raises(ConfigError, match="two: is of a budget of 9 minutes, and one of 5"):
        merge([("one", one), ("two", a_leaderboard(minutes=9.0))])


def test_the_pages_say_the_same_and_hold_no_raw_text(tmp_path):
    board = a_leaderboard(
        an_entry("a", a_score(0), a_score(1, 3.0)), an_entry("b", a_score(0, outcome="failed"))
    )
    write_pages(board, tmp_path)
    assert read_leaderboard(tmp_path) == board
    text = (tmp_path / "leaderboard.md").read_text()
    assert r"| a | m\|n | 2.50 ± 0.71 |" in text and "](mnist.png)" in text
    html = (tmp_path / "leaderboard.html").read_text()
    assert "A &lt;fast&gt; one" in html and "<fast>" not in html
    assert "<td>2.50 ± 0.71</td>" in html and "data:image/png;base64," in html
    assert not re.search(r"(src|href)=.?https?:", html)
    assert (tmp_path / "mnist.png").read_bytes()[:4] == b"\x89PNG"
    assert markdown(board, {}) in text or "![" in text
    assert "<img" not in page(board, {})


def test_another_folder_is_left_alone(tmp_path):
    check_folder(tmp_path / "new")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds 'mine\.txt', which no leaderboard writes"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--budget", "0", "--output", "x"], "--budget 0: give minutes"),
        (["run", "--budget", "nan", "--output", "x"], "--budget nan: give minutes"),
        (["run", "--budget", "1", "--output", "x", "--shard", "3/2"], "--shard 3/2: give I/N"),
        (["run", "--budget", "1", "--output", "x", "--shard", "a"], "--shard a: give I/N"),
        (["run", "--budget", "1", "--output", "x", "--seeds", "0"], "--seeds 0: give 1 to 100"),
        (["merge", "nowhere", "--output", "x"], "nowhere"),
    ],
)
def test_mistakes_are_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["leaderboard", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_what_is_no_leaderboard_is_refused(tmp_path):
    (tmp_path / "leaderboard.json").write_text('{"format": 2, "minutes": 1, "boards": {}}')
    with pytest.raises(ConfigError, match="is no leaderboard: format"):
        read_leaderboard(tmp_path)


@pytest.fixture
def idx_sets(tmp_path, monkeypatch):
    """A data directory with a small MNIST of both splits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    whole = load_image_set("mnist", offline=True, limit=1200, notify=lambda line: None)
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for split, part in (("train", slice(0, 900)), ("t10k", slice(900, None))):
        write_idx(folder / f"{split}-images-idx3-ubyte", whole.images[part, 0])
        write_idx(folder / f"{split}-labels-idx1-ubyte", whole.labels[part].astype(np.uint8))
    return tmp_path / "data"


@pytest.mark.slow
def test_a_leaderboard_is_run_by_shards_gone_on_with_and_merged(tmp_path, capsys, idx_sets):
    def run(shard):
        return main(
            ["leaderboard", "run", "--budget", "0.02", "--seeds", "2", "--recipes",
             "gan_mlp_mnist,cgan_mnist", "--data", "mnist", "--data-dir", str(idx_sets), "--offline",
             "--shard", f"{shard}/2", "--output", str(tmp_path / f"part{shard}")]
        )  # fmt: skip

    assert run(1) == 0 and run(2) == 0
    before = (tmp_path / "part1" / "leaderboard.json").read_bytes()
    assert run(1) == 0
    assert (tmp_path / "part1" / "leaderboard.json").read_bytes() == before
    parts = [str(tmp_path / f"part{number}") for number in (1, 2)]
    assert main(["leaderboard", "merge", *parts, "--output", str(tmp_path / "whole")]) == 0
    whole = read_leaderboard(tmp_path / "whole")
    runs = {
        (name, entry.recipe): [run.seed for run in entry.runs]
        for name, board in whole.boards.items()
        for entry in board.entries.values()
    }
    assert runs == {("mnist", "gan_mlp_mnist"): [0, 1], ("mnist_labels", "cgan_mnist"): [0, 1]}
