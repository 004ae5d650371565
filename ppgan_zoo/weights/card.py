"""The card of a model: what it is, what it learnt from, how good it is, what is wrong with it.

It stands in the ``checkpoint.json`` of a published model under the key ``card``, so that one
hash covers both, and as ``README.md`` beside it for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ppgan_zoo.errors import CheckpointError, first_fault
from ppgan_zoo.storage.checkpoint import MANIFEST, Checkpoint
from ppgan_zoo.storage.terminal import printable

CARD = "card"
"""The key of ``checkpoint.json`` that holds it."""

NOT_STATED = "not stated"

Text = Annotated[str, Field(max_length=2000)]
Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Data(_Strict):
    """The images that the model was trained on."""

    name: Text
    count: Count
    image_shape: Annotated[list[int], Field(min_length=3, max_length=3)]
    sha256: Text
    source: Text
    licence: Text = NOT_STATED


class Interval(_Strict):
    """A figure over several draws of z: its mean, the lowest, the highest, and how many."""

    mean: float
    lowest: float
    highest: float
    draws: Count


class Figures(_Strict):
    """Figures of one protocol, each over the same draws of z."""

    features: Text
    features_sha256: Text
    num_samples: Count
    real: Text
    real_count: Count
    split: Text
    seeds: list[int]
    values: dict[str, Interval]
    floor: dict[str, float] = {}
    notes: list[Text] = []


class Rounding(_Strict):
    """What storing the weights as float16 changes in images."""

    samples: Count
    largest_grey_levels: Count
    share_changed: float


class Card(_Strict):
    """All that a user of a published model should know.

    Attributes:
        name: What it is called.
        recipe: The whole recipe that it was trained by.
        data: The images that it was trained on.
        weights: Which weights of the run these are: ``"ema"`` or ``"generator"``.
        licence: Of the weights.
        trained: The start of the run, as its manifest has it: versions, commit, device, seed.
        trained_sha256: Of the run's ``checkpoint.json`` that the weights come from.
        rounding: What float16 changed; None for weights that are stored as they are.
        figures: How good it is, by protocol.
        faults: What is known to be wrong with it, a sentence each.
    """

    name: Text
    recipe: dict[str, Any]
    data: Data
    weights: Text
    licence: Text = NOT_STATED
    trained: dict[str, Any]
    trained_sha256: Text
    rounding: Rounding | None = None
    figures: list[Figures] = []
    faults: list[Text] = []


def read_card(checkpoint: Checkpoint) -> Card | None:
    """Return the card of a checkpoint, or None for one that was not published.

    Raises:
        CheckpointError: It is not what a card must be.
    """
    found = checkpoint.manifest.get(CARD)
    if found is None:
        return None
    try:
        return Card.model_validate(found)
    except ValidationError as error:
        fault = first_fault(error)
        key = f"{CARD}.{fault.key}".rstrip(".")
        raise CheckpointError(
            f"{checkpoint.path / MANIFEST}: key {key!r}: {fault.reason}; the card is "
            "damaged, or of a newer ppgan_zoo"
        ) from None


def card_text(card: Card, iteration: int, model: Mapping[str, Any]) -> str:
    """Return a card as Markdown, which reads as plain text too.

    Names, such as those of classes, are one line each: what is not printable is escaped.

    Args:
        card: The card.
        iteration: Iterations done when the weights were saved.
        model: What rebuilds the model, as a checkpoint has it.
    """
    trained, data = card.trained, card.data
    parts = [
        f"# {printable(card.name)}",
        _facts(
            {
                "model": model["name"],
                "images": f"{_size(model['image_shape'])}, values {_range(model['image_range'])}",
                "z": _latent(model["latent"]),
                "classes": ", ".join(model.get("classes", ())) or "none",
                "weights": f"{'moving average' if card.weights == 'ema' else 'last'}, iteration "
                f"{iteration:,}",
                "trained by": f"ppgan_zoo {trained.get('ppgan_zoo')}, commit "
                f"{trained.get('git_commit') or NOT_STATED}, seed {trained.get('seed')}",
                "licence": card.licence,
            }
        ),
        "## Data",
        f"{data.count:,} images of {data.name} ({_size(data.image_shape)}, from {data.source}), "
        f"SHA-256 {data.sha256}. Licence of the data: {data.licence}.",
        "## Figures",
        *(map(_figures, card.figures) if card.figures else ["None were taken."]),
        *([_rounding(card.rounding)] if card.rounding else []),
        "## Known faults",
        "\n".join(f"- {printable(fault)}" for fault in card.faults) or "None are stated.",
        "## Recipe",
        f"```yaml\n{yaml.safe_dump(card.recipe, sort_keys=False, allow_unicode=True)}```",
    ]
    return "\n\n".join(parts) + "\n"


def _latent(facts: Mapping[str, Any]) -> str:
    """Return what z is made of, codes included (``sample --sweep c1`` shows what one does)."""
    text = f"{facts['dim']} numbers, {facts['prior']}"
    sizes, continuous = facts.get("categorical", ()), facts.get("continuous", 0)
    if not (sizes or continuous):
        return text
    codes = [f"c{place} of {size} values" for place, size in enumerate(sizes, start=1)]
    codes += [f"c{len(sizes) + place}" for place in range(1, continuous + 1)]
    return f"{text}; the last {sum(sizes) + continuous} are codes: {', '.join(codes)}"


def _facts(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- {key}: {printable(value)}" for key, value in facts.items())


def _size(shape: list[int]) -> str:
    channels, height, width = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'RGB'}"


def _range(ends: list[float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"


def _figures(figures: Figures) -> str:
    """Return a table of figures under the sentence that says how they were taken."""
    draws = len(figures.seeds)
    said = (
        f"{figures.num_samples:,} samples against {figures.real_count:,} {figures.split} images of "
        f"{figures.real}, features {figures.features} ({figures.features_sha256[:12]}). "
    )
    said += (
        f"Mean, lowest and highest of up to {draws} draws of z (seeds "
        f"{', '.join(map(str, figures.seeds))}); one training run."
        if draws > 1
        else f"One draw of z (seed {figures.seeds[0]}), one training run."
    )
    if figures.floor:
        said += " The floor is what real images get in the place of samples."
    rows = [
        "| figure | mean | lowest | highest | draws | floor |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, value in figures.values.items():
        floor = figures.floor.get(name)
        shown = [f"{cell:.4g}" for cell in (value.mean, value.lowest, value.highest)]
        shown += [str(value.draws), "" if floor is None else f"{floor:.4g}"]
        rows.append(f"| {name} | {' | '.join(shown)} |")
    notes = [f"Note: {printable(note)}" for note in figures.notes]
    return "\n\n".join([said, "\n".join(rows), *notes])


def _rounding(rounding: Rounding) -> str:
    return (
        f"The weights are stored as float16. Over {rounding.samples:,} samples that changes "
        f"{rounding.share_changed:.3%} of the pixels, by {rounding.largest_grey_levels} grey level "
        "at most."
    )
