"""The leaderboard: who takes part, how long, what counts, parts put together, pages."""

import json
import math
import os
import re
import signal
import threading
import time

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from ppgan_zoo import runtime
from ppgan_zoo.cli import main
from ppgan_zoo.data import load_image_set, write_idx
from ppgan_zoo.errors import ConfigError, Ended
from ppgan_zoo.leaderboard import length, pacing
from ppgan_zoo.leaderboard.board import (
    BoardResult,
    Entry,
    Leaderboard,
    Score,
    gather,
    lines_of,
    merge,
    read_leaderboard,
    score,
)
from ppgan_zoo.leaderboard.contest import (
    BOARDS,
    PUBLISHED,
    TUNED,
    competitors,
    search_of,
)
from ppgan_zoo.leaderboard.length import Pace, stretched
from ppgan_zoo.leaderboard.page import markdown, page, rows_of, wrong
from ppgan_zoo.leaderboard.pictures import BELOW, BESIDE, HEIGHT, TEXT, WIDTH, grid, spread
from ppgan_zoo.leaderboard.publish import check_folder, merge_folders, write_pages
from ppgan_zoo.leaderboard.record import Judged, read_record
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe
from ppgan_zoo.search.results import Failure, Result, Training
from ppgan_zoo.storage.run_lock import locked

MNIST, MNIST_LABELS, FASHION, _ = BOARDS


def a_score(seed, fid=2.0, outcome="good", **more):
    figures = {} if outcome == "failed" else {"fid": fid, "recall": 0.5}
    curve = () if outcome == "failed" else ((1.0, 50, 4 * fid), (2.0, 100, 2 * fid))
    return Score(seed=seed, outcome=outcome, cpu_minutes=4.9, minutes=6.0, images=6400,
                 iterations=100, curve=curve, processor="A <fast> one", zoo="0.1.0",
                 git_commit="a" * 40 + "-dirty", figures=figures, **more)  # fmt: skip


def an_entry(name, *runs, planned=None, sha256="1" * 64):
    seeds = tuple(run.seed for run in runs) if planned is None else planned
    return Entry(recipe=name, recipe_sha256=sha256, model="m|n", settings="tuned",
                 parameters={"generator": 10, "discriminator": 20}, memory_mib=7,
                 planned=seeds, runs=runs)  # fmt: skip


JUDGED = Judged(train_sha256="a" * 64, test_sha256="b" * 64, features="digits-v1",
                features_sha256="c" * 64)  # fmt: skip


def a_leaderboard(*entries, minutes=5.0, judged=JUDGED, fid_of_real_images=0.3, board="mnist"):
    result = BoardResult(
        judged=judged, floor={"fid": fid_of_real_images, "recall": 0.85},
        entries={entry.recipe: entry for entry in entries},
    )  # fmt: skip
    return Leaderboard(minutes=minutes, boards={board: result})


# Who takes part, and for how long.


