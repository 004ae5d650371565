"""The reference systems at small widths: their tensors in the source's own order, z and data.

Shared by ``record.py`` (PyTorch) and ``test_reference.py`` (Paddle), so it is numpy alone.
Every number is drawn from ``RandomState``, whose stream NumPy has frozen.
"""

import itertools
import zlib
from dataclasses import dataclass, field

import numpy as np

BATCH, LATENT, ITERATIONS = 6, 5, 3
SMALL, MNIST = (1, 8, 8), (1, 28, 28)


@dataclass(frozen=True)
class Case:
    """One system: which model of the zoo it is, and how the source names its tensors.

    Attributes:
        model: Name in the registry.
        recipe: The shipped recipe whose switches and optimizers it has.
        framework: Whose order the tensors are in.
        image_shape: Channels, height, width.
        generator, discriminator: Constructor arguments here.
        generator_layers, discriminator_layers: ``{layer here: (layer there, kind, shape)}``,
            in the order of the data, with the shape of the source's weight.
        updates: An iteration: net and number of the z it uses.
    """

    model: str
    recipe: str
    framework: str
    image_shape: tuple
    generator: dict
    discriminator: dict
    generator_layers: dict
    discriminator_layers: dict
    updates: tuple
    flattened: dict = field(default_factory=dict)
    reshaped: dict = field(default_factory=dict)

    def names(self, net):
        return {here: there for here, (there, _, _) in getattr(self, f"{net}_layers").items()}


def dense_stack(framework, widths, step=2):
    """Layers 0, 2, 4, ... of a Sequential, as PyTorch ("net.0") or Keras ("dense") names them."""
    layers = {}
    for index, (a, b) in enumerate(itertools.pairwise(widths)):
        there = (f"net.{step * index}" if framework == "torch"
                 else "dense" + (f"_{index}" if index else ""))  # fmt: skip
        layers[f"layers.{step * index}"] = (
            there,
            "dense",
            (b, a) if framework == "torch" else (a, b),
        )
    return layers


PIXELS = 64
D_FIRST = (("D", 0), ("G", 1), ("G", 2))


def mlp(framework, activation, recipe):
    return Case(
        model="gan_mlp", recipe=recipe, framework=framework, image_shape=SMALL,
        generator={"hidden_units": (7, 8, 9, 10), "activation": activation},
        discriminator={"hidden_units": (9, 7), "activation": activation},
        generator_layers=dense_stack(framework, [LATENT, 7, 8, 9, 10, PIXELS]),
        discriminator_layers=dense_stack(framework, [PIXELS, 9, 7, 1]),
        updates=D_FIRST,
    )  # fmt: skip


def normalized(layers, units):
    for index, width in enumerate(units):
        there = "batch_normalization" + (f"_{index}" if index else "")
        layers[f"layers.{3 * index + 2}"] = (there, "norm", (width,))
    return dict(sorted(layers.items(), key=lambda item: int(item[0].split(".")[1])))


