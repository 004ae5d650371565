"""Write the JSON schema of recipes into docs/recipe.schema.json, from the code."""

import json
import sys
from pathlib import Path

import _checkout  # noqa: F401
from _generated import keep_current

from ppgan_zoo import runtime

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipe.schema.json"


def schema() -> dict[Path, str]:
    """Return the schema by its file."""
    runtime.start("cpu")
    from ppgan_zoo.run.json_schema import recipe_schema

    text = json.dumps(recipe_schema(plugins=False), indent=1, ensure_ascii=False)
    return {PAGE: text + "\n"}


if __name__ == "__main__":
    sys.exit(keep_current("recipe_schema.py", __doc__, schema))
