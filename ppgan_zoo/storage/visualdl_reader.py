"""Reading a run's VisualDL records back: curves, pictures and their tags."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from ppgan_zoo.errors import DataError
from ppgan_zoo.storage.visualdl_log import records_files


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the (step, value) points of each scalar tag, in the order of the file."""
    reader = _reader(folder)
    return {
        tag: [(point.id, point.value) for point in reader.get_data("scalar", tag)]
        for tag in reader.get_tags().get("scalar", [])
    }


def read_scalar_times(folder: Path, tag: str) -> list[tuple[float, int, float]]:
    """Return (seconds since 1970, step, value) of each point of a curve; none if it is not there.

    Raises:
        DataError: No records, or damaged ones.
    """
    reader = _reader(folder)
    if tag not in reader.get_tags().get("scalar", []):
        return []
    points = reader.get_data("scalar", tag)
    return [(point.timestamp / 1000, point.id, point.value) for point in points]


def read_image_steps(folder: Path, tag: str) -> list[int]:
    """Return the steps of the pictures of `tag`, in the order of the file."""
    return [picture.id for picture in _reader(folder).get_data("image", tag)]


def read_tags(folder: Path) -> dict[str, list[str]]:
    """Return the tags by VisualDL's name of the component.

    The components are ``scalar``, ``image``, ``histogram``, ``text`` and
    ``hyper_parameters`` (whose one tag is ``hparam``).
    """
    tags = _reader(folder).get_tags()
    return {kind: list(names) for kind, names in tags.items() if kind != "meta_data"}


def _reader(folder: Path) -> Any:
    files = records_files(folder)
    if not files:
        raise DataError(f"{folder}: no VisualDL records (a file with 'vdlrecords' in its name)")
    # Here, since `import visualdl` takes 0.3 s and writes to the home folder.
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from visualdl import LogReader  # type: ignore[import-untyped]

    try:
        return LogReader(file_path=str(files[-1]))
    except (DecodeError, IndexError, ValueError, OverflowError, MemoryError, struct.error):
        raise DataError(f"{files[-1]}: damaged; resuming the run repairs it") from None
