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
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ppgan_zoo.storage.files import atomic_file, open_regular
from ppgan_zoo.storage.logs import LogKind, finite_values
from ppgan_zoo.storage.records_file import RecordsFile, set_aside
from ppgan_zoo.storage.tolerance import Guard, strict

NAME = "VisualDL records"
RECORDS_NAME = "vdlrecords.0000000000.log"

_HEADER_BYTES = 8  # each record is its length, little-endian, then a protobuf message
RETRY_SECONDS = 10.0  # between two tries to open the file, for which visualdl is imported
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
        self._folder = folder
        self._guard = guard
        self._resume_step = resume_step
        self._kinds: dict[str, str] = {}
        self._file: RecordsFile | None = None
        self._writer: Any = None
        self._tried = -math.inf
        self._waiting_hparams: tuple[dict[str, Any], list[str]] | None = None
        with guard(NAME):
            self._open()

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one point of a curve; `value` is stored as float32, NaN included."""
        self._add("value", tag, "scalar", tag, float(value), int(step))

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
        # VisualDL takes pixels that are all 0 or 1 for floats and stretches them, in place.
        pixels = array if array.size and array.max() > 1 else np.zeros_like(array)
        self._add("image", tag, "image", tag, pixels, int(step), dataformats="HWC"[: array.ndim])

    def histogram(self, tag: str, values: npt.NDArray[Any], step: int, buckets: int = 30) -> None:
        """Add a histogram of the finite `values` (any shape); none at all adds nothing."""
        finite = finite_values(values)
        if finite.size:
            self._add("histogram", tag, "histogram", tag, finite, int(step), buckets=buckets)

    def text(self, tag: str, text: str, step: int) -> None:
        """Add a piece of text (VisualDL's server shows 10 of a tag, as with pictures)."""
        self._add("text", tag, "text", tag, text, int(step))

    def hparams(self, values: Mapping[str, object], metrics: Sequence[str]) -> None:
        """Add the run's hyper-parameters; a log that has them (a resumed one) is left as is.

        Args:
            values: Name to value. What VisualDL has no type for is stored as its ``str``.
            metrics: Tags of the scalars to compare runs by. Log each at least once:
                the server reports an error for one that has no points.
        """
        known = {name: _hparam_value(value) for name, value in values.items()}
        self._waiting_hparams = known, list(metrics)
        with self._guard(NAME):
            self._ready()

    def flush(self) -> None:
        """Have the operating system put all records on the disk."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        with self._guard(NAME):
            if self._file is not None:
                self._file.close()

    def _open(self) -> None:
        """Open the file, with what is to stay of the records that are there."""
        import visualdl  # type: ignore[import-untyped]  # noqa: F401  if it fails, before any change

        self._folder.mkdir(parents=True, exist_ok=True)
        if self._resume_step is None:
            set_aside(records_files(self._folder))
        else:
            self._kinds = _drop_after(self._folder, self._resume_step)
        file = RecordsFile(self._folder / RECORDS_NAME, _frame)
        self._writer = _log_writer(file)
        self._file = file

    def _ready(self) -> bool:
        """Tell whether there is a file to write to; try again to open one, but not all the time."""
        if self._file is None:
            if time.monotonic() - self._tried < RETRY_SECONDS:
                return False
            self._tried = time.monotonic()
            self._open()
        if self._waiting_hparams is not None:
            if "hparam" not in self._kinds:
                self._writer.add_hparams(*self._waiting_hparams)
                self._kinds["hparam"] = "hparam"
            self._waiting_hparams = None
        return True

    def _add(self, kind: str, tag: str, method: str, *arguments: Any, **options: Any) -> None:
        with self._guard(f"{NAME}: {tag}" if self._clash(tag, kind) else NAME):
            if self._ready():
                self._claim(tag, kind)
                getattr(self._writer, f"add_{method}")(*arguments, **options)

    def _claim(self, tag: str, kind: str) -> None:
        if clash := self._clash(tag, kind):
            raise ValueError(clash)
        self._kinds[tag] = kind

    def _clash(self, tag: str, kind: str) -> str:
        """Return why VisualDL cannot show records of this kind under a tag, or nothing."""
        if not tag or "%" in tag:
            return f"tag {tag!r}: VisualDL wants a name without '%'"
        taken = self._kinds.get(tag, kind)
        return "" if taken == kind else f"tag {tag!r}: taken by records of the kind {taken!r}"


def _log_writer(file: RecordsFile) -> Any:
    # Here, since `import visualdl` takes 0.3 s and writes to the home folder.
    from visualdl import LogWriter  # type: ignore[import-untyped]

    class Writer(LogWriter):  # type: ignore[misc]
        def _get_file_writer(self) -> RecordsFile:
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
    set_aside(path for path in files if path.name != RECORDS_NAME)
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


VISUALDL = LogKind("visualdl", VisualDLLog)
