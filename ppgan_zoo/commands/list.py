"""``ppgan-zoo list``: the models, the shipped recipes and the pretrained models."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

from ppgan_zoo.registry import MODELS, WEIGHTS, Source
from ppgan_zoo.storage.files import read_regular, to_json
from ppgan_zoo.storage.terminal import say


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("list", help="list models, recipes and pretrained models")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.recipe.load import shipped_recipes

    models = [
        {"name": name, "summary": _summary(source), "from": source.owner, "spec": source.target}
        for name, source in sorted(MODELS.sources().items())
    ]
    recipes, pretrained = list(shipped_recipes()), WEIGHTS.names()
    if options.format == "json":
        say(*to_json({"models": models, "recipes": recipes, "pretrained": pretrained}).splitlines())
        return 0
    width = max(len(model["name"]) for model in models)
    for model in models:
        owner = "" if model["from"] == "ppgan_zoo" else f"  [{model['from']}]"
        say(f"{model['name']:{width}}  {model['summary']}{owner}")
    say("", f"recipes: {', '.join(recipes)}")
    say("", f"pretrained: {', '.join(pretrained) or 'none'}")
    return 0


def _summary(source: Source) -> str:
    """Return the first line of the module's docstring; nothing of its package is run."""
    try:
        path = _file_of(source.target.partition(":")[0])
        text = None if path is None else ast.get_docstring(ast.parse(read_regular(path)))
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return "(cannot be read)"
    return (text or "").partition("\n")[0].rstrip(".")


def _file_of(module: str) -> Path | None:
    """Return a module's source, unlike :func:`importlib.util.find_spec` without any import."""
    places: Sequence[str] | None = None
    found: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = next(filter(None, (f.find_spec(name, places) for f in sys.meta_path)), None)
        if found is None:
            return None
        places = found.submodule_search_locations
    return Path(found.origin) if found and found.has_location and found.origin else None
