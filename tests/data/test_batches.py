"""The order of the data."""

import dataclasses

import numpy as np
import paddle
import pytest

from ppgan_zoo.data import Batch, Batches, ImageSet, as_batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.run.build import build_batches, facts_of


def numbered(count, labels=None):
    """A set in which every pixel of image i is i."""
    images = np.repeat(np.arange(count, dtype=np.uint8), 4).reshape(count, 1, 2, 2)
    return ImageSet.of("numbered", images, labels, source="directory", location="x")


def test_every_epoch_is_another_permutation():
    batches = Batches(numbered(12), 3, seed=5)
    assert batches.steps_per_epoch == 4
    epochs = [
        np.concatenate([batches.indices(epoch * 4 + b) for b in range(4)]) for epoch in range(4)
    ]
    for order in epochs:
        assert sorted(order.tolist()) == list(range(12))
    assert len({tuple(order.tolist()) for order in epochs}) == 4


def test_the_partial_batch_is_skipped():
    batches = Batches(numbered(11), 3, seed=5)
    assert batches.steps_per_epoch == 3
    seen = np.concatenate([batches.indices(step) for step in range(3)])
    assert len(set(seen.tolist())) == 9


@pytest.mark.parametrize("replacement", [False, True])
def test_a_batch_depends_on_seed_and_step_alone(replacement):
    ahead = Batches(numbered(20), 4, seed=7, replacement=replacement)
    wanted = [ahead.indices(step) for step in range(23)]
    for step in (22, 0, 13, 5, 4, 22, 9):
        fresh = Batches(numbered(20), 4, seed=7, replacement=replacement)
        np.testing.assert_array_equal(fresh.indices(step), wanted[step])
        np.testing.assert_array_equal(ahead.indices(step), wanted[step])
        np.testing.assert_array_equal(fresh[step], ahead[step])
    other = Batches(numbered(20), 4, seed=8, replacement=replacement)
    assert any((other.indices(step) != wanted[step]).any() for step in range(5))


def test_the_order_is_the_documented_one():
    """Recomputed from PCG64's raw stream, which NumPy promises never to change."""
    raw = np.random.PCG64(np.random.SeedSequence(3, spawn_key=(0x0DA7A, 2))).random_raw(10)
    by_hand = [i for _, i in sorted((int(draw), i) for i, draw in enumerate(raw))]
    batches = Batches(numbered(10), 5, seed=3)
    assert [*batches.indices(4), *batches.indices(5)] == by_hand
    drawn = Batches(numbered(10), 5, seed=3, replacement=True)
    assert [*drawn.indices(4), *drawn.indices(5)] == [int(draw) % 10 for draw in raw]


def test_replacement_draws_uniformly():
    batches = Batches(numbered(10), 10, seed=1, replacement=True)
    assert batches.steps_per_epoch == 1
    counts = np.bincount(
        np.concatenate([batches.indices(step) for step in range(2000)]), minlength=10
    )
    # Chi-squared with 9 degrees of freedom: 27.88 is exceeded once in a thousand seeds.
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.88
    assert any(len(set(batches.indices(step).tolist())) < 10 for step in range(5))


def test_shuffled_positions_are_uniform():
    batches = Batches(numbered(5), 5, seed=2)
    first = np.bincount([batches.indices(step)[0] for step in range(2000)], minlength=5)
    # Chi-squared with 4 degrees of freedom: 18.47 is exceeded once in a thousand seeds.
    assert ((first - 400) ** 2 / 400).sum() < 18.47


def test_batches_hold_scaled_pixels_of_the_chosen_images():
    batches = Batches(numbered(200), 50, seed=0)
    batch = batches[3]
    assert batch.dtype == np.float32
    assert batch.shape == (50, 1, 2, 2)
    assert batch.flags.c_contiguous
    expected = (batches.indices(3) / 127.5 - 1).astype(np.float32)
    np.testing.assert_array_equal(batch[:, 0, 1, 1], expected)
    unit = Batches(numbered(200), 50, seed=0, image_range=(0.0, 1.0))[3]
    np.testing.assert_array_equal(unit[:, 0, 0, 0], (batches.indices(3) / 255).astype(np.float32))


def test_what_a_caller_writes_does_not_come_back():
    batches = Batches(numbered(8), 4, seed=0)
    before = batches.indices(0).copy()
    batches.indices(0)[:] = 0
    batches[0][:] = 9
    np.testing.assert_array_equal(batches.indices(0), before)
    assert batches[0].max() <= 1


