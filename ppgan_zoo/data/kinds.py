"""What the zoo knows of one kind of data: :class:`DataKind`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from ppgan_zoo.data.images import ImageSet
from ppgan_zoo.errors import PluginError

SHARED_ARGUMENTS = (
    "directory",
    "split",
    "offline",
    "image_size",
    "channels",
    "limit",
    "notify",
)
"""What every :attr:`DataKind.load` is called with."""


LIMIT_SEED = "limit_seed"
"""What a :attr:`DataKind.load` is called with as well if its signature has it: the seed of the part
that `limit` takes, for one that takes that part itself, with
:func:`ppgan_zoo.data.part.choose_part`."""


@dataclass(frozen=True)
class DataKind:
    """Everything the zoo knows of one kind of data.

    Attributes:
        name: Name in the registry: lower case, digits and underscores.
        load: Returns the :class:`ppgan_zoo.data.ImageSet`. It is called with all of
            :data:`SHARED_ARGUMENTS`, described at :func:`ppgan_zoo.data.load_image_set`,
            which checks them first and brings the result to the form that was asked for: so
            `load` may leave `image_size`, `channels` and `limit` alone, and looks at them
            only where that saves it work. Further keyword-only arguments with defaults are
            the kind's own options. It raises DataError where the images are missing or
            damaged, and ConfigError for an option that is not allowed.
        features: Name of the feature network that belongs to it, or None.
        needs_directory: Whether it can be loaded from a directory of the user's only.
        default_shape: Channels, height and width of its images where nothing is asked for;
            None where that depends on the images.
        has_splits: Whether it has a split ``"test"`` besides ``"train"``.
        licence: Of the images, for the card of a model; empty where that depends on the images.
    """

    name: str
    load: Callable[..., ImageSet]
    features: str | None = None
    needs_directory: bool = False
    default_shape: tuple[int, int, int] | None = None
    has_splits: bool = True
    licence: str = ""

    @property
    def takes_limit_seed(self) -> bool:
        """Whether :attr:`load` is called with the seed of the part that `limit` takes."""
        return LIMIT_SEED in inspect.signature(self.load).parameters

    @property
    def options(self) -> MappingProxyType[str, inspect.Parameter]:
        """The kind's own options by name, read from the signature of :attr:`load`."""
        parameters = inspect.signature(self.load).parameters
        shared = (*SHARED_ARGUMENTS, LIMIT_SEED)
        own = {name: p for name, p in parameters.items() if name not in shared}
        return MappingProxyType(own)

    def check(self, where: str) -> None:
        """Refuse a kind that the zoo cannot load.

        Args:
            where: Whose it is, for the message.

        Raises:
            PluginError: One line that says what.
        """
        try:
            parameters = inspect.signature(self.load).parameters
        except (TypeError, ValueError):
            raise PluginError(
                f"{where}: load is a {type(self.load).__name__} without a signature; give a "
                "function"
            ) from None
        missing = [name for name in SHARED_ARGUMENTS if name not in parameters]
        if missing:
            raise PluginError(
                f"{where}: load takes no {', '.join(missing)}; it is called with "
                f"{', '.join(SHARED_ARGUMENTS)}: give it all of them"
            )
        for name, parameter in self.options.items():
            if parameter.kind is not parameter.KEYWORD_ONLY or parameter.default is parameter.empty:
                raise PluginError(
                    f"{where}: option {name!r} of load must be keyword-only (after a '*') and have "
                    "a default"
                )
