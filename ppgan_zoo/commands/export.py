"""``ppgan-zoo export``: makes a model for Paddle Inference."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from ppgan_zoo import runtime
from ppgan_zoo.commands.arguments import find_model
from ppgan_zoo.storage.stages import shown
from ppgan_zoo.storage.terminal import say

if TYPE_CHECKING:
    from ppgan_zoo.export.predictor import Trial


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--checkpoint", required=True, metavar="RUN",
        help="a run, one checkpoint, or the name of a pretrained model",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--best", action="store_true", help="a run's best checkpoint")
    parser.add_argument(
        "--inference", choices=("auto", "default"), default="auto",
        help="auto: measure which settings of Paddle Inference are the fastest here; default: "
        "take the first that are right, the same at every export",
    )  # fmt: skip
    parser.add_argument(
        "--truncation", type=float, metavar="PSI",
        help="for a model with styles: how far they may lie from their average, from 0 (one "
        "image) to 1 (the default); a low value gives better images of fewer kinds",
    )  # fmt: skip
    parser.add_argument(
        "--onnx", action="store_true",
        help="also write generator.onnx, for ONNX Runtime in any language (needs the packages "
        "onnx and onnxruntime: the extra [onnx])",
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.onnx:
        runtime.check_installed(("onnx", "onnxruntime"), "onnx", "--onnx")
    model = find_model(options.checkpoint, "a run, a checkpoint or a pretrained model")
    runtime.import_paddle()
    from ppgan_zoo.models.restore import find_checkpoint

    checkpoint = find_checkpoint(model, best=options.best)
    runtime.start("cpu")  # the same graph serves a GPU
    from ppgan_zoo.export.exporter import export

    trials: list[Trial] = []
    with shown():
        description = export(
            checkpoint,
            options.output,
            timed=options.inference == "auto",
            truncation=options.truncation,
            onnx=options.onnx,
            notify=trials.append,
        )
    worst = description.largest_difference
    say(
        f"exported {description.name} (iteration {description.origin.iteration}, "
        f"{description.origin.weights} weights) to {options.output}",
        f"  largest difference from the trained generator over {worst.samples} samples: "
        f"static graph {worst.static_graph:.1e}, Paddle Inference {worst.paddle_inference:.1e}"
        f"{_of_onnx(worst.onnx)} (allowed {worst.tolerance:.0e})",
    )
    for trial in trials:
        chosen = ", chosen" if trial.settings == description.inference else ""
        say(f"  {trial.settings}: {_speed(trial, worst.tolerance)}{chosen}")
    return 0


def _of_onnx(difference: float | None) -> str:
    return "" if difference is None else f", ONNX Runtime {difference:.1e}"


def _speed(trial: Trial, tolerance: float) -> str:
    if math.isinf(trial.difference):
        return "Paddle cannot run it so, or makes NaN"
    if trial.difference > tolerance:
        return f"wrong by {trial.difference:.1e}"
    if trial.samples_per_second is None:
        return "right, not timed"
    return f"{trial.samples_per_second:,.0f} samples/s"
