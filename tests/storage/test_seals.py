"""What the zoo made is known by a seal, which a change of any byte breaks."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.ownership import (
    BLANK,
    is_sealed,
    own_file,
    refuse_foreign,
    seal,
    sealed_json,
)
from ppgan_zoo.storage.pictures import save_png

PIXELS = np.arange(12 * 9 * 3, dtype=np.uint32).astype(np.uint8).reshape(12, 9, 3)


def sealed_file(path):
    with path.open("x+b") as file:
        file.write(b"some content" + BLANK)
        seal(file)
    return path


def made(folder):
    save_png(folder / "a.png", PIXELS)
    (folder / "a.json").write_text(sealed_json({"a": [1, "two"]}))
    return [folder / "a.png", folder / "a.json", sealed_file(folder / "a.bin")]


def test_a_change_of_any_byte_before_the_end_breaks_the_seal(tmp_path):
    for path in made(tmp_path):
        assert is_sealed(path), path
        content = path.read_bytes()
        for place in range(0, len(content) - 20, 7):
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            assert not is_sealed(path), (path, place)


def test_a_sealed_picture_and_sealed_json_are_what_they_were(tmp_path):
    picture, text, _ = made(tmp_path)
    with Image.open(picture, formats=("PNG",)) as opened:
        opened.verify()  # the checksums of all chunks
    with Image.open(picture, formats=("PNG",)) as opened:
        np.testing.assert_array_equal(np.asarray(opened), PIXELS)
        assert opened.info["Software"].startswith("ppgan_zoo; ")
    read = json.loads(text.read_text())
    assert read.pop("made_by").startswith("ppgan_zoo; ") and read == {"a": [1, "two"]}


def test_a_picture_saved_again_by_another_program_is_the_users(tmp_path):
    path = made(tmp_path)[0]
    with Image.open(path, formats=("PNG",)) as picture:
        picture.load()
    picture.save(path)
    assert not is_sealed(path)


def test_only_what_the_zoo_made_is_replaced(tmp_path):
    own = sealed_file(tmp_path / "own")
    with own_file(own) as file:
        file.write(b"new")
    assert own.read_bytes() == b"new"
    with (
        pytest.raises(ConfigError, match=r"own: a file exists already .* --overwrite"),
        own_file(own),
    ):
        pass
    assert own.read_bytes() == b"new"
    with own_file(own, overwrite=True) as file:
        file.write(b"newest")
    assert own.read_bytes() == b"newest"


def test_a_file_that_is_not_written_leaves_no_new_folder(tmp_path):
    (tmp_path / "old").mkdir()
    with (
        pytest.raises(ConfigError, match="no such frame"),
        own_file(tmp_path / "old" / "new" / "deep" / "x"),
    ):
        raise ConfigError("no such frame")
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_a_file_that_came_meanwhile_stays(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(ConfigError, match="exists already"), own_file(path) as file:
        file.write(b"new")
        path.write_bytes(b"mine")
    assert path.read_bytes() == b"mine" and os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "link to nothing"])
def test_what_is_no_file_stays_whatever_is_asked_for(kind, tmp_path):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(sealed_file(tmp_path / "own") if kind == "link" else "nowhere")
    assert not is_sealed(path)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="give another name"):
            refuse_foreign(path, overwrite=overwrite)
