"""Write the JSON schema of recipes into docs/recipe.schema.json, from the code."""

import argparse
import json
import sys
from pathlib import Path

import _checkout  # noqa: F401

from ppgan_zoo import runtime

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipe.schema.json"


def main() -> int:
    """Check the file, or write it with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    runtime.start("cpu")
    from ppgan_zoo.run.json_schema import recipe_schema

    text = json.dumps(recipe_schema(plugins=False), indent=1, ensure_ascii=False) + "\n"
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if write:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    print("out of date; run: python tools/recipe_schema.py --write")
    return 2


if __name__ == "__main__":
    sys.exit(main())
