"""What the zoo knows of one architecture before it is built: :class:`GanSpec`."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from ppgan_zoo.errors import PluginError

Labels = Literal["ignores", "takes", "needs"]

PRIORS = ("normal", "uniform")
"""The priors of z that there are."""

FAMILIES = {
    "classic": "Dense and small convolutional nets",
    "labels": "Labels and codes",
    "autoencoders": "A D that draws, a G with an inverse",
    "resnets": "Residual nets",
    "attention": "Self-attention",
    "stylegan2": "Styles",
    "fastgan": "For few pictures",
    "r3gan": "A modern baseline",
}
"""The families of the zoo's models, with their titles; ``docs/models`` has a page of each."""

CLASSES_ARGUMENT = "num_classes"
"""The constructor argument of nets that take labels; 0 builds them without."""

CODE_ARGUMENTS = ("categorical", "continuous")
"""The constructor arguments of nets that know of codes in z: see :class:`Latent`'s attributes."""


@dataclass(frozen=True, kw_only=True)
class GanSpec:
    """Everything the zoo knows of one architecture.

    Attributes:
        name: Name in the registry: lower case, digits and underscores.
        generator: A ``paddle.nn.Layer`` class, z ``[N, latent_dim]`` to images
            ``[N, C, H, W]`` inside `image_range`. Its constructor takes keyword-only,
            annotated arguments with defaults, and its instances have the attributes
            ``latent_dim: int`` and ``image_shape: tuple[int, int, int]``.
        discriminator: A ``paddle.nn.Layer`` class, images to logits ``[N, 1]``, or
            ``[N, P]`` of P patches, or to a
            :class:`ppgan_zoo.models.gan.Judgement`.
        paper: Where it was published: authors, year, title.
        family: The models that it is listed with: a name of :data:`FAMILIES`, or any other.
        sizes: Sides of the images that it is for, in pixels, such as ``"28 to 64"`` or ``"any"``,
            with as many widths as they take; for people to read.
        other_nets: Further nets by name, such as an encoder: classes like the two above,
            trained together with G unless :attr:`trained_with` says otherwise.
        trained_with: For each further net, ``"generator"`` or ``"discriminator"``: in whose
            updates it learns.
        encoder: Name of the further net that gives the z of an image, float32
            ``[N, latent_dim]``, for a D that judges pairs of an image and its z: D gets that z as
            its last argument, or the z that G made the image of.
        labels: What the nets do with class labels: ``"ignores"``, ``"takes"`` (built with
            ``num_classes`` above 0 they get labels ``int64 [N]`` as a second argument, and
            with 0 none) or ``"needs"`` (they are always built with them).
        trainer: The trainer class, or None for :class:`ppgan_zoo.Trainer`.
        game: The class of the game, or None for :class:`ppgan_zoo.game.game.Game`.
        objective: Name of the objective used when a recipe gives none.
        terms: Names of the terms of the loss used when a recipe gives none.
        image_range: Lowest and highest pixel value of the generator's images; the
            data are scaled to the same range.
        unbounded: Whether G's pixels may lie outside `image_range`, as without a tanh at its
            end; they are clipped to it where they are shown, saved or measured.
        latent_prior: Prior of z used when a recipe gives none.
    """

    name: str
    generator: type
    discriminator: type
    paper: str
    family: str = "other"
    sizes: str = ""
    other_nets: Mapping[str, type] = field(default_factory=lambda: MappingProxyType({}))
    trained_with: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    encoder: str | None = None
    labels: Labels = "ignores"
    trainer: type | None = None
    game: type | None = None
    objective: str = "non_saturating"
    terms: tuple[str, ...] = ()
    image_range: tuple[float, float] = (-1.0, 1.0)
    latent_prior: str = "normal"
    unbounded: bool = False

    @property
    def nets(self) -> dict[str, type]:
        """The class of each net by its name, G first and D second."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            **self.other_nets,
        }

    def check(self, where: str) -> None:
        """Refuse a spec that the zoo cannot work with.

        Args:
            where: Whose it is, for the message.

        Raises:
            PluginError: One line that says what.
        """
        self._check_fields(where)
        for net, cls in self.nets.items():
            arguments = constructor_arguments(cls)
            for parameter in arguments.values():
                if parameter.default is parameter.empty:
                    raise PluginError(
                        f"{where}: argument {parameter.name!r} of {cls.__name__} has no default; "
                        "give every constructor argument one"
                    )
            if (
                self.labels != "ignores"
                and net in ("generator", "discriminator")
                and CLASSES_ARGUMENT not in arguments
            ):
                raise PluginError(
                    f"{where}: labels is {self.labels!r}, and {cls.__name__} takes no "
                    f"{CLASSES_ARGUMENT}; give it that argument with default 0"
                )
        if self.encoder is not None and self.encoder not in self.other_nets:
            raise PluginError(
                f"{where}: encoder is {self.encoder!r}; it must be a name of other_nets"
            )
        for net, owner in self.trained_with.items():
            if net not in self.other_nets or owner not in ("generator", "discriminator"):
                raise PluginError(
                    f"{where}: trained_with says {net!r}: {owner!r}; its keys are names of "
                    "other_nets, its values generator or discriminator"
                )

    def _check_fields(self, where: str) -> None:
        """Refuse fields of other types and values than the class says."""
        allowed = {
            "name": (isinstance(self.name, str) and re.fullmatch("[a-z0-9_]+", self.name),
                     "lower case, digits and underscores"),
            "paper": (isinstance(self.paper, str), "text"),
            "family": (isinstance(self.family, str), "text"),
            "sizes": (isinstance(self.sizes, str), "text"),
            "objective": (isinstance(self.objective, str), "the name of an objective"),
            "labels": (self.labels in get_args(Labels), " or ".join(get_args(Labels))),
            "latent_prior": (self.latent_prior in PRIORS, " or ".join(PRIORS)),
            "image_range": (_is_range(self.image_range), "two numbers, from low to high"),
            "other_nets": (isinstance(self.other_nets, Mapping), "classes by name"),
            "trained_with": (isinstance(self.trained_with, Mapping), "a net by name"),
        }  # fmt: skip
        for name, (is_right, wanted) in allowed.items():
            if not is_right:
                raise PluginError(
                    f"{where}: {name} is {getattr(self, name)!r}; it must be {wanted}"
                )
        for name, cls in {**self.nets, "trainer": self.trainer, "game": self.game}.items():
            if not isinstance(cls, type) and (cls is not None or name in self.nets):
                raise PluginError(f"{where}: {name} is {cls!r}; it must be a class")


def _is_range(value: object) -> bool:
    """Tell whether a value is two finite numbers, the first below the second."""
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(end, int | float) and math.isfinite(end) for end in value)
        and value[0] < value[1]
    )


def constructor_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """Return the keyword arguments that `cls` can be built with, by name.

    Raises:
        PluginError: The constructor takes arguments that are not keyword-only.
    """
    arguments: dict[str, inspect.Parameter] = {}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            raise PluginError(
                f"{cls.__module__}.{cls.__qualname__}: argument {parameter.name!r} must be "
                "keyword-only (write a '*' before it): the signature is the schema of the YAML"
            )
        arguments[parameter.name] = parameter
    return arguments
