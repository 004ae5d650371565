"""A built GAN: its nets by name, and the one door through which anyone calls them.

Imports no Paddle of its own, so that names can be listed and checked without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ppgan_zoo.errors import ConfigError, PluginError, did_you_mean
from ppgan_zoo.models.latent import Code, Latent
from ppgan_zoo.models.spec import CLASSES_ARGUMENT, CODE_ARGUMENTS, GanSpec, constructor_arguments
from ppgan_zoo.registry import MODELS

# What layers raise for numbers that cannot be: a width below 0, or above 64 bits.
_REFUSALS = (AssertionError, OverflowError, SystemError, ValueError, ZeroDivisionError)


@dataclass(frozen=True)
class Judgement:
    """What D says of N images.

    Attributes:
        logits: ``[N, 1]``, real above 0; ``[N, P]`` of a D that judges P patches of an image.
        extras: Whatever else D returns, by name, for the terms that need it: class logits,
            a code, a reconstruction, features.
    """

    logits: Any
    extras: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def split(self, sizes: list[int]) -> list[Judgement]:
        """Return the judgement of each part of the images, `sizes` images each."""
        parts = self.logits.split(sizes)
        extras = {name: extra.split(sizes) for name, extra in self.extras.items()}
        return [
            Judgement(logits, {name: values[place] for name, values in extras.items()})
            for place, logits in enumerate(parts)
        ]


class Gan:
    """A generator and a discriminator, built, with the spec that they came from.

    Unpacks as ``spec, generator, discriminator``.

    Args:
        spec: The architecture.
        generator: A layer, as the spec says.
        discriminator: Likewise.
        **others: The further nets of the spec, by name.

    Attributes:
        spec: The architecture.
        nets: Every net by its name, G first and D second.
        num_classes: Classes that G and D take labels of; 0 for nets without labels.
    """

    def __init__(self, spec: GanSpec, generator: Any, discriminator: Any, **others: Any) -> None:
        self.spec = spec
        self.nets: dict[str, Any] = {
            "generator": generator,
            "discriminator": discriminator,
            **others,
        }
        self.num_classes = int(getattr(generator, CLASSES_ARGUMENT, 0))

    def __iter__(self) -> Iterator[Any]:
        """Yield spec, generator and discriminator."""
        return iter((self.spec, self.generator, self.discriminator))

    @property
    def generator(self) -> Any:
        """G."""
        return self.nets["generator"]

    @property
    def discriminator(self) -> Any:
        """D."""
        return self.nets["discriminator"]

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

    def learning_with(self, net: str) -> dict[str, Any]:
        """Return the nets that learn in the updates of G or D, by name: itself, then others."""
        others = {
            name: self.nets[name]
            for name in self.spec.other_nets
            if self.spec.trained_with.get(name, "generator") == net
        }
        return {net: self.nets[net], **others}

    def latent(self, prior: str | None = None) -> Latent:
        """Return the distribution of z; `prior` is that of its noise, None for the spec's own."""
        codes = {
            name: getattr(self.generator, name)
            for name in CODE_ARGUMENTS
            if hasattr(self.generator, name)
        }
        return Latent(self.latent_dim, prior or self.spec.latent_prior, **codes)  # type: ignore[arg-type]

    def generate(self, code: Code) -> Any:
        """Return G's images ``[N, C, H, W]`` of a code."""
        if self.num_classes:
            return self.generator(code.z, code.labels)
        return self.generator(code.z)

    def judge(self, images: Any, labels: Any = None, z: Any = None) -> Judgement:
        """Return what D says of images.

        Args:
            images: ``[N, C, H, W]``.
            labels: int64 ``[N]``, for a D that takes them.
            z: What G made them of, ``[N, latent_dim]``, for a D that judges pairs; None takes
                what the encoder gives for them.
        """
        told = [labels] if self.num_classes else []
        if self.spec.encoder is not None:
            told.append(self.nets[self.spec.encoder](images) if z is None else z)
        answer = self.discriminator(images, *told)
        return answer if isinstance(answer, Judgement) else Judgement(answer)


