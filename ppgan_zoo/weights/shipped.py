"""The models that come with the package; ``ppgan-zoo publish`` made their folders here."""

from __future__ import annotations

from pathlib import Path

from ppgan_zoo.weights.pretrained import Pretrained

_HERE = Path(__file__).parent

MNIST_TUNED = Pretrained(
    "mnist_tuned",
    "2570409e1830ec219de0d073e1dc106040323eb2a8de99b735d1aad6e56f2bc3",
    folder=_HERE / "mnist_tuned",
)

FASHION_TUNED = Pretrained(
    "fashion_tuned",
    "b3e3487416dcf7f7428a2dba9f371f3c0745d1924aebec8fc18df00571cef5ee",
    folder=_HERE / "fashion_tuned",
)

DCGAN_AVATARS = Pretrained(
    "dcgan_avatars",
    "689e6016131a1ff6e0fe2ba54e36f67d210a042c98e921dfcab81d00f5c2c944",
    folder=_HERE / "dcgan_avatars",
)
