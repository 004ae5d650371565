"""``ppgan-zoo list``: the models and the shipped recipes."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
from pathlib import Path

from ppgan_zoo.registry import MODELS, Source


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("list", help="list the models and the shipped recipes")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.recipe.load import shipped_recipes

    models = [
        {"name": name, "summary": _summary(source), "from": source.owner, "spec": source.target}
        for name, source in sorted(MODELS.sources().items())
    ]
    recipes = list(shipped_recipes())
    if options.format == "json":
        print(json.dumps({"models": models, "recipes": recipes}, indent=2, ensure_ascii=False))
        return 0
    width = max(len(model["name"]) for model in models)
    for model in models:
        owner = "" if model["from"] == "ppgan_zoo" else f"  [{model['from']}]"
        print(f"{model['name']:{width}}  {model['summary']}{owner}")
    print(f"\nrecipes: {', '.join(recipes)}")
    return 0


def _summary(source: Source) -> str:
    """Return the first line of the module's docstring, without running the module."""
    try:
        found = importlib.util.find_spec(source.target.partition(":")[0])
        if found is None or found.origin is None:
            return ""
        text = ast.get_docstring(ast.parse(Path(found.origin).read_bytes()))
    except (ImportError, OSError, SyntaxError, ValueError):
        return "(cannot be read)"
    return (text or "").partition("\n")[0].rstrip(".")
