"""From a run to a folder that others can use: weights, card, grid and export."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from paddle import nn
from pydantic import ValidationError

from ppgan_zoo.data import to_uint8
from ppgan_zoo.errors import CheckpointError, ConfigError, first_fault, os_errors
from ppgan_zoo.evaluation.result import read_evaluation
from ppgan_zoo.evaluation.sampler import open_sampler
from ppgan_zoo.export.exporter import export
from ppgan_zoo.models.facts import ModelFacts
from ppgan_zoo.models.latent import Code, labels_in_turn
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.restore import (
    find_checkpoint,
    load_generator,
    recorded_weights,
    weights_name,
)
from ppgan_zoo.models.weights import load_arrays
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import DATA
from ppgan_zoo.storage.checkpoint import (
    STORED_AS,
    Arrays,
    Checkpoint,
    fill_checkpoint,
)
from ppgan_zoo.storage.files import absolute, atomic_folder
from ppgan_zoo.storage.half_precision import HALF, halved, widened
from ppgan_zoo.storage.pictures import image_grid, save_png
from ppgan_zoo.storage.run_directory import RunDirectory, run_of
from ppgan_zoo.weights.card import (
    CARD,
    NOT_STATED,
    Card,
    Data,
    Figures,
    Interval,
    Rounding,
    card_text,
)

COMPARED_SAMPLES, COMPARED_SEED = 1024, 0xF16
MOST_GREY_LEVELS = 1
"""The most that storing weights as float16 may change a pixel by."""

GRID_IMAGES = 64
TRAINED = ("ppgan_zoo", "git_commit", "started", "python", "versions", "seed", "device", "runtime")
"""What a card takes from the manifest of the run's last start; no path and no host."""


@dataclass(frozen=True)
class Published:
    """What :func:`publish` made.

    Attributes:
        checkpoint: The published folder, as a checkpoint.
        card: Its card.
    """

    checkpoint: Checkpoint
    card: Card


def publish(
    run: Path,
    output: Path,
    *,
    name: str | None = None,
    best: bool = False,
    evaluations: Sequence[Path] = (),
    licence: str = NOT_STATED,
    faults: Sequence[str] = (),
    half: bool = True,
) -> Published:
    """Make a folder of a run's generator that is ready to upload, whole or not at all.

    It holds ``checkpoint.json`` and ``generator.safetensors`` (a checkpoint like any other, which
    every command takes), ``README.md`` (the card), ``samples.png`` and ``export/``.

    Args:
        run: A run, or a checkpoint in one.
        output: The folder to make.
        name: What the model is called; None for the name of `output`.
        best: Take the run's best checkpoint.
        evaluations: Files that ``ppgan-zoo evaluate --output`` wrote, of this checkpoint; several
            that differ in the seed alone become one table.
        licence: Of the weights.
        faults: What is known to be wrong with the model, a sentence each.
        half: Store large weights as float16.

    Raises:
        CheckpointError: There is no such run, or float16 changes its images too much.
        ConfigError: `output` exists already, or an evaluation is not of this checkpoint.
        ExportError: See :func:`ppgan_zoo.export.exporter.export`.
    """
    source = find_checkpoint(run, best=best)
    directory = run_of(source.path)
    trained_on = None if directory is None else directory.trained_on()
    if directory is None or trained_on is None:
        raise CheckpointError(
            f"{source.path}: is not in a run, and a card is made from a run's recipe and manifest; "
            "give a run"
        )
    starts = directory.starts()
    _check_lines({"--name": [name or ""], "--licence": [licence], "--fault": faults})
    generator, facts = load_generator(source)
    weights = weights_name(source, None)
    arrays, rounding = source.arrays(weights), None
    if half:
        arrays, rounding = _rounded(arrays, generator, facts)
    with _card_errors():
        card = Card(
            name=name or absolute(output).name,
            recipe=_recipe(directory),
            data=_data(trained_on),
            weights=weights,
            licence=licence,
            trained={key: starts[-1][key] for key in TRAINED if key in starts[-1]},
            trained_sha256=source.sha256,
            rounding=rounding,
            figures=_tables([_evaluation_of(source, path) for path in evaluations]),
            faults=list(faults),
        )
    with (
        os_errors(ConfigError, f"--output {output}: cannot be written", "give another --output"),
        atomic_folder(absolute(output)) as folder,
    ):
        made = fill_checkpoint(
            folder, {"generator": arrays}, source.iteration, facts.to_json(),
            **({STORED_AS: HALF} if half else {}), **{CARD: card.model_dump(mode="json")},
        )  # fmt: skip
        text = card_text(card, source.iteration, facts.to_json())
        (folder / "README.md").write_text(text, encoding="utf-8")
        sampler = open_sampler(folder)
        count = sampler.whole_rows(GRID_IMAGES)
        labels, columns = sampler.labels_in_rows(count)
        grid = image_grid(sampler.sample(count, 0, labels), columns=columns)
        save_png(folder / "samples.png", grid)
        # Not timed: which settings are the fastest is a matter of the machine that uses it.
        export(find_checkpoint(folder), folder / "export", timed=False)
    return Published(Checkpoint(absolute(output), made.manifest, made.sha256), card)