CASES = {
    "r1_pytorch": mlp("torch", "leaky_relu", "gan_mlp_mnist_published"),
    "r1_tensorflow": mlp("keras", "relu", "gan_mlp_mnist_relu"),
    "r1_pytorch_wasserstein": mlp("torch", "leaky_relu", "gan_mlp_mnist_published"),
    "r1_tensorflow_wasserstein": mlp("keras", "relu", "gan_mlp_mnist_relu"),
    "r2": Case(
        model="gan_mlp_bn", recipe="gan_mlp_bn_fashion", framework="keras", image_shape=SMALL,
        generator={"hidden_units": (7, 8, 9)},
        discriminator={"hidden_units": (9, 7)},
        generator_layers=normalized(
            dense_stack("keras", [LATENT, 7, 8, 9, PIXELS], step=3), [7, 8, 9]),
        discriminator_layers=dense_stack("keras", [PIXELS, 9, 7, 1]),
        updates=(("D real", 0), ("D fake", 0), ("G", 1)),
    ),
    "r3": Case(
        model="dcgan", recipe="dcgan_mnist", framework="torch", image_shape=MNIST,
        generator={"hidden_units": 8, "channels": 3},
        discriminator={"channels": (3, 4), "hidden_units": 7},
        generator_layers={
            "dense1": ("fc1", "dense", (8, LATENT)),
            "norm1": ("bn1", "norm", (8,)),
            "dense2": ("fc2", "dense", (3 * 7 * 7, 8)),
            "norm2": ("bn2", "norm", (3 * 7 * 7,)),
            "up1": ("deconv1", "transposed", (3, 3, 5, 5)),
            "up2": ("deconv2", "transposed", (3, 1, 5, 5)),
        },
        discriminator_layers={
            "conv1": ("conv1", "conv", (3, 1, 5, 5)),
            "conv2": ("conv2", "conv", (4, 3, 5, 5)),
            "norm2": ("bn2", "norm", (4,)),
            "dense3": ("fc3", "dense", (7, 4 * 4 * 4)),
            "norm3": ("bn3", "norm", (7,)),
            "dense4": ("fc4", "dense", (1, 7)),
        },
        updates=D_FIRST,
    ),
    "r4": Case(
        model="dcgan_dropout", recipe="dcgan_dropout_mnist", framework="keras", image_shape=MNIST,
        generator={"channels": (6, 5, 4), "dropout": 0.0},
        discriminator={"channels": (4, 5, 6), "dropout": 0.0},
        generator_layers={
            "project": ("dense", "dense", (LATENT, 4 * 4 * 6)),
            "norm1": ("batch_normalization", "norm", (6,)),
            "up1": ("conv2d_transpose", "transposed", (4, 4, 5, 6)),
            "norm2": ("batch_normalization_1", "norm", (5,)),
            "up2": ("conv2d_transpose_1", "transposed", (3, 3, 4, 5)),
            "norm3": ("batch_normalization_2", "norm", (4,)),
            "up3": ("conv2d_transpose_2", "transposed", (3, 3, 1, 4)),
        },
        discriminator_layers={
            "conv1": ("conv2d", "conv", (3, 3, 1, 4)),
            "conv2": ("conv2d_1", "conv", (3, 3, 4, 5)),
            "norm2": ("batch_normalization", "norm", (5,)),
            "conv3": ("conv2d_2", "conv", (3, 3, 5, 6)),
            "norm3": ("batch_normalization_1", "norm", (6,)),
            "score": ("dense", "dense", (4 * 4 * 6, 1)),
        },
        updates=(("G", 0), ("D", 0)),
        reshaped={"project": (6, 4, 4)},
        flattened={"score": (6, 4, 4)},
    ),
    "r5": Case(
        model="dcgan_keras", recipe="dcgan_keras_mnist", framework="keras", image_shape=MNIST,
        generator={"channels": (5, 4, 3)},
        discriminator={"channels": (3, 4, 5, 6)},
        generator_layers={
            "project": ("dense", "dense", (LATENT, 7 * 7 * 5)),
            "norm1": ("batch_normalization", "norm", (5,)),
            "up1": ("conv2d_transpose", "transposed", (5, 5, 5, 5)),
            "norm2": ("batch_normalization_1", "norm", (5,)),
            "up2": ("conv2d_transpose_1", "transposed", (5, 5, 4, 5)),
            "norm3": ("batch_normalization_2", "norm", (4,)),
            "up3": ("conv2d_transpose_2", "transposed", (5, 5, 3, 4)),
            "norm4": ("batch_normalization_3", "norm", (3,)),
            "up4": ("conv2d_transpose_3", "transposed", (5, 5, 1, 3)),
        },
        discriminator_layers={
            "conv1": ("conv2d", "conv", (5, 5, 1, 3)),
            "conv2": ("conv2d_1", "conv", (5, 5, 3, 4)),
            "conv3": ("conv2d_2", "conv", (5, 5, 4, 5)),
            "conv4": ("conv2d_3", "conv", (5, 5, 5, 6)),
            "score": ("dense", "dense", (4 * 4 * 6, 1)),
        },
        updates=(("D both", 0), ("G", 1)),
        reshaped={"project": (5, 7, 7)},
        flattened={"score": (6, 4, 4)},
    ),
}  # fmt: skip


def stream(*key):
    return np.random.RandomState(zlib.crc32(repr(key).encode()))


def weights(case, net):
    """Every tensor of one net as the source names and stores it, float32."""
    torch = case.framework == "torch"
    names = (
        ("weight", "bias", "running_mean", "running_var")
        if torch
        else ("gamma", "beta", "moving_mean", "moving_variance")
    )
    tensors = {}
    for there, kind, shape in getattr(case, f"{net}_layers").values():
        rng = stream(case.model, net, there)
        if kind == "norm":
            values = (1 + 0.2 * rng.randn(*shape), 0.2 * rng.randn(*shape),
                      0.3 * rng.randn(*shape), rng.uniform(0.5, 1.5, shape))  # fmt: skip
            made = dict(zip(names, values))
        else:
            out = outputs(kind, shape, torch)
            fan_in = np.prod(shape) / out
            made = {"weight" if torch else "kernel": rng.randn(*shape) * 1.3 / np.sqrt(fan_in),
                    "bias": 0.1 * rng.randn(out)}  # fmt: skip
        for leaf, array in made.items():
            tensors[f"{there}{'.' if torch else '/'}{leaf}"] = array.astype(np.float32)
    return tensors


def outputs(kind, shape, torch):
    """Number of outputs (so of biases) of a weight of the source's shape."""
    if torch:
        return shape[1] if kind == "transposed" else shape[0]
    return shape[2] if kind == "transposed" else shape[-1]


def real_images(case, iteration):
    low = 0.0 if case.model == "dcgan_keras" else -1.0
    shape = (BATCH, *case.image_shape)
    return stream("real", iteration).uniform(low, 1.0, shape).astype(np.float32)


def latents(case, iteration, number):
    return stream("z", iteration, number).uniform(-1.0, 1.0, (BATCH, LATENT)).astype(np.float32)
