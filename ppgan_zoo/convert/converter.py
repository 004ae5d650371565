"""From weights that the zoo did not write to a checkpoint that it can use."""

from __future__ import annotations

import os
from pathlib import Path

from ppgan_zoo.convert.porting import read_weights
from ppgan_zoo.convert.trusted_pickle import read_trusted_pickle
from ppgan_zoo.errors import CheckpointError, ConfigError, os_errors
from ppgan_zoo.models.create import create
from ppgan_zoo.models.facts import ModelFacts, build_model, model_facts
from ppgan_zoo.models.weights import layer_arrays, load_arrays
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.checkpoint import Arrays, Checkpoint, save_checkpoint
from ppgan_zoo.storage.files import sha256_file
from ppgan_zoo.storage.pickles import SUFFIXES
from ppgan_zoo.storage.scratch import clear_abandoned


def convert(path: Path, facts: ModelFacts, output: Path, *, trust: bool = False) -> Checkpoint:
    """Write a checkpoint with the generator's weights from `path`.

    Args:
        path: A ``.safetensors`` or ``.npz`` file, or a pickle of ``paddle.save`` or ``torch.save``.
            It holds the ``state_dict`` of a generator, or a section ``generator`` with it.
        facts: The model that the weights are of.
        output: The directory to make; it can be sampled and exported as a run can.
        trust: Read a pickle.

    Raises:
        CheckpointError: The file is damaged, not trusted, or of another model.
        ConfigError: `output` exists already.
    """
    if not _is_free(output):
        raise ConfigError(f"--output {output}: exists already; give another --output")
    arrays = read_source(path, trust=trust)
    generator = build_model(facts).generator
    try:
        load_arrays(generator, _of_generator(arrays))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return save_checkpoint(
        output / "checkpoints",
        {"generator": layer_arrays(generator)},
        iteration=0,
        model=facts.to_json(),
        converted_from={"file": path.name, "sha256": sha256_file(path)},
    )


def read_source(path: Path, *, trust: bool) -> Arrays:
    """Return the arrays of a file of weights by name.

    Args:
        path: A ``.safetensors`` or ``.npz`` file, or a pickle of ``paddle.save`` or ``torch.save``.
        trust: Read a pickle.

    Raises:
        CheckpointError: The file is damaged, or a pickle that is not trusted.
    """
    if path.suffix.lower() not in SUFFIXES:
        return read_weights(path)
    if trust:
        return read_trusted_pickle(path)
    raise CheckpointError(
        f"{path}: {path.suffix} files are pickles, and reading a pickle can run anything; "
        "give --trust if you trust the file"
    )


def _is_free(output: Path) -> bool:
    """Tell whether nothing is there, or no more than what a killed conversion leaves."""
    checkpoints = output / "checkpoints"
    if not os.path.lexists(output):
        return True
    with os_errors(ConfigError, f"--output {output}: cannot be looked at"):
        clear_abandoned(checkpoints)
        if not output.is_dir() or set(os.listdir(output)) - {checkpoints.name}:
            return False
        return not os.path.lexists(checkpoints) or (
            checkpoints.is_dir() and not os.listdir(checkpoints)
        )


def facts_of_model(name: str) -> ModelFacts:
    """Return what rebuilds a model with all its default arguments.

    Raises:
        ConfigError: It is one that needs labels: how many is said by a recipe.
    """
    if MODELS.get(name).labels == "needs":
        raise ConfigError(
            f"--model {name}: needs labels, and only a recipe says of how many classes; give -c "
            "and a recipe, such as -c cgan_mnist, in its place"
        )
    gan = create(name)
    return model_facts(name, gan.image_shape, gan.latent_dim)


def _of_generator(arrays: Arrays) -> Arrays:
    """Return the section ``generator`` where there is one, and everything otherwise."""
    prefix = "generator."
    section = {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    return section or arrays
