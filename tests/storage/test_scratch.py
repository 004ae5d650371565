"""Scratch of killed processes goes, and nothing else: a name alone proves nothing."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from ppgan_zoo.collapse.study import Study
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.leaderboard.publish import check_folder
from ppgan_zoo.search.results import SearchDirectory
from ppgan_zoo.stability import driver as stability
from ppgan_zoo.storage.scratch import MARK, PREFIX, clear_abandoned, scratch_folder

HOLD = """
import os, sys, time
from pathlib import Path
from ppgan_zoo.storage.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as scratch:
    (scratch / "half").write_text("half")
    print(scratch.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that is at work in a scratch folder, and that folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    yield process, tmp_path / process.stdout.readline().strip()
    process.kill()
    process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_goes_when_the_block_ends(tmp_path):
    with pytest.raises(KeyError), scratch_folder(tmp_path) as scratch:
        (scratch / "half").mkdir()
        assert names(tmp_path) == [scratch.name]
        raise KeyError
    assert names(tmp_path) == []


def test_that_of_a_living_process_stays_and_that_of_a_dead_one_goes(holder, tmp_path):
    process, scratch = holder
    with scratch_folder(tmp_path):
        assert names(scratch) == ["half", MARK]
    process.send_signal(signal.SIGKILL)
    process.wait()
    with scratch_folder(tmp_path) as other:
        assert names(tmp_path) == [other.name]


def test_what_only_looks_like_scratch_stays(holder, tmp_path):
    process, scratch = holder
    mark = (scratch / MARK).read_bytes()
    for name in ("unmarked", "wrong", "copied", "link", "pipe"):
        (tmp_path / f"{PREFIX}{name}").mkdir()
        (tmp_path / f"{PREFIX}{name}" / "mine").write_text("mine")
    (tmp_path / f"{PREFIX}wrong" / MARK).write_text("mine")
    (tmp_path / f"{PREFIX}copied" / MARK).write_bytes(mark)  # the mark of another folder
    (tmp_path / f"{PREFIX}link" / MARK).symlink_to(scratch / MARK)
    os.mkfifo(tmp_path / f"{PREFIX}pipe" / MARK)
    (tmp_path / f"{PREFIX}file").write_text("mine")
    process.kill()
    process.wait()
    elsewhere = tmp_path / "elsewhere"
    scratch.rename(elsewhere)
    (tmp_path / scratch.name).symlink_to(elsewhere)
    before = sorted(tmp_path.rglob("*"))
    clear_abandoned(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "check",
    [
        lambda folder: SearchDirectory(folder).check(),
        lambda folder: stability._known(folder, ""),
        lambda folder: Study(folder, {}, {}).check(),
        check_folder,
    ],
    ids=["search", "stability", "collapse", "leaderboard"],
)
def test_an_output_that_holds_nothing_but_that_of_a_killed_process_is_free(check, holder, tmp_path):
    process, scratch = holder
    with pytest.raises(ConfigError, match="--output"):
        check(tmp_path)
    process.kill()
    process.wait()
    check(tmp_path)
    assert not scratch.exists()


def test_folders_of_a_process_killed_before_it_wrote_the_mark_go(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{PREFIX}{name}").mkdir()
    (tmp_path / f"{PREFIX}b" / MARK).touch()
    clear_abandoned(tmp_path)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_read_is_let_alone(tmp_path):
    clear_abandoned(tmp_path / "none")
    with pytest.raises(FileNotFoundError), scratch_folder(tmp_path / "none"):
        pass
