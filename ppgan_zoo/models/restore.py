"""From what is on disk to a generator, without trainer, metrics or recipe."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from paddle import nn

from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.models.facts import ModelFacts, build_model
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.weights import load_arrays
from ppgan_zoo.storage.checkpoint import (
    MANIFEST,
    Arrays,
    Checkpoint,
    GoneError,
    open_checkpoint,
)
from ppgan_zoo.storage.files import absolute
from ppgan_zoo.storage.pickles import refuse_pickle
from ppgan_zoo.storage.retention import LOOKS, load_newest, read_best
from ppgan_zoo.storage.run_directory import RunDirectory
from ppgan_zoo.weights.card import read_card
from ppgan_zoo.weights.pretrained import locate


def find_checkpoint(path: str | os.PathLike[str], *, best: bool = False) -> Checkpoint:
    """Return the checkpoint that a path means, itself or one of a run, or a pretrained model.

    Its generator has been read, so that a run which is being trained may delete it.

    Args:
        path: A run, a checkpoint, or the name of a pretrained model
            (:func:`ppgan_zoo.weights.pretrained.locate`).
        best: Take a run's best checkpoint.

    Raises:
        CheckpointError: There is none.
        ConfigError: The best of one checkpoint is asked for.
    """
    refuse_pickle(Path(path))
    path = absolute(locate(path))
    if os.path.isfile(path / MANIFEST):
        if best:
            raise ConfigError(f"{path}: --best is for runs; this is one checkpoint: leave it out")
        return _held(open_checkpoint(path))
    run = RunDirectory(path)
    if not os.path.isdir(run.checkpoints):
        if (path / "model.yml").is_file():
            raise CheckpointError(
                f"{path}: is an exported model, which has no checkpoint; give the run or the "
                "checkpoint that it was exported from"
            )
        raise CheckpointError(
            f"{path}: neither a run (no checkpoints/), nor a checkpoint (no {MANIFEST}), nor an "
            "exported model (no model.yml); give one of these, or the name of a pretrained model "
            "(ppgan-zoo list)"
        )
    if not best:
        checkpoint, arrays = load_newest(run.checkpoints, notify=print_to_stderr)
        return _held(checkpoint, arrays)
    for _ in range(LOOKS):
        chosen = read_best(run.checkpoints)
        if chosen is None:
            raise CheckpointError(f"{path}: has no best checkpoint (checkpoint.best_by was null)")
        best_path = run.checkpoints / Path(chosen["checkpoint"]).name
        with contextlib.suppress(GoneError):  # another one may be the best by now
            return _held(open_checkpoint(best_path))
    raise CheckpointError(f"{best_path}: the best checkpoint is not there; leave out --best")


def _held(checkpoint: Checkpoint, arrays: Mapping[str, Arrays] | None = None) -> Checkpoint:
    """Return the checkpoint with the arrays of its generator, so that it may be deleted."""
    wanted = [name for name in ("generator", "ema") if checkpoint.has(name)]
    held = {name: checkpoint.arrays(name) if arrays is None else arrays[name] for name in wanted}
    return dataclasses.replace(checkpoint, held=held)


def load_generator(
    checkpoint: Checkpoint, *, ema: bool | None = None, truncation: float | None = None
) -> tuple[nn.Layer, ModelFacts]:
    """Build a checkpoint's generator in eval mode.

    Args:
        checkpoint: Where its weights are.
        ema: Whether to take the EMA's weights; None for them where there are any.
        truncation: See :func:`truncate`; None leaves styles as they are.

    Returns:
        The generator and its :class:`ppgan_zoo.models.facts.ModelFacts`.

    Raises:
        CheckpointError: Damaged, written by another version of the model, or without EMA.
        ConfigError: See :func:`truncate`.
    """
    gan, facts = restore(checkpoint, ema=ema)
    gan.generator.eval()
    if truncation is not None:
        truncate(gan.generator, truncation, facts.name)
    return gan.generator, facts


def restore(checkpoint: Checkpoint, *, ema: bool | None = None) -> tuple[Gan, ModelFacts]:
    """Build a checkpoint's nets in train mode; G has its weights, and the others are new.

    Args:
        checkpoint: Where the weights are.
        ema: Whether to take the EMA's weights; None for them where there are any.

    Raises:
        CheckpointError: Damaged, written by another version of the model, or without EMA.
    """
    manifest = checkpoint.path / MANIFEST
    facts = ModelFacts.from_json(checkpoint.model, str(manifest))
    weights = weights_name(checkpoint, ema)
    arrays = checkpoint.arrays(weights)
    try:
        gan = build_model(facts)
    except ConfigError as error:
        raise CheckpointError(f"{manifest}: key 'model': {error}") from error
    try:
        load_arrays(gan.generator, arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path / weights}.safetensors: {error}") from error
    return gan, facts


def has_styles(generator: nn.Layer) -> bool:
    """Tell whether a generator has styles, which can be drawn towards their average."""
    return hasattr(generator, "truncation")


def truncate(generator: nn.Layer, psi: float, name: str) -> None:
    """Let a generator with styles draw them towards their average: variety for quality.

    Styles become ``average + psi (w - average)`` (Karras et al. 2019, appendix B).

    Args:
        generator: G; it has an attribute ``truncation`` if it can do that.
        psi: 0 (all images are one) to 1 (styles as they are).
        name: Of the model, for the message.

    Raises:
        ConfigError: `psi` is none of these, or G has no average style.
    """
    if not 0.0 <= psi <= 1.0:
        raise ConfigError(f"--truncation {psi:g}: give 0 to 1")
    if not has_styles(generator):
        raise ConfigError(
            f"--truncation {psi:g}: {name} has no average style; leave it out, or use a model that "
            "has, such as stylegan2"
        )
    generator.truncation = psi


def weights_name(checkpoint: Checkpoint, ema: bool | None) -> str:
    """Return which weights those are: ``"ema"`` or ``"generator"``.

    Raises:
        CheckpointError: The EMA's are asked for, and there are none.
    """
    if ema and not checkpoint.has("ema"):
        raise CheckpointError(
            f"{checkpoint.path}: holds no moving average (ema.decay was null); leave out --ema"
        )
    return "ema" if ema is not False and checkpoint.has("ema") else "generator"


def recorded_weights(checkpoint: Checkpoint, ema: bool | None) -> str:
    """Return what a record calls them: of a published model, which of its run's weights it has."""
    name, card = weights_name(checkpoint, ema), read_card(checkpoint)
    return name if card is None or card.weights not in ("ema", "generator") else card.weights
