"""Decodes pictures in a process of its own: the other half of ``pool``.

Run as a module it reads requests from standard input and writes answers to standard output, until
the input ends, as it does when the process that started it has ended in whatever way. A request
and an answer are a frame each: the length of a line of JSON, that line, and the bytes it tells of.
"""

from __future__ import annotations

import json
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ppgan_zoo.data.prepare.settings import prepare_picture
from ppgan_zoo.errors import DataError

MEMORY_BYTES = 1536 << 20
"""The most memory that decoding may take."""

_LENGTH = struct.Struct("<II")


def write_frame(stream: BinaryIO, told: Any, content: list[bytes]) -> None:
    """Write a line of JSON and some bytes."""
    line = json.dumps(told).encode()
    stream.write(_LENGTH.pack(len(line), sum(map(len, content))))
    stream.write(line)
    for part in content:
        stream.write(part)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[Any, memoryview]:
    """Read what :func:`write_frame` wrote.

    Raises:
        EOFError: The stream ends before or in it.
    """
    line_length, length = _LENGTH.unpack(_read(stream, _LENGTH.size))
    return json.loads(_read(stream, line_length)), memoryview(_read(stream, length))


def _read(stream: BinaryIO, length: int) -> bytes:
    read = stream.read(length)
    if len(read) < length:
        raise EOFError
    return read


def main() -> int:
    """Answer requests; the first one holds the settings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints is no answer
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    try:
        settings, _ = read_frame(requests)
        write_frame(answers, "ready", [])
        while True:
            items, content = read_frame(requests)
            told, pixels = _answer(items, content, settings)
            write_frame(answers, told, pixels)
    except (EOFError, BrokenPipeError):
        return 0


def _answer(
    items: list[dict[str, Any]], content: memoryview, settings: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Prepare some pictures, and say of each what there is to say or why it cannot be read."""
    told: list[dict[str, Any]] = []
    pixels: list[bytes] = []
    for item in items:
        read, content = content[: item["length"]], content[item["length"] :]
        try:
            row, notes = prepare_picture(
                _content(item, read),
                item["name"],
                tuple(settings["size"]),
                settings["mode"],
                settings["channels"],
                tuple(settings["ground"]),
            )
            told.append({"notes": notes})
            pixels.append(row.tobytes())
        except DataError as error:
            told.append({"reason": str(error).removeprefix(f"{item['name']}: ")})
        except MemoryError:
            told.append({"reason": "takes too much memory to decode; make it smaller"})
    return told, pixels


def _content(item: dict[str, Any], read: memoryview) -> Any:
    if "path" in item:
        return Path(item["path"])
    if "shape" in item:
        return np.frombuffer(read, np.uint8).reshape(item["shape"])
    return bytes(read)


if __name__ == "__main__":
    sys.exit(main())
