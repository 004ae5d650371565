"""The models that come with the package; :mod:`ppgan_zoo.run.publish` made their folders."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
