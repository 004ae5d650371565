"""Writes ``modern.npz``: ``PYTHONPATH=tests python -m reference.record_modern``, with PyTorch.

Of each case of ``modern_cases``, computed in float64 and stored as float32:

- ``NAME/images/MODE``, ``NAME/logits/MODE``: G's images of z, D's logits of real images, in train
  mode, then in eval mode, with what the first pass has moved;
- ``NAME/gradients/NET``: of one update of D and of one of G, from the first weights;
- ``NAME/after/NET``: all that nets learn and remember, after three iterations;
- ``NAME/average``: the moving average of G then;
- ``NAME/terms/PART``: what terms remember then.

Tensors of a net stand one after the other, in the order of ``.../tensors``, which has a name and a
shape a line. Of a large tensor some values are kept, drawn from all of it.
"""

from pathlib import Path

import numpy as np
import torch
from reference.modern_cases import CASES, ITERATIONS, KEPT, OF_AVERAGE, OF_IMAGES, kept
from reference.modern_training import Training, real_batch


def outputs(name):
    training, out = Training(name), {}
    for mode in ("train", "eval"):
        for net in training.nets.values():
            net.training = mode == "train"
        with torch.no_grad():
            images = training.generate(*training.code(0, 0))
            out[f"images/{mode}"] = kept(name, "generator", "images", images, OF_IMAGES)
            out[f"logits/{mode}"], _ = training.judge(*real_batch(name, 0, 0))
    return out


def gradients(name):
    out = {}
    for side in "dg":
        training = Training(name)
        losses = training.losses_of_d if side == "d" else training.losses_of_g
        loss = losses(0, real_batch(name, 0, 0), training.code(0, 0))
        found = training.gradients(side, loss)
        for role in {net for net, _ in found}:
            of_net = {tensor: g for (net, tensor), g in found.items() if net == role}
            out |= joined(name, f"gradients/{role}", role, of_net)
    return out


def three_iterations(name):
    training, out = Training(name), {}
    for t in range(ITERATIONS):
        training.iterate(t)
    for role, net in training.nets.items():
        tensors = {**net.parameters, **net.memory}
        tensors = {k: v for k, v in tensors.items() if k.rpartition(".")[2] != "noise"}  # constant
        out |= joined(name, f"after/{role}", role, tensors)
    if training.system.decay is not None:
        out |= joined(name, "average", "average", training.average, OF_AVERAGE)
    for part, value in training.memory.items():
        out[f"terms/{part}"] = np.asarray(value)
    return out


def joined(name, what, role, tensors, most=KEPT):
    """The kept values of a net's tensors as one array, and their names and shapes."""
    names = sorted(tensors)
    values = [kept(name, role, key, tensors[key].detach(), most) for key in names]
    lines = [f"{key} {'x'.join(map(str, tensors[key].shape))}" for key in names]
    text = np.frombuffer("\n".join(lines).encode(), np.uint8)
    return {what: np.concatenate(values), f"{what}/tensors": text}


def main():
    out = {}
    for name in CASES:
        recorded = {**outputs(name), **gradients(name), **three_iterations(name)}
        out |= {f"{name}/{key}": np.asarray(value) for key, value in recorded.items()}
    out = {key: x if x.dtype == np.uint8 else x.astype(np.float32) for key, x in out.items()}
    np.savez_compressed(Path(__file__).parent / "modern.npz", **out)


if __name__ == "__main__":
    main()
