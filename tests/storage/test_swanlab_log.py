"""The SwanLab log: its own reader finds what was written. Nothing is sent."""

import logging
import signal
import socket
import sys

import numpy as np
import pytest

pytest.importorskip("swanlab", reason="the extra [swanlab] is not installed")

from PIL import Image

from ppgan_zoo.recipe.strict_yaml import read_yaml
from ppgan_zoo.storage.swanlab_log import SwanLabLog
from ppgan_zoo.storage.tolerance import Tolerant

PICTURE = np.full((4, 5, 3), 7, np.uint8)


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*arguments):
        raise AssertionError("SwanLab is to be offline")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("SWANLAB_ROOT", str(tmp_path / "home"))


def records(folder):
    from swanlab.proto.swanlab.record.v1.record_pb2 import Record
    from swanlab.sdk.internal.core_python.store import DataStoreReader

    reader = DataStoreReader()
    (file,) = folder.glob("*.swanlab")
    reader.open(file)
    try:
        return [Record.FromString(data) for data in reader]
    finally:
        reader.close()


def curve(folder, tag="loss/d"):
    scalars = [record.scalar for record in records(folder) if record.HasField("scalar")]
    return [(one.step, one.value.number) for one in scalars if one.key == tag]


def write_run(folder, steps, resume_step=None):
    log = SwanLabLog(folder, resume_step=resume_step)
    log.hparams({"seed": 7, "data/name": "mnist"}, ["loss/d"])
    for step in steps:
        log.scalar("loss/d", step / 4, step)
    log.image("samples", PICTURE, steps[-1])
    log.histogram("weights/g", np.array([1.0, 3.0, np.nan]), steps[-1])
    log.close()
    log.close()


def starts(folder):
    return sorted(folder.glob("run-*"))


def test_everything_written_is_read_back(tmp_path, capfd):
    folder = tmp_path / "run" / "swanlab"
    before = signal.getsignal(signal.SIGINT), sys.excepthook
    write_run(folder, range(3))
    assert (signal.getsignal(signal.SIGINT), sys.excepthook) == before
    (start,) = starts(folder)
    assert curve(start) == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert curve(start, "weights/g/mean") == [(2, 2.0)]
    assert curve(start, "weights/g/std") == [(2, 1.0)]
    (picture,) = start.rglob("*.png")
    with Image.open(picture) as shown:
        np.testing.assert_array_equal(np.asarray(shown), PICTURE)
    settings = read_yaml(start / "files" / "config.yaml").data
    assert "7" in str(settings["seed"]) and "mnist" in str(settings["data/name"])
    assert capfd.readouterr() == ("", "")


def test_a_resume_goes_on_in_a_folder_beside_with_the_same_id(tmp_path):
    folder = tmp_path / "run" / "swanlab"
    write_run(folder, range(3))
    write_run(folder, range(3, 5), resume_step=2)
    ids = [start.name.rpartition("-")[2] for start in starts(folder)]
    assert len(ids) == 2 and len(set(ids)) == 1
    assert [step for start in starts(folder) for step, _ in curve(start)] == [0, 1, 2, 3, 4]


def test_one_that_cannot_be_opened_ends_no_run(tmp_path, caplog):
    (tmp_path / "swanlab").write_text("in the way")
    log = SwanLabLog(tmp_path / "swanlab", guard=Tolerant(logging.getLogger("test")))
    log.scalar("loss/d", 1.0, 1)
    log.image("samples", PICTURE, 1)
    log.hparams({}, [])
    log.close()
    assert caplog.text.count("SwanLab records: cannot be written") == 1
