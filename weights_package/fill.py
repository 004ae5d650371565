"""Puts folders that ``ppgan-zoo publish`` made into the package beside this file."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from ppgan_zoo.errors import CheckpointError, ZooError
from ppgan_zoo.storage.checkpoint import MANIFEST, open_checkpoint
from ppgan_zoo.weights.card import read_card
from ppgan_zoo.weights.pretrained import NAME

HERE = Path(__file__).resolve().parent


def add(published: Path, package: Path) -> tuple[str, str]:
    """Copy one published folder, verified; return its name and the SHA-256 to pin."""
    checkpoint = open_checkpoint(published)
    checkpoint.all_arrays()  # checks every hash
    card = read_card(checkpoint)
    if card is None or not NAME.fullmatch(card.name):
        raise CheckpointError(
            f"{published}: has no card with a name of lower case, digits and underscores; make it "
            "by ppgan-zoo publish --name NAME"
        )
    target = package / card.name
    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    for file in (MANIFEST, "README.md", *checkpoint.manifest["files"]):
        shutil.copyfile(published / file, target / file)
    return card.name, checkpoint.sha256


def main() -> int:
    """Fill the package; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--package", type=Path, default=HERE, help="the folder of pyproject.toml")
    options = parser.parse_args()
    (package,) = (path.parent for path in options.package.glob("*/pinned.json"))
    pins = package / "pinned.json"
    pinned = json.loads(pins.read_text(encoding="utf-8"))
    try:
        pinned.update(add(published, package) for published in options.published)
    except ZooError as error:
        print(f"fill.py: {error}", file=sys.stderr)
        return 2
    pins.write_text(json.dumps(pinned, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    lines = ["[ppgan_zoo.weights]", *(f"{name} = {package.name}:{name}" for name in sorted(pinned))]
    (options.package / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{package.name} holds {', '.join(sorted(pinned))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