def build_gan(
    spec: GanSpec,
    generator: Mapping[str, Any],
    discriminator: Mapping[str, Any],
    **others: Mapping[str, Any],
) -> Gan:
    """Build every net of `spec` from exactly these constructor arguments.

    Args:
        spec: The architecture.
        generator: Arguments of G.
        discriminator: Arguments of D.
        **others: Arguments of each further net; one that is left out takes its defaults.

    Raises:
        ConfigError: An unknown argument, a value that the net refuses, or nets of different
            classes or codes.
    """
    given = {"generator": generator, "discriminator": discriminator, **others}
    _check_agreement(spec, given)
    nets = {}
    for role, cls in spec.nets.items():
        arguments = given.get(role, {})
        allowed = constructor_arguments(cls)
        for key, value in arguments.items():
            if key not in allowed:
                raise ConfigError(
                    f"{spec.name}: {role} has no argument {key!r}{did_you_mean(key, allowed)}; "
                    f"allowed: {', '.join(allowed)}"
                )
            check_bits(role, key, value)
        try:
            nets[role] = cls(**arguments)
        except _REFUSALS as error:
            raise ConfigError(
                f"model.{role}: {spec.name} cannot be built with "
                f"{', '.join(f'{key}={value!r}' for key, value in arguments.items())}: "
                f"{' '.join(str(error).split())[-200:]}; change these arguments"
            ) from error
        _check_net(spec, role, nets[role])
    return Gan(spec, **nets)


def _check_agreement(spec: GanSpec, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse nets that take different numbers of classes, or different codes."""
    for key in (CLASSES_ARGUMENT, *CODE_ARGUMENTS):
        values = {}
        for role, cls in spec.nets.items():
            allowed = constructor_arguments(cls)
            if key in allowed:
                value = given.get(role, {}).get(key, allowed[key].default)
                values[role] = tuple(value) if isinstance(value, list) else value
        if any(value != next(iter(values.values())) for value in values.values()):
            raise ConfigError(
                f"{spec.name}: {key} is "
                f"{' and '.join(f'{value!r} in the {role}' for role, value in values.items())}; "
                "give all nets the same"
            )


def _check_net(spec: GanSpec, role: str, net: object) -> None:
    """Refuse a net that is none, or a G that does not say what it takes and makes."""
    from paddle.nn import Layer  # importing this module imports no Paddle

    title = f"{spec.name}: {role} is a {type(net).__name__}"
    if not isinstance(net, Layer):
        raise PluginError(f"{title}; it must be a paddle.nn.Layer")
    if role != "generator":
        return
    dim, shape = getattr(net, "latent_dim", None), getattr(net, "image_shape", None)
    if not isinstance(dim, int):
        raise PluginError(f"{title} whose latent_dim is {dim!r}; set it to the size of z")
    if not isinstance(shape, tuple | list) or len(shape) != 3:
        raise PluginError(f"{title} whose image_shape is {shape!r}; set it to (C, H, W)")


def check_bits(role: str, key: str, value: Any) -> None:
    """Refuse a number that Paddle cuts off, or fails on, depending on its version.

    Raises:
        ConfigError: It takes more than 32 bits.
    """
    for part in value if isinstance(value, tuple | list) else (value,):
        if type(part) is int and abs(part) >= 2**31:
            raise ConfigError(f"model.{role}: {key}={value!r} does not fit into 32 bits; give less")


def list_models() -> list[str]:
    """Return the names that :func:`ppgan_zoo.create` accepts, sorted; imports no Paddle."""
    return MODELS.names()


def register(spec: GanSpec) -> GanSpec:
    """Add `spec` to the zoo for the life of this process, and return it.

    Raises:
        PluginError: The name is taken.
    """
    return MODELS.register(spec)
