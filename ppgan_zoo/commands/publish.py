"""``ppgan-zoo publish``: makes a folder of a model that others can use."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import find_model
from ppgan_zoo.storage.files import as_argument
from ppgan_zoo.storage.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("model", metavar="RUN", help="a run, or a checkpoint in one")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--name", help="of the model (default: the name of FOLDER)")
    parser.add_argument("--best", action="store_true", help="the run's best checkpoint")
    parser.add_argument(
        "--figures", type=Path, action="append", default=[], metavar="FILE",
        help="figures for the card: what evaluate --output wrote for this checkpoint; repeatable, "
        "and files that differ only in --seed give an interval",
    )  # fmt: skip
    parser.add_argument("--licence", default="not stated", help="of the weights")
    parser.add_argument(
        "--fault", dest="faults", action="append", default=[], metavar="SENTENCE",
        help="a known fault of the model; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--float32", action="store_true", help="keep the weights as they are, at twice the size"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    model = find_model(options.model, "a run, a checkpoint or a pretrained model")
    runtime.start("cpu")
    from ppgan_zoo.run.publish import publish

    made = publish(
        model,
        options.output,
        name=options.name,
        best=options.best,
        evaluations=options.figures,
        licence=options.licence,
        faults=options.faults,
        half=not options.float32,
    )
    rounding = made.card.rounding
    say(
        f"published {made.card.name} (iteration {made.checkpoint.iteration:,}) in {options.output}",
        *(
            [
                f"  float16 changes {rounding.share_changed:.3%} of the pixels of "
                f"{rounding.samples:,} samples, by {rounding.largest_grey_levels} grey level at "
                "most"
            ]
            if rounding
            else []
        ),
        f"  SHA-256 of checkpoint.json, which holds all others: {made.checkpoint.sha256}",
        f"  try it: ppgan-zoo sample {as_argument(options.output)} --output grid.png",
    )
    return 0
