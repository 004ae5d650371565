"""``ppgan-zoo info``: all that is known of one model, or the card of a pretrained one."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppgan_zoo import runtime
from ppgan_zoo.errors import CheckpointError, ConfigError, UnknownNameError, os_errors
from ppgan_zoo.models.docstrings import argument_meanings
from ppgan_zoo.models.net_outline import read_spec
from ppgan_zoo.models.spec import GanSpec, constructor_arguments
from ppgan_zoo.recipe.shipped import refuse_recipe
from ppgan_zoo.registry import MODELS, WEIGHTS, Source
from ppgan_zoo.storage.files import to_json, write_atomically
from ppgan_zoo.storage.ownership import refuse_foreign, sealed_markup
from ppgan_zoo.storage.terminal import say
from ppgan_zoo.weights.pretrained import is_name, locate

if TYPE_CHECKING:
    from ppgan_zoo.models.gan import Gan


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("name", help="a model, a pretrained model or a published folder")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--full",
        action="store_true",
        help="build the nets, too, and count their parameters (takes seconds)",
    )
    parser.add_argument("--picture", type=Path, metavar="FILE.svg",
                        help="draw the nets, layer by layer, into this file")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.picture is not None and options.picture.suffix != ".svg":
        raise ConfigError(f"--picture {options.picture}: the name must end in .svg")
    known = MODELS.sources()
    if options.name not in known and (is_name(options.name) or os.path.isdir(options.name)):
        if options.full or options.picture is not None:
            option = "--full" if options.full else "--picture"
            raise ConfigError(
                f"{option}: is for a model of the zoo, and {options.name} is a pretrained or "
                "published one; leave it out"
            )
        return _show_card(locate(options.name), options.format)
    if options.name not in known:
        refuse_recipe(options.name)
        raise UnknownNameError("model", options.name, [*known, *WEIGHTS.names()])
    source = MODELS.check_name(options.name)
    if options.picture is not None:
        return _draw(options.name, options.picture)
    facts = None if options.full else _facts_of_source(options.name, source)
    is_full = facts is None
    if facts is None:
        facts = _facts_of_nets(options.name, source)
    if options.format == "json":
        say(*to_json(facts).splitlines())
        return 0
    import yaml

    text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=100)
    say(*text.rstrip("\n").split("\n"))
    if not is_full:
        say(f"# how many parameters each net has: ppgan-zoo info {options.name} --full")
    return 0


def _facts_of_source(name: str, source: Source) -> dict[str, Any] | None:
    """Return what a model of the zoo says of itself, without importing Paddle; None of others."""
    if source.owner != "ppgan_zoo":
        return None
    outline = read_spec(source.target)
    if outline is None:
        return None
    defaults = {field.name: field.default for field in dataclasses.fields(GanSpec)}
    said = {**defaults, **outline.fields}
    generator = outline.nets["generator"]
    latent = {"dim": generator.constant("latent_dim"), "prior": said["latent_prior"]}
    if generator.constant("categorical") or generator.constant("continuous"):
        latent.update(
            categorical=list(generator.constant("categorical") or ()),
            continuous=generator.constant("continuous") or 0,
        )
    facts = {
        "name": name,
        "from": source.owner,
        "paper": said["paper"],
        "image_shape": list(generator.constant("image_shape")),
        "image_range": list(said["image_range"]),
        "latent": latent,
        "objective": said["objective"],
        "terms": list(said["terms"]),
        "labels": said["labels"],
    }
    for role, net in outline.nets.items():
        facts[role] = {
            "class": net.name,
            "arguments": {
                argument: {
                    "type": found.type,
                    "default": found.default,
                    **({"meaning": found.meaning} if found.meaning else {}),
                }
                for argument, found in net.arguments.items()
            },
        }
    return facts


def _facts_of_nets(name: str, source: Source) -> dict[str, Any]:
    """Return what a model is, with the parameters of its nets, which are built for that."""
    gan = _build(name)
    from ppgan_zoo.models.cost import count_parameters

    spec = gan.spec
    facts = {
        "name": spec.name,
        "from": source.owner,
        "paper": spec.paper,
        "image_shape": list(gan.image_shape),
        "image_range": list(spec.image_range),
        "latent": gan.latent().to_json(),
        "objective": spec.objective,
        "terms": list(spec.terms),
        "labels": spec.labels,
    }
    for role, layer in gan.nets.items():
        facts[role] = {
            "class": f"{type(layer).__module__}.{type(layer).__qualname__}",
            "parameters": count_parameters(layer),
            "arguments": _arguments(type(layer)),
        }
    return facts


def _draw(name: str, path: Path) -> int:
    gan = _build(name)
    from ppgan_zoo.models.picture import draw

    _save(path, draw(gan))
    say(f"the nets of {name} in {path}")
    return 0


def _build(name: str) -> Gan:
    runtime.start("cpu")
    from ppgan_zoo.models.gan import build_gan

    return build_gan(MODELS.get(name), {}, {})


def _show_card(folder: Path, form: str) -> int:
    from ppgan_zoo.storage.checkpoint import MANIFEST, open_checkpoint
    from ppgan_zoo.weights.card import card_text, read_card

    if not (folder / MANIFEST).is_file():
        raise CheckpointError(
            f"{folder}: holds no {MANIFEST}; info tells of models, pretrained models and folders "
            "that ppgan-zoo publish made, not of runs or exports"
        )
    checkpoint = open_checkpoint(folder)
    card = read_card(checkpoint)
    if card is None:
        raise CheckpointError(f"{folder}: has no card; ppgan-zoo publish makes one for a run")
    try:
        text = (
            to_json(card.model_dump(mode="json"))
            if form == "json"
            else card_text(card, checkpoint.iteration, checkpoint.model)
        )
    except (LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder}: the card cannot be shown: {error!r}") from None
    say(*text.rstrip("\n").split("\n"))
    return 0


def _arguments(cls: type) -> dict[str, dict[str, str]]:
    """Return what each argument may be, its default, and what it means."""
    meanings = argument_meanings(cls)
    return {
        name: {
            "type": _annotation(parameter),
            "default": repr(parameter.default),
            **({"meaning": meanings[name]} if name in meanings else {}),
        }
        for name, parameter in constructor_arguments(cls).items()
    }


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _save(path: Path, picture: str) -> None:
    """Write a picture, over nothing but one of the zoo's."""
    refuse_foreign(path, option="--picture")
    with os_errors(ConfigError, f"--picture {path}: cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, sealed_markup(picture))
