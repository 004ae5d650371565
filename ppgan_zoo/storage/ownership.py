"""Files that the zoo made: each says so itself, with a hash, so that only those are replaced.

The last thing in such a file is a seal: :data:`SEAL` and the SHA-256 of every byte before it. Who
changes the file breaks the seal, and the file is then the user's. Where a format has a place for
a text (a chunk of a PNG, the comment of a zip archive, a key of JSON) the seal stands there;
readers of ``.npy`` and ``.tar`` pass over what follows the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.storage.files import (
    atomic_file,
    open_inside,
    read_regular,
    sha256_file,
    to_json,
    with_parents,
)

SEAL = b"ppgan_zoo; SHA-256 of all before this: "
"""What stands before the hash."""

BLANK = SEAL + b"0" * 64
"""What a file ends with before :func:`seal` fills it in."""

_LONGEST_TAIL = 32  # bytes after the hash: the end of a PNG, the bracket of JSON
_LARGEST_MANIFEST = 16 << 20
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


def sealed_markup(text: str) -> bytes:
    """Return HTML or SVG with the seal in a comment at its end."""
    before = f"{text}<!-- ".encode()
    return before + seal_of(before) + b" -->\n"


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


def refuse_foreign(path: Path, *, overwrite: bool = False, option: str = "--output") -> None:
    """Refuse to write where something is that the zoo did not make, or that was changed since.

    Args:
        path: The file to be written.
        overwrite: Whether the user said that any file there may be replaced.
        option: What names the file on the command line, for the message.

    Raises:
        ConfigError: Something is there that stays.
    """
    if not os.path.lexists(path):
        return
    if overwrite and stat.S_ISREG(os.lstat(path).st_mode):
        return
    if is_sealed(path):
        return
    advice = "give another name"
    if not overwrite and option in ("--output", "--points"):
        advice += ", or --overwrite to replace it"
    kind = "file" if os.path.isfile(path) and not os.path.islink(path) else "thing"
    raise ConfigError(
        f"{option} {path}: a {kind} exists already that is not as ppgan_zoo wrote it; {advice}"
    )


def refuse_foreign_folder(path: Path, is_own: Callable[[Path], bool]) -> None:
    """Refuse to write a folder where something is that the zoo did not make.

    Args:
        path: The folder to be written.
        is_own: Tells whether what is there is the zoo's, as it wrote it.

    Raises:
        ConfigError: Something is there that stays.
    """
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    if not os.path.lexists(path) or (is_folder and not os.listdir(path)) or is_own(path):
        return
    raise ConfigError(
        f"--output {path}: exists already and not as ppgan_zoo wrote it; give another name, or "
        "remove it"
    )


def is_sealed_folder(
    path: Path, manifest: str, further: Callable[[Path], dict[str, str]] = lambda folder: {}
) -> bool:
    """Tell whether a folder is as the zoo wrote it: every file, and no other.

    Args:
        path: The folder.
        manifest: A sealed JSON file in it, whose key ``sha256`` has the hashes of other files.
        further: Returns more hashes by name; it is called when those of the manifest are right.
    """
    try:
        if os.path.islink(path) or not is_sealed(path / manifest):
            return False
        named = json.loads(read_regular(path / manifest, _LARGEST_MANIFEST))["sha256"]
        if not _has(path, named):
            return False
        more = further(path)
        folders = {os.path.dirname(name) for name in more} - {""}
        entries = sum(len(below) + len(names) for _, below, names in os.walk(path))
        return entries == 1 + len(named) + len(more) + len(folders) and _has(path, more)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _has(folder: Path, named: dict[str, str]) -> bool:
    return all(sha256_file(folder / name) == digest for name, digest in named.items())


@contextlib.contextmanager
def own_file(path: Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Yield a file to write, as :func:`ppgan_zoo.storage.files.atomic_file` does.

    What is there is replaced only if the zoo made it; arguments are those of
    :func:`refuse_foreign`. A folder that is missing is made.

    Raises:
        ConfigError: Something is there that stays.
        OSError: It cannot be written; neither file nor folder is left behind.
    """
    refuse_foreign(path, overwrite=overwrite)
    with with_parents(path), atomic_file(path) as file:
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
