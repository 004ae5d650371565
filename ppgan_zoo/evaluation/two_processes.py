"""A model trained by two processes, for the check of that name.

:func:`trained_in_two` starts this file by Paddle's launcher, in each process as
``two_processes.py REQUEST OUTPUT``: REQUEST is a JSON file that says what to train, OUTPUT the
folder that each process leaves ``rank-N.npz`` in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ppgan_zoo import runtime
from ppgan_zoo.distributed.group import Group
from ppgan_zoo.evaluation.subject import STEPS_TOGETHER, Subject
from ppgan_zoo.recipe.strict_yaml import lists_to_tuples
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.checkpoint import Arrays

SECONDS = 180  # for two processes to start and to train


def trained_in_two(subject: Subject) -> tuple[Arrays, Arrays]:
    """Train a model in two processes and return the weights that each came to.

    Raises:
        AssertionError: They failed, or gave no answer.
    """
    request = {
        "target": subject.target,
        "shared": subject.shared,
        "own": subject.own,
        "terms": [term.name for term in subject.terms],
        "batch_size": subject.batch_size,
        "small": subject.small,
        "path": [place for place in sys.path if place] + [os.getcwd()],
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PADDLE_", "FLAGS_"))}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "request.json")
        file.write_text(json.dumps(request), encoding="utf-8")
        launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log"]
        try:
            done = subprocess.run(
                [sys.executable, *launcher, str(Path(__file__)), str(file), folder],
                cwd=folder, env=clean, capture_output=True, timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise AssertionError(f"two processes: no answer within {SECONDS} s") from None
        said = b"".join(log.read_bytes() for log in sorted(Path(folder).glob("log/workerlog.*")))
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        if done.returncode:
            raise AssertionError(f"two processes: their last word is {last[0][:200]}")
        first, second = (
            dict(np.load(Path(folder, f"rank-{rank}.npz"), allow_pickle=False)) for rank in (0, 1)
        )
        return first, second


def main(request: Path, output: Path) -> int:
    """Train for a few steps as one of the processes, and save the weights that learn."""
    wanted = lists_to_tuples(json.loads(request.read_text(encoding="utf-8")))
    sys.path[:] = [*wanted["path"], *sys.path]
    runtime.start("cpu", 1)
    group = Group.current()
    target = wanted["target"]
    spec = MODELS.load(target) if ":" in target else MODELS.get(target)
    subject = Subject(
        spec,
        wanted["shared"],
        wanted["own"],
        terms=wanted["terms"],
        batch_size=wanted["batch_size"],
        small=wanted["small"],
    )
    trainer = subject.trainer_of(subject.gan, group)
    for _ in range(STEPS_TOGETHER):
        trainer.step(subject.real)
    learnt: dict[str, Any] = subject.learnt()
    np.savez(output / f"rank-{group.rank}.npz", **learnt)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
