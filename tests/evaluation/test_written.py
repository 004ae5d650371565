"""Sampled pictures as files: grids, arrays, tars and folders; whole, streamed and never over others."""

import hashlib
import io
import json
import tarfile
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from ppgan_zoo.data import load_image_set
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation import sample_folder
from ppgan_zoo.evaluation.sample_folder import class_folders, is_own_folder
from ppgan_zoo.evaluation.sampler import Sampler
from ppgan_zoo.evaluation.written import Output
from ppgan_zoo.models.latent import Latent

SHAPE = (3, 6, 5)
CLASSES = ("T-shirt/top", "Bag", "Coat")


def draw(code):
    """Return images that tell z and label: float32, -1 to 1."""
    images = np.tanh(np.repeat(code.z, 45, axis=1)).reshape(-1, *SHAPE)
    if code.labels is not None:
        images[:, 0, 0, 0] = code.labels / 10
    return images.astype(np.float32)


@pytest.fixture
def sampler():
    return Sampler(Latent(2), (-1.0, 1.0), draw, SHAPE, {"path": "p"}, len(CLASSES), CLASSES)


@pytest.fixture
def plain():
    return Sampler(Latent(2), (-1.0, 1.0), draw, SHAPE, {"path": "p"})


def write(sampler, path, *, seeds=None, count=300, **options):
    order = sampler.order(count, 5, seeds=seeds)
    Output(path, **options).write(sampler, order)
    return order


def test_an_array_is_what_numpy_would_have_written(plain, tmp_path):
    write(plain, tmp_path / "a.npy")
    wanted = io.BytesIO()
    np.save(wanted, plain.sample(300, 5))
    assert (tmp_path / "a.npy").read_bytes().startswith(wanted.getvalue())
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(mapped, plain.sample(300, 5))


def test_an_npz_says_what_each_picture_was_made_of(sampler, tmp_path):
    write(sampler, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        found = dict(arrays)
    labels = np.arange(300) % 3
    np.testing.assert_array_equal(found["images"], sampler.sample(300, 5, labels))
    np.testing.assert_array_equal(found["z"], Latent(2).sample(300, 5))
    np.testing.assert_array_equal(found["labels"], labels)
    np.testing.assert_array_equal(found["indices"], np.arange(300))
    assert set(found["seeds"]) == {5} and tuple(found["classes"]) == CLASSES


def test_a_tar_holds_a_picture_its_facts_and_its_z(sampler, tmp_path):
    order = write(sampler, tmp_path / "a.tar", count=130)
    images = sampler.sample(130, 5, order.labels)
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}
    assert list(members)[:3] == ["000000.png", "000000.json", "000000.z.npy"]
    assert len(members) == 3 * 130
    picture = np.asarray(Image.open(io.BytesIO(members["000129.png"]), formats=("PNG",)))
    np.testing.assert_array_equal(picture.transpose(2, 0, 1), images[129])
    told = json.loads(members["000129.json"])
    assert told == {"seed": 5, "index": 129, "label": 0, "class": "T-shirt/top"}
    z = np.load(io.BytesIO(members["000129.z.npy"]), allow_pickle=False)
    np.testing.assert_array_equal(z, Latent(2).sample(130, 5)[129])


