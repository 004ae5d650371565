"""The recipes that come with the zoo, and the file that a name means."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from ppgan_zoo.errors import ConfigError, UnknownNameError


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with the zoo, by bare name."""
    folder = Path(str(resources.files("ppgan_zoo"))) / "configs"
    if not folder.is_dir():  # a checkout, not yet installed
        folder = folder.parent.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yml"))}


def refuse_recipe(name: str) -> None:
    """Refuse the name or file of a recipe where a model is asked for; it must be no model's name.

    Raises:
        ConfigError: It is a recipe.
    """
    if name in shipped_recipes() or Path(name).suffix in {".yml", ".yaml"}:
        raise ConfigError(
            f"{name} is a recipe, and no model; ppgan-zoo train -c {name} --dry-run checks it, and "
            "shows what is in it"
        )


def find_recipe(name_or_path: str) -> Path:
    """Return the file that `-c` means: a path, or the bare name of a shipped recipe.

    Raises:
        ConfigError: No such file.
        UnknownNameError: No shipped recipe has that name.
    """
    path = Path(name_or_path)
    if os.path.isfile(path):  # Path.is_file raises where a name is too long
        return path
    shipped = shipped_recipes()
    if name_or_path in shipped:
        return shipped[name_or_path]
    if path.suffix in {".yml", ".yaml"} or len(path.parts) > 1:
        raise ConfigError(
            f"{name_or_path}: no such recipe file; give an existing .yml file or one of the "
            f"shipped names: {', '.join(shipped)}"
        )
    raise UnknownNameError("recipe", name_or_path, shipped)
