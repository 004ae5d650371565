"""Draw the nets of all built-in models into docs/images/nets, from the code."""

import sys
from pathlib import Path

import _checkout  # noqa: F401
from _generated import keep_current

from ppgan_zoo import runtime
from ppgan_zoo.models.create import create
from ppgan_zoo.registry import MODELS

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images" / "nets"


def pictures() -> dict[Path, str]:
    """Return the picture of each model by its file."""
    runtime.start("cpu")
    from ppgan_zoo.models.picture import draw

    return {FOLDER / f"{name}.svg": draw(create(name)) for name in sorted(MODELS.built_in)}


if __name__ == "__main__":
    sys.exit(keep_current("net_pictures.py", __doc__, pictures))
