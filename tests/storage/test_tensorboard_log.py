"""The TensorBoard log, read back by its format alone: after a resume, a kill and a full disk."""

from __future__ import annotations

import io
import os
import resource
import signal
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorboardX", reason="the extra [tensorboard] is not installed")

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from ppgan_zoo.storage.tensorboard_log import EVENTS_NAME, TensorBoardLog, read_events

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def crc32c(data):
    """Castagnoli's checksum, bit by bit (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def raw_events(folder):
    """The file as TensorFlow defines it: length, its checksum, message, the message's."""
    data, events = (folder / EVENTS_NAME).read_bytes(), []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + size]
        assert struct.unpack("<I", data[8:12]) == (masked(data[:8]),)
        assert struct.unpack("<I", data[12 + size : 16 + size]) == (masked(body),)
        events.append(Event.FromString(body))
        data = data[16 + size :]
    return events


def points(folder, tag):
    return [
        (event.step, value)
        for event in raw_events(folder)
        for value in event.summary.value
        if value.tag == tag
    ]


def curve(folder, tag="loss/d"):
    return [(step, value.simple_value) for step, value in points(folder, tag)]


def write_run(folder, steps, resume_step=None):
    log = TensorBoardLog(folder, resume_step=resume_step)
    log.hparams({"lr": 2e-4, "seed": 7, "model": "dcgan", "amp": False, "list": [1]}, ["loss/d"])
    for step in steps:
        log.scalar("loss/d", step / 4, step)
        if step % 5 == 0:
            log.image("samples", PICTURE, step)
            log.histogram("weights/g", np.arange(10.0) + step, step)
    log.close()


def test_the_checksum_of_the_test_is_that_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283


def test_everything_written_is_read_back(tmp_path):
    write_run(tmp_path, range(12))
    assert os.listdir(tmp_path) == [EVENTS_NAME]
    assert raw_events(tmp_path)[0].file_version == "brain.Event:2"
    assert curve(tmp_path) == [(step, step / 4) for step in range(12)]
    assert [step for step, _ in points(tmp_path, "samples")] == [0, 5, 10]
    png = points(tmp_path, "samples")[0][1].image.encoded_image_string
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), PICTURE)
    step, histogram = points(tmp_path, "weights/g")[1]
    assert (step, histogram.histo.num, histogram.histo.min, histogram.histo.max) == (5, 10, 5, 14)
    assert sum(histogram.histo.bucket) == 10


def test_settings_are_there_once_also_after_a_resume(tmp_path):
    write_run(tmp_path, range(3))
    write_run(tmp_path, range(3, 5), resume_step=2)
    ((_, value),) = points(tmp_path, "_hparams_/session_start_info")
    held = HParamsPluginData.FromString(value.metadata.plugin_data.content).session_start_info
    assert held.hparams["lr"].number_value == 2e-4 and held.hparams["seed"].number_value == 7
    assert held.hparams["model"].string_value == "dcgan" and not held.hparams["amp"].bool_value
    assert held.hparams["list"].string_value == "[1]"


@pytest.mark.parametrize("array", [PICTURE[..., 0], np.eye(4, dtype=np.uint8)])
def test_pixels_of_grey_and_nearly_black_pictures_are_kept(tmp_path, array):
    log = TensorBoardLog(tmp_path)
    log.image("samples", array, 3)
    log.close()
    png = points(tmp_path, "samples")[0][1].image.encoded_image_string
    shown = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    np.testing.assert_array_equal(shown, array)


def test_values_that_are_not_finite(tmp_path):
    log = TensorBoardLog(tmp_path)
    log.scalar("loss/d", float("nan"), 1)
    log.histogram("some", np.array([1.0, np.nan, 2.0, np.inf]), 1)
    log.histogram("none", np.array([np.nan]), 1)
    log.close()
    assert np.isnan(curve(tmp_path)[0][1])
    assert points(tmp_path, "some")[0][1].histo.num == 2
    assert points(tmp_path, "none") == []


@pytest.mark.parametrize("last_step", [0, 7, 99])
def test_resume_goes_on_with_no_jump_and_no_duplicate(tmp_path, last_step):
    write_run(tmp_path, range(21))
    before = [event for event in raw_events(tmp_path) if event.step <= last_step]
    write_run(tmp_path, range(last_step + 1, last_step + 6), resume_step=last_step)
    steps = [*range(min(last_step, 20) + 1), *range(last_step + 1, last_step + 6)]
    assert curve(tmp_path) == [(step, step / 4) for step in steps]
    assert raw_events(tmp_path)[: len(before)] == before, "times and all"
    assert os.listdir(tmp_path) == [EVENTS_NAME]


def test_a_fresh_log_sets_an_older_one_aside(tmp_path):
    write_run(tmp_path, range(3))
    write_run(tmp_path, range(100, 102))
    assert sorted(os.listdir(tmp_path)) == [EVENTS_NAME, "superseded.0.log"]
    assert [step for step, _ in curve(tmp_path)] == [100, 101]


def test_a_tail_cut_at_any_byte_is_dropped(tmp_path, caplog):
    write_run(tmp_path, range(3))
    path = tmp_path / EVENTS_NAME
    start = path.stat().st_size
    log = TensorBoardLog(tmp_path, resume_step=3)
    log.scalar("loss/d", 0.75, 3)
    log.close()
    whole = path.read_bytes()
    for size in range(start, len(whole)):
        path.write_bytes(whole[:size])
        write_run(tmp_path, [4], resume_step=3)
        assert curve(tmp_path) == [(0, 0.0), (1, 0.25), (2, 0.5), (4, 1.0)]
    assert f"dropped {len(whole) - 1 - start} damaged bytes" in caplog.text


@pytest.mark.parametrize("tail", [bytes(100), b"\xff" * 100, b"\x01"])
def test_a_tail_of_rubbish_is_dropped(tmp_path, tail):
    write_run(tmp_path, range(5))
    with (tmp_path / EVENTS_NAME).open("ab") as file:
        file.write(tail)
    assert len(list(read_events(tmp_path / EVENTS_NAME))) == 1 + 2 + 5 + 2  # head, settings, curve
    write_run(tmp_path, range(5, 8), resume_step=4)
    assert curve(tmp_path) == [(step, step / 4) for step in range(8)]


def test_a_full_disk_is_an_error_and_leaves_no_part_of_an_event(tmp_path):
    log = TensorBoardLog(tmp_path)
    log.scalar("loss/d", 0.0, 0)
    size = (tmp_path / EVENTS_NAME).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        with pytest.raises(OSError):
            log.scalar("loss/d", 1.0, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.scalar("loss/d", 2.0, 2)
    log.close()
    assert curve(tmp_path) == [(0, 0.0), (2, 2.0)]


def test_closing_twice_is_fine_and_leaves_no_thread(tmp_path):
    threads = threading.active_count()
    log = TensorBoardLog(tmp_path)
    log.scalar("loss/d", 0.0, 0)
    log.close()
    log.close()
    assert threading.active_count() == threads


def test_a_killed_process_loses_nothing_and_import_is_lazy(tmp_path):
    script = (
        "import os, sys, pathlib\n"
        "from ppgan_zoo.storage.tensorboard_log import TensorBoardLog\n"
        "assert 'tensorboardX' not in sys.modules\n"
        "log = TensorBoardLog(pathlib.Path(sys.argv[1]))\n"
        "for step in range(200): log.scalar('loss/d', step, step)\n"
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, "", "")
    assert curve(tmp_path) == [(step, float(step)) for step in range(200)]
