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

FASHION_TUNED = Pretrained(
    "fashion_tuned",
    "21e1e2e1f817798d5b143758e5b5dee1bf25915b9ccc27a009f2f52c1972dbec",
    folder=_HERE / "fashion_tuned",
)

DCGAN_AVATARS = Pretrained(
    "dcgan_avatars",
    "689e6016131a1ff6e0fe2ba54e36f67d210a042c98e921dfcab81d00f5c2c944",
    folder=_HERE / "dcgan_avatars",
)
