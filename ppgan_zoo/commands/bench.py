"""``ppgan-zoo bench``: how fast the recipes train here."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from ppgan_zoo.commands.arguments import add_overrides
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.ops import SWITCH_VALUES
from ppgan_zoo.storage.terminal import say, tell


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "-c", "--config", dest="recipes", metavar="RECIPE", action="append",
        help="a .yml file or a shipped name; repeatable (default: all shipped recipes)",
    )  # fmt: skip
    add_overrides(parser, "the recipes")
    parser.add_argument("--iterations", type=int, default=20, metavar="N",
                        help="fewest iterations to time (default: 20)")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S",
                        help="shortest time to spend on them (default: 3)")  # fmt: skip
    parser.add_argument("--warmup", type=int, default=3, metavar="N",
                        help="iterations before that (default: 3)")  # fmt: skip
    parser.add_argument("--ops", choices=SWITCH_VALUES,
                        help="what computes: oneDNN where possible, Paddle alone, or Paddle's "
                        "layers unchanged (default: what PPGAN_ZOO_OPS says, or auto)")  # fmt: skip
    parser.add_argument("--profile", action="store_true",
                        help="name the most expensive operations")  # fmt: skip
    parser.add_argument("--sample", action="store_true",
                        help="measure sampling through Paddle Inference, not training")  # fmt: skip
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    for name, least in (("iterations", 1), ("warmup", 1)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: give {least} or more")
    if not 0 <= options.seconds < math.inf:
        raise ConfigError(f"--seconds {options.seconds}: give 0 or more")
    if options.profile and options.sample:
        raise ConfigError("--profile measures training: leave out --sample")
    from ppgan_zoo.bench.driver import bench
    from ppgan_zoo.recipe.load import load_recipe
    from ppgan_zoo.recipe.shipped import find_recipe, shipped_recipes

    recipes = options.recipes or list(shipped_recipes())
    for recipe in recipes:  # refused before the first is measured
        load_recipe(find_recipe(recipe), options.overrides)
    rows = []
    for recipe in recipes:
        tell(f"measuring {recipe} ...")
        rows.append(
            bench(
                recipe,
                options.overrides,
                warmup=options.warmup,
                iterations=options.iterations,
                seconds=options.seconds,
                ops=options.ops,
                profile=options.profile,
                sample=options.sample,
            )
        )
    _print(rows, options)
    return 0


def _print(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.format == "json":
        say(*json.dumps(rows[0] if len(rows) == 1 else rows, indent=2).split("\n"))
        return
    from ppgan_zoo.bench.driver import COLUMNS, PROFILE_COLUMNS, SAMPLE_COLUMNS, table

    markdown = options.format == "markdown"
    say(*table(rows, SAMPLE_COLUMNS if options.sample else COLUMNS, markdown=markdown).split("\n"))
    machine = rows[0]["runtime"]
    say(
        "",
        f"{machine['processor']}, {machine['device']}, {machine['threads']} threads, "
        f"Paddle {machine['paddle']}"
        + ("" if options.sample else
           f", matrix products {max(row['ceiling_gflop_per_second'] for row in rows):,.0f} GFLOP/s")
    )  # fmt: skip
    for row in rows if options.profile else ():
        rows_of_it = table(row["most_expensive_operations"], PROFILE_COLUMNS, markdown=markdown)
        say("", f"{row['recipe']}:", *rows_of_it.split("\n"))
