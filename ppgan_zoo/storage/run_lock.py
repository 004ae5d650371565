"""Who owns a folder that is written to: one process at a time, for as long as it lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ppgan_zoo.errors import CheckpointError, TrainingError, os_errors
from ppgan_zoo.storage.files import open_inside

LOCK = ".lock"


class Lock:
    """A folder's lock, held by this process.

    Args:
        folder: The folder.

    Raises:
        CheckpointError: Another process owns it, or it cannot be locked.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with os_errors(CheckpointError, f"{folder}: cannot be locked"):
            self._folder_is = _identity(os.stat(folder))
            self._descriptor = _take(folder, os.O_CREAT)

    def check(self) -> None:
        """Make sure, before something is saved, that the folder is still this process's.

        A lock file that was deleted is made anew, unless another process did so first.

        Raises:
            TrainingError: Another folder has its name now, or another process owns it.
            OSError: It cannot be looked at, as when it is gone.
        """
        if _identity(os.stat(self.folder)) != self._folder_is:
            raise TrainingError(
                f"{self.folder}: is another folder than the one that this run began in, which was "
                "moved or deleted; nothing is written to it"
            )
        if _is_at(self._descriptor, self.folder):
            return
        if os.path.lexists(self.folder / LOCK):
            raise TrainingError(
                f"{self.folder}: its lock was deleted, and another process took it; nothing more "
                "is written by this one"
            )
        try:
            descriptor = _take(self.folder, os.O_CREAT | os.O_EXCL)
        except (FileExistsError, CheckpointError):
            return self.check()
        os.close(self._descriptor)
        self._descriptor = descriptor
        return None

    def delete(self) -> None:
        """Delete the lock file, while it is held."""
        with contextlib.suppress(OSError):
            if _is_at(self._descriptor, self.folder):
                (self.folder / LOCK).unlink()

    def release(self) -> None:
        """Let others have the folder."""
        os.close(self._descriptor)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Own a folder for a block; the system frees it when the process dies inside.

    Raises:
        CheckpointError: Another process owns it, or it cannot be locked.
    """
    lock = Lock(folder)
    try:
        yield lock
    finally:
        lock.release()


def _take(folder: Path, create: int) -> int:
    """Return a descriptor that holds the lock of the file that is in the folder now."""
    while True:
        descriptor = open_inside(folder, LOCK, os.O_RDWR | create, follow=True)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
                raise CheckpointError(
                    f"{folder}: process {owner} is training this run; stop it first, or train "
                    "into another --output"
                ) from None
            if _is_at(descriptor, folder):  # not one that its last owner deleted meanwhile
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, folder: Path) -> bool:
    """Tell whether an open lock file is the one in the folder."""
    try:
        there = os.stat(folder / LOCK, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return _identity(os.fstat(descriptor)) == _identity(there)


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