@pytest.mark.parametrize("batch_size", [0, -1, 9])
def test_batch_sizes_that_do_not_fit(batch_size):
    with pytest.raises(ConfigError, match="data.batch_size.*give 1 to 8"):
        Batches(numbered(8), batch_size, seed=0)


def test_other_arguments_that_are_not_allowed():
    with pytest.raises(ConfigError, match="seed"):
        Batches(numbered(8), 4, seed=-1)
    with pytest.raises(ConfigError, match="image range"):
        Batches(numbered(8), 4, seed=0, image_range=(1.0, 0.0))
    with pytest.raises(IndexError):
        Batches(numbered(8), 4, seed=0)[-1]
    large = Batches(numbered(8), 4, seed=2**70)
    assert sorted([*large.indices(0), *large.indices(1)]) == list(range(8))


# Labels.


@pytest.mark.parametrize("replacement", [False, True])
def test_labels_go_with_their_images(replacement):
    labelled = numbered(20, labels=np.arange(20)[::-1].copy())
    arguments = {"seed": 7, "replacement": replacement, "image_range": (0.0, 255.0)}
    batches = Batches(labelled, 4, labels=True, **arguments)
    plain = Batches(labelled, 4, **arguments)
    for step in (0, 3, 11):
        batch = batches[step]
        assert isinstance(batch, Batch)
        np.testing.assert_array_equal(batch.images, plain[step])
        assert (batch.labels.dtype, batch.labels.shape) == (np.int64, (4,))
        np.testing.assert_array_equal(batch.labels, 19 - batch.images[:, 0, 0, 0])


def test_a_share_is_some_rows_of_a_batch_and_reads_no_others():
    labelled = numbered(20, labels=np.arange(20)[::-1].copy())
    batches = Batches(labelled, 8, seed=7, flip=True, labels=True)
    read = []

    class Recorded:
        def __len__(self):
            return 20

        def __getitem__(self, chosen):
            read.append(chosen)
            return labelled.images[chosen]

    wanted = {step: batches[step] for step in (0, 1, 5)}
    batches._pixels = Recorded()
    rows = np.array([1, 6, 7])
    for step, whole in wanted.items():
        share = batches.share(step, rows)
        assert (len(share), share.whole) == (3, 8)
        np.testing.assert_array_equal(share.images, whole.images[rows])
        np.testing.assert_array_equal(share.labels, whole.labels[rows])
    assert [len(chosen) for chosen in read] == [3, 3, 3]


def test_labels_of_a_set_without_any_are_refused():
    with pytest.raises(ConfigError, match=r"numbered \(x\) has no labels.*; use a set") as caught:
        Batches(numbered(8), 4, seed=0, labels=True)
    assert "\n" not in str(caught.value)


