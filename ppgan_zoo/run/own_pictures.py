"""Pictures of one's own in the place of a recipe's data: what ``train --data`` means."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ppgan_zoo.data.pictures import WHITE, Colour
from ppgan_zoo.data.prepare.cache import prepared_in_cache
from ppgan_zoo.data.prepare.layout import is_prepared
from ppgan_zoo.data.prepare.manifest import read_manifest
from ppgan_zoo.data.prepare.settings import Settings
from ppgan_zoo.data.sources import check_options
from ppgan_zoo.data.walk import holds_pictures
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.recipe.overrides import apply_overrides
from ppgan_zoo.recipe.recipe import Recipe
from ppgan_zoo.registry import DATA
from ppgan_zoo.storage.files import as_argument

DEFAULT_SIDE = 32


KIND = "prepared"
GROUND = "background"


def own_pictures(
    recipe: Recipe,
    path: Path,
    notify: Callable[[str], None],
    overrides: Iterable[str] = (),
) -> list[str]:
    """Return the overrides that put a prepared set in the place of a recipe's data.

    Args:
        recipe: It says at which size, and in how many channels, pictures are prepared.
        path: A prepared set, which is taken as it is; or any source of pictures, which is
            prepared into the cache, and said so.
        notify: Called with a line of text for whatever the user should know.
        overrides: Those that the recipe was loaded with: their ``data.options`` are kept, while
            those of the recipe's file belong to its own set.

    Raises:
        ConfigError: An option that a prepared set does not have.
        DataError: There are no pictures, or they cannot be read.
    """
    path = Path(os.path.abspath(os.path.expanduser(path)))
    kept = _options(recipe, overrides)
    if is_prepared(path):
        check_options(DATA.get(KIND), kept)
        _say_size(recipe, path, notify)
    else:
        kept.pop(GROUND, None)  # it is one of the settings
        check_options(DATA.get(KIND), kept)
        verify = bool(kept.get("verify", True))
        path = prepared_in_cache(path, _settings(recipe), notify, verify=verify)
    return [
        f"data.name={KIND}",
        f"data.directory={json.dumps(str(path))}",
        "data.image_size=null",
        "data.channels=null",
        f"data.options={json.dumps(kept)}",
    ]


def with_the_line_that_works(error: Exception, recipe: Recipe, config: str) -> str:
    """Return what an error of the data says, and how to train on pictures if they are such.

    Args:
        error: Of loading the recipe's data.
        recipe: The recipe.
        config: What ``-c`` was given.
    """
    if recipe.data.directory is None:
        return str(error)
    directory = Path(os.path.expanduser(recipe.data.directory))
    if DATA.get(recipe.data.name).needs_directory:
        if directory.exists():
            return str(error)
        return (
            f"data.directory: {recipe.data.directory}: no such folder; give your own pictures "
            f"or a prepared set: ppgan-zoo train -c {as_argument(Path(config))} --data PICTURES"
        )
    if not is_prepared(directory) and not holds_pictures(directory):
        return str(error)
    return (
        f"{error}. These are pictures of your own: ppgan-zoo train -c "
        f"{as_argument(Path(config))} --data {as_argument(directory)}"
    )


def _options(recipe: Recipe, overrides: Iterable[str]) -> dict[str, Any]:
    """Return the options of the data that are meant for the set that takes the recipe's place."""
    if recipe.data.name == KIND:
        return dict(recipe.data.options)
    given: dict[str, Any] = {}
    apply_overrides(given, overrides)
    return dict((given.get("data") or {}).get("options") or {})


def _settings(recipe: Recipe) -> Settings:
    """Return how pictures are prepared for a recipe: at its size, or that of its data."""
    data = recipe.data
    default = DATA.get(data.name, where="data.name").default_shape
    side = data.image_size or (default[1] if default else DEFAULT_SIDE)
    channels = data.channels or (default[0] if default else None)
    ground = _colour(data.options.get(GROUND, WHITE))
    return Settings((side, side), channels=channels, ground=ground)


def _colour(ground: object) -> Colour:
    if (
        isinstance(ground, tuple)
        and len(ground) == 3
        and all(type(part) is int and 0 <= part <= 255 for part in ground)
    ):
        return ground
    raise ConfigError(
        f"data.options.background: found {ground!r}; give red, green and blue, 0 to 255"
    )


def _say_size(recipe: Recipe, path: Path, notify: Callable[[str], None]) -> None:
    """Say where a set has another size than the recipe asks for."""
    channels, height, width = read_manifest(path).image_shape
    asked = recipe.data.image_size
    if asked is not None and (height, width) != (asked, asked):
        notify(
            f"{as_argument(path)}: is {height}x{width}, and the recipe says {asked}x{asked}; the "
            "set is taken as it is"
        )
    if recipe.data.channels not in (None, channels):
        notify(f"{as_argument(path)}: has {channels} channels, and is taken as it is")
