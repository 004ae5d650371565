"""Downloads of known files: several mirrors, bounded in time and size, verified."""

from __future__ import annotations

import http.client
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from tqdm import tqdm  # type: ignore[import-untyped]

from ppgan_zoo.data.idx import idx_sha256, read_idx
from ppgan_zoo.data.official import OfficialFile
from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.scratch import scratch_folder

TIMEOUT_SECONDS = 3.0
"""The longest that a mirror may stay silent, while connecting and while sending."""

NETWORK_SECONDS = 8.0
"""The longest that mirrors that do not answer may take, all together."""

_MIN_BYTES_PER_SECOND = 8192
_SLOW_START_SECONDS = 10.0
_CHUNK_BYTES = 1 << 16
# A gzip file can be a little larger than its content, where that cannot be compressed.
_GZIP_OVERHEAD_BYTES = 1 << 16
_NETWORK_ERRORS = (OSError, http.client.HTTPException)


class _MirrorError(Exception):
    """A mirror that cannot serve a file; the text says why."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to download, and how to know that it is the right one.

    Attributes:
        name: What it is called, below a mirror's address and in the folder.
        most_bytes: The most that may be sent.
        verify: Called with what was sent; raises DataError, with the path at its beginning, for
            anything but the right file.
    """

    name: str
    most_bytes: int
    verify: Callable[[Path], object]


def gzipped(file: OfficialFile) -> RemoteFile:
    """Return how to get an official file, which mirrors serve as ``<name>.gz``."""

    def verify(part: Path) -> None:
        found = idx_sha256(read_idx(part, max_bytes=file.size_bytes))
        if found != file.sha256:
            raise DataError(
                f"content has SHA-256 {found[:12]}..., {file.sha256[:12]}... is expected"
            )

    return RemoteFile(f"{file.name}.gz", file.size_bytes + _GZIP_OVERHEAD_BYTES, verify)


def download(mirrors: Iterable[str], files: Iterable[RemoteFile], folder: Path) -> str:
    """Download files into `folder`; each is verified before it gets its name.

    Args:
        mirrors: Addresses, ending in a slash, in the order in which to try them.
        files: The files to get.
        folder: Where to put them; made if it is missing.

    Returns:
        The mirror that served the last file.

    Raises:
        DataError: A file could not be had from any mirror, or not be written.
    """
    queue_of_mirrors = list(mirrors)
    patience_seconds = NETWORK_SECONDS
    for file in files:
        failures = []
        for position, mirror in enumerate(queue_of_mirrors):
            share_seconds = patience_seconds / (len(queue_of_mirrors) - position)
            started = time.monotonic()
            try:
                response = _open(f"{mirror}{file.name}", share_seconds)
            except _MirrorError as error:
                patience_seconds -= time.monotonic() - started
                failures.append(f"{urlsplit(mirror).hostname}: {error}")
                continue
            try:
                _save(response, file, folder / file.name)
            except _MirrorError as error:
                failures.append(f"{urlsplit(mirror).hostname}: {error}")
                continue
            # The mirror that works goes first from now on.
            queue_of_mirrors.insert(0, queue_of_mirrors.pop(position))
            break
        else:
            raise DataError(f"{file.name}: {'; '.join(failures) or 'no mirror is known'}")
    return queue_of_mirrors[0]


def _open(url: str, wait_seconds: float) -> http.client.HTTPResponse:
    """Open `url` within `wait_seconds` (and `TIMEOUT_SECONDS` per network operation).

    Looking up a name has no time-out of its own and can hang for a minute on a machine
    without a network, hence the thread, which is left behind if it does.
    """
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def request() -> None:
        try:
            response = urllib.request.urlopen(
                urllib.request.Request(url, headers={"User-Agent": "ppgan_zoo"}),
                timeout=TIMEOUT_SECONDS,
            )
        except (*_NETWORK_ERRORS, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            answers.put(error)
        else:
            answers.put(response)
            if given_up.is_set():
                response.close()

    threading.Thread(target=request, name="ppgan_zoo download", daemon=True).start()
    try:
        answer = answers.get(timeout=max(wait_seconds, 0.01))
    except queue.Empty:
        given_up.set()
        raise _MirrorError(f"no answer in {wait_seconds:.1f} s") from None
    if isinstance(answer, Exception):
        raise _MirrorError(_reason(answer)) from answer
    return answer


def _save(response: http.client.HTTPResponse, file: RemoteFile, target: Path) -> None:
    """Save a response beside `target`, verify it and give it its name."""
    try:
        with response:
            target.parent.mkdir(parents=True, exist_ok=True)
            with scratch_folder(target.parent) as scratch:
                part = scratch / "part"
                with part.open("xb") as sink:
                    _copy(response, sink, file)
                _verify(part, file)
                os.replace(part, target)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error}); make room, or set "
            "XDG_CACHE_HOME to a folder that can be written to"
        ) from error


def _copy(response: http.client.HTTPResponse, sink: BinaryIO, file: RemoteFile) -> None:
    """Copy a response to `sink`, within the bounds of size and time."""
    limit = file.most_bytes
    expected = response.length
    if expected is not None and expected > limit:
        raise _MirrorError(f"{expected} bytes offered; at most {limit} are expected")
    received = 0
    started = time.monotonic()
    with tqdm(
        desc=file.name, total=expected, unit="B", unit_scale=True, file=sys.stderr, disable=None
    ) as progress:
        while True:
            try:
                # read1 returns what one network operation brought, so none can pile up time.
                chunk = response.read1(_CHUNK_BYTES)
            except _NETWORK_ERRORS as error:
                raise _MirrorError(f"{_reason(error)} after {received} bytes") from error
            if not chunk:
                break
            received += len(chunk)
            if received > limit:
                raise _MirrorError(f"more than {limit} bytes sent")
            elapsed = time.monotonic() - started
            if elapsed > _SLOW_START_SECONDS and received < elapsed * _MIN_BYTES_PER_SECOND:
                raise _MirrorError(f"too slow: {received} bytes in {elapsed:.0f} s")
            sink.write(chunk)
            progress.update(len(chunk))
    if expected is not None and received < expected:
        raise _MirrorError(f"connection closed after {received} of {expected} bytes")


def _verify(part: Path, file: RemoteFile) -> None:
    """Raise unless `part` holds what `file` should be."""
    try:
        file.verify(part)
    except DataError as error:
        reason = str(error).removeprefix(f"{part}: ")
        raise _MirrorError(f"not the official file: {reason}") from error


def _reason(error: BaseException) -> str:
    """Return what went wrong on the network, on one short line."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, TimeoutError):
        return f"no answer in {TIMEOUT_SECONDS:g} s"
    strerror = getattr(error, "strerror", None)
    return " ".join(str(strerror or error or type(error).__name__).split())
