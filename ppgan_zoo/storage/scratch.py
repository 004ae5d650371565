"""Scratch folders: where something is made before it gets its name.

A killed process leaves its scratch behind, and the next one that writes to the same folder
deletes it. What may be deleted is told by a record inside (a mark that holds the folder's
own name, hashed) and by a lock that lives as long as the process; never by a name alone, which a
user's file may have as well.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".ppgan-zoo-"
MARK = "scratch-of-ppgan-zoo"
_ATTEMPTS = 100


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder inside `parent`, which is deleted when the block ends.

    Scratch that killed processes left in `parent` is deleted first.

    Raises:
        OSError: It cannot be made.
    """
    clear_abandoned(parent)
    folder, descriptor = _make(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def clear_abandoned(parent: Path) -> None:
    """Delete the scratch folders in `parent` whose process has ended; an error deletes nothing."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
        for folder in found:
            with contextlib.suppress(OSError):
                _clear(folder)


def _make(parent: Path) -> tuple[Path, int]:
    """Make and mark a folder; return it and the descriptor that holds the lock of its mark."""
    for _ in range(_ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        descriptor = -1
        try:
            descriptor = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, _record(folder))
            if os.fstat(descriptor).st_nlink:
                return folder, descriptor
        except (FileNotFoundError, BlockingIOError):
            pass  # another process took it for abandoned, since it was not locked yet
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if descriptor >= 0:
                os.close(descriptor)
            raise
        if descriptor >= 0:
            os.close(descriptor)
    raise OSError(errno.EBUSY, "scratch is taken away again and again", str(parent))


def _clear(folder: Path) -> None:
    """Delete one folder, if its mark says that it is scratch and nobody holds the lock."""
    if not stat.S_ISDIR(folder.lstat().st_mode):
        return
    try:
        descriptor = os.open(folder / MARK, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        folder.rmdir()  # killed before it was marked; one that is not empty stays
        return
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            written = os.read(descriptor, 256)
            if written == _record(folder):
                shutil.rmtree(folder)
            elif not written:  # killed while it was marked
                (folder / MARK).unlink()
                folder.rmdir()
    finally:
        os.close(descriptor)


def _record(folder: Path) -> bytes:
    return hashlib.sha256(f"{MARK} {folder.name}".encode()).hexdigest().encode()
