"""What the collapse suite trains: one base recipe a test, of which any key can be overridden.

Pure data, like :mod:`ppgan_zoo.recipe`: importing it imports no Paddle.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import model_validator

from ppgan_zoo.errors import UnknownNameError
from ppgan_zoo.recipe.base import Positive, Section
from ppgan_zoo.recipe.load import recipe_from
from ppgan_zoo.recipe.recipe import Recipe


class CollapseData(Section):
    """Which test. `directory` is where MNIST lies, for ``stacked_mnist``."""

    name: Literal["ring", "grid", "stacked_mnist"]
    directory: str | None = None
    batch_size: Positive


# A setting has no run directory, and takes seed and device from the command line.
SETTING = {
    "model", "latent", "data", "objective", "terms", "constraints", "optimizer", "training",
    "trainer", "ema",
}  # fmt: skip


class CollapseRecipe(Recipe):
    """A recipe whose data are those of a test, with the sections of :data:`SETTING` alone."""

    data: CollapseData  # type: ignore[assignment]

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> CollapseRecipe:
        for key in sorted(self.model_fields_set - SETTING):
            raise ValueError(
                f"{key}: a setting of the collapse suite has {', '.join(sorted(SETTING))}; "
                "leave it out (for seed and device there are --seed and --device)"
            )
        if self.training.iterations is None:
            raise ValueError("training.iterations: the collapse suite needs it, not epochs")
        return self


# gan_mlp takes images of any shape, so points are images of one pixel whose channels are x
# and y. Smaller nets, a higher rate and far fewer iterations than PacGAN's 400,000.
_POINTS = {
    "model": {
        "name": "gan_mlp",
        "generator": {"hidden_units": [128, 128, 128]},
        "discriminator": {"hidden_units": [128, 128, 128]},
    },
    "latent": {"dim": 2},
    "objective": {"name": "non_saturating"},
    "optimizer": {
        net: {
            "name": "adam",
            "learning_rate": 1e-3,
            "beta1": 0.5,
            "beta2": 0.999,
            "schedule": {"name": "linear"},
        }
        for net in ("generator", "discriminator")
    },
    "training": {"iterations": 3000, "generator_steps": 1},
}

BASES: dict[str, dict[str, Any]] = {
    "ring": {**_POINTS, "data": {"name": "ring", "batch_size": 256}},
    "grid": {**_POINTS, "data": {"name": "grid", "batch_size": 256}},
    "stacked_mnist": {
        "model": {
            "name": "dcgan_fashion",
            "generator": {"channels": 32},
            "discriminator": {"channels": 32},
        },
        "latent": {"dim": 100, "prior": "uniform"},
        "data": {"name": "stacked_mnist", "batch_size": 64},
        "objective": {"name": "non_saturating"},
        "training": {"iterations": 2000, "generator_steps": 2},
    },
}


def collapse_recipe(name: str, overrides: Iterable[str] = ()) -> CollapseRecipe:
    """Return the recipe of a test with overrides such as ``objective.name=hinge``.

    Raises:
        UnknownNameError: No such test.
        ConfigError: An override that makes no sense.
    """
    if name not in BASES:
        raise UnknownNameError("collapse test", name, BASES)
    return recipe_from(BASES[name], f"collapse {name}", overrides, CollapseRecipe)
