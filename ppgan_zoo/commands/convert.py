"""``ppgan-zoo convert``: makes what the zoo reads of weights that it did not write."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_overrides
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.registry import FEATURES, MODELS
from ppgan_zoo.storage.files import as_argument
from ppgan_zoo.storage.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("file", type=Path, metavar="FILE",
                        help=".safetensors, .npz or, with --trust, .pdparams or .pth")  # fmt: skip
    parser.add_argument("--trust", action="store_true",
                        help="read a pickle, which you know to be harmless")  # fmt: skip
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", metavar="NAME", help="the model, with its default arguments")
    model.add_argument("-c", "--config", metavar="RECIPE", help="a recipe of the model")
    model.add_argument("--features", metavar="NETWORK",
                       help="weights of a feature network instead, such as inception-v3; --output "
                       "is then a .safetensors file")  # fmt: skip
    add_overrides(parser, "the recipe")
    parser.add_argument("--output", type=Path, required=True, metavar="PATH",
                        help="the folder to make, or the file of a feature network")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.config is None and options.overrides:
        other = "--model" if options.features is None else "--features"
        raise ConfigError(f"-o overrides keys of a recipe: give -c RECIPE instead of {other}")
    if options.features is not None:
        return _convert_features(options)
    if options.model is not None:
        MODELS.check_name(options.model, where="--model")
    else:
        from ppgan_zoo.recipe.load import load_recipe
        from ppgan_zoo.recipe.shipped import find_recipe

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


def _convert_features(options: argparse.Namespace) -> int:
    """Convert the weights of a feature network."""
    FEATURES.check_name(options.features, where="--features")
    runtime.start("cpu")
    from ppgan_zoo.convert.feature_weights import convert_features

    known = convert_features(options.file, options.features, options.output, trust=options.trust)
    say(
        f"converted {options.file} to weights of {options.features} in {options.output}",
        f"  they are {known}, by their SHA-256" if known else
        "  their SHA-256 is none that the zoo knows: figures are those of these weights",
        f"  use:     ppgan-zoo evaluate MODEL --features {options.features} "
        f"--weights {as_argument(options.output)}",
    )  # fmt: skip
    return 0
