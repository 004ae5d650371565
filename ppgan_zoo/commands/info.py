"""``ppgan-zoo info``: all that is known of one model, or the card of a pretrained one."""

from __future__ import annotations

import argparse
import inspect
import os
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.errors import CheckpointError, ConfigError, UnknownNameError, os_errors
from ppgan_zoo.models.docstrings import argument_meanings
from ppgan_zoo.models.spec import constructor_arguments
from ppgan_zoo.registry import MODELS, WEIGHTS
from ppgan_zoo.storage.files import to_json, write_atomically
from ppgan_zoo.storage.ownership import refuse_foreign, sealed_markup
from ppgan_zoo.storage.terminal import say
from ppgan_zoo.weights.pretrained import is_name, locate


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("info", help="show everything that is known about one model")
    parser.add_argument("name", help="a model, a pretrained model or a published folder")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg",
                        help="draw the nets, layer by layer, into this file")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.picture is not None and options.picture.suffix != ".svg":
        raise ConfigError(f"--picture {options.picture}: the name must end in .svg")
    known = MODELS.sources()
    if options.name not in known and (is_name(options.name) or os.path.isdir(options.name)):
        return _show_card(locate(options.name), options.format)
    if options.name not in known:
        raise UnknownNameError("model", options.name, [*known, *WEIGHTS.names()])
    source = MODELS.check_name(options.name)
    runtime.start("cpu")
    spec = MODELS.get(options.name)
    from ppgan_zoo.models.cost import count_parameters
    from ppgan_zoo.models.gan import build_gan

    gan = build_gan(spec, {}, {})
    if options.picture is not None:
        from ppgan_zoo.models.picture import draw

        _save(options.picture, draw(gan))
        say(f"the nets of {spec.name} in {options.picture}")
        return 0
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
    if options.format == "json":
        say(*to_json(facts).splitlines())
    else:
        import yaml

        text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=100)
        say(*text.rstrip("\n").split("\n"))
    return 0


def _show_card(folder: Path, form: str) -> int:
    from ppgan_zoo.storage.checkpoint import open_checkpoint
    from ppgan_zoo.weights.card import card_text, read_card

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
    except (KeyError, TypeError, ValueError, RecursionError) as error:
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
