"""The models that come with the package; ``ppgan-zoo publish`` made their folders here."""

from __future__ import annotations

from pathlib import Path

from ppgan_zoo.weights.pretrained import Pretrained

_HERE = Path(__file__).parent

MNIST_TUNED = Pretrained(
    "mnist_tuned",
    "1256c898838aca821d252bfeb3497c486c59597d2b062fd1da3ff9ca1fe902ff",
    folder=_HERE / "mnist_tuned",
)
