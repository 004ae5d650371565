"""ppgan_zoo: a plugin-style zoo of GANs for PaddlePaddle.

Importing the package imports neither Paddle nor any model; the names below are loaded
when they are first used.
"""

from __future__ import annotations

import importlib
import zlib  # noqa: F401  Paddle 2.6 brings a zlib of its own that crashes Python's if it is first
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ppgan_zoo.errors import ZooError
    from ppgan_zoo.evaluation.sampler import Sampler, open_sampler
    from ppgan_zoo.models.create import create
    from ppgan_zoo.models.gan import Gan, list_models, register
    from ppgan_zoo.models.spec import GanSpec
    from ppgan_zoo.run import train
    from ppgan_zoo.training.assemble import make_trainer
    from ppgan_zoo.training.trainer import Trainer

_HOMES = {
    "Gan": "ppgan_zoo.models.gan",
    "GanSpec": "ppgan_zoo.models.spec",
    "Sampler": "ppgan_zoo.evaluation.sampler",
    "Trainer": "ppgan_zoo.training.trainer",
    "ZooError": "ppgan_zoo.errors",
    "create": "ppgan_zoo.models.create",
    "make_trainer": "ppgan_zoo.training.assemble",
    "list_models": "ppgan_zoo.models.gan",
    "open_sampler": "ppgan_zoo.evaluation.sampler",
    "register": "ppgan_zoo.models.gan",
}

_MODULES = {"train": "ppgan_zoo.run.train"}

__all__ = [
    "Gan",
    "GanSpec",
    "Sampler",
    "Trainer",
    "ZooError",
    "create",
    "list_models",
    "make_trainer",
    "open_sampler",
    "register",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_MODULES])
