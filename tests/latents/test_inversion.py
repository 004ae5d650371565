"""Inversion: G's own samples are found again; what it may change, and what it may not."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_directions import space_of

from ppgan_zoo.cli import main
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.latents import inversion
from ppgan_zoo.latents.inversion import _rate, invert, peak_ratio, read_picture
from ppgan_zoo.metrics.features import open_features
from ppgan_zoo.models.facts import model_facts
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.storage.checkpoint import save_checkpoint


@pytest.mark.parametrize("name", ["gan_mlp", "dcgan", "r3gan", "stylegan2"])
def test_a_sample_is_found_again(name):
    space = space_of(name)
    (target,) = space.images(space.points(1, 99))
    before = {n: a.copy() for n, a in layer_arrays(space.generator).items()}
    found = invert(space, target, restarts=3, steps=120)
    random = max(peak_ratio(image, target) for image in space.images(space.points(3, 0)))
    assert found.psnr[0] > max(25.0, random + 10.0)
    assert (np.diff(found.psnr) <= 0).all()
    np.testing.assert_array_equal(found.images, space.images(found.points))
    for name, array in layer_arrays(space.generator).items():
        np.testing.assert_array_equal(array, before[name])
    assert any(not p.stop_gradient for p in space.generator.parameters())


def test_the_same_seed_finds_the_same_bytes():
    space = space_of("gan_mlp")
    (target,) = space.images(space.points(1, 99))
    one, other = (invert(space, target, restarts=2, steps=20, seed=4) for _ in range(2))
    assert one.points.tobytes() == other.points.tobytes()
    assert invert(space, target, restarts=2, steps=20).points.tobytes() != one.points.tobytes()


def test_uniform_z_stays_in_its_cube():
    space = space_of("dcgan")
    black = np.zeros((1, 28, 28), np.uint8)
    assert np.abs(invert(space, black, restarts=2, steps=60).points).max() <= 1.0


def test_normal_z_keeps_its_length(monkeypatch):
    space = space_of("r3gan")
    noise = np.random.default_rng(0).integers(0, 256, space.generator.image_shape, np.uint8)

    def far_from_1():
        points = invert(space, noise, restarts=4, steps=60).points
        return np.abs(np.square(points).mean(axis=1) - 1.0)

    weighted = far_from_1()
    monkeypatch.setattr(inversion, "PRIOR_WEIGHT", 0.0)
    assert weighted.mean() < far_from_1().mean()


def test_codes_stay_codes():
    space = space_of("infogan", latent_dim=80)
    (target,) = space.images(space.points(1, 99))
    points = invert(space, target, restarts=3, steps=30).points
    codes = space.latent.codes()
    one_hot = points[:, codes["c1"]]
    assert sorted(set(one_hot.ravel())) == [0.0, 1.0] and (one_hot.sum(axis=1) == 1).all()
    assert np.abs(points[:, codes["c1"].stop :]).max() <= 1.0


def test_classes_are_tried_in_turn_or_one_is_held():
    space = space_of("gan_mlp", 3)
    labels = np.array([1])
    (target,) = space.images(space.points(1, 99), labels)
    found = invert(space, target, restarts=6, steps=100)
    assert sorted(found.labels) == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(found.images, space.images(found.points, found.labels))
    held = invert(space, target, restarts=3, steps=100, label=1)
    assert held.labels.tolist() == [1, 1, 1] and held.psnr[0] > 30


def test_features_are_compared_too():
    space = space_of("gan_mlp")
    (target,) = space.images(space.points(1, 99))
    forward = open_features("digits-v1").forward
    plain = invert(space, target, restarts=1, steps=30)
    by_features = invert(space, target, restarts=1, steps=30, features=forward)
    assert by_features.points.tobytes() != plain.points.tobytes()
    heavy = invert(space, target, restarts=1, steps=100, features=forward, feature_weight=10.0)
    network = open_features("digits-v1")
    near = [np.square(network(i).features - network(target[None]).features).mean()
            for i in (heavy.images, space.images(space.points(1, 0)))]  # fmt: skip
    assert near[0] < near[1] / 4


def test_peak_ratio_by_hand():
    image = np.full((1, 4, 4), 7, np.uint8)
    assert peak_ratio(image, image) == math.inf
    assert peak_ratio(image, image + 1) == pytest.approx(48.1308, abs=1e-4)  # 20 log10 255
    assert peak_ratio(image * 0, image * 0 + 255) == 0.0


def test_the_rate_rises_and_falls_as_in_stylegan2s_projector():
    assert [round(_rate(t), 4) for t in (0.024, 0.5, 0.75, 0.875)] == [0.5, 1.0, 1.0, 0.5]
    assert _rate(0.0) > 0.0 and _rate(0.999) < 1e-4


def test_a_picture_is_cut_to_the_middle_and_resized(tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 200  # the middle square
    Image.fromarray(pixels).save(tmp_path / "p.png")
    found = read_picture(tmp_path / "p.png", (1, 10, 10))
    assert found.shape == (1, 10, 10) and (found == 200).all()
    assert read_picture(tmp_path / "p.png", (3, 10, 20)).shape == (3, 10, 20)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png", (1, 8, 8)) == 255).all()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad\.png"):
        read_picture(tmp_path / "bad.png", (1, 8, 8))
    with pytest.raises(ConfigError, match="2 channels"):
        read_picture(tmp_path / "p.png", (2, 8, 8))


@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (3, 700)])
def test_of_a_very_long_picture_the_middle_is_taken(tmp_path, size):
    Image.new("L", size, 100).save(tmp_path / "long.png")
    assert (read_picture(tmp_path / "long.png", (1, 28, 28)) == 100).all()


def test_a_camera_may_have_lain_on_its_side(tmp_path):
    pixels = np.zeros((40, 40), np.uint8)
    pixels[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "p.jpg", exif=exif, quality=100)
    (found,) = read_picture(tmp_path / "p.jpg", (1, 8, 8))
    assert (found[:, :3] < 9).all() and (found[:, 5:] > 246).all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"restarts": 0}, "restarts 0"), ({"steps": 0}, "steps 0"), ({"seed": -1}, "seed -1"),
        ({"label": 1}, "label 1"), ({"picture": np.zeros((1, 8, 8), np.uint8)}, "bring it to that"),
        ({"picture": np.zeros((1, 28, 28), np.float32)}, "float32"),
    ],
)  # fmt: skip
def test_what_cannot_be_inverted(changes, says):
    space = space_of("gan_mlp")
    arguments = {"picture": np.zeros((1, 28, 28), np.uint8), "steps": 1, **changes}
    with pytest.raises(ConfigError, match=says):
        invert(space, arguments.pop("picture"), **arguments)


@pytest.mark.parametrize(("classes", "restarts"), [(3, 8), (10, 10)])
def test_by_default_every_class_is_tried(tmp_path, monkeypatch, capsys, classes, restarts):
    space = space_of("gan_mlp", classes)
    facts = model_facts(
        "gan_mlp", (1, 28, 28), 12, conditional=True, num_classes=classes,
        arguments={"generator": {"hidden_units": (8, 8, 8, 8)}, "discriminator": {}},
    )  # fmt: skip
    saved = save_checkpoint(
        tmp_path, {"generator": layer_arrays(space.generator)}, 1, facts.to_json()
    )
    monkeypatch.chdir(tmp_path)
    Image.new("L", (28, 28)).save("p.png")
    assert main(["invert", str(saved.path), "p.png", "--steps", "1"]) == 0
    said = capsys.readouterr().out
    assert f"PSNR of {restarts} restarts" in said and "were tried" not in said


def test_the_command(tmp_path, monkeypatch, capsys):
    space = space_of("gan_mlp", 3)
    facts = model_facts(
        "gan_mlp", (1, 28, 28), 12, conditional=True, num_classes=3, classes=("a", "b", "c"),
        arguments={"generator": {"hidden_units": (8, 8, 8, 8)}, "discriminator": {}},
    )  # fmt: skip
    saved = save_checkpoint(
        tmp_path, {"generator": layer_arrays(space.generator)}, 1, facts.to_json()
    )
    monkeypatch.chdir(tmp_path)
    Image.fromarray(space.images(space.points(1, 99))[0, 0]).save("p.png")
    command = ["invert", str(saved.path), "p.png", "--steps", "20", "--restarts", "3"]
    assert main([*command, "--points", "z.npy"]) == 0
    said = capsys.readouterr().out
    assert "PSNR of 3 restarts" in said and "nearest as class " in said
    assert np.load("z.npy").shape == (3, 12)
    assert Image.open("inverted.png").size[0] == 4 * 58 + 2
    assert main([*command, "--class", "b", "--features", "digits-v1"]) == 0
    capsys.readouterr()
    assert main([*command[:-1], "2", "--points", "new/z.npy"]) == 0
    assert "only the first 2 of 3 classes were tried; --restarts 3" in capsys.readouterr().out
    assert np.load("new/z.npy").shape == (2, 12)
    Path("mine.npy").write_text("mine")
    assert main([*command, "--points", "mine.npy"]) == 2
    assert re.search(r"--points mine.npy: .* or --overwrite", capsys.readouterr().err)
    for more, says in (
        (["--class", "d"], "--class d"), (["--output", "x.jpg"], "must end in .png"),
        (["--points", "x"], "must end in .npy"), (["--restarts", "0"], "restarts 0"),
        (["--features", "digits-v2"], "unknown feature network"),
        (["--features", "general-v1"], "is for images [3, 32, 32], and the model's are [1, 28, 28]"),
        (["--output", "p.png", "--overwrite"], "is the picture itself"),
    ):  # fmt: skip
        capsys.readouterr()
        assert main([*command, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line
