"""Models with labels through a whole run: trained, killed, resumed, sampled, exported, measured."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tree_bytes
from PIL import Image

from ppgan_zoo.cli import main
from ppgan_zoo.data import load_image_set, to_uint8
from ppgan_zoo.export.exported import open_exported
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.restore import load_generator
from ppgan_zoo.storage.checkpoint import open_checkpoint
from ppgan_zoo.storage.pictures import image_grid
from ppgan_zoo.storage.visualdl_reader import read_scalars
from ppgan_zoo.training.chance import DISPLAY_DRAW

# 4 iterations an epoch, 8 in all; killed after the sixth, resumed from the fourth.
RECIPE = """\
seed: 5
model:
  name: gan_mlp
  conditional: true
  generator: {hidden_units: [32]}
  discriminator: {hidden_units: [32]}
latent: {dim: 8}
data: {name: mnist, batch_size: 32, limit: 128}
training: {epochs: 2}
ema: {decay: 0.5}
terms: [{name: r1, every_steps: 2}, {name: lecam}]
samples: {every_steps: 4, grid: [10, 4], real_rows: 1}
log: {every_steps: 1}
checkpoint: {every_steps: 2, keep_last: 10, best_by: fid}
evaluation: {every_steps: 4, metrics: [fid, label_accuracy], num_samples: 120}
health: {every_steps: 1}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A whole run and one that was killed and resumed: the folder of both."""
    folder = tmp_path_factory.mktemp("conditional")
    (folder / "r.yml").write_text(RECIPE)
    jobs = [
        {"arguments": ["train", "--offline", *words], "at": 6, "signals": signals}
        for words, signals in (
            (["-c", str(folder / "r.yml"), "--output", str(folder / "whole")], []),
            (["-c", str(folder / "r.yml"), "--output", str(folder / "killed")], [signal.SIGKILL]),
            (["--resume", str(folder / "killed")], []),
        )
    ]
    ended = subprocess.run(
        [sys.executable, Path(__file__).with_name("forked_runs.py")],
        input=json.dumps(jobs), capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PPGAN_ZOO_THREADS": "1", "OMP_NUM_THREADS": "1",
             "XDG_CACHE_HOME": str(folder / "cache")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [0, -signal.SIGKILL, 0], ended.stderr
    return folder


@pytest.fixture
def whole(runs, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(runs / "cache"))
    return runs / "whole"


def sampled(folder, model, *options, count=40):
    """Return what ``ppgan-zoo sample`` writes."""
    path = folder / f"{'-'.join(options) or 'all'}-{model.name}.npy"
    words = ["sample", str(model), "-n", str(count), "--output", str(path), *options]
    assert main(words) == 0
    return np.load(path)


def test_killed_and_resumed_it_ends_with_the_same_bytes(runs):
    for part in ("checkpoints", "samples"):
        assert tree_bytes(runs / "whole" / part) == tree_bytes(runs / "killed" / part)


def test_a_checkpoint_knows_the_classes(whole):
    model = open_checkpoint(whole / "checkpoints" / "step-00000008").manifest["model"]
    assert model["num_classes"] == 10
    assert model["classes"] == [str(digit) for digit in range(10)]
    assert model["generator"]["num_classes"] == model["discriminator"]["num_classes"] == 10


def test_a_grid_has_a_row_a_class(whole):
    generator, _ = load_generator(open_checkpoint(whole / "checkpoints" / "step-00000004"))
    z = Latent(8, "normal").sample(40, 5, DISPLAY_DRAW)
    images = generate(generator, z, np.repeat(np.arange(10), 4))
    grid = image_grid(to_uint8(images, (-1.0, 1.0)), 4)
    picture = np.asarray(Image.open(whole / "samples" / "step-00000004.png"))
    assert np.array_equal(picture[-len(grid) :], grid)


def test_sample_makes_one_class_by_name_and_rows_of_all_of_them(whole, tmp_path):
    rows = sampled(tmp_path, whole)
    three, four = (sampled(tmp_path, whole, "--class", name) for name in "34")
    assert three.shape == (40, 1, 28, 28) and not np.array_equal(three, four)
    # Four columns: row 3 shows class 3 of the z that it would have alone.
    assert np.array_equal(rows[12:16], three[12:16])
    assert np.array_equal(rows[16:20], four[16:20])
    assert not np.array_equal(rows[12:16], four[12:16])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ten", "--class ten: no such class; known: 0 to 9"),
        ("10", "--class 10: no such class (did you mean '1'?); known: 0 to 9"),
    ],
)
def test_a_class_that_is_not_there_is_one_line(name, said, whole, tmp_path, capsys):
    words = ["sample", str(whole), "--class", name, "--output", str(tmp_path / "x.png")]
    assert main(words) == 2
    assert capsys.readouterr().err == f"ppgan-zoo: {said}\n"


def test_an_export_is_proven_with_every_class_and_sampled(whole, tmp_path):
    exported = tmp_path / "exported"
    assert main(["export", "--checkpoint", str(whole), "--output", str(exported)]) == 0
    model = open_exported(exported)
    difference = model.description.largest_difference
    assert max(difference.static_graph, difference.paddle_inference) <= difference.tolerance == 1e-5
    assert (model.description.num_classes, difference.samples) == (10, 64)
    generator, _ = load_generator(open_checkpoint(whole / "checkpoints" / "step-00000008"))
    z = Latent(8, "normal").sample(30, 1)
    for label in range(10):
        labels = np.full(30, label)
        wanted = generate(generator, z, labels)
        assert np.abs(model.generate(z, labels) - wanted).max() <= 1e-5
    best = sampled(tmp_path, whole, "--class", "7").astype(int)
    assert np.abs(sampled(tmp_path, exported, "--class", "7") - best).max() <= 1


def test_evaluate_reports_how_often_the_label_is_right(whole, tmp_path):
    words = ["evaluate", str(whole), "--split", "train", "--num-samples", "150", "--no-floor"]
    words += ["--metrics", "fid,label_accuracy", "--output", str(tmp_path / "e.json"), "--offline"]
    assert main(words) == 0
    metrics = json.loads((tmp_path / "e.json").read_text())["metrics"]
    assert set(metrics) == {"fid", "fid_standard_error", "label_accuracy"}
    assert 0.0 <= metrics["label_accuracy"] <= 1.0
    assert round(150 * metrics["label_accuracy"], 6) % 1 == 0  # a share of 150 samples


def test_metrics_and_health_are_taken_while_it_trains(whole):
    curves = read_scalars(whole / "visualdl")
    assert [step for step, _ in curves["metric/label_accuracy"]] == [2, 4, 6, 8]  # of each save
    assert all(0.0 <= value <= 1.0 for _, value in curves["metric/label_accuracy"])
    assert len(curves["health/ranking"]) == 8 and len(curves["term/r1"]) == 4
    log = (whole / "train.log").read_text()
    assert log.count("label_accuracy 0.") == 4


# Folders of pictures, and what cannot be trained with labels.


@pytest.fixture
def pictures(tmp_path):
    """48 digits in the folders cat and dog: those below 5 and the others."""
    images = load_image_set("mnist", offline=True, limit=48, notify=lambda line: None)
    for number, (pixels, label) in enumerate(zip(images.images, images.labels, strict=True)):
        folder = tmp_path / "pictures" / ("cat" if label < 5 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(folder / f"{number:02d}.png")
    return tmp_path / "pictures"


OF_A_FOLDER = [
    "data={name: folder, image_size: 16, batch_size: 16}", "training.epochs=1",
    "checkpoint.best_by=null", "evaluation={}", "samples.grid=[2, 4]",
]  # fmt: skip


def trained(folder, *overrides):
    """Return the exit code of a training of the recipe, changed by `overrides`."""
    (folder / "r.yml").write_text(RECIPE)
    words = [word for override in overrides for word in ("-o", override)]
    return main(
        ["train", "--offline", "-c", str(folder / "r.yml"), *words, "--output", str(folder / "run")]
    )


def last_line(capsys):
    """Return what is wrong; before it stands at most where the data were found."""
    *notes, line = capsys.readouterr().err.splitlines()
    assert all(note.startswith("mnist: ") for note in notes)
    return line


def test_a_folder_of_class_folders_is_trained_and_sampled_by_their_names(pictures, tmp_path):
    run = tmp_path / "run"
    assert trained(tmp_path, *OF_A_FOLDER, f"data.directory={pictures}") == 0
    model = open_checkpoint(run / "checkpoints" / "step-00000003").manifest["model"]
    assert (model["num_classes"], model["classes"]) == (2, ["cat", "dog"])
    cat, dog = (sampled(tmp_path, run, "--class", name, count=8) for name in ("cat", "dog"))
    rows = sampled(tmp_path, run, count=8)
    assert np.array_equal(rows[:4], cat[:4]) and np.array_equal(rows[4:], dog[4:])
    assert not np.array_equal(cat, dog)
    assert np.array_equal(sampled(tmp_path, run, "--class", "1", count=8), dog)


@pytest.mark.parametrize("change", ["a name", "a picture"])
def test_a_resume_on_other_labels_of_the_same_images_is_refused(change, pictures, tmp_path, capsys):
    run = tmp_path / "run"
    assert trained(tmp_path, *OF_A_FOLDER, f"data.directory={pictures}") == 0
    if change == "a name":
        (pictures / "cat").rename(pictures / "car")
    else:  # the last of the cats becomes the first of the dogs
        last = max((pictures / "cat").iterdir())
        last.rename(pictures / "dog" / "0.png")
    capsys.readouterr()
    assert main(["train", "--offline", "--resume", str(run), "-o", "training.epochs=2"]) == 2
    assert capsys.readouterr().err == (
        f"ppgan-zoo: {run}: was started on these images with other labels, and {pictures} has "
        "changed since; put the labels back as they were, or start a new run\n"
    )


def test_classes_that_a_limit_empties_are_named(pictures, tmp_path, capsys):
    limited = (
        f"data.directory={pictures}",
        "data.limit=1",
        "data.batch_size=1",
        "samples.grid=[1, 4]",
    )
    assert trained(tmp_path, *OF_A_FOLDER, *limited) == 0
    said = capsys.readouterr().err
    assert re.search("data: 1 of 2 classes have no image: (cat|dog); raise data.limit", said)


def test_an_unknown_class_of_a_folder_is_told_the_names(pictures, tmp_path, capsys):
    assert trained(tmp_path, *OF_A_FOLDER, f"data.directory={pictures}") == 0
    capsys.readouterr()
    assert main(["sample", str(tmp_path / "run"), "--class", "dig"]) == 2
    said = "--class dig: no such class (did you mean 'dog'?); known: 0 to 1, or cat, dog"
    assert capsys.readouterr().err == f"ppgan-zoo: {said}\n"


def test_a_folder_without_classes_has_no_labels_to_train_with(pictures, tmp_path, capsys):
    overrides = [*OF_A_FOLDER, f"data.directory={pictures / 'cat'}"]
    assert trained(tmp_path, *overrides) == 2
    assert capsys.readouterr().err == (
        f"ppgan-zoo: {tmp_path / 'r.yml'}: model.name: gan_mlp is to be trained with labels, and "
        "the data have none; use data that have (mnist, fashion_mnist, a folder of class "
        "folders), or leave model.conditional out\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_model_that_takes_no_labels_is_refused(tmp_path, capsys):
    assert trained(tmp_path, "model={name: dcgan_keras, conditional: true}") == 2
    assert last_line(capsys) == (
        f"ppgan-zoo: {tmp_path / 'r.yml'}: model.conditional: dcgan_keras takes no labels; leave "
        "conditional out, or use a model that does, such as gan_mlp or dcgan"
    )
    assert not (tmp_path / "run").exists()


def test_labels_are_no_metric_of_a_model_without_them(tmp_path, capsys):
    assert trained(tmp_path, "model.conditional=false") == 2
    assert last_line(capsys) == (
        f"ppgan-zoo: {tmp_path / 'r.yml'}: metrics: label_accuracy needs samples that are made for "
        "a class each; leave it out, or measure a model that takes labels"
    )
    assert not (tmp_path / "run").exists()