def test_a_batch_is_mapped_and_split():
    images, labels = np.zeros((6, 1, 2, 2), np.float32), np.arange(6)
    batch = Batch(images, labels)
    assert len(batch) == len(Batch(paddle.to_tensor(images))) == 6
    assert batch.split(1)[0] is batch
    tensors = batch.map(paddle.to_tensor)
    parts = tensors.split(3)
    assert [part.images.shape for part in parts] == [[2, 1, 2, 2]] * 3
    assert [part.labels.tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert tensors.labels.dtype == paddle.int64
    bare = Batch(images).map(paddle.to_tensor)
    assert bare.labels is None
    assert [(len(part), part.labels) for part in bare.split(2)] == [(3, None)] * 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch.labels = None


def test_images_are_taken_for_a_batch_without_labels():
    images = np.zeros((2, 1, 2, 2), np.float32)
    assert as_batch(images).images is images
    assert as_batch(images).labels is None
    batch = Batch(images, np.arange(2))
    assert as_batch(batch) is batch


def test_flips_are_by_seed_and_step_and_mirror_half_of_the_images():
    rng = np.random.default_rng(0)
    images = ImageSet.of(
        "noise", rng.integers(0, 256, (64, 3, 5, 7), np.uint8), source="x", location="y"
    )
    plain = Batches(images, 32, seed=3)
    flipped = Batches(images, 32, seed=3, flip=True)
    mirrored = []
    for step in range(20):
        before, after = plain[step], flipped[step]
        for one, other in zip(before, after):
            is_mirrored = np.array_equal(one[:, :, ::-1], other)
            assert is_mirrored or np.array_equal(one, other)
            mirrored.append(is_mirrored)
        np.testing.assert_array_equal(plain.indices(step), flipped.indices(step))
    assert 0.42 < np.mean(mirrored) < 0.58  # of 640 by chance: standard deviation 0.02
    again = Batches(images, 32, seed=3, flip=True)
    np.testing.assert_array_equal(again[17], flipped[17])  # whatever was asked for before
    assert not np.array_equal(Batches(images, 32, seed=4, flip=True)[0], flipped[0])


def test_the_set_itself_is_never_changed():
    pixels = np.arange(4 * 3 * 4, dtype=np.uint8).reshape(4, 1, 3, 4)
    images = ImageSet.of("tiny", pixels.copy(), source="x", location="y")
    batches = Batches(images, 4, seed=0, flip=True, dequantise=True)
    for step in range(4):
        batches[step]
    np.testing.assert_array_equal(images.images, pixels)


@pytest.mark.parametrize("image_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_dequantised_values_are_anywhere_within_their_grey_level(image_range):
    low, high = image_range
    images = ImageSet.of(
        "levels", np.arange(256 * 200, dtype=np.uint32).astype(np.uint8).reshape(200, 1, 16, 16),
        source="x", location="y",
    )  # fmt: skip
    values = Batches(images, 200, seed=1, dequantise=True, image_range=image_range)[0]
    assert values.dtype == np.float32 and values.shape == (200, 1, 16, 16)
    assert values.min() >= low and values.max() <= high
    places = (values.astype(np.float64) - low) / (high - low) * 256 - np.arange(256).reshape(16, 16)
    # Uniform in [0, 1): 51,200 draws, so that the mean is off by 0.0013 by chance.
    assert places.min() >= 0.0 and places.max() < 1.0
    assert abs(places.mean() - 1 / 2) < 0.006 and abs(places.var() - 1 / 12) < 0.003
    assert np.abs(np.corrcoef(places.reshape(200, 256)[:, :8].T) - np.eye(8)).max() < 0.3


def test_noise_is_by_seed_and_step_and_leaves_order_and_flips_as_they_were():
    rng = np.random.default_rng(0)
    images = ImageSet.of(
        "noise", rng.integers(0, 256, (64, 3, 5, 7), np.uint8), source="x", location="y"
    )
    plain = Batches(images, 32, seed=3, flip=True)
    noisy = Batches(images, 32, seed=3, flip=True, dequantise=True)
    for step in range(4):
        levels = np.rint((plain[step] + 1.0) * 127.5)
        np.testing.assert_array_equal(np.floor((noisy[step] + 1.0) * 128.0), levels)
    again = Batches(images, 32, seed=3, flip=True, dequantise=True)
    np.testing.assert_array_equal(again[3], noisy[3])  # whatever was asked for before
    assert not np.array_equal(noisy[3] % (1 / 128), noisy[2] % (1 / 128))
    other = Batches(images, 32, seed=4, flip=True, dequantise=True)
    assert not np.array_equal(other[3] % (1 / 128), noisy[3] % (1 / 128))


def test_the_noise_is_the_documented_one():
    """Recomputed from PCG64's raw stream: the lowest 16 bits of a draw first."""
    raw = np.random.PCG64(np.random.SeedSequence(3, spawn_key=(0xDE9A7, 2))).random_raw(2)
    by_hand = [(int(draw) >> 16 * place) % 65536 / 65536 for draw in raw for place in range(4)]
    pixels = np.array([[[[7, 0, 255]]], [[[7, 0, 255]]]], np.uint8)
    images = ImageSet.of("tiny", pixels, source="x", location="y")
    values = Batches(images, 2, seed=3, dequantise=True)[2]
    wanted = (pixels.reshape(-1) + by_hand[:6]) / 128 - 1
    np.testing.assert_array_equal(values.reshape(-1), wanted)


def test_a_recipe_asks_for_noise():
    recipe = recipe_from(
        {"model": {"name": "gan_mlp"}, "data": {"name": "mnist", "batch_size": 4},
         "training": {"iterations": 1}}, overrides=["data.dequantise=true"],
    )  # fmt: skip
    images = numbered(8)
    values = build_batches(recipe, images, facts_of(recipe, images.image_shape))[0]
    assert len(np.unique(values)) == values.size
