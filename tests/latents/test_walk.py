"""Walks: closed, each picture on its own way; the commands walk and film."""

import numpy as np
import pytest
from conftest import TINY
from PIL import Image
from test_directions import space_of

from ppgan_zoo.cli import main
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.latents.directions import sefa
from ppgan_zoo.latents.walk import walk_frames
from ppgan_zoo.storage.pictures import image_grid


def test_a_walk_passes_its_stops_and_closes():
    space = space_of("r3gan")
    frames = walk_frames(space, pictures=4, stops=3, steps=5, seed=2)
    assert len(frames) == 15
    points = space.points(12, 2).reshape(4, 3, -1)
    for stop in range(3):
        np.testing.assert_allclose(
            frames[5 * stop].astype(int),
            image_grid(space.images(points[:, stop]), 2), atol=1,
        )  # fmt: skip


def test_a_walk_along_a_direction_goes_out_and_back():
    space = space_of("gan_mlp")
    frames = walk_frames(space, pictures=1, steps=3, direction="sefa2")
    assert len(frames) == 12
    points = space.points(1, 0)
    found = sefa(space, 2)
    for place, steps in ((0, 0.0), (3, 3.0), (6, 0.0), (9, -3.0)):
        wanted = image_grid(space.images(found.moved(points, "sefa2", steps)), 1)
        np.testing.assert_allclose(frames[place].astype(int), wanted, atol=1)


def test_labels_stay_with_their_pictures():
    space = space_of("gan_mlp", 3)
    frames = walk_frames(space, pictures=3, stops=2, steps=1, seed=2)
    points = space.points(6, 2).reshape(3, 2, -1)
    wanted = image_grid(space.images(points[:, 1], np.array([0, 1, 2])), 2)
    np.testing.assert_allclose(frames[1].astype(int), wanted, atol=1)
    held = walk_frames(space, pictures=3, stops=2, steps=1, seed=2, label=1)
    wanted = image_grid(space.images(points[:, 0], np.array([1, 1, 1])), 2)
    np.testing.assert_allclose(held[0].astype(int), wanted, atol=1)


def test_truncation_is_of_styles():
    space = space_of("stylegan2")
    (first, *others) = walk_frames(space, pictures=1, stops=2, steps=3, psi=0.0)
    assert all(np.array_equal(first, other) for other in others)
    with pytest.raises(ConfigError, match="model with styles"):
        walk_frames(space_of("gan_mlp"), psi=0.5)
    with pytest.raises(ConfigError, match="--truncation 2"):
        walk_frames(space, psi=2.0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pictures": 0}, "0 pictures"), ({"pictures": 1000}, "1000 pictures"),
        ({"steps": 0}, "0 frames"), ({"stops": 100, "steps": 100}, "10000 frames"),
        ({"stops": 1}, "1 stops"), ({"direction": "up"}, "--direction up"),
        ({"direction": ""}, "--direction :"), ({"direction": "pca" + "9" * 5000}, "--direction pca9"),
        ({"direction": "pca0"}, "give 1 or more"), ({"direction": "sefa99"}, "no such one"),
    ],
)  # fmt: skip
def test_what_is_no_walk(changes, says):
    with pytest.raises(ConfigError, match=says):
        walk_frames(space_of("gan_mlp"), **{"pictures": 1, "steps": 2, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "r.yml").write_text(TINY)
    assert main(["train", "-c", str(folder / "r.yml"), "--offline", "--output",
                 str(folder / "run")]) == 0  # fmt: skip
    return folder / "run"


def test_the_commands(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["walk", str(run), "-n", "4", "--stops", "2", "--steps", "3"]) == 0
    assert capsys.readouterr().out == "6 frames in walk.gif\n"
    with Image.open("walk.gif") as picture:
        assert picture.size == (118, 118)
    assert main(["film", str(run), "--output", "growth.gif"]) == 0
    said = capsys.readouterr().out
    grids = sorted((run / "samples").iterdir())
    assert f"{len(grids)} frames, iterations 4 to 12" in said
    with Image.open("growth.gif") as picture:
        assert picture.n_frames == len(grids)
        first = np.asarray(picture.convert("L"))
    np.testing.assert_array_equal(first, np.asarray(Image.open(grids[0]).convert("L")))
    for command in (["walk", str(run), "-n", "1"], ["film", str(run)]):
        assert main([*command, "--fps", "40", "--output", "fast.gif"]) == 0
        assert "in fast.gif, at 50 frames a second: a GIF has no 40" in capsys.readouterr().out
    assert main(["film", str(run), "--fps", "0.2", "--output", "slow.gif"]) == 0
    with Image.open("slow.gif") as picture:
        for number in range(picture.n_frames):
            picture.seek(number)
            assert picture.info["duration"] == 5000


def test_a_long_run_is_thinned_out_evenly(run):
    from ppgan_zoo.evaluation.growth import read_growth
    from ppgan_zoo.storage.run_directory import RunDirectory

    assert [g.iteration for g in read_growth(RunDirectory(run))] == [4, 8, 12]
    assert [g.iteration for g in read_growth(RunDirectory(run), most=2)] == [4, 12]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["walk", "RUN", "--class", "1"], "trained without labels"),
        (["walk", "RUN", "--output", "w.png"], "must end in .gif or .mp4"),
        (["walk", "RUN", "--seed", "-1"], "--seed -1"),
        (["walk", "nowhere"], "no such directory"),
        (["film", "nowhere"], "nowhere"),
        (["film", "RUN", "--fps", "0"], "--fps 0"),
        (["film", "EMPTY"], "holds no sample grids"),
    ],
)
def test_refused_in_one_line(run, tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "recipe.yml").write_text(TINY)
    names = {"RUN": str(run), "EMPTY": "empty"}
    assert main([names.get(word, word) for word in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
