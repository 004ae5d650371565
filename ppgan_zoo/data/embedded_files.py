"""The image sets that travel in the package: where they are, and how one file is read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data.idx import read_idx_stream
from ppgan_zoo.errors import DataError


def embedded_folder(name: str) -> resources.abc.Traversable:
    """Return the folder of an embedded set."""
    return resources.files("ppgan_zoo.data") / "embedded" / name


def read_embedded(resource: resources.abc.Traversable) -> NDArray[np.uint8]:
    """Return the values of an embedded IDX file, which the caller compares with its hash.

    Raises:
        DataError: It is missing or damaged.
    """
    with _opened(resource, OSError) as stream:
        return read_idx_stream(stream, str(resource))


def read_embedded_json(resource: resources.abc.Traversable) -> dict[str, Any]:
    """Return what an embedded manifest says.

    Raises:
        DataError: It is missing or damaged.
    """
    with _opened(resource, OSError, ValueError) as stream:
        told: dict[str, Any] = json.load(stream)
    return told


@contextlib.contextmanager
def _opened(resource: resources.abc.Traversable, *damage: type[Exception]) -> Iterator[BinaryIO]:
    """Open an embedded file; an error of these kinds says to install the package again."""
    try:
        with resource.open("rb") as stream:
            yield cast(BinaryIO, stream)
    except damage as error:
        raise DataError(
            f"{resource}: embedded file cannot be read ({error}); reinstall ppgan_zoo"
        ) from error
