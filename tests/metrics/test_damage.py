"""Known damage: each kind does what it says, and FID of the general network rises with it."""

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageFilter

from ppgan_zoo.data import load_image_set
from ppgan_zoo.evaluation.real_images import choose
from ppgan_zoo.metrics.damage import DAMAGES, OF_IMAGES, Pool, rank_correlation, rises, undamaged
from ppgan_zoo.metrics.features import open_features
from ppgan_zoo.metrics.frechet import Gaussian, frechet_distance
from ppgan_zoo.registry import METRICS

BY_NAME = {damage.name: damage for damage in DAMAGES}


@pytest.fixture(scope="module")
def pool():
    avatars = load_image_set("avatars")
    chosen = choose(avatars, 1400)
    return Pool(
        chosen.images[:1000], chosen.labels[:1000], chosen.images[1000:], chosen.labels[1000:]
    )


def spoilt(pool, name, strength, count=60):
    sample = BY_NAME[name](pool, count, strength)
    assert sample.images.dtype == np.uint8 and sample.images.shape == (count, 3, 32, 32)
    return sample


def test_noise_has_its_deviation(pool):
    grey = Pool(
        np.full((60, 3, 32, 32), 128, np.uint8),
        pool.labels[:60],
        pool.training,
        pool.training_labels,
    )
    values = spoilt(grey, "noise", 10).images.astype(float)
    assert values.std() == pytest.approx(10, rel=0.01) and values.mean() == pytest.approx(
        128, abs=0.1
    )


def test_blur_is_that_of_pillow_inside(pool):
    """Pillow's is three box filters in a row, near a Gaussian; its borders differ."""
    found = spoilt(pool, "blur", 1.5).images[:5, :, 6:-6, 6:-6].astype(float)
    pictures = [Image.fromarray(image.transpose(1, 2, 0)) for image in pool.images[:5]]
    wanted = [np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5))) for picture in pictures]
    wanted = np.stack(wanted).transpose(0, 3, 1, 2)[:, :, 6:-6, 6:-6]
    unchanged = pool.images[:5, :, 6:-6, 6:-6].astype(float)
    assert np.abs(found - wanted).mean() < 0.1 * np.abs(unchanged - wanted).mean()


def test_squares_and_specks_are_counted(pool):
    before = pool.images[:60].astype(int)
    for name, strength in (("grey specks", 8), ("specks at the frame", 32)):
        changed = (spoilt(pool, name, strength).images != before).any(axis=1)
        counts = changed.sum(axis=(1, 2))
        assert counts.max() <= strength and counts.mean() > 0.95 * strength
        if name == "specks at the frame":
            assert not changed[:, 2:-2, 2:-2].any()
    white = Pool(
        np.full((60, 3, 32, 32), 255, np.uint8),
        pool.labels[:60],
        pool.training,
        pool.training_labels,
    )
    cut = spoilt(white, "a black square", 8).images == 0
    assert (cut.sum(axis=(1, 2, 3)) == 3 * 64).all()


def test_jpeg_loses_more_at_lower_quality(pool):
    before = pool.images[:60].astype(int)
    off = [np.abs(spoilt(pool, "JPEG", quality).images - before).mean()
           for quality in BY_NAME["JPEG"].strengths]  # fmt: skip
    assert off[0] > 0 and rises(off)


def test_which_images_there_are(pool):
    copies = spoilt(pool, "copies", 10)
    assert len({image.tobytes() for image in copies.images}) == 6
    assert spoilt(pool, "missing classes", 5).labels.min() == 5
    shared = {image.tobytes() for image in pool.training}
    labels = dict(zip(map(bytes, pool.training), pool.training_labels, strict=True))
    for percent in (10, 50, 100):
        sample = spoilt(pool, "training images", percent)
        assert sum(image.tobytes() in shared for image in sample.images) == 60 * percent / 100
        for image, label in zip(sample.images, sample.labels, strict=True):
            assert labels.get(image.tobytes(), label) == label
    with pytest.raises(ValueError, match="missing classes: .* images are left of 900"):
        BY_NAME["missing classes"](pool, 900, 5)


def test_wrong_labels_change_labels_alone(pool):
    before, after = undamaged(pool, 1000), spoilt(pool, "wrong labels", 50, 1000)
    np.testing.assert_array_equal(before.images, after.images)
    assert np.mean(before.labels != after.labels) == pytest.approx(0.5, abs=0.05)
    assert set(after.labels) == set(range(10))


def test_ranks_are_correlated_as_spearman_says():
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with rank differences 0, 1, 1, 0: 1 - 12 / 60.
    assert rank_correlation([1, 5, 7, 90], [0.1, 0.3, 0.2, 4]) == pytest.approx(0.8)
    assert rises([1, 2, 3]) and not rises([1, 2, 2])


def test_the_page_shows_every_figure_beside_every_damage():
    page = (ROOT / "docs" / "what_metrics_see.md").read_text(encoding="utf-8")
    tables = [part for part in page.split("\n## ") if "| as they are |" in part]
    for table, network in zip(tables, ("digits-v1", "avatars-v1"), strict=True):
        assert network in table.splitlines()[0]
        head = next(
            line for line in table.splitlines() if line.startswith("| ") and "`fid`" in line
        )
        for metric in METRICS.all():
            if metric.network:  # for one kind of images alone: it has a section of its own
                continue
            shown = [name for name in metric.figures if not name.endswith(("_error", "_std", "_z"))]
            if metric.network in (None, network):
                assert all(f"`{name}`" in head for name in shown)
        for damage in DAMAGES:
            for strength in damage.strengths:
                assert f"| {damage.describe(strength)} |" in table


@pytest.mark.parametrize("damage", OF_IMAGES, ids=lambda damage: damage.name)
def test_fid_of_the_general_network_rises_with_damage(damage, pool):
    network = open_features("general-v1")
    real = Gaussian.of(network(pool.training).features)

    def fid(sample):
        return frechet_distance(Gaussian.of(network(sample.images).features), real)

    figures = [fid(damage(pool, 400, strength)) for strength in damage.strengths]
    assert rises(figures)
    assert fid(undamaged(pool, 400)) < figures[-1]
