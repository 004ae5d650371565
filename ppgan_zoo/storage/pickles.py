"""Weights in pickles: refused wherever weights are taken, and read at the user's risk.

A pickle is a program: reading one can run anything. :func:`refuse_pickle` says so and
tells the way round, ``ppgan-zoo convert --trust``, which is :func:`read_trusted_pickle`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ppgan_zoo.errors import CheckpointError

SUFFIXES = (".pdparams", ".pdopt", ".pkl", ".pickle", ".pt", ".pth", ".ckpt")
TIMEOUT_SECONDS = 120


def refuse_pickle(path: Path) -> None:
    """Refuse a file of weights that is a pickle by its name.

    Raises:
        CheckpointError: It is one.
    """
    if path.suffix.lower() in SUFFIXES:
        raise CheckpointError(
            f"{path}: {path.suffix} files are pickles, and reading a pickle can run anything; "
            f"allowed are runs, checkpoints and exported models of the zoo. If you trust the file: "
            f"ppgan-zoo convert --trust {path} --model NAME --output DIR"
        )


def read_trusted_pickle(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file of ``paddle.save``, by dotted name.

    The file is read in a process of its own, without this one's environment, with
    limits of memory and time, by an unpickler that imports nothing.

    Raises:
        CheckpointError: The file cannot be read, or holds more than arrays.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such file; give a file that paddle.save wrote")
    with tempfile.TemporaryDirectory(prefix="ppgan_zoo-convert-") as folder:
        target = Path(folder, "arrays.safetensors")
        script = Path(__file__).with_name("untrusted_pickle.py")
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(script), str(path.resolve()), str(target)],
                cwd=folder, env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL, capture_output=True, check=False,
                timeout=TIMEOUT_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CheckpointError(
                f"{path}: not read within {TIMEOUT_SECONDS} s; get the file anew"
            ) from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            reason = said[-1][:300] if said else f"its reader ended with code {done.returncode}"
            raise CheckpointError(
                f"{path}: not converted: {reason}; allowed are files that paddle.save wrote from "
                "a state_dict"
            )
        try:
            return dict(load_file(target))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: not converted: {error}; get the file anew") from None
