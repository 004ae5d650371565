"""The VisualDL log: what is written is what VisualDL itself reads back, also after a resume."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from visualdl import LogReader, LogWriter  # type: ignore[import-untyped]
from visualdl.proto.record_pb2 import Record  # type: ignore[import-untyped]

from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.visualdl_log import RECORDS_NAME, VisualDLLog
from ppgan_zoo.storage.visualdl_reader import read_image_steps, read_scalars, read_tags

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def write_run(folder: Path, steps: range, resume_step: int | None = None) -> None:
    """Log every kind of record, as a run over `steps` would."""
    log = VisualDLLog(folder, resume_step=resume_step)
    log.hparams({"lr": 2e-4, "seed": 7, "model": "dcgan", "amp": False}, ["loss/d"])
    for step in steps:
        log.scalar("loss/d", step / 4, step)
        if step % 5 == 0:
            log.image("samples", PICTURE, step)
            log.histogram("weights/g", np.arange(10.0) + step, step)
            log.text("note", f"step {step}", step)
    log.close()


def raw_records(folder: Path) -> list[Record.Value]:
    """Read the file by the format alone: 8 bytes of length, then the message."""
    data, values = (folder / RECORDS_NAME).read_bytes(), []
    while data:
        size = int.from_bytes(data[:8], "little")
        values.append(Record.FromString(data[8 : 8 + size]).values[0])
        data = data[8 + size :]
    return values


def component(folder: Path, kind: str, tag: str) -> list[Record.Value]:
    return list(LogReader(file_path=str(folder / RECORDS_NAME)).get_data(kind, tag))


def test_everything_written_is_read_back(tmp_path: Path) -> None:
    write_run(tmp_path, range(12))
    assert os.listdir(tmp_path) == [RECORDS_NAME]
    assert read_tags(tmp_path) == {
        "scalar": ["loss/d"],
        "image": ["samples"],
        "histogram": ["weights/g"],
        "text": ["note"],
        "hyper_parameters": ["hparam"],
    }
    assert read_scalars(tmp_path) == {"loss/d": [(step, step / 4) for step in range(12)]}
    assert read_image_steps(tmp_path, "samples") == [0, 5, 10]
    histogram = component(tmp_path, "histogram", "weights/g")[1]
    assert (histogram.id, sum(histogram.histogram.hist)) == (5, 10)
    assert list(histogram.histogram.bin_edges[:: len(histogram.histogram.hist)]) == [5.0, 14.0]
    assert component(tmp_path, "text", "note")[2].text.encoded_text_string == "step 10"


@pytest.mark.parametrize(
    "array",
    [
        PICTURE,
        PICTURE[..., 0],
        np.zeros((3, 3), np.uint8),
        np.full((2, 2, 3), 255, np.uint8),
    ],
)
def test_image_pixels_are_kept(tmp_path: Path, array: np.ndarray) -> None:
    log = VisualDLLog(tmp_path)
    log.image("samples", array, 3)
    log.close()
    png = component(tmp_path, "image", "samples")[0].image.encoded_image_string
    shown = np.asarray(Image.open(io.BytesIO(png)))
    np.testing.assert_array_equal(shown, array if array.ndim == 3 else np.stack([array] * 3, 2))


def test_a_nearly_black_image_is_neither_stretched_nor_changed(tmp_path: Path) -> None:
    array = np.eye(4, dtype=np.uint8)
    log = VisualDLLog(tmp_path)
    log.image("samples", array, 0)
    log.close()
    np.testing.assert_array_equal(array, np.eye(4))
    png = component(tmp_path, "image", "samples")[0].image.encoded_image_string
    assert np.asarray(Image.open(io.BytesIO(png))).max() <= 1


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros((3, 2, 2, 3), np.uint8)])
def test_image_of_another_form_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    log = VisualDLLog(tmp_path)
    with pytest.raises(ValueError, match="uint8"):
        log.image("samples", array, 0)
    log.close()


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    log = VisualDLLog(tmp_path)
    log.scalar("loss/d", float("nan"), 1)
    log.histogram("some", np.array([1.0, np.nan, 2.0, np.inf]), 1)
    log.histogram("none", np.array([np.nan]), 1)
    log.close()
    assert np.isnan(read_scalars(tmp_path)["loss/d"][0][1])
    assert sum(component(tmp_path, "histogram", "some")[0].histogram.hist) == 2
    assert read_tags(tmp_path)["histogram"] == ["some"]


def test_hparams_of_every_type(tmp_path: Path) -> None:
    log = VisualDLLog(tmp_path)
    log.hparams({"i": 3, "f": 0.5, "s": "x", "b": True, "n": None, "l": [1], "big": 2**70}, ["m"])
    log.hparams({"i": 4}, [])
    log.close()
    (record,) = component(tmp_path, "hyper_parameters", "hparam")
    stored = {
        info.name: getattr(info, info.WhichOneof("type")) for info in record.hparam.hparamInfos
    }
    assert stored == {
        "i": 3,
        "f": 0.5,
        "s": "x",
        "b": "True",
        "n": "None",
        "l": "[1]",
        "big": str(2**70),
    }
    assert [metric.name for metric in record.hparam.metricInfos] == ["m"]


@pytest.mark.parametrize("last_step", [0, 7, 10, 99])
def test_resume_goes_on_with_no_jump_and_no_duplicate(tmp_path: Path, last_step: int) -> None:
    write_run(tmp_path, range(21))
    before = raw_records(tmp_path)
    write_run(tmp_path, range(last_step + 1, last_step + 11), resume_step=last_step)
    steps = [*range(min(last_step, 20) + 1), *range(last_step + 1, last_step + 11)]
    fives = [step for step in steps if step % 5 == 0]
    assert os.listdir(tmp_path) == [RECORDS_NAME]
    assert read_scalars(tmp_path) == {"loss/d": [(step, step / 4) for step in steps]}
    assert read_image_steps(tmp_path, "samples") == fives
    assert [r.id for r in component(tmp_path, "histogram", "weights/g")] == fives
    assert [r.id for r in component(tmp_path, "text", "note")] == fives
    assert len(component(tmp_path, "hyper_parameters", "hparam")) == 1
    kept = [r for r in before if r.id <= last_step or r.HasField("hparam")]
    assert raw_records(tmp_path)[: len(kept)] == kept, "timestamps and all"


def test_resume_many_times_does_not_grow_the_file(tmp_path: Path) -> None:
    write_run(tmp_path, range(6))
    sizes = []
    for _ in range(3):
        VisualDLLog(tmp_path, resume_step=5).close()
        sizes.append((tmp_path / RECORDS_NAME).stat().st_size)
    assert len(set(sizes)) == 1


def test_resume_with_no_file_starts_one(tmp_path: Path) -> None:
    write_run(tmp_path / "new", range(5, 8), resume_step=4)
    assert [step for step, _ in read_scalars(tmp_path / "new")["loss/d"]] == [5, 6, 7]


def test_a_tail_cut_at_any_byte_is_dropped(tmp_path: Path) -> None:
    write_run(tmp_path, range(5))
    path = tmp_path / RECORDS_NAME
    before_last = path.stat().st_size
    log = VisualDLLog(tmp_path, resume_step=4)
    meta = path.stat().st_size - before_last  # LogWriter notes that it was opened
    log.scalar("loss/d", 5 / 4, 5)
    log.close()
    whole = path.read_bytes()
    for size in range(before_last + meta, len(whole)):
        path.write_bytes(whole[:size])
        write_run(tmp_path, range(6, 7), resume_step=5)
        points = read_scalars(tmp_path)["loss/d"]
        assert points == [(step, step / 4) for step in (0, 1, 2, 3, 4, 6)]


@pytest.mark.parametrize(
    "tail", [bytes(100), b"\xff" * 100, b"\x02" + bytes(7) + b"\xff\xff", b"\x01"]
)
def test_a_tail_of_rubbish_is_dropped(
    tmp_path: Path, tail: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(tmp_path, range(5))
    with (tmp_path / RECORDS_NAME).open("ab") as file:
        file.write(tail)
    write_run(tmp_path, range(5, 8), resume_step=4)
    assert read_scalars(tmp_path) == {"loss/d": [(step, step / 4) for step in range(8)]}
    assert f"dropped {len(tail)} damaged bytes" in caplog.text


def test_reading_a_damaged_or_missing_log_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no VisualDL records"):
        read_scalars(tmp_path)
    write_run(tmp_path, range(5))
    path = tmp_path / RECORDS_NAME
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="resuming the run repairs it"):
        read_tags(tmp_path)


@pytest.mark.parametrize("walltimes", [(1, 2), (2, 1)])
def test_several_files_become_one(tmp_path: Path, walltimes: tuple[int, int]) -> None:
    """As LogWriter alone leaves them; of two points of one step the last file's is kept."""
    first, second = range(8), range(5, 11)
    for steps, walltime in zip((first, second), walltimes, strict=True):
        name = f"vdlrecords.1{steps.start}00000000.log"
        with LogWriter(str(tmp_path), file_name=name) as writer:
            for step in steps:
                writer.add_scalar("loss/d", walltime, step, walltime=walltime)
    before = {path.read_bytes() for path in tmp_path.iterdir()}
    write_run(tmp_path, range(11, 13), resume_step=10)
    # Another name may be that of somebody's own records: nothing is deleted.
    assert sorted(os.listdir(tmp_path)) == ["superseded.0.log", "superseded.1.log", RECORDS_NAME]
    assert {path.read_bytes() for path in tmp_path.glob("superseded.*")} == before
    both = [walltimes[1]] * 3
    expected = [*[walltimes[0]] * 5, *both, *[walltimes[1]] * 3, 11 / 4, 12 / 4]
    assert read_scalars(tmp_path)["loss/d"] == list(enumerate(expected))


