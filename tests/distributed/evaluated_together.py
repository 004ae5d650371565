"""Takes the features of samples, alone or as one of several processes, and saves them.

``evaluated_together.py OUTPUT well|fails``: what each process got and how many images its network
saw go to ``OUTPUT/RANK.npz``, and what it gets by itself to ``OUTPUT/alone.npz``. ``fails``: the
network of rank 1 does, and ``OUTPUT/lost`` says what the other makes of it.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ppgan_zoo import runtime

runtime.start("cpu", 1)

import paddle  # noqa: E402

import ppgan_zoo  # noqa: E402
from ppgan_zoo.callbacks.evaluation import SampleFeatures  # noqa: E402
from ppgan_zoo.data import load_image_set  # noqa: E402
from ppgan_zoo.distributed.group import Group, ProcessLostError  # noqa: E402
from ppgan_zoo.evaluation.evaluator import Evaluator  # noqa: E402
from ppgan_zoo.metrics.features import open_features  # noqa: E402
from ppgan_zoo.training.assemble import make_trainer  # noqa: E402

SAMPLES = 101


def arrays(found):
    names = ("features", "probabilities", "labels")
    return {name: getattr(found, name) for name in names}


def main(output, how):
    group = Group.current()
    paddle.seed(0)
    gan = ppgan_zoo.create("cgan", num_classes=10)
    trainer = make_trainer(gan, seed=3, group=group)
    real = load_image_set("mnist", offline=True, limit=100, notify=lambda line: None)
    network, seen = open_features("digits-v1"), []

    def forward(images):
        seen.append(len(images))
        if how == "fails" and group.rank == 1:
            raise MemoryError
        return network.forward(images)

    evaluator = Evaluator(network, real, ("fid",), num_samples=SAMPLES, labels=True)
    evaluator.network = replace(network, forward=forward)
    shared = SampleFeatures(evaluator, [1], group)
    try:
        shared.on_step_together(trainer)
        found = shared.of(trainer)
    except ProcessLostError as error:
        Path(output, "lost").write_text(str(error).partition(",")[0])
        return
    except MemoryError:
        return
    np.savez(Path(output, f"{group.rank}.npz"), count=sum(seen), **arrays(found))
    if group.leads:
        np.savez(Path(output, "alone.npz"), **arrays(evaluator.features(trainer)))


if __name__ == "__main__":
    main(*sys.argv[1:])
