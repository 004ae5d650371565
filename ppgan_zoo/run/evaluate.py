"""The evaluation of a run, whose recipe and manifest say what it was trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.protocol import Protocol, evaluate_sampler, fid_of_each
from ppgan_zoo.evaluation.real_images import DataSource
from ppgan_zoo.evaluation.sampler import Sampler, open_sampler
from ppgan_zoo.recipe.bounds import FEWEST_IMAGES, MOST_SAMPLES
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.registry import DATA
from ppgan_zoo.storage.checkpoint import MANIFEST, Checkpoint, DamagedError, open_checkpoint
from ppgan_zoo.storage.files import absolute
from ppgan_zoo.storage.retention import list_checkpoints
from ppgan_zoo.storage.run_directory import RunDirectory, run_of
from ppgan_zoo.weights.card import Card, read_card
from ppgan_zoo.weights.pretrained import locate


def evaluate(
    path: str | os.PathLike[str],
    protocol: Protocol,
    *,
    best: bool = False,
    data: str | None = None,
    directory: str | None = None,
    offline: bool = False,
    curve: int | None = None,
    notify: Callable[[str], None] = print_to_stderr,
) -> dict[str, Any]:
    """Evaluate a run, a checkpoint or an exported model.

    Args:
        path: Its directory, or the name of a pretrained model; a run stands for its newest valid
            checkpoint.
        protocol: How.
        best: Take a run's best checkpoint.
        data: Name of the image set; None for the run's own.
        directory: Where the data are, see :func:`find_data`.
        offline: Whether to leave the network alone.
        curve: Samples of each kept checkpoint of a run, for FID along it; None for no such curve.
        notify: Called with a line of text for whatever the user should know.

    Returns:
        The result, as plain JSON values.

    Raises:
        ConfigError: Something is asked for that cannot be done.
        CheckpointError: No such model, or a damaged one.
        DataError: The real images are not there.
    """
    path = locate(path)
    if curve is not None and not (path / "recipe.yml").is_file():
        raise ConfigError(f"{path}: --curve is for runs, which keep several checkpoints")
    if curve is not None and not FEWEST_IMAGES <= curve <= MOST_SAMPLES:
        raise ConfigError(f"--curve {curve}: give {FEWEST_IMAGES} to {MOST_SAMPLES}")
    sampler = open_sampler(path, best=best, ema=protocol.ema)
    source = find_data(path, data, directory)
    result = evaluate_sampler(sampler, source, protocol, offline=offline, notify=notify)
    if curve is None:
        return result
    opened: list[Checkpoint] = []

    def samplers() -> Iterator[Sampler]:
        for each in list_checkpoints(RunDirectory(path).checkpoints):
            try:
                made = open_sampler(each.path, ema=protocol.ema)
            except DamagedError as error:
                notify(f"left out of the curve: {error}")
                continue
            opened.append(each)
            yield made

    quick = replace(protocol, num_samples=curve)
    fids = fid_of_each(samplers(), source, quick, offline=offline, notify=notify)
    points = [
        {"iteration": each.iteration, "fid": fid} for each, fid in zip(opened, fids, strict=True)
    ]
    return {**result, "curve_samples": curve, "curve": points}


def find_data(
    path: Path,
    name: str | None = None,
    directory: str | None = None,
    *,
    otherwise: str = "give --data mnist or another set",
) -> DataSource:
    """Return the image set for a model: that of its run or card, unless another is named.

    Args:
        path: The run, checkpoint or exported model.
        name: Of the image set; None for the one that it was trained on.
        directory: A data directory with both splits; of a kind of data without splits, such as
            ``"folder"``, the images that are held out.
        otherwise: What to do where the model does not say, for the error.

    Raises:
        ConfigError: There is no run to ask, and no set is named.
        UnknownNameError: No such kind of data.
    """
    path = absolute(path)
    run = run_of(path)
    recipe = load_recipe(run.recipe) if run else None
    card = None if run else _card(path)
    if card is not None and name in (None, card.data.name):
        split = DATA.get(card.data.name).has_splits
        return DataSource(
            card.data.name,
            train_directory=directory if split else None,
            test_directory=directory,
            options=card.recipe.get("data", {}).get("options", {}),
            trained_on=card.data.model_dump(),
        )
    if run is None or recipe is None or name not in (None, recipe.data.name):
        if name is None:
            raise ConfigError(
                f"{path}: is not in a run, whose recipe would name the data, and has no card; "
                f"{otherwise}"
            )
        split = DATA.get(name, where="--data").has_splits
        return DataSource(name, directory if split else None, directory)
    own = recipe.data.directory
    split = DATA.get(recipe.data.name).has_splits
    return DataSource(
        recipe.data.name,
        train_directory=(directory or own) if split else own,
        test_directory=(directory or own) if split else directory,
        options=recipe.data.options,
        limit_seed=recipe.data.limit_seed,
        trained_on=run.trained_on(),
        best_on_test=recipe.checkpoint.best_by == "fid" and recipe.evaluation.split == "test",
    )


def _card(path: Path) -> Card | None:
    """Return the card of a published folder, or of the one that an export stands in."""
    for folder in (path, path.parent):
        if (folder / MANIFEST).is_file():
            return read_card(open_checkpoint(folder))
    return None
