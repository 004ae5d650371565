"""Pretrained models for ppgan_zoo; ``fill.py`` beside this package puts them in."""

import json
from pathlib import Path

from ppgan_zoo.weights.pretrained import Pretrained

_HERE = Path(__file__).parent


def __getattr__(name: str) -> Pretrained:
    """Return the pretrained model that an entry point names."""
    pinned = json.loads((_HERE / "pinned.json").read_text(encoding="utf-8"))
    if name not in pinned:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return Pretrained(name, pinned[name], folder=_HERE / name)
