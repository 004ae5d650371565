"""``ppgan-zoo convert``: makes a checkpoint of weights that the zoo did not write."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_overrides
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.files import as_argument
from ppgan_zoo.storage.terminal import say


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("convert", help="make a checkpoint from a generator's weights")
    parser.add_argument("file", type=Path, metavar="FILE",
                        help=".safetensors, .npz or, with --trust, .pdparams")  # fmt: skip
    parser.add_argument("--trust", action="store_true",
                        help="read a pickle, which you know to be harmless")  # fmt: skip
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", metavar="NAME", help="the model, with its default arguments")
    model.add_argument("-c", "--config", metavar="RECIPE", help="a recipe of the model")
    add_overrides(parser, "the recipe")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.model is not None and options.overrides:
        raise ConfigError("-o overrides keys of a recipe: give -c RECIPE instead of --model")
    if options.model is not None:
        MODELS.check_name(options.model, where="--model")
    else:
        from ppgan_zoo.recipe.load import find_recipe, load_recipe

        recipe = load_recipe(find_recipe(options.config), options.overrides)
        MODELS.check_name(recipe.model.name, where=f"{options.config}: model.name")
    runtime.start("cpu")
    from ppgan_zoo.convert.converter import convert, facts_of_model
    from ppgan_zoo.run.build import facts_without_data

    facts = facts_without_data(recipe) if options.model is None else facts_of_model(options.model)
    convert(options.file, facts, options.output, trust=options.trust)
    say(
        f"converted {options.file} to a checkpoint of {facts.name} in {options.output}",
        f"  samples: ppgan-zoo sample {as_argument(options.output)}",
        f"  export:  ppgan-zoo export --checkpoint {as_argument(options.output)} --output DIR",
    )
    return 0