def test_a_folder_has_a_picture_a_file_below_its_class(sampler, tmp_path):
    folder = tmp_path / "a"
    order = write(sampler, folder, count=130)
    images = sampler.sample(130, 5, order.labels)
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    zs = np.load(folder / "z.npy", allow_pickle=False)
    np.testing.assert_array_equal(zs, Latent(2).sample(130, 5))
    assert lines[3]["file"] == "T-shirt_top/000003.png"
    for place, line in enumerate(lines):
        content = (folder / line["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == line["sha256"]
        picture = np.asarray(Image.open(io.BytesIO(content), formats=("PNG",)))
        np.testing.assert_array_equal(picture.transpose(2, 0, 1), images[place])
        assert (line["seed"], line["index"], line["class"]) == (5, place, CLASSES[place % 3])
    facts = json.loads((folder / "samples.json").read_text())
    assert facts["count"] == 130 and facts["model"] == {"path": "p"}


def test_a_folder_can_be_trained_on(sampler, tmp_path):
    order = write(sampler, tmp_path / "a", count=9)
    read = load_image_set("folder", directory=tmp_path / "a", image_size=5, notify=lambda _: None)
    assert read.classes == ("Bag", "Coat", "T-shirt_top")
    assert sorted(read.labels) == sorted(order.labels)


def test_shards_of_a_folder(plain, tmp_path):
    write(plain, tmp_path / "a", shard=128)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["samples.json", *(f"shard-0000{number}.tar" for number in range(3))]
    held = []
    for name in names[1:]:
        with tarfile.open(tmp_path / "a" / name) as archive:
            held.append([name for name in archive.getnames() if name.endswith(".png")])
    assert [len(part) for part in held] == [128, 128, 44]
    assert [name for part in held for name in part] == [
        f"{number:06d}.png" for number in range(300)
    ]
    assert is_own_folder(tmp_path / "a")


def test_a_seed_has_its_picture_whatever_it_is_asked_for_with(sampler, tmp_path):
    for name, seeds in (("a", [8, 3, 4]), ("b", [3])):
        write(sampler, tmp_path / name, seeds=np.array(seeds))
    one, other = (tmp_path / name / "T-shirt_top" / "000003.png" for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in (tmp_path / "b").iterdir() if path.is_dir()] == ["T-shirt_top"]


def test_a_single_picture_has_no_frame(plain, tmp_path):
    write(plain, tmp_path / "a.png", count=1)
    picture = np.asarray(Image.open(tmp_path / "a.png", formats=("PNG",)))
    np.testing.assert_array_equal(picture.transpose(2, 0, 1), plain.sample(1, 5)[0])


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.npz", "a.tar", "a"])
def test_the_same_command_twice_gives_the_same_bytes(name, sampler, tmp_path):
    from conftest import tree_bytes

    write(sampler, tmp_path / name, count=20)
    once = tree_bytes(tmp_path)
    write(sampler, tmp_path / name, count=20)
    assert tree_bytes(tmp_path) == once and len(once) == (23 if name == "a" else 1)


def test_a_folder_that_was_changed_stays(sampler, tmp_path):
    folder = tmp_path / "a"

    def refused():
        assert not is_own_folder(folder)
        with pytest.raises(ConfigError, match="a: exists already and not as ppgan_zoo wrote it"):
            write(sampler, folder, count=20, overwrite=True)

    write(sampler, folder, count=20)
    (folder / "mine.txt").write_text("mine")
    refused()
    (folder / "mine.txt").unlink()
    (folder / "mine").mkdir()
    refused()
    (folder / "mine").rmdir()
    assert is_own_folder(folder)
    picture = folder / "Bag" / "000001.png"
    content = picture.read_bytes()
    picture.write_bytes(content + b"x")
    refused()
    picture.unlink()
    refused()
    picture.write_bytes(content)
    (folder / "samples.json").write_text("{}")
    refused()


def test_nothing_half_made_stays(sampler, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    for name in ("a.npy", "a.npz", "a.tar", "a", "deep/b"):
        order = sampler.order(300, 0)
        made = iter([(code, sampler.generate(code)) for code in order.codes(128)][:1])
        broken = type("Broken", (), {"parts": lambda self, order: _then(made, full)})()
        for field in ("image_shape", "origin"):
            setattr(broken, field, getattr(sampler, field))
        with pytest.raises(ConfigError, match="No space left"):
            Output(tmp_path / name).write(broken, order)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == []


def _then(made, fail):
    for code, images in made:
        yield code, (images * 0).astype(np.uint8)
    fail()


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.tar", "a"])
def test_pictures_are_written_as_they_come(name, tmp_path, monkeypatch):
    """Two thousand pictures of 3 kB are 6 MB; a few parts of them are in memory."""
    shape, count = (3, 32, 32), 20_000 if name == "a.npy" else 2_000
    block = np.zeros((128, *shape), np.float32)
    large = Sampler(Latent(2), (-1.0, 1.0), lambda code: block[: len(code)], shape, {})
    order = large.order(count, 0)
    tracemalloc.start()
    Output(tmp_path / name).write(large, order)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20


def test_names_of_classes_that_no_file_system_takes():
    assert class_folders(("a/b", "..", "")) == ["0-a_b", "1", "2"]
    assert class_folders(("Cat", "cat")) == ["0-Cat", "1-cat"]
    assert class_folders(("7", "Ä b")) == ["7", "Ä b"]
    assert class_folders(("x" * 300,)) == ["x" * 60]


def test_a_grid_has_an_end(plain, tmp_path):
    with pytest.raises(ConfigError, match="at most 10000; give --output a folder"):
        write(plain, tmp_path / "a.png", count=10_001)


def test_many_files_are_brought_to_disk_by_one_call(sampler, tmp_path, monkeypatch):
    from ppgan_zoo.storage import files

    calls = []
    monkeypatch.setattr(files, "MANY_FILES", 10)
    monkeypatch.setattr(files.os, "sync", lambda: calls.append(1))
    write(sampler, tmp_path / "a", count=20)
    assert calls == [1] and sample_folder.is_own_folder(tmp_path / "a")
