"""A VisualDL log that survives a kill, a resume and a full disk.

VisualDL's server shows one records file per folder: the one whose name comes last
among those that contain ``vdlrecords``. So a run has one file, and a resumed run
goes on in it: records beyond the checkpoint's step are dropped first, and so is a
record that a kill cut short (the server cannot start on one).

`VisualDLLog` builds the records with ``visualdl.LogWriter`` but gives it a file of
its own to write to. LogWriter's own queues records for a thread, which loses up to
120 of them in a kill, and prints and goes on where a write fails. What was written is read
back by :mod:`ppgan_zoo.storage.visualdl_reader`.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ppgan_zoo.storage.files import APPENDING, atomic_file, open_inside, open_regular
from ppgan_zoo.storage.tolerance import Guard, strict

NAME = "VisualDL records"
RECORDS_NAME = "vdlrecords.0000000000.log"

_HEADER_BYTES = 8  # each record is its length, little-endian, then a protobuf message
_STEPLESS = ("meta_data", "hparam")  # VisualDL gives them a step, but it means nothing

logger = logging.getLogger(__name__)


class VisualDLLog:
    """The VisualDL log of one run: one folder with one records file.

    Each call is one write to the file, made before the call returns: a killed process
    loses nothing (only a crash of the machine can lose what came after `flush`). There
    is no thread. A tag belongs to one kind of record, since VisualDL files all records
    of a tag under the kind of the first.

    A server that is running while the run is resumed has to be restarted: it goes on
    reading where it was, in a file that the resume made shorter, and shows nothing new.

    Args:
        folder: Where the records file goes; made if missing.
        guard: Around every write; :class:`ppgan_zoo.storage.tolerance.Tolerant` lets training go on
            where one fails.
        resume_step: None for a fresh log; records files already in `folder` are renamed
            to ``superseded.N.log``, which VisualDL does not look at. A step to resume
            after: records up to and with it stay as they are, timestamps included, later
            ones and a damaged tail are dropped. Several records files become one, where
            the last record of each tag and step is kept; the others are renamed likewise.

    Raises:
        OSError: If the folder cannot be written to, or the home folder cannot (importing
            visualdl makes ``~/.visualdl``).
    """

    def __init__(
        self, folder: Path, *, guard: Guard = strict, resume_step: int | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._guard = guard
        self._kinds: dict[str, str] = {}
        if resume_step is None:
            _set_aside(records_files(folder))
        else:
            self._kinds = _drop_after(folder, resume_step)
        self._file = _RecordsFile(folder / RECORDS_NAME)
        self._writer = _log_writer(self._file)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one point of a curve; `value` is stored as float32, NaN included."""
        self._claim(tag, "value")
        self._add("scalar", tag, float(value), int(step))

    def image(self, tag: str, array: npt.NDArray[np.uint8], step: int) -> None:
        """Add a picture: `array` is uint8 ``[H, W, 3]`` or ``[H, W]``.

        The file keeps every picture; VisualDL's server shows 10 of a tag, spread over
        the run, with the last.

        Raises:
            ValueError: If the array is of another type or shape.
        """
        if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
            raise ValueError(
                f"image {tag!r}: expected uint8 [H, W, 3] or [H, W], "
                f"got {array.dtype} {list(array.shape)}"
            )
        self._claim(tag, "image")
        # VisualDL takes pixels that are all 0 or 1 for floats and stretches them, in place.
        pixels = array if array.size and array.max() > 1 else np.zeros_like(array)
        self._add("image", tag, pixels, int(step), dataformats="HWC"[: array.ndim])

    def histogram(self, tag: str, values: npt.NDArray[Any], step: int, buckets: int = 30) -> None:
        """Add a histogram of the finite `values` (any shape); none at all adds nothing."""
        flat = np.asarray(values, dtype=np.float64).ravel()
        finite = flat[np.isfinite(flat)]
        if finite.size:
            self._claim(tag, "histogram")
            self._add("histogram", tag, finite, int(step), buckets=buckets)

    def text(self, tag: str, text: str, step: int) -> None:
        """Add a piece of text (VisualDL's server shows 10 of a tag, as with pictures)."""
        self._claim(tag, "text")
        self._add("text", tag, text, int(step))

    def hparams(self, values: Mapping[str, object], metrics: Sequence[str]) -> None:
        """Add the run's hyper-parameters; a log that has them (a resumed one) is left as is.

        Args:
            values: Name to value. What VisualDL has no type for is stored as its ``str``.
            metrics: Tags of the scalars to compare runs by. Log each at least once:
                the server reports an error for one that has no points.
        """
        if "hparam" not in self._kinds:
            self._claim("hparam", "hparam")
            known = {name: _hparam_value(value) for name, value in values.items()}
            self._add("hparams", known, list(metrics))

    def flush(self) -> None:
        """Have the operating system put all records on the disk."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        with self._guard(NAME):
            self._file.close()

    def _add(self, kind: str, *arguments: Any, **options: Any) -> None:
        with self._guard(NAME):
            getattr(self._writer, f"add_{kind}")(*arguments, **options)

    def _claim(self, tag: str, kind: str) -> None:
        if not tag or "%" in tag:
            raise ValueError(f"tag {tag!r}: VisualDL wants a name without '%'")
        if self._kinds.setdefault(tag, kind) != kind:
            raise ValueError(f"tag {tag!r}: taken by records of the kind {self._kinds[tag]!r}")


class _RecordsFile:
    """What LogWriter takes for its file: appends records, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.fdopen(open_inside(path.parent, path.name, APPENDING), "ab", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    def add_record(self, record: Any) -> None:
        frame = _frame(record.SerializeToString())
        written = 0
        try:
            while written < len(frame):
                written += self._file.write(frame[written:])
        except OSError:
            # A part of a record would keep the server from reading all that follow.
            self._file.truncate(self._size)
            raise
        self._size += written

    def get_filename(self) -> str:
        return str(self._path)

    def flush(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        if not self._file.closed:
            with self._file:
                self.flush()


def _log_writer(file: _RecordsFile) -> Any:
    # Here, since `import visualdl` takes 0.3 s and writes to the home folder.
    from visualdl import LogWriter  # type: ignore[import-untyped]

    class Writer(LogWriter):  # type: ignore[misc]
        def _get_file_writer(self) -> _RecordsFile:
            self._file_writer = file
            return file

    return Writer(logdir=os.path.dirname(file.get_filename()))


def _hparam_value(value: object) -> int | float | str:
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    return value if isinstance(value, float | str) else str(value)


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(_HEADER_BYTES, "little") + body


def records_files(folder: Path) -> list[Path]:
    """Return the files that VisualDL takes for records, by name: it shows the last alone."""
    return sorted(path for path in folder.glob("*vdlrecords*") if path.is_file())


def _set_aside(files: Iterable[Path]) -> None:
    for path in files:
        names = (path.with_name(f"superseded.{number}.log") for number in itertools.count())
        path.rename(next(name for name in names if not name.exists()))


def _drop_after(folder: Path, last_step: int) -> dict[str, str]:
    """Leave one file with the records up to `last_step`; return the kind of each tag."""
    kept: dict[tuple[str, ...], tuple[int, bytes]] = {}
    kinds: dict[str, str] = {}
    files = records_files(folder)
    for value, body in itertools.chain.from_iterable(map(_intact_records, files)):
        kind = str(value.WhichOneof("one_value"))
        step = -1 if kind in _STEPLESS else value.id
        key = (kind, value.tag, value.tag_value.tag, str(step))
        if step <= last_step:  # later in the files is newer: clocks can go backwards
            kept[key] = (step, body)
            kinds[value.tag] = kind
    if files:
        with atomic_file(folder / RECORDS_NAME) as file:
            for _, body in sorted(kept.values(), key=lambda record: record[0]):
                file.write(_frame(body))
    _set_aside(path for path in files if path.name != RECORDS_NAME)
    return kinds


def _intact_records(path: Path) -> Iterator[tuple[Any, bytes]]:
    """Yield each record's value and bytes, up to the end or the first damaged one."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from visualdl.proto.record_pb2 import Record  # type: ignore[import-untyped]

    with open_regular(path) as file:
        start, end = 0, os.fstat(file.fileno()).st_size
        while start < end:
            size = int.from_bytes(file.read(_HEADER_BYTES), "little")
            body = file.read(size) if size <= end - start - _HEADER_BYTES else b""
            try:
                values = Record.FromString(body).values
            except DecodeError:
                values = ()
            # A record of no values is a tail of zeros, as a crash of the machine leaves it.
            if not values:
                logger.warning("%s: dropped %d damaged bytes at its end", path, end - start)
                return
            yield values[0], body
            start += _HEADER_BYTES + size
