"""Files and folders that are whole or not there."""

import os
import stat

import pytest

from ppgan_zoo.storage.files import (
    APPENDING,
    atomic_file,
    atomic_folder,
    open_inside,
    read_regular,
    sha256_file,
    to_json,
    write_atomically,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "target"
    with atomic_folder(target) as scratch:
        (scratch / "sub").mkdir()
        (scratch / "sub" / "file").write_text("new")
        assert not target.exists()
    assert (target / "sub" / "file").read_text() == "new"
    assert names(target.parent) == ["target"]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    with atomic_folder(target, lambda there: names(there) == ["old"]) as scratch:
        (scratch / "new").write_text("new")
        assert names(target) == ["old"]
    assert names(target) == ["new"]
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_is_not_replaced(tmp_path, kind):
    """Even where it came after everybody had looked."""
    target, other = tmp_path / "target", tmp_path / "other"
    other.mkdir()
    with pytest.raises(FileExistsError) as caught, atomic_folder(target) as scratch:
        (scratch / "new").write_text("new")
        if kind == "folder":
            target.mkdir()
            (target / "old").write_text("old")
        elif kind == "file":
            target.write_text("old")
        else:
            target.symlink_to(other)
    assert caught.value.filename == str(target)
    assert names(tmp_path) == ["other", "target"]
    if kind == "link":
        assert target.is_symlink() and names(other) == []
    else:
        old = target / "old" if kind == "folder" else target
        assert old.read_text() == "old"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "target").mkdir()
    with atomic_folder(tmp_path / "target") as scratch:
        (scratch / "new").write_text("new")
    assert names(tmp_path / "target") == ["new"]
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("there", [False, True])
def test_an_error_inside_leaves_what_was_there(tmp_path, error, there):
    target = tmp_path / "target"
    if there:
        target.mkdir()
        (target / "old").write_text("old")
    with pytest.raises(error), atomic_folder(target) as scratch:
        (scratch / "half").write_text("half")
        raise error
    assert names(tmp_path) == (["target"] if there else [])
    assert not there or (target / "old").read_text() == "old"


def test_a_failing_rename_leaves_the_old_one_in_place(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    rename = type(target).rename

    def failing(self, to):
        if (self / "new").exists():
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(type(target), "rename", failing)
    with (
        pytest.raises(OSError, match="No space"),
        atomic_folder(target, lambda there: True) as scratch,
    ):
        (scratch / "new").write_text("new")
    assert (target / "old").read_text() == "old"
    assert names(tmp_path) == ["target"]


def test_every_file_is_synced_before_the_rename(tmp_path, monkeypatch):
    events = []
    fsync, rename = os.fsync, type(tmp_path).rename

    def recorded_fsync(descriptor):
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def recorded_rename(self, to):
        events.append("rename")
        return rename(self, to)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(type(tmp_path), "rename", recorded_rename)
    with atomic_folder(tmp_path / "target") as scratch:
        (scratch / "a").write_text("a")
        (scratch / "b").write_text("b")
    assert {"a", "b", scratch.name} == set(events[: events.index("rename")])
    assert events[-1] == tmp_path.name  # the rename itself


@pytest.mark.parametrize(
    ("mask", "folder_mode", "file_mode"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600)]
)
def test_permissions_are_those_of_any_new_file(tmp_path, mask, folder_mode, file_mode):
    before = os.umask(mask)
    try:
        with atomic_folder(tmp_path / "folder"):
            pass
        write_atomically(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == folder_mode
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == file_mode


@pytest.mark.parametrize(
    ("content", "wanted"), [("é\n", b"\xc3\xa9\n"), (b"\0\r\n", b"\0\r\n"), ("", b"")]
)
def test_a_file_is_replaced(tmp_path, content, wanted):
    target = tmp_path / "file"
    target.write_text("old")
    write_atomically(target, content)
    assert target.read_bytes() == wanted
    assert names(tmp_path) == ["file"]


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_file_that_is_written_in_parts_appears_whole(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with atomic_file(target) as file:
        for part in (b"a", b"b"):
            file.write(part)
            assert target.read_text() == "old"
    assert target.read_text() == "ab"
    with pytest.raises(KeyboardInterrupt), atomic_file(target) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert target.read_text() == "ab" and names(tmp_path) == ["file"]


@pytest.mark.parametrize("read", [read_regular, sha256_file])
def test_only_files_of_a_bounded_size_are_read(tmp_path, read):
    """A pipe without a writer, a device without an end, a sparse giant: none is waited for."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "link").symlink_to("/dev/zero")
    for name, says in {"pipe": "not a regular file", "link": "not a regular file",
                       "giant": "larger than", ".": "Is a directory"}.items():  # fmt: skip
        with pytest.raises(OSError, match=says):
            read(tmp_path / name)
    (tmp_path / "small").write_bytes(b"abc")
    with pytest.raises(OSError, match="larger than 2 bytes"):
        read(tmp_path / "small", 2)
    read(tmp_path / "small", 3)


def test_a_file_of_a_folder_is_opened_without_following_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "log").write_text("theirs")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log").symlink_to(tmp_path / "elsewhere" / "log")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "run" / "pipe")
    for folder, name, says in (("run", "log", "is a symbolic link"),
                               ("folder", "log", "is a symbolic link"),
                               ("run", "pipe", "No such device|not a regular file")):  # fmt: skip
        with pytest.raises(OSError, match=says):
            open_inside(tmp_path / folder, name, APPENDING | os.O_TRUNC)
    assert (tmp_path / "elsewhere" / "log").read_text() == "theirs"
    os.close(open_inside(tmp_path / "folder", "new", APPENDING, follow=True))
    assert names(tmp_path / "elsewhere") == ["log", "new"]


@pytest.mark.parametrize(
    ("content", "digest"),
    [  # FIPS 180-2, appendix B, and the empty string
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ],
)
def test_sha256(tmp_path, content, digest):
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == digest


def test_json():
    assert to_json({"é": [1, None]}) == '{\n  "é": [\n    1,\n    null\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))