def test_fresh_log_sets_older_ones_aside(tmp_path: Path) -> None:
    for start in (0, 100, 200):
        write_run(tmp_path, range(start, start + 3))
    assert sorted(os.listdir(tmp_path)) == ["superseded.0.log", "superseded.1.log", RECORDS_NAME]
    assert [step for step, _ in read_scalars(tmp_path)["loss/d"]] == [200, 201, 202]
    write_run(tmp_path, range(203, 204), resume_step=202)
    assert [step for step, _ in read_scalars(tmp_path)["loss/d"]] == [200, 201, 202, 203]


def test_a_failed_rewrite_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path, range(5))
    before = (tmp_path / RECORDS_NAME).read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(os, "replace", fail)
        VisualDLLog(tmp_path, resume_step=2)
    assert (tmp_path / RECORDS_NAME).read_bytes() == before
    write_run(tmp_path, range(5, 7), resume_step=4)
    assert os.listdir(tmp_path) == [RECORDS_NAME]


def test_a_full_disk_is_an_error_and_leaves_no_part_of_a_record(tmp_path: Path) -> None:
    log = VisualDLLog(tmp_path)
    log.scalar("loss/d", 0.0, 0)
    size = (tmp_path / RECORDS_NAME).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        with pytest.raises(OSError):
            log.scalar("loss/d", 1.0, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.scalar("loss/d", 2.0, 2)
    log.close()
    assert read_scalars(tmp_path) == {"loss/d": [(0, 0.0), (2, 2.0)]}


@pytest.mark.parametrize("tag", ["", "50%"])
def test_tags_that_visualdl_cannot_show_are_refused(tmp_path: Path, tag: str) -> None:
    log = VisualDLLog(tmp_path)
    with pytest.raises(ValueError, match="tag"):
        log.scalar(tag, 1.0, 1)
    log.close()


def test_a_tag_is_of_one_kind_also_after_a_resume(tmp_path: Path) -> None:
    write_run(tmp_path, range(3))
    log = VisualDLLog(tmp_path, resume_step=2)
    with pytest.raises(ValueError, match="taken by records of the kind 'value'"):
        log.image("loss/d", PICTURE, 3)
    log.close()


def test_closing_twice_is_fine_and_leaves_no_thread(tmp_path: Path) -> None:
    threads = threading.active_count()
    log = VisualDLLog(tmp_path)
    log.flush()
    log.close()
    log.close()
    assert threading.active_count() == threads
    with pytest.raises(ValueError):
        log.scalar("loss/d", 0.0, 0)


def test_a_killed_process_loses_nothing_and_import_is_lazy(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from ppgan_zoo.storage.visualdl_log import VisualDLLog\n"
        "assert 'visualdl' not in sys.modules\n"
        "log = VisualDLLog(pathlib.Path(sys.argv[1]))\n"
        "for step in range(500): log.scalar('loss/d', step, step)\n"
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=root, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, "", "")
    assert read_scalars(tmp_path)["loss/d"] == [(step, float(step)) for step in range(500)]


def test_the_server_shows_all_after_a_resume(tmp_path: Path) -> None:
    """The functions that answer the requests of the server's page, over a folder of runs."""
    from visualdl.server import lib  # type: ignore[import-untyped]

    folder = tmp_path / "runs" / "dcgan"
    write_run(folder, range(21))
    write_run(folder, range(11, 31), resume_step=10)
    reader, run = LogReader(str(tmp_path)), str(folder)
    assert lib.get_scalar_tags(reader)["tags"][0] == ["loss/d"]
    assert [p[1:] for p in lib.get_scalar(reader, run, "loss/d")] == [[s, s / 4] for s in range(31)]
    fives = list(range(0, 31, 5))
    assert [r["step"] for r in lib.get_image_tag_steps(reader, run, "samples")] == fives
    assert [r["step"] for r in lib.get_text_tag_steps(reader, run, "note")] == fives
    assert [r[1] for r in lib.get_histogram(reader, run, "weights/g")] == fives
    (hparams,) = lib.get_hparam_list(reader)
    assert hparams["hparams"] == {"lr": 2e-4, "seed": 7, "model": "dcgan", "amp": "False"}
    assert hparams["metrics"] == {"loss/d": 30 / 4}
