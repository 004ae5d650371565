"""The training of the feature classifiers, at a few images."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import paddle
import pytest
from conftest import ROOT
from safetensors.numpy import load_file, save

from ppgan_zoo.data import ImageSet, load_image_set
from ppgan_zoo.data.idx import write_idx
from ppgan_zoo.metrics.classifier import FEATURES, Classifier, without_batch_norms
from ppgan_zoo.metrics.classifier_training import (
    NO_CHANGE,
    SCHEDULES,
    Augmentation,
    Schedule,
    accuracy,
    facts,
    train,
)
from ppgan_zoo.metrics.factor_training import NO_VALUE, FactorHead, Factors
from ppgan_zoo.models.weights import layer_arrays


@pytest.fixture(scope="module")
def digits():
    return load_image_set("mnist", offline=True, limit=192, notify=lambda _line: None)


def short(**changes):
    return replace(SCHEDULES["digits-v1"], epochs=1, batch_size=64, **changes)


def test_the_same_training_gives_the_same_bytes(digits):
    written = [
        save(layer_arrays(train(short(seed=seed), digits)), facts("x", short()))
        for seed in (0, 0, 1)
    ]
    assert written[0] == written[1] != written[2]


def test_training_learns(digits):
    schedule = Schedule("mnist", Augmentation(0), epochs=12, batch_size=16, peak_learning_rate=0.05)
    losses = []
    network = train(schedule, digits.limit(64), lambda line: losses.append(float(line.split()[-1])))
    assert len(losses) == 12 and losses[-1] < 0.2 < 1 < losses[0]
    logits = network(paddle.to_tensor(digits.images.astype(np.float32) / 255))[1].numpy()
    assert accuracy(network, digits) == np.mean(logits.argmax(axis=1) == digits.labels)


def test_labels_and_size_are_required(digits):
    bare = ImageSet.of("bare", digits.images, source="folder", location="here")
    with pytest.raises(ValueError, match="bare: needs labels"):
        train(short(), bare)


def test_folding_keeps_the_logits_and_standardises_the_features():
    paddle.seed(3)
    network = Classifier(trainable=True)
    images = [paddle.rand([16, 1, 28, 28]), paddle.rand([16, 1, 28, 28])]
    for batch in images * 5:
        network(batch)
    network.eval()
    folded = without_batch_norms(network, images)
    with paddle.no_grad():
        before = np.concatenate([network(batch)[1].numpy() for batch in images])
        features, after = (np.concatenate([part.numpy() for part in parts])
                           for parts in zip(*map(folded, images)))  # fmt: skip
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert features.shape == (32, FEATURES)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    fires = features.any(axis=0)
    np.testing.assert_allclose(features[:, fires].std(axis=0), 1, atol=1e-3)
    # What never fires must not be blown up when it does: it gets the scale of the others.
    assert 0 < np.sum(~fires) < 10  # so it is with these random weights
    np.testing.assert_allclose(folded.standardise.deviation.numpy()[~fires], 0.032)


def one_pixel(row, column):
    image = np.zeros((1, 1, 28, 28), np.float32)
    image[0, 0, row, column] = 1
    return image


def test_shifts_and_flips_move_whole_pixels(digits):
    images = digits.images[:32].astype(np.float32) / 255
    moved = Augmentation(shift_pixels=2, flip=True)(paddle.to_tensor(images), 0, 0).numpy()
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for old, new in zip(padded, moved):
        candidates = {
            (flip, down, right): old[:, down : down + 28, right : right + 28][:, :, ::flip]
            for flip in (1, -1) for down in range(5) for right in range(5)
        }  # fmt: skip
        nearest = min(candidates, key=lambda key: np.abs(candidates[key] - new).max())
        np.testing.assert_allclose(new, candidates[nearest], atol=1e-4)
        seen.add(nearest)
    assert {flip for flip, _, _ in seen} == {1, -1} and len(seen) > 10


def test_rotation_keeps_the_distance_from_the_centre():
    # One degree moves a pixel 13 from the centre by 0.23 of a pixel, ten by 2.3.
    turned = Augmentation(0, rotation_degrees=10)(
        paddle.to_tensor(np.repeat(one_pixel(13, 26), 64, axis=0)), 0, 0
    ).numpy()[:, 0]
    rows, columns = np.mgrid[:28, :28]
    weight = turned.sum(axis=(1, 2))
    row = (turned * rows).sum(axis=(1, 2)) / weight
    column = (turned * columns).sum(axis=(1, 2)) / weight
    np.testing.assert_allclose(np.hypot(row - 13.5, column - 13.5), 12.51, atol=0.5)
    assert 3.5 < np.ptp(row) < 5


def test_augmentation_depends_on_seed_and_step_alone():
    augmentation = SCHEDULES["digits-v1"].augmentation
    first = augmentation.transforms(8, 0, 5, 28)
    np.testing.assert_array_equal(first, augmentation.transforms(8, 0, 5, 28))
    for seed, step in ((0, 6), (1, 5)):
        assert not np.array_equal(first, augmentation.transforms(8, seed, step, 28))


def test_the_learning_rate_rises_by_a_line_and_falls_by_a_line():
    schedule = Schedule("mnist", Augmentation(0), epochs=1, peak_learning_rate=1.0, warmup=0.25)
    rates = [schedule.learning_rate(step, 8) for step in range(8)]
    np.testing.assert_allclose(
        rates, [1 / 4, 3 / 4, 11 / 12, 9 / 12, 7 / 12, 5 / 12, 3 / 12, 1 / 12]
    )


def factors_of(images):
    """Two factors: how red a picture is, in four steps; and, of every other class, none."""
    red = (images.images[:, 0].mean(axis=(1, 2)) // 64).astype(np.uint8)
    return np.stack([red, np.where(images.labels % 2, red, NO_VALUE)], axis=1)


@pytest.fixture(scope="module")
def colours():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (96, 3, 1, 1), np.uint8) * np.ones((1, 1, 32, 32), np.uint8)
    return ImageSet.of("colours", images, np.arange(96) % 10, source="test", location="here")


def test_the_loss_of_factors_is_that_of_those_that_images_have(colours):
    values = factors_of(colours)
    head = FactorHead(Factors(values, colours, values))
    features = np.random.default_rng(1).standard_normal((6, FEATURES)).astype(np.float32)
    chosen = np.array([3, 0, 8, 41, 95, 2])
    labels = colours.labels[chosen]
    found = head.loss(paddle.to_tensor(features), paddle.to_tensor(labels), chosen).item()
    weight, bias = (parameter.numpy().astype(np.float64) for parameter in head.linear.parameters())
    logits = (features @ weight + bias).reshape(6, 10, 2, 4)
    losses = []
    for row, (place, label) in enumerate(zip(chosen, labels)):
        for factor in range(2):
            if values[place, factor] != NO_VALUE:
                own = logits[row, label, factor]
                losses.append(np.log(np.exp(own).sum()) - own[values[place, factor]])
    assert 6 < len(losses) < 12
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


def test_factors_are_learnt_beside_the_class_and_then_forgotten(colours):
    values, lines = factors_of(colours), []
    schedule = Schedule("avatars", NO_CHANGE, epochs=6, batch_size=24, image_shape=(3, 32, 32))
    network = train(schedule, colours, lines.append, Factors(values, colours, values))
    losses = [float(line.split()[-1]) for line in lines if "loss" in line]
    assert losses[-1] < losses[0] and "factors of held-out images: 0." in lines[-1]
    assert set(layer_arrays(network)) == set(layer_arrays(Classifier(3)))


def tool(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "train_features.py", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_tool_writes_weights_that_say_how_they_came_about(digits, tmp_path):
    for prefix, count in (("train", 160), ("t10k", 64)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", digits.images[:count, 0])
        write_idx(
            tmp_path / f"{prefix}-labels-idx1-ubyte.gz", digits.labels[:count].astype(np.uint8)
        )
    output = tmp_path / "weights.safetensors"
    done = tool("digits-v1", "--data-dir", tmp_path, "--output", output, "--epochs", 1,
                "--hold-out", 30)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stderr and "on 30 images" in done.stderr
    content = output.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    record = json.loads(header["__metadata__"]["ppgan_zoo"])
    assert record["held_out"] == 30 and record["schedule"]["epochs"] == 1
    assert set(record["data"]) == {"train", "test"}
    assert set(load_file(output)) == set(Classifier().state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data-dir", "nowhere"), "nowhere"),
        (("--epochs", "0"), "--epochs 0: give 1 or more"),
        (("--seed", "-1"), "--seed -1: give 0 or more"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments, message, tmp_path):
    done = tool("digits-v1", "--output", tmp_path / "x.safetensors", *arguments)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
