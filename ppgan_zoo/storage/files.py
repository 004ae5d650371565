"""Writing files so that no reader ever sees half of one, and knowing them by content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ppgan_zoo.terminal import can_show


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to fill; when the block ends well it becomes `target`.

    Whatever was at `target` is replaced. Every file is synced to disk before the rename,
    so that after a crash `target` is either the old one or the whole new one (or, between
    the two renames that replacing takes, not there: who cannot bear that replaces nothing).

    Raises:
        OSError: It cannot be written, as on a full disk; nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _naming(target):
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        scratch.chmod(0o777 & ~_umask())
        with _naming(target):
            yield scratch
        for path in sorted(scratch.rglob("*")):
            if path.is_file():
                _sync(path)
        _sync(scratch)
        if target.exists():
            retired = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            target.rename(retired / target.name)
            try:
                scratch.rename(target)
            except BaseException:
                (retired / target.name).rename(target)
                retired.rmdir()
                raise
            shutil.rmtree(retired)
        else:
            scratch.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_atomically(target: Path, content: str | bytes) -> None:
    """Write a small file beside `target`, sync it, and rename it into place.

    Raises:
        OSError: It cannot be written, as on a full disk; nothing is left behind.
    """
    with _naming(target):
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        scratch = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            scratch.chmod(0o666 & ~_umask())
            scratch.replace(target)
            _sync(target.parent)
        finally:
            scratch.unlink(missing_ok=True)


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


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex.

    Raises:
        OSError: It cannot be read, or is a device or pipe, which might never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_regular(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        OSError: It cannot be read, or is a device or pipe, which might never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


def to_json(data: Any) -> str:
    """Return `data` as indented JSON with a newline at its end; NaN is refused.

    What is not printable is escaped, such as the bytes of a path that are no text.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return text + "\n"


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name `path` in an error that names no file, as that of a failed write does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


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
