"""The recipe: one YAML file that says what to train, checked strictly. Imports no Paddle.

Read ``recipe`` (the whole), then its sections: ``game`` (nets, data, loss), ``training``
(optimizers, length, average) and ``watching`` (samples, checkpoints, metrics, trouble).
They are made of what ``base``, ``bounds`` and ``schedules`` hold. Then ``load`` (from file to
recipe), ``overrides`` (``-o``), ``explain`` (what is wrong, in one line) and ``strict_yaml``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgan_zoo.recipe.load import load_recipe

__all__ = ["load_recipe"]


def __getattr__(name: str) -> Any:
    if name != "load_recipe":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ppgan_zoo.recipe.load import load_recipe  # not at once: `bounds` is for folders below

    return load_recipe
