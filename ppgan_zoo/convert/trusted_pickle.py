"""Arrays out of a pickle that the user trusts, at the user's risk.

A pickle is a program, so this process never reads one: ``untrusted_pickle.py`` does, in a
process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage.checkpoint import Arrays

TIMEOUT_SECONDS = 120


def read_trusted_pickle(path: Path) -> Arrays:
    """Return the arrays of a file of ``paddle.save`` or ``torch.save``, by dotted name.

    The file is read in a process of its own, without this one's environment, with
    limits of memory and time, by an unpickler that imports nothing.

    Raises:
        CheckpointError: The file cannot be read, or holds more than arrays.
    """
    if not os.path.isfile(path):
        raise CheckpointError(
            f"{path}: no such file; give a file that paddle.save or torch.save wrote"
        )
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
                f"{path}: not read within {TIMEOUT_SECONDS} s; get the file again"
            ) from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            reason = said[-1][:300] if said else f"its reader ended with code {done.returncode}"
            raise CheckpointError(
                f"{path}: not converted: {reason}; allowed are files that paddle.save or "
                "torch.save wrote from a state_dict"
            )
        try:
            return dict(load_file(target))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: not converted: {error}; get the file again") from None
