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
