"""``ppgan-zoo list``: the models by family, the shipped recipes and the pretrained models."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Mapping, Sequence

from ppgan_zoo.models.outline import OTHER_FAMILY, Outline, read_outline
from ppgan_zoo.models.spec import FAMILIES
from ppgan_zoo.registry import MODELS, WEIGHTS, Source
from ppgan_zoo.storage.files import to_json
from ppgan_zoo.storage.terminal import say

LABELS = {"ignores": "no", "takes": "if wanted", "needs": "yes"}


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ppgan_zoo.recipe.shipped import shipped_recipes

    sources = dict(sorted(MODELS.sources().items()))
    outlines = {name: read_outline(source.target) for name, source in sources.items()}
    recipes, pretrained = list(shipped_recipes()), WEIGHTS.names()
    if options.format == "json":
        models = [
            {
                "name": name,
                "summary": outline.summary,
                "family": outline.family,
                "paper": outline.paper,
                "year": outline.year,
                "sizes": outline.sizes,
                "labels": outline.labels,
                "terms": list(outline.terms),
                "from": sources[name].owner,
                "spec": sources[name].target,
            }
            for name, outline in outlines.items()
        ]
        say(*to_json({"models": models, "recipes": recipes, "pretrained": pretrained}).splitlines())
        return 0
    _say_models(sources, outlines)
    columns = shutil.get_terminal_size((100, 24)).columns
    for title, names in (("recipes", recipes), ("pretrained", pretrained)):
        say("", *textwrap.wrap(f"{title}: {', '.join(names) or 'none'}", max(columns, 40)))
    return 0


def _say_models(sources: Mapping[str, Source], outlines: Mapping[str, Outline]) -> None:
    """Print a table for each family, oldest paper first: of each model a row and what it is."""
    rows = {
        name: (name, outline.citation, outline.sizes, LABELS.get(outline.labels, "?"),
               ", ".join(outline.terms))
        for name, outline in outlines.items()
    }  # fmt: skip
    head = ("model", "paper", "pixels", "labels", "terms of its loss")
    widths = [max(map(len, column)) for column in zip(head, *rows.values(), strict=True)]
    families: dict[str, list[str]] = {family: [] for family in [*FAMILIES, OTHER_FAMILY]}
    for name, outline in sorted(outlines.items(), key=lambda item: (item[1].year, item[0])):
        families.setdefault(outline.family, []).append(name)
    say(_row(head, widths))
    for family, names in families.items():
        if names:
            say("", FAMILIES.get(family, family))
        for name in names:
            owner = "" if sources[name].owner == "ppgan_zoo" else f"  [{sources[name].owner}]"
            say(_row(rows[name], widths) + owner, f"    {outlines[name].summary}")


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
