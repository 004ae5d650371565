"""Whether a recipe can be trained by so many processes; imports no Paddle."""

from __future__ import annotations

from pathlib import Path

from ppgan_zoo.distributed.group import Group
from ppgan_zoo.recipe.explain import naming
from ppgan_zoo.recipe.recipe import Recipe


def check_shares(recipe: Recipe, group: Group, source: Path | None = None) -> None:
    """Make sure that a recipe's batches can be shared out to a group.

    Args:
        recipe: The recipe.
        group: The processes.
        source: The recipe's file, for the message.

    Raises:
        ConfigError: They cannot.
    """
    parts = recipe.training.accumulate_steps * recipe.constraints.packing
    with naming(source):
        group.check(recipe.data.batch_size, parts)
