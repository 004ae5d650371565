"""``manifest.json`` of a prepared set: what it holds, what it was made of, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgan_zoo.data.prepare.layout import MANIFEST, is_prepared
from ppgan_zoo.errors import DataError, first_fault
from ppgan_zoo.storage.files import read_regular

FORMAT = "ppgan_zoo prepared set, 1"
MOST_BYTES = 64 << 20

_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Side = Annotated[int, Field(ge=1, le=1 << 16)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Part(_Strict):
    """One split.

    Attributes:
        count: How many images it has.
        sha256: Of the images, uint8 ``[N, C, H, W]``.
        labels_sha256: Of the labels, int64 ``[N]``; None without labels.
        classes: How many images each class has, in the order of the labels; None without labels.
    """

    count: Annotated[int, Field(ge=1)]
    sha256: _Hash
    labels_sha256: _Hash | None
    classes: Annotated[tuple[int, ...], Field(strict=False)] | None


class Manifest(_Strict):
    """A prepared set.

    Attributes:
        format: Which form the files have.
        image_shape: Channels, height and width of every image.
        classes: Names of the classes, in the order of the labels; None if they have none.
        splits: ``"train"``, and ``"test"`` if something is held out.
        settings: How it was made.
        source: What it was made of, in plain JSON values.
    """

    format: Literal["ppgan_zoo prepared set, 1"]
    image_shape: Annotated[tuple[Literal[1, 3], _Side, _Side], Field(strict=False)]
    classes: Annotated[tuple[str, ...], Field(strict=False)] | None
    splits: dict[Literal["train", "test"], Part]
    settings: dict[str, Any]
    source: dict[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a prepared set.

    Raises:
        DataError: There is none, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(read_regular(path, MOST_BYTES))
    except FileNotFoundError:
        if is_prepared(folder):
            raise DataError(
                f"{folder}: a damaged prepared set, for it has no {MANIFEST}; make the set again"
            ) from None
        raise DataError(
            f"{folder}: not a prepared set, for it has no {MANIFEST}; make one with: ppgan-zoo "
            "data prepare SOURCE --size 64 --output SET"
        ) from None
    except ValidationError as error:
        raise DataError(f"{path}: damaged ({first_fault(error)}); make the set again") from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); make the set again"
        ) from None
