"""A TensorBoard log that survives a kill, a resume and a full disk, as VisualDL's does.

``tensorboardX`` builds the events. Its own writer queues them for a thread, which loses what is
queued in a kill; so they are framed and written here, each before its call returns. A run has
one file. A resumed run goes on in it, without the events of iterations that are done again and
without what a kill cut short.

The format of the file: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import logging
import math
import os
import struct
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

NAME = "TensorBoard events"
EVENTS_NAME = "events.out.tfevents.0000000000.ppgan_zoo"
RETRY_SECONDS = 10.0  # between two tries to open the file
SETTINGS = "_hparams_/session_start_info"

_HEADER = struct.Struct("<QI")  # length, its checksum; after the message comes the message's
_CHECKSUM = struct.Struct("<I")

logger = logging.getLogger(__name__)


class TensorBoardLog:
    """The TensorBoard log of one run: one folder with one file of events.

    A server that is running while the run is resumed has to be restarted: the resume made the
    file shorter.

    Args:
        folder: Where the file goes; made if missing.
        guard: Around every write; :class:`ppgan_zoo.storage.tolerance.Tolerant` lets training
            go on where one fails.
        resume_step: None for a fresh log; a file that is there is renamed to
            ``superseded.N.log``. A step to resume after: events up to and with it stay as they
            are, times included.

    Raises:
        OSError: The folder cannot be written to.
    """

    def __init__(
        self, folder: Path, *, guard: Guard = strict, resume_step: int | None = None
    ) -> None:
        self._folder = folder
        self._guard = guard
        self._resume_step = resume_step
        self._file: RecordsFile | None = None
        self._has_settings = False
        self._tried = -math.inf
        with guard(NAME):
            self._ready()

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add one point of a curve; `value` is stored as float32, NaN included."""
        self._add("scalar", step, tag, float(value))

    def image(self, tag: str, array: npt.NDArray[np.uint8], step: int) -> None:
        """Add a picture: `array` is uint8 ``[H, W, 3]`` or ``[H, W]``."""
        self._add("image", step, tag, array, dataformats="HWC"[: array.ndim])

    def histogram(self, tag: str, values: npt.NDArray[Any], step: int, buckets: int = 30) -> None:
        """Add a histogram of the finite `values` (any shape); none at all adds nothing."""
        finite = finite_values(values)
        if finite.size:
            self._add("histogram", step, tag, finite, buckets)

    def hparams(self, values: Mapping[str, object], metrics: Sequence[str]) -> None:
        """Add the run's settings; a log that has them (a resumed one) is left as is."""
        from tensorboardX.summary import hparams

        known = {k: v if isinstance(v, bool | int | float | str) else str(v)
                 for k, v in values.items()}  # fmt: skip
        with self._guard(NAME):
            if self._ready() and not self._has_settings:
                experiment, start, _ = hparams(known, dict.fromkeys(metrics))
                self._write(0, summary=experiment)
                self._write(0, summary=start)
                self._has_settings = True

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        with self._guard(NAME):
            if self._file is not None:
                self._file.close()

    def _add(self, method: str, step: int, *arguments: Any, **options: Any) -> None:
        with self._guard(NAME):
            if self._ready():
                from tensorboardX import summary

                self._write(step, summary=getattr(summary, method)(*arguments, **options))

    def _write(self, step: int, **what: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        assert self._file is not None
        self._file.add_record(Event(wall_time=time.time(), step=int(step), **what))

    def _ready(self) -> bool:
        """Tell whether there is a file to write to; try again to open one, but not all the time."""
        if self._file is None:
            if time.monotonic() - self._tried < RETRY_SECONDS:
                return False
            self._tried = time.monotonic()
            self._open()
        return True

    def _open(self) -> None:
        path = self._folder / EVENTS_NAME
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._resume_step is None:
            set_aside([path] if path.exists() else [])
        elif path.exists():
            self._has_settings = _drop_after(path, self._resume_step)
        self._file = RecordsFile(path, _frame)
        if not self._file.size:
            self._write(0, file_version="brain.Event:2")  # what a reader looks for first


def read_events(path: Path) -> Iterator[Any]:
    """Yield the events of a file, up to its end or the first damaged one."""
    return (event for event, _ in _intact_events(path))


def _drop_after(path: Path, last_step: int) -> bool:
    """Leave the events up to `last_step`; tell whether the settings are among them."""
    has_settings = False
    with atomic_file(path) as file:
        for event, frame in _intact_events(path):
            if event.step <= last_step:
                file.write(frame)
                has_settings |= any(value.tag == SETTINGS for value in event.summary.value)
    return has_settings


def _intact_events(path: Path) -> Iterator[tuple[Any, bytes]]:
    """Yield each event with its bytes in the file, up to the first damaged one."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboardX.proto.event_pb2 import Event

    with open_regular(path) as file:
        start, end = 0, os.fstat(file.fileno()).st_size
        while start < end:
            head = file.read(_HEADER.size)
            size = _HEADER.unpack(head)[0] if head == _head(head[:8]) else end
            rest = size + _CHECKSUM.size
            body = file.read(rest) if rest <= end - start - _HEADER.size else b""
            try:
                if len(body) != rest:
                    raise DecodeError
                event = Event.FromString(body[:size])
            except DecodeError:
                logger.warning("%s: dropped %d damaged bytes at its end", path, end - start)
                return
            yield event, head + body
            start += _HEADER.size + rest


def _frame(body: bytes) -> bytes:
    return _head(struct.pack("<Q", len(body))) + body + _CHECKSUM.pack(_checksum(body))


def _head(length: bytes) -> bytes:
    return length + _CHECKSUM.pack(_checksum(length))


def _checksum(data: bytes) -> int:
    """Return the masked CRC-32C that stands in the file."""
    from tensorboardX.crc32c import crc32c

    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


TENSORBOARD = LogKind("tensorboard", TensorBoardLog, ("tensorboardX",), "tensorboard")