def test_a_stretched_recipe_keeps_the_shares_of_its_course(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_text(
        "model: {name: gan_mlp}\ndata: {name: mnist, batch_size: 8}\n"
        "training: {iterations: 1000}\n"
        "optimizer: {generator: {name: adam, schedule: {name: linear, start: 500, final: 0.0, warmup_steps: 100}}}\n"
        "terms: [{name: r1, weight: {name: linear, first: 1.0, last: 0.1, until_step: 250}, every_steps: 4}]\n"
        "constraints: {instance_noise: {std: 0.1, until_step: 333}}\n"
    )
    changed = stretched(load_recipe(path), 1000, 3000)
    assert changed == {
        "training.epochs": None,
        "training.iterations": 3000,
        "optimizer.generator.schedule.start": 1500,
        "optimizer.generator.schedule.warmup_steps": 300,
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
    # However short, an end comes after its start.
    assert stretched(load_recipe(path), 1000, 1)["constraints.instance_noise.until_step"] == 1


def test_averages_and_decays_by_images_are_stretched_too(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_text(
        "model: {name: dcgan}\ndata: {name: mnist, batch_size: 8}\n"
        "training: {iterations: 1000}\n"
        "ema: {half_life: {name: linear, first: 100, last: 20000, until_step: 500}}\n"
        "optimizer: {generator: {name: adam, schedule: {name: inverse_time, decay: 3e-3}}}\n"
        "constraints: {augment: [bgc], augment_probability: {name: adaptive, images: 30000}}\n"
    )
    changed = stretched(load_recipe(path), 1000, 100)
    assert changed.pop("optimizer.generator.schedule.decay") == pytest.approx(3e-2)
    assert changed == {
        "training.epochs": None,
        "training.iterations": 100,
        "ema.half_life": {"name": "linear", "first": 10, "last": 2000, "until_step": 50},
        "constraints.augment_probability.images": 3000,
    }
    words = [f"{key}={json.dumps(value)}" for key, value in changed.items()]
    assert load_recipe(path, words).ema.half_life.last == 2000
    plain = tmp_path / "plain.yml"
    plain.write_text(
        "model: {name: gan_mlp}\ndata: {name: mnist, batch_size: 8}\ntraining: {iterations: 10}\nema: {half_life: 50}\n"
    )
    assert stretched(load_recipe(plain), 10, 40)["ema.half_life"] == 200


def test_the_average_of_the_weights_covers_the_same_share_of_the_run():
    recipe = load_recipe(find_recipe("mnist_tuned"))
    iterations, decay = recipe.training.iterations, recipe.ema.decay
    for new in (1, iterations // 8, 3 * iterations, 2_000_000_000):
        changed = stretched(recipe, iterations, new)
        words = [f"{key}={json.dumps(value)}" for key, value in changed.items()]
        found = load_recipe(find_recipe("mnist_tuned"), words).ema.decay
        assert found**new == pytest.approx(decay**iterations) or new == 2_000_000_000


def test_the_boards_part_all_recipes_for_such_images_between_them():
    plain, told = ({each.name for each in competitors(board)} for board in (MNIST, MNIST_LABELS))
    assert {"demo", "fashion_tuned", "gan_mlp_mnist", "dcgan_mnist"} <= plain
    assert {"mnist_conditional", "cgan_mnist", "sngan_mnist", "r3gan_mnist"} <= told
    assert not plain & told
    assert not {"fastgan_folder", "sngan_cifar", "sngan_avatars", "few_digits"} & (plain | told)
    assert [each.name for each in competitors(MNIST, ["demo", "cgan_mnist"])] == ["demo"]
    with pytest.raises(ConfigError, match="--recipes r3gan_cifar10: no shipped recipe for 28x28"):
        competitors(MNIST, ["r3gan_cifar10"])
    # Where settings are from is said of recipes that are there.
    assert plain | told >= TUNED | PUBLISHED and not TUNED & PUBLISHED
    for suffix in ("md", "zh.md"):
        text = (ROOT / "docs" / f"leaderboard.{suffix}").read_text()
        for kind, names in (("tuned", TUNED), ("published", PUBLISHED)):
            (row,) = re.findall(rf"^\| {kind} \|.*$", text, re.MULTILINE)
            assert set(re.findall(r"`(\w+)`", row)) == names
    found = {each.name: each.settings for each in (*competitors(MNIST), *competitors(MNIST_LABELS))}
    assert (found["demo"], found["dcgan_mnist"], found["r3gan_mnist"]) == (
        "tuned", "published", "reduced",
    )  # fmt: skip


def test_a_recipe_of_ones_own_takes_part_by_its_path(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text(
        "model: {name: gan_mlp}\ndata: {name: mnist, batch_size: 8}\ntraining: {epochs: 1}\n"
    )
    (mine,) = competitors(FASHION, [str(path)])
    assert (mine.name, mine.settings, mine.recipe.data.name) == ("mine", "own", "fashion_mnist")
    assert mine.sha256 != competitors(MNIST, [str(path)])[0].sha256
    path.rename(tmp_path / "demo.yml")
    with pytest.raises(ConfigError, match=r"demo\.yml: rename the file"):
        competitors(MNIST, [str(tmp_path / "demo.yml")])
    with pytest.raises(ConfigError, match="--recipes demo: a recipe named demo is there twice"):
        competitors(MNIST, ["demo", "demo"])
    path.write_text(
        "model: {name: gan_mlp}\ndata: {name: mnist, batch_size: 8, image_size: 32}\ntraining: {epochs: 1}\n"
    )
    with pytest.raises(ConfigError, match="mine.yml: is not for 28x28 images"):
        competitors(MNIST, [str(path)])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_board_is_a_search_that_can_be_begun(board, tmp_path):
    found = competitors(board)
    lengths = {each.name: stretched(each.recipe, 1000, 2003) for each in found}
    search = search_of(
        board, found, lengths, minutes=5.0, seeds=(0, 1), place=tmp_path / board.name
    )
    assert len(search.runs) == 2 * len(found)
    assert {run.recipe.training.iterations for run in search.runs} == {2003}
    assert {run.recipe.checkpoint.every_steps for run in search.runs} == {401}  # five of them
    assert {run.recipe.data.name for run in search.runs} == {board.data}
    assert ("label_accuracy" in search.file.evaluate.metrics) is board.labels
    # What a result is known by is the recipe, whatever its length and seed.
    own = {each.name: each.sha256 for each in found}
    assert all(run.recipe_sha256 == own[run.setting] for run in search.runs)


# What counts.


def a_result(**more):
    training = Training(
        iterations=100, images=3200, seconds=60.0, started="", git_commit="abc", device="cpu",
        threads=1, processor="A chip", cpu_seconds=30.0, zoo="0.1.0", **more.pop("training", {}),
    )  # fmt: skip
    metrics = {"fid": 3.0, "modes": 10, "class_entropy": 2.3}
    return Result(
        setting="a", seed=0, recipe_sha256="", minutes_allowed=5, training=training,
        evaluation={"metrics": metrics, "floor": None}, curve=((0.2, 50, 9.0),), **more,
    )  # fmt: skip


def test_a_run_that_began_again_or_failed_or_collapsed_is_not_good():
    plain = score(a_result(), None)
    assert (plain.outcome, plain.cpu_minutes, plain.minutes, plain.cut) == ("good", 0.5, 1.0, False)
    assert (plain.zoo, plain.git_commit, plain.curve) == ("0.1.0", "abc", ((0.2, 50, 9.0),))
    again = score(a_result(training={"restarts": 2, "lost_iterations": 9}), None)
    assert (again.outcome, again.restarts) == ("restarted", 2)
    failure = Failure(stage="evaluate", exit_code=1, message="gone")
    failed = score(a_result(failure=failure, cut=True), None)
    assert (failed.outcome, failed.failure, failed.cut) == (
        "failed",
        "evaluate (exit code 1): gone",
        True,
    )
    assert failed.figures == {} and failed.curve == ()
    even = {"fid": 0.1, "modes": 10, "class_entropy": math.log(20)}
    assert score(a_result(training={"restarts": 1}), even).outcome == "collapsed"
    (line,) = lines_of(
        a_leaderboard(an_entry("a", plain, again.model_copy(update={"seed": 1}))).boards["mnist"]
    )
    assert line.good == 1


def test_every_run_counts_and_failed_ones_have_no_figures():
    board = a_leaderboard(
        an_entry("steady", *(a_score(seed, fid) for seed, fid in enumerate((2.0, 3.0, 4.0)))),
        an_entry(
            "lucky", a_score(0, 1.0), a_score(1, outcome="failed", failure="train: *boom*"),
            a_score(2, 9.0, "collapsed", cut=True, restarts=1), planned=(0, 1, 2, 3),
        ),
        an_entry("broken", a_score(0, outcome="failed", failure="train: no")),
        an_entry("waiting", planned=(0, 1)),
    ).boards["mnist"]  # fmt: skip
    steady, lucky, broken, waiting = lines_of(board)
    assert [line.entry.recipe for line in (steady, lucky, broken)] == ["steady", "lucky", "broken"]
    assert (steady.fid.mean, steady.fid.deviation) == (3.0, 1.0)
    assert steady.good == 3 and math.isclose(steady.interval[0], 0.4385, abs_tol=1e-4)
    assert steady.curve == [(1.0, 12.0), (2.0, 6.0)]
    assert lucky.good == 1 and lucky.fid.mean == 5.0
    assert broken.good == 0 and broken.figures == {} and broken.curve == []
    assert waiting.interval is None
    heading, *rows = rows_of(board)
    assert heading[:5] == ["recipe", "model", "settings", "FID", "recall"]
    assert rows[0][2:7] == [
        "tuned",
        "3.00 ± 1.00",
        "0.50 ± 0.00",
        "3 of 3 (44 to 100 %)",
        "4.90 (6.00)",
    ]
    assert rows[1][5] == "1 of 3 (6 to 79 %), 1 missing"
    assert rows[2][3:6] == ["-", "-", "0 of 1 (0 to 79 %)"]
    assert rows[3][5:7] == ["0 of 0, 2 missing", "-"]
    assert rows[4][:5] == ["real images", "", "", "0.30", "0.85"]
    assert wrong(board) == [
        "lucky, seed 1: failed in train: *boom*",
        "lucky, seed 2: collapsed; was restarted once; was cut after 4.90 CPU minutes",
        "lucky: not run yet: seed 3",
        "broken, seed 0: failed in train: no",
        "waiting: not run yet: seed 0, 1",
    ]


def test_one_run_has_the_error_of_its_fid():
    figures = {"fid": 2.0, "recall": 0.5, "fid_standard_error": 0.04}
    alone = an_entry("a", a_score(0).model_copy(update={"figures": figures}))
    _, row, _ = rows_of(a_leaderboard(alone).boards["mnist"])
    assert row[3:5] == ["2.00 (± 0.04)", "0.50"]


# Parts of several machines.


def test_parts_are_put_together_and_contradictions_refused():
    one = a_leaderboard(
        an_entry("a", a_score(0), a_score(2), planned=(0, 1, 2)), an_entry("b", a_score(0))
    )
    two = a_leaderboard(an_entry("a", a_score(1), planned=(0, 1, 2, 3)), an_entry("c", a_score(0)))
    whole = merge([("one", one), ("two", two)]).boards["mnist"]
    assert {name: [run.seed for run in entry.runs] for name, entry in whole.entries.items()} == {
        "a": [0, 1, 2], "b": [0], "c": [0],
    }  # fmt: skip
    assert whole.entries["a"].missing == [3]
    slow = a_leaderboard(minutes=9.0)
    again = a_leaderboard(an_entry("a", a_score(0, 7.0)))
    other = a_leaderboard(an_entry("a", a_score(3), sha256="2" * 64))
    images = a_leaderboard(judged=JUDGED.model_copy(update={"test_sha256": "d" * 64}))
    features = a_leaderboard(judged=JUDGED.model_copy(update={"features": "digits-v2"}))
    for part, said in (
        (again, "two: mnist: a, seed 0: is in another part too"),
        (slow, "two: is of a budget of 9 minutes, and one of 5"),
        (other, "two: mnist: a: is another recipe than that of this name"),
        (images, "two: mnist: test_sha256 is dddddddddddd, and before it bbbbbbbbbbbb"),
        (features, "two: mnist: features is digits-v2, and before it digits-v1"),
        (a_leaderboard(fid_of_real_images=0.31), "two: mnist: fid of real images is 0.31, and b"),
    ):
        with pytest.raises(ConfigError, match=said):
            merge([("one", one), ("two", part)])
    merge([("one", one), ("two", a_leaderboard(fid_of_real_images=0.30001))])  # other rounding


def some_samples(folder, board, recipe, seed, value):
    (folder / "samples").mkdir(exist_ok=True, parents=True)
    pixels = np.full((HEIGHT, WIDTH), value, np.uint8)
    Image.fromarray(pixels).save(folder / "samples" / f"{board}-{recipe}-{seed}.png")


def test_a_merged_leaderboard_has_the_samples_of_all_parts(tmp_path, capsys):
    for name, seed in (("one", 0), ("two", 1)):
        some_samples(tmp_path / name, "mnist", "a", seed, 40 + seed)
        write_pages(a_leaderboard(an_entry("a", a_score(seed))), tmp_path / name)
    parts = [str(tmp_path / "one"), str(tmp_path / "two")]
    for output, said in ((parts[1], "is one of those to be merged"),):
        assert main(["leaderboard", "merge", *parts, "--output", output]) == 2
        assert said in capsys.readouterr().err
    assert main(["leaderboard", "merge", *parts, "--output", str(tmp_path / "whole")]) == 0
    pixels = np.asarray(Image.open(tmp_path / "whole" / "mnist_samples.png"))
    assert {40, 41} <= set(pixels[2 * TEXT :].ravel())
    text = (tmp_path / "whole" / "leaderboard.md").read_text()
    assert "](mnist_samples.png)" in text and "](mnist.png)" in text
    # Shown again, and merged again, from what is there.
    before = (tmp_path / "whole" / "leaderboard.html").read_bytes()
    (tmp_path / "whole" / "leaderboard.html").unlink()
    assert main(["leaderboard", "show", str(tmp_path / "whole")]) == 0
    assert (tmp_path / "whole" / "leaderboard.html").read_bytes() == before
    assert main(["leaderboard", "merge", *parts, "--output", str(tmp_path / "whole")]) == 0
    with locked(tmp_path / "whole"):
        assert main(["leaderboard", "merge", *parts, "--output", str(tmp_path / "whole")]) == 2
    assert main(["leaderboard", "run", "--budget", "5", "--output", str(tmp_path / "whole")]) == 2
    assert "holds a merged leaderboard" in capsys.readouterr().err


def test_nothing_of_what_was_merged_before_stays(tmp_path):
    for name, recipe in (("one", "a"), ("two", "b")):
        some_samples(tmp_path / name, "mnist", recipe, 0, 40)
        write_pages(a_leaderboard(an_entry(recipe, a_score(0))), tmp_path / name)
    again = tmp_path / "again"  # the same run as in one, without its samples
    again.mkdir()
    write_pages(a_leaderboard(an_entry("a", a_score(0))), again)
    whole = tmp_path / "whole"
    for part, left in (("one", ["mnist-a-0.png"]), ("two", ["mnist-b-0.png"]), ("again", [])):
        if part == "again":
            merge_folders([tmp_path / "one"], whole)
        merge_folders([tmp_path / part], whole)
        assert sorted(path.name for path in (whole / "samples").iterdir()) == left
    (whole / "leaderboard.json").write_text("{")
    with pytest.raises(ConfigError, match="is no leaderboard"):
        merge_folders([tmp_path / "one"], whole)


# Pages and pictures.


def test_the_pages_say_the_same_and_hold_no_raw_text(tmp_path):
    board = a_leaderboard(
        an_entry("a", a_score(0), a_score(1, 3.0)),
        an_entry("b", a_score(0, outcome="failed", failure="train: <script>|*x*")),
    )
    write_pages(board, tmp_path)
    assert read_leaderboard(tmp_path) == board
    text = (tmp_path / "leaderboard.md").read_text()
    assert r"| a | m\|n | tuned | 2.50 ± 0.71 |" in text and "](mnist.png)" in text
    assert r"failed in train: \<script\>\|\*x\*" in text
    html = (tmp_path / "leaderboard.html").read_text()
    assert "A &lt;fast&gt; one" in html and "<fast>" not in html and "<script>" not in html
    assert "<td>2.50 ± 0.71</td>" in html and html.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=.?https?:", html)
    assert "features digits-v1 (cccccccccccc)" in html and "Zoo: 0.1.0 (aaaaaaaaaaaa-dirty)" in html
    assert (tmp_path / "mnist.png").read_bytes()[:4] == b"\x89PNG"
    assert "![" not in markdown(board, {}) and "<img" not in page(board, {})


def test_a_grid_has_a_place_for_every_run_that_was_asked_for(tmp_path):
    entry = an_entry("a", a_score(0), a_score(1, outcome="failed"), planned=(0, 1, 2, 3))
    some_samples(tmp_path, "mnist", "a", 0, 77)
    board = a_leaderboard(entry, an_entry("b", a_score(0))).boards["mnist"]
    pixels = grid(board, {("a", 0): tmp_path / "samples" / "mnist-a-0.png"})
    assert pixels.dtype == np.uint8
    # Two lines of runs for a and one for b, each below a line of text.
    gray = (pixels == 128).sum()
    assert (pixels[2 * TEXT : 2 * TEXT + HEIGHT, :WIDTH] == 77).all()
    assert 3.8 * HEIGHT * WIDTH < gray < 4 * HEIGHT * WIDTH  # but for the words in them


def test_recipes_with_one_run_stand_beside_each_other(tmp_path):
    board = a_leaderboard(*(an_entry(name, a_score(0)) for name in "abcd")).boards["mnist"]
    for name, gray in zip("abcd", (50, 60, 70, 80), strict=True):
        some_samples(tmp_path, "mnist", name, 0, gray)
    pixels = grid(
        board, {(name, 0): tmp_path / "samples" / f"mnist-{name}-0.png" for name in "abcd"}
    )
    block, line = WIDTH + BESIDE, 2 * TEXT + HEIGHT + BELOW
    assert pixels.shape == (2 * line, 3 * block)
    for place, gray in enumerate((50, 60, 70, 80)):
        row, column = divmod(place, 3)
        top, left = row * line + 2 * TEXT, column * block
        assert (pixels[top : top + HEIGHT, left : left + WIDTH] == gray).all()


def test_labels_are_moved_apart_around_where_they_were():
    assert spread([0.1, 0.5, 0.9], 0.05) == [0.1, 0.5, 0.9]
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spread([0.40, 0.5, 0.5, 0.9], 0.1) == pytest.approx(
        [0.3667, 0.4667, 0.5667, 0.9], abs=1e-3
    )


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
        (["run", "--budget", "1", "--output", "x", "--seeds", "3-"], "--seeds '3-': give numbers"),
        (["merge", "nowhere", "--output", "x"], "nowhere"),
        (["show", "x"], "x/leaderboard.json: cannot be read"),
    ],
)
def test_mistakes_are_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["leaderboard", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_what_is_no_leaderboard_is_refused(tmp_path):
    (tmp_path / "leaderboard.json").write_text('{"format": 1, "minutes": 1, "boards": {}}')
    with pytest.raises(ConfigError, match="is no leaderboard: format"):
        read_leaderboard(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"mnist": {"judged"', '"../../mnist": {"judged"', "unknown board '../../mnist'; known: mn"),
        ('"recipe": "demo"', '"recipe": "../../demo"', "entries.demo.recipe: string should match"),
        ('"recipe": "demo"', '"recipe": "other"', "entry 'demo' is of the recipe 'other'"),
        ('"parameters": null', '"parameters": {"generator": 1}', "entry 'demo': parameters must be"),
        ('"images": 1920', f'"images": 1{"0" * 400}', "images: "),
        ('"minutes": 1.0,', '"minutes": NaN,', "minutes: input should be a finite number"),
    ],
)  # fmt: skip
def test_a_damaged_or_crafted_leaderboard_is_refused_in_one_line(old, new, said, tmp_path):
    runs = (Score(seed=0, outcome="good", images=1920, figures={"fid": 2.0}),)
    entry = Entry(recipe="demo", recipe_sha256="a", model="dcgan", settings="tuned",
                  parameters=None, memory_mib=None, planned=(0,), runs=runs)  # fmt: skip
    board = BoardResult(judged=None, floor={"modes": 10.0}, entries={"demo": entry})
    whole = Leaderboard(minutes=1.0, boards={"mnist": board})
    text = json.dumps(whole.model_dump(mode="json"))
    file = tmp_path / "leaderboard.json"
    file.write_text(text)
    write_pages(read_leaderboard(tmp_path), tmp_path)  # whole, and with a floor that has no FID
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        read_leaderboard(tmp_path)
    assert f"{file}: is no leaderboard: " in str(refused.value) and said in str(refused.value)
    assert "\n" not in str(refused.value)


# Runs, by a stand-in for the zoo that takes no time.


def write_set(folder, count, trained):
    """Write the first images of the embedded MNIST, which are as good as any, in both splits."""
    whole = load_image_set("mnist", offline=True, limit=count, notify=lambda line: None)
    folder.mkdir(parents=True)
    for split, part in (("train", slice(0, trained)), ("t10k", slice(trained, None))):
        write_idx(folder / f"{split}-images-idx3-ubyte", whole.images[part, 0])
        write_idx(folder / f"{split}-labels-idx1-ubyte", whole.labels[part].astype(np.uint8))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory with small sets of both splits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("mnist", "fashion-mnist"):
        write_set(tmp_path / "data" / name, 1200, 900)
    return tmp_path / "data"


TINY = """\
model: {name: gan_mlp, generator: {hidden_units: [16]}, discriminator: {hidden_units: [16]}}
latent: {dim: 4}
data: {name: mnist, batch_size: 16}
training: {iterations: 20}
"""


@pytest.fixture
def run(tmp_path, data, monkeypatch):
    """Run a leaderboard of two small recipes of one's own; more arguments may follow."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yml").write_text(TINY)
    (tmp_path / "other.yml").write_text(TINY.replace("16]}, disc", "8]}, disc"))

    def run(*arguments, output="board"):
        return main(["leaderboard", "run", "--budget", "0.01", "--recipes", "tiny.yml,other.yml",
                     "--data-dir", str(data), "--offline", "--output", output, *arguments])  # fmt: skip

    return run


def done(folder):
    """Return what is done, by board, recipe and seed."""
    return {
        (name, entry.recipe, run.seed): run
        for name, board in read_leaderboard(folder).boards.items()
        for entry in board.entries.values()
        for run in entry.runs
    }


def test_a_stopped_leaderboard_shows_what_is_done_and_goes_on(run, tmp_path, stand_in, capsys):
    stand_in(train_other_1="takes long")
    begun = tmp_path / "board" / "mnist" / "runs" / "other-1" / "recipe.yml"

    def stop():
        while not begun.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=stop)
    sender.start()
    with pytest.raises(Ended):
        run("--seeds", "0-1")
    sender.join()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "stopped; what is done is in board; the same command goes on"
    # A seed of all recipes of all boards came before the next.
    first = {
        (board, recipe, 0) for board in ("mnist", "fashion_mnist") for recipe in ("tiny", "other")
    }
    assert set(done(tmp_path / "board")) == first | {("mnist", "tiny", 1)}
    assert "other: not run yet: seed 1" in (tmp_path / "board" / "leaderboard.md").read_text()
    stand_in()
    assert run("--seeds", "0-1") == 0
    said = capsys.readouterr()
    assert "8 runs, 5 done; the other 3 train for about 0.03 minutes in all" in said.err
    assert "ms an iteration" not in said.err  # it was timed before
    assert len(done(tmp_path / "board")) == 8
    assert "| tiny | gan_mlp | own | 7.00 ± 0.00 |" in said.out
    score = done(tmp_path / "board")["mnist", "tiny", 0]
    assert (score.cpu_minutes, score.minutes) == (20 / 60, 40 / 60)
    assert [step for _, step, _ in score.curve] == [10, 20]


def test_what_is_done_stays_when_less_is_asked_for(run, tmp_path, stand_in, capsys):
    assert run("--seeds", "0-1", "--data", "mnist") == 0
    whole = done(tmp_path / "board")
    assert len(whole) == 4
    json_file = tmp_path / "board" / "leaderboard.json"
    before = json_file.read_bytes()
    for less in (["--seeds", "0"], ["--seeds", "0-1", "--shard", "2/3"], ["--recipes", "tiny.yml"]):
        assert run("--data", "mnist", "--seeds", "0-1", *less) == 0
        assert json_file.read_bytes() == before
    json_file.unlink()
    assert main(["leaderboard", "show", "board"]) == 0
    assert json_file.read_bytes() == before
    assert run("--data", "fashion_mnist", "--seeds", "0") == 0
    assert whole.items() <= done(tmp_path / "board").items()
    capsys.readouterr()
    assert run("--data", "mnist", "--seeds", "0", "--shard", "9/9") == 2
    assert "--shard 9/9: has no run, for there are only 2" in capsys.readouterr().err
    assert run("--budget", "7") == 2
    assert "board: is of a budget of 0.01 minutes, and --budget is 7" in capsys.readouterr().err


def test_all_boards_are_checked_before_anything_is_timed(
    run, data, tmp_path, stand_in, capsys, monkeypatch
):
    monkeypatch.setattr(pacing, "time_job", None)
    wrong = tmp_path / "other.yml"
    right = wrong.read_text()
    wrong.write_text(right.replace("hidden_units: [8]", "hidden: [8]"))
    assert run() == 2
    assert "settings.other: model.generator.hidden" in capsys.readouterr().err
    wrong.write_text(right)
    (data / "fashion-mnist" / "t10k-images-idx3-ubyte").unlink()
    assert run() == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "does not hold fashion_mnist" in error and "needs both splits of fashion_mnist" in error
    assert not (tmp_path / "board" / "contest.json").exists()


def test_other_images_than_those_so_far_are_refused(run, data, tmp_path, stand_in, capsys):
    assert run("--data", "mnist", "--seeds", "0") == 0
    (data / "mnist").rename(tmp_path / "away")
    write_set(data / "mnist", 1100, 800)
    assert run("--data", "mnist", "--seeds", "0-1") == 2
    assert "mnist: images or feature network are not those of the runs so far" in (
        capsys.readouterr().err
    )


def test_a_board_whose_runs_all_failed_is_shown_and_does_not_block(run, tmp_path, stand_in, capsys):
    stand_in(train_tiny_0="fails", train_other_0="fails")
    assert run("--seeds", "0-1") == 0
    said = capsys.readouterr()
    assert "4 of 8 runs failed; --retry-failed does them again" in said.err
    assert "- tiny, seed 0: failed in train (exit code 1): data: the disk is gone" in said.out
    outcomes = {key: score.outcome for key, score in done(tmp_path / "board").items()}
    assert {key for key, value in outcomes.items() if value == "failed"} == {
        (board, recipe, 0) for board in ("mnist", "fashion_mnist") for recipe in ("tiny", "other")
    }
    stand_in()
    assert run("--seeds", "0-1") == 0
    assert {key: score.outcome for key, score in done(tmp_path / "board").items()} == outcomes
    assert run("--seeds", "0-1", "--retry-failed") == 0
    assert {score.outcome for score in done(tmp_path / "board").values()} == {"good"}


def test_a_pace_is_of_one_recipe_and_one_processor(run, tmp_path, stand_in, capsys, monkeypatch):
    def timed(*arguments):
        assert run("--data", "mnist", *arguments) == 0
        return re.findall(r"(\w+): \d+ ms an iteration", capsys.readouterr().err)

    assert timed("--seeds", "0") == ["tiny", "other"]
    assert timed("--seeds", "0-1") == []
    assert timed("--seeds", "0-2", "--retime") == ["tiny", "other"]
    name = runtime.cpu_field("model name")
    monkeypatch.setattr("ppgan_zoo.runtime.processor_kind", lambda: {"stepping": "another"})
    assert timed("--seeds", "0-3") == ["tiny", "other"]
    assert timed("--seeds", "0-3") == []
    planned = read_record(tmp_path / "board").boards["mnist"]["tiny"]
    assert planned.seeds == (0, 1, 2, 3) and planned.pace.processor == name
    assert planned.pace.processor_kind == "stepping another"
    assert planned.parameters == {"generator": 13408, "discriminator": 12577}


def test_the_next_run_is_as_long_as_the_last_one_shows(run, tmp_path, stand_in):
    def iterations(seed):
        (log,) = tmp_path.glob(f"board/mnist/runs/tiny-{seed}.log")
        return re.search(r"training\.iterations=(\d+)", log.read_text())[1]

    def pace():
        return read_record(tmp_path / "board").boards["mnist"]["tiny"].pace

    assert run("--data", "mnist", "--seeds", "0", "--recipes", "tiny.yml") == 0
    assert pace().runs == 1 and pace().cpu_seconds == 1.0  # 20 seconds for 20 iterations
    assert int(iterations(0)) > 10 and pace().iterations == 1  # of 0.6 seconds
    assert run("--data", "mnist", "--seeds", "0-2", "--recipes", "tiny.yml") == 0
    assert (iterations(1), iterations(2)) == ("1", "1") and pace().runs == 3


def test_a_pace_is_the_mean_of_the_runs_that_are_known():
    timed = Pace(processor="one", cpu_seconds=0.5, own=1000, iterations=570)
    training = Training(
        iterations=300, lost_iterations=100, cpu_seconds=240.0, images=1, seconds=1.0, started="",
        git_commit=None, device="cpu", threads=1, processor="one",
    )  # fmt: skip
    once = timed.after(training, 5.0)
    assert (once.cpu_seconds, once.iterations, once.runs) == (0.6, 500, 1)
    faster = training.model_copy(update={"cpu_seconds": 80.0})
    twice = once.after(faster, 5.0)
    assert (twice.cpu_seconds, twice.iterations, twice.runs) == (pytest.approx(0.4), 750, 2)
    assert timed.after(training.model_copy(update={"cpu_seconds": None}), 5.0) == timed


def test_a_recipe_that_changed_runs_again_and_is_not_mixed_with_what_it_was(
    run, tmp_path, stand_in, capsys
):
    assert run("--data", "mnist", "--seeds", "0-1") == 0
    some_samples(tmp_path / "board", "mnist", "tiny", 0, 77)
    picture = tmp_path / "board" / "samples" / "mnist-tiny-0.png"
    (tmp_path / "tiny.yml").write_text(TINY.replace("dim: 4", "dim: 5"))
    capsys.readouterr()
    assert run("--data", "mnist", "--seeds", "0") == 0
    said = capsys.readouterr().err
    assert "tiny, seed 0: the recipe has changed since; it runs again" in said
    assert "2 runs, 1 done" in said
    # Seed 1 of what it was is not in the new recipe's row, and nothing is lost.
    assert set(done(tmp_path / "board")) == {
        ("mnist", "tiny", 0), ("mnist", "other", 0), ("mnist", "other", 1)
    }  # fmt: skip
    assert "tiny: not run yet: seed 1" in (tmp_path / "board" / "leaderboard.md").read_text()
    assert not picture.exists()
    (older,) = (tmp_path / "board" / "mnist" / "runs" / "older").iterdir()
    assert older.name.startswith("tiny-0-")
    assert run("--data", "mnist", "--seeds", "0-1") == 0
    assert len(done(tmp_path / "board")) == 4


def test_recipes_are_timed_and_trained_with_one_thread(run, stand_in, monkeypatch):
    monkeypatch.setenv("PPGAN_ZOO_THREADS", "2")
    threads = []

    def time_job(job, minutes):
        threads.append((job.machine.threads, runtime.threads()))
        return length.time_job(job, minutes)

    monkeypatch.setattr(pacing, "time_job", time_job)
    assert run("--data", "mnist", "--seeds", "0") == 0
    assert threads == [(1, 1), (1, 1)]


def test_a_run_is_trained_measured_along_its_way_and_drawn(run, tmp_path, monkeypatch):
    monkeypatch.setattr("ppgan_zoo.leaderboard.contest.SAMPLES", 200)
    monkeypatch.setattr("ppgan_zoo.leaderboard.contest.CURVE_SAMPLES", 100)
    assert run("--data", "mnist", "--seeds", "0", "--recipes", "tiny.yml") == 0
    ((key, score),) = done(tmp_path / "board").items()
    assert key == ("mnist", "tiny", 0) and score.outcome in ("good", "collapsed")
    assert score.figures["fid"] > 0 and score.cpu_minutes > 0
    minutes, steps, fids = zip(*score.curve)
    assert len(steps) == 5 and steps[-1] == score.iterations
    assert minutes[-1] == pytest.approx(score.cpu_minutes, abs=1e-4) and min(fids) > 0
    assert Image.open(tmp_path / "board" / "samples" / "mnist-tiny-0.png").size == (WIDTH, HEIGHT)
    # One checkpoint is kept; the others were for the curve.
    assert len(list(tmp_path.glob("board/mnist/runs/tiny-0/checkpoints/step-*"))) == 1
    assert read_leaderboard(tmp_path / "board").boards["mnist"].floor["fid"] > 0


@pytest.mark.slow
def test_a_leaderboard_is_run_by_shards_gone_on_with_and_merged(tmp_path, data):
    def run(shard):
        return main(
            ["leaderboard", "run", "--budget", "0.02", "--seeds", "0-1", "--recipes",
             "gan_mlp_mnist,cgan_mnist", "--data", "mnist", "--data-dir", str(data), "--offline",
             "--shard", f"{shard}/2", "--output", str(tmp_path / f"part{shard}")]
        )  # fmt: skip

    assert run(1) == 0 and run(2) == 0
    before = (tmp_path / "part1" / "leaderboard.json").read_bytes()
    assert run(1) == 0
    assert (tmp_path / "part1" / "leaderboard.json").read_bytes() == before
    parts = [str(tmp_path / f"part{number}") for number in (1, 2)]
    assert main(["leaderboard", "merge", *parts, "--output", str(tmp_path / "whole")]) == 0
    scores = done(tmp_path / "whole")
    assert set(scores) == {
        (board, recipe, seed)
        for board, recipe in (("mnist", "gan_mlp_mnist"), ("mnist_labels", "cgan_mnist"))
        for seed in (0, 1)
    }
    assert all(len(score.curve) >= 3 and score.cpu_minutes > 0 for score in scores.values())
    assert len(list((tmp_path / "whole" / "samples").iterdir())) == 4
    record = read_record(tmp_path / "part1")
    assert gather(record, tmp_path / "part1") == read_leaderboard(tmp_path / "part1")
