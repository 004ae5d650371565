"""Writes the recorded numbers: ``python tests/reference/record.py``, with PyTorch installed.

One ``NAME.npz`` a system, all in float64, stored as float32:

- ``images/MODE``, ``logits/MODE``: G's images of z, D's logits of real images;
- ``statistics/NET/TENSOR``: the running averages after that one pass in train mode;
- ``gradients/NET/TENSOR``: of one update of that net, from the first weights;
- ``after/NET/TENSOR``: parameters and running averages after three iterations, the
  optimizers' epsilon added where Paddle adds it;
- ``source/NET/TENSOR``: the same with the source's own optimizers, where they differ.
"""

from pathlib import Path

import numpy as np
import torch
from cases import CASES, ITERATIONS, latents, real_images, weights
from systems import (
    FORWARD,
    OPTIMIZERS,
    SOURCE_OPTIMIZERS,
    Net,
    discriminator_loss,
    generator_loss,
)

NETS = ("generator", "discriminator")


def nets(name):
    case = CASES[name]
    forward = FORWARD[name.removesuffix("_wasserstein")]
    return [Net(f, weights(case, net), case.framework == "torch")
            for f, net in zip(forward, NETS)]  # fmt: skip


def update(name, kind, generator, discriminator, real, z):
    """Return the net that an update moves and its loss."""
    if kind == "G":
        return generator, generator_loss(name, discriminator(generator(z)))
    fake = generator(z).detach()
    return discriminator, discriminator_loss(name, kind, discriminator, real, fake)


def gradients(net, loss):
    return dict(zip(net.parameters, torch.autograd.grad(loss, list(net.parameters.values()))))


def data(case, iteration, number):
    return (torch.tensor(real_images(case, iteration)).double(),
            torch.tensor(latents(case, iteration, number)).double())  # fmt: skip


def iterate(name, what, optimizers):
    case = CASES[name]
    generator, discriminator = pair = nets(name)
    make_d, make_g = optimizers[name.removesuffix("_wasserstein")]
    optimizer = {id(discriminator): make_d(list(discriminator.parameters.values())),
                 id(generator): make_g(list(generator.parameters.values()))}  # fmt: skip
    for iteration in range(ITERATIONS):
        for kind, number in case.updates:
            moved, loss = update(name, kind, *pair, *data(case, iteration, number))
            optimizer[id(moved)].step(list(gradients(moved, loss).values()))
    return {f"{what}/{label}/{tensor}": value for label, net in zip(NETS, pair)
            for tensor, value in {**net.parameters, **net.statistics}.items()}  # fmt: skip


def record(name):
    case, out = CASES[name], {}
    for mode in ("eval", "train"):
        pair = nets(name)
        real, z = data(case, 0, 0)
        for net in pair:
            net.training = mode == "train"
        with torch.no_grad():
            out[f"images/{mode}"], out[f"logits/{mode}"] = pair[0](z), pair[1](real)
    for label, net in zip(NETS, pair):
        for tensor, value in net.statistics.items():
            out[f"statistics/{label}/{tensor}"] = value

    for label, letter in zip(NETS, "GD"):
        total = {}
        for kind, number in dict(reversed(case.updates)).items():  # each kind's first z
            if kind[0] == letter:
                moved, loss = update(name, kind, *nets(name), *data(case, 0, number))
                for tensor, gradient in gradients(moved, loss).items():
                    total[tensor] = total.get(tensor, 0.0) + gradient
        for tensor, gradient in total.items():
            out[f"gradients/{label}/{tensor}"] = gradient

    out |= iterate(name, "after", OPTIMIZERS)
    if name.removesuffix("_wasserstein") in SOURCE_OPTIMIZERS:
        out |= iterate(name, "source", SOURCE_OPTIMIZERS)
    arrays = {key: value.detach().numpy().astype(np.float32) for key, value in out.items()}
    np.savez_compressed(Path(__file__).parent / f"{name}.npz", **arrays)


if __name__ == "__main__":
    for name in CASES:
        record(name)
