"""What ``ppgan-zoo evaluate --output`` wrote, read back; imports no Paddle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.storage.files import read_regular

MAX_BYTES = 16 << 20


class _Part(BaseModel):
    """Some keys of what was written; there may be others."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Model(_Part):
    path: str
    iteration: int
    weights: str
    sha256: str


class _Features(_Part):
    name: str
    sha256: str


class _Real(_Part):
    name: str
    count: int
    split: str


class _Settings(_Part):
    num_samples: int
    seed: int


class _Measured(_Part):
    metrics: dict[str, FiniteFloat | None]


class _Evaluation(_Measured):
    """The keys that readers rely on."""

    model: _Model
    features: _Features
    real: _Real
    settings: _Settings
    floor: _Measured | None
    notes: list[str]


def read_evaluation(path: Path) -> dict[str, Any]:
    """Return the result of an evaluation, as it was written.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    with os_errors(ConfigError, f"{path}: cannot be read"):
        raw = read_regular(path, MAX_BYTES)
    try:
        _Evaluation.model_validate_json(raw)
    except ValidationError:
        raise ConfigError(
            f"{path}: is no result of an evaluation; give what evaluate --output wrote"
        ) from None
    result: dict[str, Any] = json.loads(raw)
    return result
