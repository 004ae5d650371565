"""Weights in pickles are refused wherever weights are taken.

A pickle is a program: reading one can run anything. :func:`refuse_pickle` says so and tells
the way round, ``ppgan-zoo convert --trust`` (see :mod:`ppgan_zoo.convert.trusted_pickle`).
"""

from __future__ import annotations

from pathlib import Path

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage.files import as_argument

SUFFIXES = (".pdparams", ".pdopt", ".pkl", ".pickle", ".pt", ".pth", ".ckpt")


def refuse_pickle(path: Path) -> None:
    """Refuse a file of weights that is a pickle by its name.

    Raises:
        CheckpointError: It is one.
    """
    if path.suffix.lower() in SUFFIXES:
        raise CheckpointError(
            f"{path}: {path.suffix} files are pickles, and reading a pickle can run anything; "
            f"allowed are runs, checkpoints and exported models of the zoo. If you trust the file: "
            f"ppgan-zoo convert --trust {as_argument(path)} --model NAME --output DIR"
        )
