"""What each of two processes does for the check of that name; Paddle's launcher starts it.

``python -m paddle.distributed.launch --nproc_per_node 2 two_processes.py REQUEST OUTPUT``:
REQUEST is a JSON file that says what to train, OUTPUT the folder that each process leaves
``rank-N.npz`` in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ppgan_zoo import runtime
from ppgan_zoo.evaluation.subject import STEPS_TOGETHER, Subject
from ppgan_zoo.recipe.strict_yaml import lists_to_tuples
from ppgan_zoo.registry import MODELS
from ppgan_zoo.training.group import Group


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
