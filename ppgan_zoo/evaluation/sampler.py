"""Images from a run, a checkpoint or an exported model: the same seed, the same bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppgan_zoo.data import to_uint8
from ppgan_zoo.data.sources import print_to_stderr
from ppgan_zoo.errors import CheckpointError, ConfigError, os_errors
from ppgan_zoo.export.exported import MODEL_FILE, open_exported
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.storage.checkpoint import MANIFEST, Checkpoint, open_checkpoint
from ppgan_zoo.storage.files import sha256_file
from ppgan_zoo.storage.pickles import refuse_pickle
from ppgan_zoo.storage.pictures import image_grid, save_png
from ppgan_zoo.storage.retention import newest_valid_checkpoint, read_best
from ppgan_zoo.storage.run_directory import RunDirectory

BATCH = 128


@dataclass(frozen=True)
class Sampler:
    """Something that makes images.

    Attributes:
        latent: The prior of z.
        image_range: Lowest and highest value of `generate`'s images.
        generate: z ``[N, latent.dim]`` to images ``[N, C, H, W]``, both float32.
        image_shape: Channels, height and width of the images.
        origin: What is sampled, as plain data for a record: path, model, iteration, which
            weights, and the SHA-256 of the file that holds the hashes of all others.
    """

    latent: Latent
    image_range: tuple[float, float]
    generate: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    image_shape: tuple[int, int, int]
    origin: Mapping[str, Any]

    def sample(self, count: int, seed: int) -> NDArray[np.uint8]:
        """Return `count` images as ``uint8 [count, C, H, W]``.

        Args:
            count: How many.
            seed: Of z; the first images do not depend on `count`.
        """
        z = self.latent.sample(count, seed)
        parts = [
            to_uint8(self.generate(z[start : start + BATCH]), self.image_range)
            for start in range(0, count, BATCH)
        ]
        return np.concatenate(parts)


def open_sampler(path: Path, *, best: bool = False, ema: bool | None = None) -> Sampler:
    """Return the sampler for an exported model, a checkpoint or a run.

    Args:
        path: The directory. A run stands for its newest valid checkpoint.
        best: Take a run's best checkpoint.
        ema: Whether to take the EMA's weights; None for them where there are any.

    Raises:
        CheckpointError: It is none of the three, or damaged, or has no EMA and was asked for it.
        ExportError: A damaged exported model.
        ConfigError: `best` asked of an exported model, or weights that it was not made from.
    """
    if os.path.isfile(path / MODEL_FILE):
        if best:
            raise ConfigError(f"{path}: --best is for runs; an exported model is one checkpoint's")
        return _exported_sampler(path, ema)
    checkpoint = find_checkpoint(path, best=best)
    generator, facts = load_generator(checkpoint, ema=ema)
    from ppgan_zoo.models.nets import generate

    origin = {
        "kind": "checkpoint",
        "path": str(checkpoint.path),
        "model": facts.name,
        "iteration": checkpoint.iteration,
        "weights": _weights_name(checkpoint, ema),
        "sha256": sha256_file(checkpoint.path / MANIFEST),
    }
    return Sampler(
        facts.latent, facts.image_range, lambda z: generate(generator, z), facts.image_shape, origin
    )


def _exported_sampler(path: Path, ema: bool | None) -> Sampler:
    model = open_exported(path)
    description = model.description
    weights = description.origin.weights
    if ema is not None and ema != (weights == "ema"):
        raise ConfigError(
            f"{path}: was exported with the weights {weights!r} and has no others; leave out "
            "--ema and --no-ema, or give the run"
        )
    origin = {
        "kind": "exported model",
        "path": str(path),
        "model": description.name,
        "iteration": description.origin.iteration,
        "weights": weights,
        "sha256": sha256_file(path / MODEL_FILE),
    }
    return Sampler(model.latent, model.image_range, model.generate, description.image_shape, origin)


def find_checkpoint(path: Path, *, best: bool = False) -> Checkpoint:
    """Return the checkpoint that a path means: itself, or one of a run.

    Raises:
        CheckpointError: There is none.
    """
    refuse_pickle(path)
    if os.path.isfile(path / MANIFEST):
        return open_checkpoint(path)
    run = RunDirectory(path)
    if not os.path.isdir(run.checkpoints):
        raise CheckpointError(
            f"{path}: neither a run (no checkpoints/), nor a checkpoint (no {MANIFEST}), nor an "
            f"exported model (no {MODEL_FILE})"
        )
    if not best:
        return newest_valid_checkpoint(run.checkpoints, notify=print_to_stderr)
    chosen = read_best(run.checkpoints)
    if chosen is None:
        raise CheckpointError(f"{path}: has no best checkpoint (checkpoint.best_by was null)")
    return open_checkpoint(run.checkpoints / Path(chosen["checkpoint"]).name)


def load_generator(checkpoint: Checkpoint, *, ema: bool | None = None) -> tuple[Any, Any]:
    """Build a checkpoint's generator in eval mode.

    Args:
        checkpoint: Where its weights are.
        ema: Whether to take the EMA's weights; None for them where there are any.

    Returns:
        The generator and its :class:`ppgan_zoo.run.build.ModelFacts`.

    Raises:
        CheckpointError: Damaged, written by another version of the model, or without EMA.
    """
    from ppgan_zoo.models.nets import load_arrays
    from ppgan_zoo.run.build import ModelFacts, build_model

    manifest = checkpoint.path / MANIFEST
    facts = ModelFacts.from_json(checkpoint.model, str(manifest))
    weights = _weights_name(checkpoint, ema)
    arrays = checkpoint.arrays(weights)
    try:
        generator = build_model(facts).generator
    except ConfigError as error:
        raise CheckpointError(f"{manifest}: key 'model': {error}") from error
    try:
        load_arrays(generator, arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path / weights}.safetensors: {error}") from error
    generator.eval()
    return generator, facts


def _weights_name(checkpoint: Checkpoint, ema: bool | None) -> str:
    if ema and not checkpoint.has("ema"):
        raise CheckpointError(
            f"{checkpoint.path}: holds no moving average (ema.decay was null); leave out --ema"
        )
    return "ema" if ema is not False and checkpoint.has("ema") else "generator"


def write_images(images: NDArray[np.uint8], path: Path) -> None:
    """Write ``uint8 [N, C, H, W]`` as a PNG grid or, to a ``.npy`` file, as they are.

    Raises:
        ConfigError: Another suffix, or the file cannot be written.
    """
    with os_errors(ConfigError, f"--output {path}: cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, images, allow_pickle=False)
        elif path.suffix == ".png":
            save_png(path, image_grid(images, columns=max(1, round(len(images) ** 0.5))))
        else:
            raise ConfigError(f"--output {path}: the name must end in .png (a grid) or .npy")
