"""A run's plain log: to its file, and to standard error above the progress bar."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from ppgan_zoo.errors import CheckpointError, os_errors
from ppgan_zoo.storage.files import APPENDING, open_inside
from ppgan_zoo.storage.stages import tell_above_bars
from ppgan_zoo.storage.terminal import printable
from ppgan_zoo.storage.tolerance import reason


def open_log(path: Path) -> logging.Logger:
    """Return a logger that writes to `path` and to standard error.

    Where either can no longer be written, the other is told once, and training continues.

    Raises:
        CheckpointError: `path` cannot be written from the start.
    """
    logger = logging.getLogger("ppgan_zoo.run.train")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    close_log(logger)
    with os_errors(CheckpointError, f"{path}: cannot be written"):
        to_file = _LogFile(path)
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(to_file)
    logger.addHandler(_AboveTheBar())
    return logger


def close_log(logger: logging.Logger) -> None:
    """Close the files of a logger of :func:`open_log`."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def log_to_file(logger: logging.Logger, line: str) -> None:
    """Log an error that standard error gets from elsewhere."""
    record = logger.makeRecord(logger.name, logging.ERROR, "", 0, line, (), None)
    for handler in logger.handlers:
        if isinstance(handler, _LogFile):
            handler.handle(record)


class _LogFile(logging.Handler):
    """Appends lines to a file, each whole or not at all."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        descriptor = open_inside(path.parent, path.name, APPENDING, follow=True)
        # Unbuffered: a line that a full disk refuses is dropped, and not kept for later.
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._path = path
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        line = (printable(self.format(record)) + "\n").encode()
        written = 0
        try:
            end = self._file.seek(0, 2)
            try:
                while written < len(line):
                    written += self._file.write(line[written:])
            except OSError:
                with contextlib.suppress(OSError):  # a device has no length
                    self._file.truncate(end)
                raise
        except OSError as error:
            if not self._said:
                self._said = True
                tell_above_bars(
                    f"{self._path}: cannot be written: {reason(error)}; training continues"
                )

    def close(self) -> None:
        self._file.close()
        super().close()


class _AboveTheBar(logging.Handler):
    """Prints to standard error without tearing the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tell_above_bars(self.format(record))
