"""Writing files so that no reader ever sees half of one, and knowing them by content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ppgan_zoo.runtime import available_memory
from ppgan_zoo.storage.scratch import scratch_folder
from ppgan_zoo.storage.terminal import can_show

MANY_FILES = 1000
"""From so many files on, a folder is brought to disk by one call."""

APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT


@contextlib.contextmanager
def atomic_folder(
    target: Path,
    may_replace: Callable[[Path], object] = lambda there: False,
    move_in: Iterable[Path] = (),
) -> Iterator[Path]:
    """Yield a folder to fill; when the block ends well it becomes `target`.

    Every file is synced to disk before the rename, so that after a crash `target` is either the
    old one or the whole new one (or, between the two renames that replacing takes, not there:
    who cannot bear that replaces nothing).

    Args:
        target: The folder to make. An empty folder may be there.
        may_replace: Tells whether what is there otherwise may be replaced, which is deleted. It
            is asked when that has been moved out of everybody's way.
        move_in: Files beside the folder that are moved into it after the block; where it does not
            become `target`, they are moved back.

    Raises:
        OSError: It cannot be written, as on a full disk, or something is there that may not be
            replaced; that stays, and nothing is left behind.
    """
    with (
        _naming(target),
        with_parents(target),
        scratch_folder(target.parent) as scratch,
    ):
        new, old = scratch / "new", scratch / "old"
        new.mkdir()
        yield new
        with _moved_in(tuple(move_in), new):
            _sync_below(new)
            _put_in_place(new, target, old, may_replace)
        _sync(target.parent)


@contextlib.contextmanager
def _moved_in(files: tuple[Path, ...], folder: Path) -> Iterator[None]:
    """Move files into a folder, and back where the block fails."""
    try:
        for file in files:
            file.replace(folder / file.name)
        yield
    except BaseException:
        for file in files:
            with contextlib.suppress(OSError):  # those that were not moved yet
                (folder / file.name).replace(file)
        raise


def _put_in_place(
    new: Path, target: Path, old: Path, may_replace: Callable[[Path], object]
) -> None:
    """Rename a folder to `target`; what may be replaced there goes to `old`."""
    if _is_empty(target):
        new.rename(target)
        return
    target.rename(old)
    try:
        if not may_replace(old):
            raise FileExistsError(errno.EEXIST, "exists already", str(target))
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[BinaryIO]:
    """Yield a file to write and read; when the block ends well it becomes `target`, on disk.

    Raises:
        OSError: It cannot be written, as on a full disk; nothing is left behind.
    """
    with _naming(target), scratch_folder(target.parent) as scratch:
        new = scratch / "new"
        with new.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
        _sync(target.parent)


def write_atomically(target: Path, content: str | bytes) -> None:
    """Write a small file in scratch, sync it, and rename it into place.

    Raises:
        OSError: It cannot be written, as on a full disk; nothing is left behind.
    """
    with atomic_file(target) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def user_cache() -> Path | None:
    """Return the folder for what can be made or downloaded again; None without a home.

    It is ``ppgan_zoo`` under ``XDG_CACHE_HOME``, or under ``~/.cache``.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():  # the XDG specification: a relative path is to be ignored
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:  # a user without a home, as in some containers
            return None
    return cache / "ppgan_zoo"


def sha256_file(path: Path, limit: int | None = None) -> str:
    """Return the SHA-256 of a file's content in hex.

    Args and errors are those of :func:`open_regular`.
    """
    with open_regular(path, limit) as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """Return a file's content.

    Args and errors are those of :func:`open_regular`.
    """
    with open_regular(path, limit) as file:
        return file.read() if limit is None else file.read(limit)


def open_regular(path: Path, limit: int | None = None) -> BinaryIO:
    """Open a file for reading that is a file: what else can be opened might never end.

    Args:
        path: The file, or a link to it.
        limit: The most bytes that it may have; None for as many as this machine's memory holds.

    Raises:
        OSError: It cannot be opened, is larger, or is a folder, pipe or device.
    """
    # A pipe that nobody writes to would keep a blocking open waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_regular(descriptor, path)
        limit = available_memory() if limit is None else limit
        if os.fstat(descriptor).st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_inside(folder: Path, name: str, flags: int, *, follow: bool = False) -> int:
    """Open a file of a folder for writing, never another one that a link leads to.

    Args:
        folder: The folder.
        name: Of the file in it.
        flags: Of the system's ``open``.
        follow: Whether `folder` itself may be a link.

    Returns:
        The descriptor.

    Raises:
        OSError: It cannot be opened, the file or the folder is a link, or it is no file.
    """
    path = folder / name
    if not follow and folder.is_symlink():
        raise OSError(errno.ELOOP, "is a symbolic link", str(folder))
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | (0 if follow else os.O_NOFOLLOW))
    try:
        guarded = flags | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(name, guarded, 0o666, dir_fd=directory)
    except OSError as error:
        reason = "is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise OSError(error.errno, reason, str(path)) from None
    finally:
        os.close(directory)
    try:
        check_regular(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(descriptor: int, path: Path) -> None:
    """Make sure that what was opened is a file.

    Raises:
        OSError: It is a folder, a pipe or a device.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def to_json(data: Any) -> str:
    """Return `data` as indented JSON with a newline at its end; NaN is refused.

    What is not printable is escaped, such as the bytes of a path that are no text.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return text + "\n"


@contextlib.contextmanager
def with_parents(target: Path) -> Iterator[None]:
    """Make the folders above `target`, and delete them again where the block fails."""
    made = [path for path in target.parents if not os.path.lexists(path)]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):  # those that are not empty stay
                path.rmdir()
        raise


@contextlib.contextmanager
def by_plain_path(folder: Path) -> Iterator[Path]:
    """Yield a path to a folder that any program takes, such as one that knows UTF-8 alone.

    It is the folder's own unless that has bytes that are no text.

    Raises:
        OSError: There is no such folder.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
    else:
        yield folder


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name `path` in an error that names no file, as that of a failed write does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def _sync_below(folder: Path) -> None:
    """Bring a folder to disk; if it holds much, with all that the machine has not written yet."""
    few = sorted(itertools.islice(folder.rglob("*"), MANY_FILES))
    if len(few) == MANY_FILES:
        os.sync()  # a wait for each of a million pictures would take hours
        return
    for path in (*few, folder):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_empty(target: Path) -> bool:
    """Tell whether nothing is there, or an empty folder."""
    if not os.path.lexists(target):
        return True
    return target.is_dir() and not target.is_symlink() and not any(target.iterdir())


def absolute(path: Path) -> Path:
    """Return the one way to write a path: from the root, without ``..`` and without links."""
    return Path(os.path.realpath(path))


def as_argument(path: Path) -> str:
    """Return a path as a shell takes it: quoted where it must be, and never as an option.

    What the terminal cannot show is written byte by byte, as bash, zsh and ksh take it.
    """
    text = str(path)
    text = f"./{text}" if text.startswith("-") else text
    if can_show(text):
        return shlex.quote(text)
    shown = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\{byte:03o}"
        for byte in os.fsencode(text)
    )
    return f"$'{shown}'"
