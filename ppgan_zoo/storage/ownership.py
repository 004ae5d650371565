"""Files that the zoo made: each says so itself, with a hash, so that only those are replaced.

The last thing in such a file is a seal: :data:`SEAL` and the SHA-256 of every byte before it. Who
changes the file breaks the seal, and the file is then the user's. Where a format has a place for
a text (a chunk of a PNG, the comment of a zip archive, a key of JSON) the seal stands there;
readers of ``.npy`` and ``.tar`` pass over what follows the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.files import atomic_file, open_inside, to_json

SEAL = b"ppgan_zoo; SHA-256 of all before this: "
"""What stands before the hash."""

BLANK = SEAL + b"0" * 64
"""What a file ends with before :func:`seal` fills it in."""

_LONGEST_TAIL = 32  # bytes after the hash: the end of a PNG, the bracket of JSON
_CHUNK = 1 << 20


def seal_of(before: bytes) -> bytes:
    """Return the seal for what stands before it."""
    return SEAL + hashlib.sha256(before).hexdigest().encode()


def seal(file: BinaryIO) -> None:
    """Fill in the seal of a file that ends with :data:`BLANK`; it is open to read and write."""
    end = file.seek(-len(BLANK), os.SEEK_END)
    digest = _sha256(file, end)
    file.seek(end + len(SEAL))
    file.write(digest)


def sealed_json(data: dict[str, Any]) -> str:
    """Return data as JSON whose last key, ``made_by``, is the seal."""
    text = to_json({**data, "made_by": BLANK.decode()}).encode()
    before, _, after = text.rpartition(BLANK)
    return (before + seal_of(before) + after).decode()


def is_sealed(path: Path) -> bool:
    """Tell whether a file is as the zoo wrote it; False for what is none, or cannot be read."""
    try:
        descriptor = open_inside(path.parent, path.name, os.O_RDONLY, follow=True)
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            file.seek(max(0, size - len(BLANK) - _LONGEST_TAIL))
            _, mark, rest = file.read(len(BLANK) + _LONGEST_TAIL).rpartition(SEAL)
            if not mark or len(rest) < 64:
                return False
            return _sha256(file, size - len(mark) - len(rest)) == rest[:64]
    except OSError:
        return False


def refuse_foreign(path: Path, *, overwrite: bool = False) -> None:
    """Refuse to write where something is that the zoo did not make, or that was changed since.

    Args:
        path: The file to be written.
        overwrite: Whether the user said that any file there may be replaced.

    Raises:
        ConfigError: Something is there that stays.
    """
    if not os.path.lexists(path):
        return
    if overwrite and stat.S_ISREG(os.lstat(path).st_mode):
        return
    if is_sealed(path):
        return
    advice = "give another name" if overwrite else "give another name, or --overwrite to replace it"
    kind = "file" if os.path.isfile(path) and not os.path.islink(path) else "thing"
    raise ConfigError(
        f"--output {path}: a {kind} is there already that is not as ppgan_zoo wrote it; {advice}"
    )


@contextlib.contextmanager
def own_file(path: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Yield a file to write, as :func:`ppgan_zoo.storage.files.atomic_file` does.

    What is there is replaced only if the zoo made it; arguments are those of
    :func:`refuse_foreign`.

    Raises:
        ConfigError: Something is there that stays.
        OSError: It cannot be written; nothing is left behind.
    """
    refuse_foreign(path, overwrite=overwrite)
    with atomic_file(path) as file:
        yield file
        refuse_foreign(path, overwrite=overwrite)  # it may have come meanwhile


def _sha256(file: BinaryIO, size: int) -> bytes:
    """Return the SHA-256 of the first `size` bytes, in hex."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest().encode()