def _check_lines(texts: Mapping[str, Sequence[str]]) -> None:
    """Refuse texts by their options that would be more than a line of the card."""
    for option, given in texts.items():
        for text in given:
            if not text.isprintable():
                raise ConfigError(f"{option} {text!r}: give one line of letters that can be shown")


@contextlib.contextmanager
def _card_errors() -> Iterator[None]:
    """Say in one line what a card cannot hold, such as a fault of more than 2,000 letters."""
    try:
        yield
    except ValidationError as error:
        key, found, reason = first_fault(error)
        raise ConfigError(f"{key}: found {str(found)[:60]!r}; {reason}") from None


def _rounded(arrays: Arrays, generator: nn.Layer, facts: ModelFacts) -> tuple[Arrays, Rounding]:
    """Return the weights as float16, and how far they move the images of `generator`."""
    labels = labels_in_turn(COMPARED_SAMPLES, facts.num_classes) if facts.num_classes else None
    code = Code(facts.latent.sample(COMPARED_SAMPLES, COMPARED_SEED), labels)

    def images() -> np.ndarray[Any, np.dtype[np.int16]]:
        made = generate(generator, code.z, code.labels)
        return to_uint8(made, facts.image_range).astype(np.int16)

    before = images()
    smaller = halved(arrays)
    load_arrays(generator, widened(smaller))
    moved = np.abs(images() - before)
    largest = int(moved.max())
    if largest > MOST_GREY_LEVELS:
        raise CheckpointError(
            f"float16 changes pixels by up to {largest} of 255 grey levels, and "
            f"{MOST_GREY_LEVELS} is allowed; give --float32 to keep the weights as they are"
        )
    return smaller, Rounding(
        samples=COMPARED_SAMPLES,
        largest_grey_levels=largest,
        share_changed=float((moved > 0).mean()),
    )


def _recipe(run: RunDirectory) -> dict[str, Any]:
    """Return the run's recipe, less what is of the machine that it ran on."""
    recipe: dict[str, Any] = load_recipe(run.recipe).model_dump(mode="json", exclude={"device"})
    del recipe["data"]["directory"]
    weights = recipe["evaluation"].get("weights")
    if weights is not None:
        recipe["evaluation"]["weights"] = Path(weights).name
    return recipe


def _data(trained_on: Mapping[str, Any]) -> Data:
    kind = DATA.get(trained_on["name"])
    wanted = {key: trained_on[key] for key in ("name", "count", "image_shape", "sha256", "source")}
    return Data(**wanted, licence=kind.licence or NOT_STATED)


def _evaluation_of(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    """Return the result of an evaluation of this checkpoint's weights.

    Raises:
        ConfigError: It cannot be read, or is of something else.
    """
    result = read_evaluation(path)
    model = result["model"]
    own = (model["sha256"], model["weights"], model.get("truncation"))
    if own != (checkpoint.sha256, recorded_weights(checkpoint, None), None):
        raise ConfigError(
            f"{path}: is of other weights ({model['path']}, iteration {model['iteration']}); "
            f"evaluate {checkpoint.path}"
        )
    return result


def _protocol(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two results must share to be draws of one figure."""
    real, features = result["real"], result["features"]
    return {
        "features": features["name"],
        "features_sha256": features["sha256"],
        "num_samples": result["settings"]["num_samples"],
        "real": real["name"],
        "real_count": real["count"],
        "split": real["split"],
    }


def _way(result: Mapping[str, Any]) -> str:
    """Return all that two results must share for their figures to be averaged."""
    settings, real = result["settings"], result["real"]
    more = [settings.get("resize"), settings.get("metrics"), real.get("sha256")]
    return json.dumps([_protocol(result), more], sort_keys=True)


def _tables(results: Sequence[Mapping[str, Any]]) -> list[Figures]:
    """Return a table for each protocol, with the draws of z that were evaluated by it."""
    tables = []
    for way in dict.fromkeys(map(_way, results)):
        draws = {
            int(result["settings"]["seed"]): result for result in results if _way(result) == way
        }
        if len(draws) < sum(_way(result) == way for result in results):
            raise ConfigError(
                "--figures: two results differ in nothing, not even the seed; give each once"
            )
        first = next(iter(draws.values()))
        values = {
            name: [
                float(draw["metrics"][name])
                for draw in draws.values()
                if draw["metrics"].get(name) is not None
            ]
            for name in dict.fromkeys(name for draw in draws.values() for name in draw["metrics"])
        }
        floors = [draw["floor"]["metrics"] for draw in draws.values() if draw["floor"]]
        tables.append(
            Figures(
                **_protocol(first),
                seeds=list(draws),
                values={name: _interval(found) for name, found in values.items() if found},
                floor={
                    name: value
                    for name, value in (floors[0] if floors else {}).items()
                    if value is not None
                },
                notes=list(first["notes"]),
            )
        )  # fmt: skip
    return tables


def _interval(values: list[float]) -> Interval:
    return Interval(
        mean=float(np.mean(values)), lowest=min(values), highest=max(values), draws=len(values)
    )
