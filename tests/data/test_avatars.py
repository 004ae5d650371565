"""Avatars: the embedded set, drawing others, and the same bytes every time."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, tree_bytes

from ppgan_zoo.cli import main
from ppgan_zoo.data import avatar_drawing as drawing
from ppgan_zoo.data import avatar_making as making
from ppgan_zoo.data import load_image_set
from ppgan_zoo.data.avatars import NO_VALUE, STYLES, load_factors
from ppgan_zoo.errors import ConfigError, DataError
from ppgan_zoo.storage import files as files_module
from ppgan_zoo.storage.journal import partial_folder

# Of the pinned versions of the packages; recorded once, when the pictures were looked at.
HASHES = {
    "critters": "a4578e7a465b4fa8f98b09b5e9a7e80bd78836bceb8d7f97c15ce89815893902",
    "open-peeps": "581535d609762af681d0d84c891bc116ac0b17d5a602c0ecd7e4b88cc8713aee",
    "planets": "6dd151c8ef2bb34349266199d4863ed9a0c0c9caa73692a2dbd98ea336810540",
}


@pytest.fixture(scope="module")
def styles():
    return {name: drawing.open_style(name) for name in STYLES}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("avatars") / "set"
    making.make_avatars(folder, 120, 24, 0)
    return folder


def test_the_embedded_set():
    train, test = (load_image_set("avatars", split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (5000, 1000)
    assert train.image_shape == (3, 32, 32) and train.classes == STYLES
    assert set(np.bincount(train.labels)) == {500} and set(np.bincount(test.labels)) == {100}
    pictures = [picture.tobytes() for part in (train, test) for picture in part.images]
    assert len(set(pictures)) == 6000
    part = load_image_set("avatars", limit=20)
    assert train.source == "embedded" and set(np.bincount(part.labels)) == {2}


def test_the_embedded_set_is_what_the_command_makes(styles):
    """The first two rounds of each split, by what stands in the embedded set."""
    for split in ("train", "test"):
        images = load_image_set("avatars", split=split).images
        factors = load_factors(split)
        for place in range(20):
            style = styles[STYLES[place % 10]]
            drawn = style.draw(f"{style.name}-{split}-0-{place // 10}", 32)
            np.testing.assert_array_equal(images[place], drawn.image)
            values = {
                name: options[value]
                for (name, options), value in zip(style.factors.items(), factors[place])
                if value != NO_VALUE
            }
            assert values == drawn.factors


def test_a_drawing_is_the_same_bytes_every_time(styles):
    found = {
        name: hashlib.sha256(styles[name].draw("a name", 32).image.tobytes()).hexdigest()
        for name in HASHES
    }
    assert found == HASHES


def test_every_style_is_in_the_public_domain(styles):
    """As the package itself states, and as the list in the embedded README says."""
    for style in styles.values():
        licence = style.definition["meta"]["license"]
        assert licence["name"] == "CC0 1.0" and "publicdomain/zero" in licence["url"]
    with pytest.raises(ConfigError, match=r"micah is 'CC BY 4.0', not CC0"):
        drawing.Style("micah")


def test_factors_are_what_varies(styles):
    factors = styles["pixel-art"].factors
    assert len(factors["hairVariant"]) == 45 and len(factors["skinColor"]) == 8
    assert not any(
        name.startswith(("animation", "star")) for s in styles.values() for name in s.factors
    )
    assert max(len(values) for s in styles.values() for values in s.factors.values()) < NO_VALUE


def test_a_set_of_ones_own(made):
    train, test = (load_image_set("avatars", directory=made, split=s) for s in ("train", "test"))
    assert (len(train), len(test), train.image_shape) == (100, 20, (3, 24, 24))
    assert train.source == "directory" and train.location == str(made)
    told = json.loads((made / "avatars.json").read_text())
    assert told["licence"] == "CC0 1.0" and told["classes"] == list(STYLES)
    assert set(told["versions"]) == set(drawing.PACKAGES)
    factors = load_factors("train", made)
    assert factors.shape[0] == 100 and factors.shape[1] == max(map(len, told["factors"].values()))
    resized = load_image_set("avatars", directory=made, image_size=16, channels=1, limit=5)
    assert resized.images.shape == (5, 1, 16, 16)


def test_the_same_request_gives_the_same_bytes_and_another_seed_others(made, tmp_path):
    making.make_avatars(tmp_path / "again", 120, 24, 0)
    assert tree_bytes(tmp_path / "again") == tree_bytes(made)
    making.make_avatars(tmp_path / "again", 60, 24, 1)  # replaces what it made
    one, other = (
        load_image_set("avatars", directory=folder).images for folder in (made, tmp_path / "again")
    )
    assert not {p.tobytes() for p in one} & {p.tobytes() for p in other}


def test_the_first_pictures_do_not_depend_on_how_many_there_are(made, tmp_path):
    making.make_avatars(tmp_path / "few", 60, 24, 0)
    few = load_image_set("avatars", directory=tmp_path / "few").images
    np.testing.assert_array_equal(few, load_image_set("avatars", directory=made).images[:50])


def test_a_folder_of_another_is_never_replaced(made, tmp_path):
    folder = tmp_path / "set"
    making.make_avatars(folder, 60, 16, 0)
    (folder / "mine").touch()
    with pytest.raises(ConfigError, match="exists already"):
        making.make_avatars(folder, 60, 16, 0)
    assert (folder / "mine").exists()


COUNT = 180


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "set"
    making.make_avatars(folder, COUNT, 16, 0)
    return tree_bytes(folder)


def started(output):
    """Return a running command, once it has drawn some pictures, and its journal."""
    words = ["data", "make", "avatars", "-n", str(COUNT), "--size", "16", "--output", str(output)]
    running = subprocess.Popen(
        [sys.executable, "-m", "ppgan_zoo", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    journal = output.with_name(f"{output.name}.partial") / "journal.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and running.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > 20:
            break
        time.sleep(0.002)
    return running, journal


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)]
)
def test_a_run_that_was_ended_is_continued_to_the_same_bytes(number, code, unbroken, tmp_path):
    running, journal = started(tmp_path / "set")
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code and "Traceback" not in said
    assert sorted(os.listdir(tmp_path)) == ["set.partial"]
    with pytest.raises(DataError, match="holds no avatars"):
        load_image_set("avatars", directory=tmp_path / "set")
    with pytest.raises(DataError, match="only 0x08"):
        load_image_set("avatars", directory=tmp_path / "set.partial")
    if number == signal.SIGINT:
        assert "stopped; the same command continues" in said
    done, lines = journal.read_bytes().count(b"\n"), []
    assert 20 < done < COUNT
    making.make_avatars(tmp_path / "set", COUNT, 16, 0, lines.append)
    assert lines == [f"{tmp_path}/set: continuing after {done} of {COUNT}"]
    assert tree_bytes(tmp_path / "set") == unbroken
    assert os.listdir(tmp_path) == ["set"]


class Stopped(Exception):
    pass


def stopped_in_the_test_split(output, monkeypatch):
    draw, seen = drawing.Style.draw, []

    def stops(self, seed, size):
        seen.append(seed)
        if sum("-test-" in seed for seed in seen) > 12:
            raise Stopped
        return draw(self, seed, size)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(drawing.Style, "draw", stops)
        making.make_avatars(output, COUNT, 16, 0)
    return output.with_name(f"{output.name}.partial")


@pytest.mark.parametrize("damage", ["none", "a row", "half a row", "a line", "a number", "rows"])
def test_what_a_crash_damaged_is_drawn_again(damage, unbroken, tmp_path, monkeypatch):
    partial = stopped_in_the_test_split(tmp_path / "set", monkeypatch)
    rows, journal = partial / "train-images-idx4-ubyte", partial / "journal.jsonl"
    content, lines = rows.read_bytes(), journal.read_bytes()
    if damage == "a row":
        rows.write_bytes(content[:9000] + bytes([content[9000] ^ 1]) + content[9001:])
    elif damage == "half a row":
        rows.write_bytes(content[:-100])
    elif damage == "a line":
        journal.write_bytes(lines[:-20])
    elif damage == "a number":
        journal.write_bytes(b"3\n" + lines)
    elif damage == "rows":
        rows.unlink()
    making.make_avatars(tmp_path / "set", COUNT, 16, 0)
    assert tree_bytes(tmp_path / "set") == unbroken


@pytest.mark.parametrize(
    ("request_", "other"), [((60, 16, 0), "count"), ((COUNT, 17, 3), "size, seed")]
)
def test_other_settings_in_the_same_output_are_said(request_, other, tmp_path, monkeypatch):
    partial = stopped_in_the_test_split(tmp_path / "set", monkeypatch)
    lines = []
    making.make_avatars(tmp_path / "set", *request_, lines.append)
    assert lines == [
        f"{partial}: holds the beginning of another set (other {other}), which is dropped; this "
        "one begins anew"
    ]
    making.make_avatars(tmp_path / "alone", *request_)
    assert tree_bytes(tmp_path / "set") == tree_bytes(tmp_path / "alone")


def test_a_second_process_leaves_the_work_of_the_first_alone(tmp_path):
    partial = tmp_path / "set.partial"
    with partial_folder(partial, {}, ["train-images-idx4-ubyte"], print):
        (partial / "journal.jsonl").write_bytes(b"of the first")
        with pytest.raises(DataError, match="another process is making this set"):
            making.make_avatars(tmp_path / "set", 60, 16, 1)
        assert (partial / "journal.jsonl").read_bytes() == b"of the first"


def test_a_set_that_is_made_again_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    making.make_avatars(tmp_path / "set", 60, 16, 5)
    before = tree_bytes(tmp_path / "set")
    stopped_in_the_test_split(tmp_path / "set", monkeypatch)
    assert tree_bytes(tmp_path / "set") == before


def test_a_set_that_is_stopped_when_it_appears_loses_no_drawing(tmp_path, monkeypatch):
    def fails(folder):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
        patch.setattr(files_module, "_sync_below", fails)  # when the rows have been moved
        making.make_avatars(tmp_path / "set", 60, 16, 5)
    said = []
    making.make_avatars(tmp_path / "set", 60, 16, 5, said.append)
    assert said == [f"{tmp_path / 'set'}: continuing after 60 of 60"]


def test_a_style_that_has_no_more_pictures(monkeypatch, tmp_path):
    one = drawing.Drawing(np.zeros((3, 16, 16), np.uint8), {})
    monkeypatch.setattr(drawing.Style, "draw", lambda self, seed, size: one)
    with pytest.raises(DataError, match=r"critters has 1 different pictures of 16 x 16"):
        making.make_avatars(tmp_path / "set", 60, 16, 0)
    assert os.listdir(tmp_path) == []


def test_the_command(tmp_path, capsys):
    words = ["data", "make", "avatars", "-n", "60", "--size", "16", "--output", f"{tmp_path}/a b"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "60 avatars of 16 x 16" in said and f"--data-dir '{tmp_path}/a b'" in said
    assert len(load_image_set("avatars", directory=tmp_path / "a b", split="test")) == 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-n", "59"), "-n 59: give 60 to"),
        (("--size", "8"), "--size 8: give 16 to 512"),
        (("--seed", "-1"), "--seed -1: give 0"),
        (("-n", "9000000", "--size", "512"), "a smaller --size"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(words, said, tmp_path, capsys):
    assert main(["data", "make", "avatars", "--output", str(tmp_path / "x"), *words]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_packages_that_are_missing_are_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    drawing.open_style.cache_clear()
    assert main(["data", "make", "avatars", "--output", str(tmp_path / "x")]) == 2
    assert "resvg_py is not installed; run: pip install dicebear-core==" in capsys.readouterr().err


def test_the_extra_has_the_versions_that_the_pictures_are_of():
    wanted = [f"{package}=={version}" for package, version in drawing.PACKAGES.items()]
    assert json.dumps(wanted) in (ROOT / "setup.py").read_text()


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no avatars: no train-images-idx4-ubyte; .* make"):
        load_image_set("avatars", directory=tmp_path)
