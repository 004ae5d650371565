"""Costs counted by hand from the layers' definitions."""

import subprocess
import sys

from conftest import ROOT

import ppgan_zoo
from ppgan_zoo.models.cost import count_parameters, estimate_memory, multiply_adds


def test_dense_layers_multiply_each_weight_once():
    gan = ppgan_zoo.create(
        "gan_mlp", latent_dim=10, generator={"hidden_units": (20,)},
        discriminator={"hidden_units": (30,)},
    )  # fmt: skip
    assert multiply_adds(gan) == (10 * 20 + 20 * 784, 784 * 30 + 30)
    assert count_parameters(gan.generator) == 10 * 20 + 20 + 20 * 784 + 784


def test_convolutions_of_the_paddle_book():
    gan = ppgan_zoo.create("dcgan")
    generator = 100 * 2048 + 2048 * 6272 + 128 * 128 * 25 * 49 + 128 * 25 * 196
    discriminator = 64 * 25 * 24 * 24 + 64 * 128 * 25 * 64 + 2048 * 1024 + 1024
    assert multiply_adds(gan) == (generator, discriminator)


def test_memory_holds_state_and_activations():
    gan = ppgan_zoo.create(
        "gan_mlp", latent_dim=10, generator={"hidden_units": (20,)},
        discriminator={"hidden_units": (30,)},
    )  # fmt: skip
    weights = (count_parameters(gan.generator), count_parameters(gan.discriminator))
    # Linear, LeakyReLU, Linear in each net.
    outputs = 20 + 20 + 784 + 30 + 30 + 1
    assert estimate_memory(gan, 8) == 4 * (4 * sum(weights) + 2 * 8 * outputs)
    assert estimate_memory(gan, 8, ema=True) - estimate_memory(gan, 8) == 4 * weights[0]
    assert gan.generator.training
    assert gan.discriminator.training


def test_the_tables_in_the_readmes_are_current():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "model_table.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
