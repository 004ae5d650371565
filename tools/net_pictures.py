"""Draw the nets of all built-in models into docs/images/nets, from the code."""

import argparse
import sys
from pathlib import Path

import _checkout  # noqa: F401

from ppgan_zoo import runtime
from ppgan_zoo.models.create import create
from ppgan_zoo.registry import MODELS

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images" / "nets"


def main() -> int:
    """Check the pictures, or write them with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    runtime.start("cpu")
    from ppgan_zoo.models.picture import draw

    stale = []
    for name in sorted(MODELS.built_in):
        picture, path = draw(create(name)), FOLDER / f"{name}.svg"
        if path.is_file() and path.read_text(encoding="utf-8") == picture:
            continue
        stale.append(name)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(picture, encoding="utf-8")
    if stale and not write:
        print(f"out of date: {', '.join(stale)}; run: python tools/net_pictures.py --write")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
