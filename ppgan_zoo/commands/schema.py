"""``ppgan-zoo schema``: the JSON schema of recipes, for an editor."""

from __future__ import annotations

import argparse
import json

from ppgan_zoo import runtime
from ppgan_zoo.storage.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--built-in", action="store_true", help="leave out what installed plugins add"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    runtime.start("cpu")
    from ppgan_zoo.run.json_schema import recipe_schema

    schema = recipe_schema(plugins=not options.built_in)
    say(*json.dumps(schema, indent=1, ensure_ascii=False).splitlines())
    return 0
