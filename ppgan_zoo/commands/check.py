"""``ppgan-zoo check``: whether an architecture keeps the promises that the zoo relies on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import add_overrides
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.shipped import refuse_recipe
from ppgan_zoo.registry import MODELS, TERMS
from ppgan_zoo.storage.files import to_json
from ppgan_zoo.storage.terminal import say

if TYPE_CHECKING:
    from ppgan_zoo.evaluation.conformance import Outcome
    from ppgan_zoo.models.facts import ModelFacts

BROKEN = 1


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "model", metavar="NAME_OR_MODULE:SPEC",
        help="a model's name, or where its spec is: module:ATTRIBUTE",
    )  # fmt: skip
    parser.add_argument(
        "--latent-dim", type=int, default=16, metavar="N", help="size of z (default: 16)"
    )
    parser.add_argument(
        "--image-shape", type=int, nargs=3, metavar=("C", "H", "W"),
        help="channels, height and width (default: the generator's own)",
    )  # fmt: skip
    add_overrides(parser, "a net's arguments, such as -o generator.channels=8")
    parser.add_argument(
        "--term", dest="terms", metavar="NAME", action="append", default=[],
        help="train with this term of the loss, such as one that a further net learns from; "
        "repeatable",
    )  # fmt: skip
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    shared: dict[str, Any] = {"latent_dim": options.latent_dim}
    if options.image_shape is not None:
        shared["image_shape"] = tuple(options.image_shape)
    if options.latent_dim < 1:
        raise ConfigError(f"--latent-dim {options.latent_dim}: give 1 or more")
    if min(shared.get("image_shape", (1,))) < 1:
        given = " ".join(map(str, options.image_shape))
        raise ConfigError(f"--image-shape {given}: give numbers of 1 or more")
    own = _arguments_of_nets(options.overrides)
    for name in options.terms:
        TERMS.check_name(name, where="--term")
    installed = ":" not in options.model
    if installed:
        if options.model not in MODELS.sources():
            refuse_recipe(options.model)
        MODELS.check_name(options.model)
    else:
        sys.path.append("")  # a module of the folder that one is in; last, so it hides none
    runtime.start("cpu")
    spec = MODELS.get(options.model) if installed else MODELS.load(options.model)
    from ppgan_zoo.evaluation.conformance import run_checks
    from ppgan_zoo.evaluation.subject import Subject

    subject = Subject(spec, shared, own, terms=options.terms, target=options.model)
    outcomes = list(run_checks(subject))
    passed = all(outcome.result != "failed" for outcome in outcomes)
    if options.format == "json":
        result = {
            "model": spec.name,
            "passed": passed,
            "checks": [
                {"name": outcome.name, "result": outcome.result, "detail": outcome.detail}
                for outcome in outcomes
            ],
        }
        say(*to_json(result).splitlines())
    else:
        lines = _markdown(outcomes) if options.format == "markdown" else _text(outcomes)
        size = _size(subject.facts) if subject.is_built else "not built"
        say(f"{spec.name}: {size}", "", *lines)
    return 0 if passed else BROKEN


def _arguments_of_nets(overrides: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what ``-o NET.KEY=VALUE`` sets, by net."""
    from ppgan_zoo.recipe.overrides import apply_overrides, place_of
    from ppgan_zoo.recipe.strict_yaml import lists_to_tuples

    for override in overrides:
        if override.partition("=")[0].count(".") != 1:
            raise ConfigError(
                f"{place_of(override)}: write it as NET.KEY=VALUE, such as -o generator.channels=8"
            )
    given: dict[str, Any] = {}
    apply_overrides(given, overrides)
    return {net: lists_to_tuples(arguments) for net, arguments in given.items()}


def _size(facts: ModelFacts) -> str:
    """Say what was checked: the shapes, and the arguments of the nets."""
    parts = [f"z of {facts.latent.dim}", f"images {facts.image_shape}"]
    for net, arguments in facts.arguments().items():
        own = ", ".join(
            f"{key}={value!r}"
            for key, value in arguments.items()
            if key not in ("latent_dim", "image_shape")
        )
        parts.append(f"{net}({own})")
    return ", ".join(parts)


def _text(outcomes: list[Outcome]) -> Iterator[str]:
    width = max(len(outcome.name) for outcome in outcomes)
    for outcome in outcomes:
        result = "FAILED" if outcome.result == "failed" else outcome.result
        yield f"{outcome.name:{width}}  {result:7}  {outcome.detail}".rstrip()


def _markdown(outcomes: list[Outcome]) -> Iterator[str]:
    yield "| check | result |"
    yield "| --- | --- |"
    for outcome in outcomes:
        result = f"**{outcome.result}**" if outcome.result == "failed" else outcome.result
        detail = outcome.detail.replace("|", "\\|")
        yield f"| {outcome.name} | {': '.join(filter(None, (result, detail)))} |"
