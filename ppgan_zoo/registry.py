"""Names of architectures, and how a name becomes a generator and a discriminator.

Built-in names stand in a table of ``"module:SPEC"`` strings; installed packages add
theirs through the entry-point group ``ppgan_zoo.models``; a notebook calls
:func:`register`. A module is imported when its name is first asked for, so listing
names imports no Paddle and a broken plugin hurts only whoever asks for it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ppgan_zoo.errors import ConfigError, PluginError, UnknownNameError, did_you_mean

ENTRY_POINT_GROUP = "ppgan_zoo.models"

BUILT_IN = {
    "gan_mlp": "ppgan_zoo.models.gan_mlp:SPEC",
    "gan_mlp_bn": "ppgan_zoo.models.gan_mlp_bn:SPEC",
    "dcgan": "ppgan_zoo.models.dcgan:SPEC",
    "dcgan_fashion": "ppgan_zoo.models.dcgan_fashion:SPEC",
    "dcgan_dropout": "ppgan_zoo.models.dcgan_dropout:SPEC",
    "dcgan_keras": "ppgan_zoo.models.dcgan_keras:SPEC",
}


# What layers raise for numbers that cannot be: a width below 0, or above 64 bits.
_REFUSALS = (AssertionError, OverflowError, SystemError, ValueError, ZeroDivisionError)


@dataclass(frozen=True, kw_only=True)
class GanSpec:
    """Everything the zoo knows of one architecture.

    Attributes:
        name: Name in the registry: lower case, digits and underscores.
        generator: A ``paddle.nn.Layer`` class, z ``[N, latent_dim]`` to images
            ``[N, C, H, W]`` inside `image_range`. Its constructor takes keyword-only,
            annotated arguments with defaults, and its instances have the attributes
            ``latent_dim: int`` and ``image_shape: tuple[int, int, int]``.
        discriminator: A ``paddle.nn.Layer`` class, images to logits ``[N, 1]``.
        paper: Where it was published: authors, year, title.
        trainer: The trainer class, or None for :class:`ppgan_zoo.Trainer`.
        objective: Name of the objective used when a recipe gives none.
        image_range: Lowest and highest pixel value of the generator's images; the
            data are scaled to the same range.
        latent_prior: Prior of z used when a recipe gives none.
    """

    name: str
    generator: type
    discriminator: type
    paper: str
    trainer: type | None = None
    objective: str = "non_saturating"
    image_range: tuple[float, float] = (-1.0, 1.0)
    latent_prior: str = "normal"


class Gan(NamedTuple):
    """A generator and a discriminator, built, with the spec that they came from.

    Unpacks as ``spec, generator, discriminator``.
    """

    spec: GanSpec
    generator: Any
    discriminator: Any

    @property
    def latent_dim(self) -> int:
        """Size of one z."""
        return int(self.generator.latent_dim)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.generator.image_shape
        return int(channels), int(height), int(width)

    @property
    def image_range(self) -> tuple[float, float]:
        """Lowest and highest pixel value."""
        return self.spec.image_range


@dataclass(frozen=True)
class Source:
    """Where a name comes from: its owner in words, and ``"module:ATTRIBUTE"``.

    `rival` is another owner that claims the same name.
    """

    owner: str
    target: str
    rival: Source | None = None


@dataclass
class Registry:
    """Looks names up in the built-in table, in installed packages and in `register`ed specs."""

    built_in: Mapping[str, str] = field(default_factory=lambda: dict(BUILT_IN))
    _specs: dict[str, GanSpec] = field(default_factory=dict)

    def sources(self) -> dict[str, Source]:
        """Return every known name with its owner, without importing any model."""
        found = {name: Source("ppgan_zoo", target) for name, target in self.built_in.items()}
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            owner = point.dist.name if point.dist is not None else point.module
            source = Source(owner, point.value)
            first = found.setdefault(point.name, source)
            if (first.owner, first.target) != (source.owner, source.target):
                found[point.name] = replace(first, rival=source)
        for name in self._specs:
            found[name] = Source("register()", name)
        return found

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(self.sources())

    def get(self, name: str, *, where: str = "") -> GanSpec:
        """Return the spec called `name`, importing its module if need be.

        Args:
            name: A name of :meth:`names`.
            where: File and key the name was read from, for the message.

        Raises:
            UnknownNameError: No such name.
            PluginError: Two owners claim it, or a plugin cannot be imported or does not
                hold a `GanSpec`.
        """
        source = self.check_name(name, where=where)
        return self._specs[name] if name in self._specs else _import_spec(name, source)

    def check_name(self, name: str, *, where: str = "") -> Source:
        """Return the source of `name` without importing it.

        Raises:
            UnknownNameError: No such name.
            PluginError: Two owners claim it.
        """
        sources = self.sources()
        if name not in sources:
            raise UnknownNameError("model", name, sources, where)
        source = sources[name]
        if source.rival is not None:
            raise PluginError(
                f"model {name!r} is claimed twice: by {source.owner} ({source.target}) and by "
                f"{source.rival.owner} ({source.rival.target}); uninstall one of them or rename "
                "its entry point"
            )
        return source

    def register(self, spec: GanSpec) -> GanSpec:
        """Add `spec` for the life of this process, and return it.

        Raises:
            PluginError: The name is taken by another spec.
        """
        if not isinstance(spec, GanSpec):
            raise PluginError(f"register() takes a GanSpec, found {type(spec).__name__}")
        taken = self.sources().get(spec.name)
        if taken is not None and self._specs.get(spec.name) != spec:
            raise PluginError(
                f"model {spec.name!r} is already registered by {taken.owner} ({taken.target}); "
                "choose another name"
            )
        _check_spec(spec, f"register({spec.name!r})")
        self._specs[spec.name] = spec
        return spec


def _import_spec(name: str, source: Source) -> GanSpec:
    module, _, attribute = source.target.partition(":")
    try:
        spec = getattr(importlib.import_module(module), attribute or "SPEC")
    except Exception as error:  # a stranger's module can raise anything
        raise PluginError(
            f"model {name!r} of {source.owner} cannot be loaded from {source.target}: "
            f"{type(error).__name__}: {' '.join(str(error).split())}; reinstall or repair that "
            "package"
        ) from error
    if not isinstance(spec, GanSpec):
        raise PluginError(
            f"model {name!r} of {source.owner}: {source.target} is a {type(spec).__name__}, "
            "and must be a ppgan_zoo.GanSpec"
        )
    if spec.name != name:
        raise PluginError(
            f"model {name!r} of {source.owner}: {source.target} calls itself {spec.name!r}; "
            "the entry point and the spec must have one name"
        )
    _check_spec(spec, source.target)
    return spec


def _check_spec(spec: GanSpec, where: str) -> None:
    low, high = spec.image_range
    if not low < high:
        raise PluginError(f"{where}: image_range {spec.image_range} must go from low to high")
    for cls in (spec.generator, spec.discriminator):
        for parameter in constructor_arguments(cls).values():
            if parameter.default is parameter.empty:
                raise PluginError(
                    f"{where}: argument {parameter.name!r} of {cls.__name__} has no default; "
                    "give every constructor argument one"
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


def build_gan(
    spec: GanSpec,
    generator: Mapping[str, Any],
    discriminator: Mapping[str, Any],
) -> Gan:
    """Build both nets of `spec` from exactly these constructor arguments.

    Raises:
        ConfigError: An unknown argument, or a value that the net refuses.
    """
    nets = []
    for role, cls, arguments in (
        ("generator", spec.generator, generator),
        ("discriminator", spec.discriminator, discriminator),
    ):
        allowed = constructor_arguments(cls)
        for key in arguments:
            if key not in allowed:
                raise ConfigError(
                    f"{spec.name}: {role} has no argument {key!r}{did_you_mean(key, allowed)}; "
                    f"allowed: {', '.join(allowed)}"
                )
        try:
            nets.append(cls(**arguments))
        except _REFUSALS as error:
            raise ConfigError(
                f"model.{role}: {spec.name} cannot be built with "
                f"{', '.join(f'{key}={value!r}' for key, value in arguments.items())}: "
                f"{' '.join(str(error).split())[-200:]}; change these arguments"
            ) from error
    return Gan(spec, *nets)


def create(
    name: str,
    *,
    generator: Mapping[str, Any] | None = None,
    discriminator: Mapping[str, Any] | None = None,
    **shared: Any,
) -> Gan:
    """Build the architecture called `name`.

    Args:
        name: A name of :func:`list_models`.
        generator: Constructor arguments of the generator alone.
        discriminator: Constructor arguments of the discriminator alone.
        **shared: Arguments handed to whichever of the two nets takes them, such as
            ``latent_dim=64`` or ``image_shape=(3, 32, 32)``.

    Returns:
        The two nets in train mode, with their spec.

    Raises:
        UnknownNameError: No such model.
        ConfigError: An argument that neither net takes, or a value that one refuses.
    """
    spec = REGISTRY.get(name)
    of_generator = constructor_arguments(spec.generator)
    of_discriminator = constructor_arguments(spec.discriminator)
    for key in shared:
        if key not in of_generator and key not in of_discriminator:
            known = sorted({*of_generator, *of_discriminator})
            raise ConfigError(
                f"{name}: no net has an argument {key!r}{did_you_mean(key, known)}; "
                f"allowed: {', '.join(known)}"
            )
    return build_gan(
        spec,
        {**{k: v for k, v in shared.items() if k in of_generator}, **(generator or {})},
        {**{k: v for k, v in shared.items() if k in of_discriminator}, **(discriminator or {})},
    )


def list_models() -> list[str]:
    """Return the names that :func:`create` accepts, sorted; imports no Paddle."""
    return REGISTRY.names()


def register(spec: GanSpec) -> GanSpec:
    """Add `spec` to the zoo for the life of this process, and return it.

    Raises:
        PluginError: The name is taken.
    """
    return REGISTRY.register(spec)


REGISTRY = Registry()
