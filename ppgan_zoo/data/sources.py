"""Loading an image set of any kind by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ppgan_zoo.data.images import ImageSet, check_form, check_limit
from ppgan_zoo.data.kinds import LIMIT_SEED, DataKind
from ppgan_zoo.errors import ConfigError, PluginError, did_you_mean
from ppgan_zoo.registry import DATA
from ppgan_zoo.storage.terminal import tell


def print_to_stderr(line: str) -> None:
    """Print one line to standard error."""
    tell(line)


def load_image_set(
    name: str,
    *,
    directory: str | Path | None = None,
    split: str = "train",
    offline: bool = False,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    limit: int | None = None,
    limit_seed: int = 0,
    notify: Callable[[str], None] = print_to_stderr,
    options: Mapping[str, Any] | None = None,
) -> ImageSet:
    """Find, verify and load an image set.

    Args:
        name: A kind of data: ``"mnist"``, ``"fashion_mnist"``, ``"folder"`` for the user's
            own pictures, or one of a plugin.
        directory: The user's data directory; for ``"folder"`` the folder of pictures.
        split: ``"train"`` or ``"test"``.
        offline: Whether to leave the network alone.
        image_size: Height and width in pixels, one number for a square; None leaves the set as it
            is (a folder: 32).
        channels: 1 or 3; None leaves the set as it is.
        limit: Keep so many images, shuffled and even over the classes; None keeps all.
        limit_seed: Which ones.
        notify: Called with a line of text for whatever the user should know.
        options: Of the kind itself, see :attr:`ppgan_zoo.data.kinds.DataKind.options`.

    Returns:
        The set, with its source and checksum.

    Raises:
        ConfigError: An argument that is not allowed.
        DataError: The set is not where it should be, or a file of it is damaged.
        PluginError: The kind is a plugin's, and broken.
    """
    kind = DATA.get(name, where="data.name")
    options = dict(options or {})
    _check_arguments(kind, directory, split, limit, options)
    check_form(image_size, channels)
    if kind.takes_limit_seed:
        options[LIMIT_SEED] = limit_seed
    images = kind.load(
        directory=directory,
        split=split,
        offline=offline,
        image_size=image_size if isinstance(image_size, int) else None,
        channels=channels,
        limit=limit,
        notify=notify,
        **options,
    )
    if not isinstance(images, ImageSet):
        raise PluginError(
            f"kind of data {name!r}: load returned a {type(images).__name__}; it must return a "
            "ppgan_zoo.data.ImageSet"
        )
    if limit is not None:
        images = images.limit(limit, limit_seed)
    return images.resized(image_size or images.image_shape[1:], channels or images.image_shape[0])


def _check_arguments(
    kind: DataKind,
    directory: str | Path | None,
    split: str,
    limit: int | None,
    options: Mapping[str, Any],
) -> None:
    """Refuse what no kind of data, or not this one, can be loaded with."""
    if split not in ("train", "test"):
        raise ConfigError(f"split {split!r}; give 'train' or 'test'")
    check_limit(limit)
    if kind.needs_directory and directory is None:
        raise ConfigError(
            f"data.directory: missing; image set {kind.name!r} needs a folder: give it with --data "
            "or data.directory"
        )
    if split != "train" and not kind.has_splits:
        raise ConfigError(
            f"split {split!r}: image set {kind.name!r} has no splits; give the {split} images by a "
            "directory of their own"
        )
    check_options(kind, options)


def check_options(kind: DataKind, options: Iterable[str]) -> None:
    """Refuse the name of an option that a kind of data does not have.

    Raises:
        ConfigError: It is so.
    """
    allowed = kind.options
    for option in options:
        if option not in allowed:
            raise ConfigError(
                f"data.options: {kind.name} has no option {option!r}"
                f"{did_you_mean(option, allowed)}; allowed: {', '.join(allowed) or 'none'}"
            )
