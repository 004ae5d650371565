"""Everything that rebuilds a model without its recipe, and the building of it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ppgan_zoo.data.images import check_range
from ppgan_zoo.errors import CheckpointError, ConfigError, did_you_mean, first_fault
from ppgan_zoo.models.cost import check_size
from ppgan_zoo.models.gan import Gan, build_gan
from ppgan_zoo.models.latent import Latent, Prior
from ppgan_zoo.models.spec import CLASSES_ARGUMENT, CODE_ARGUMENTS, GanSpec, constructor_arguments
from ppgan_zoo.models.weights import spectral_norm
from ppgan_zoo.recipe.strict_yaml import lists_to_tuples
from ppgan_zoo.registry import MODELS

Normalised = Literal["generator", "discriminator"]


class _LatentFacts(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    dim: Annotated[int, Field(ge=1, le=2**31 - 1)]
    prior: Prior
    categorical: list[int] = []
    continuous: int = 0

    def latent(self) -> Latent:
        return Latent(self.dim, self.prior, tuple(self.categorical), self.continuous)


@dataclass(frozen=True)
class ModelFacts:
    """Everything that rebuilds a model without its recipe: what a checkpoint keeps.

    Attributes:
        name: Name in the registry.
        generator: All constructor arguments of G.
        discriminator: All constructor arguments of D.
        image_shape: Channels, height and width.
        image_range: Lowest and highest pixel value.
        latent: The prior of z.
        spectral_norm: The nets whose weights are divided by their spectral norm.
        other_nets: All constructor arguments of each further net.
        num_classes: Classes that G and D take labels of; 0 for none.
        classes: Their names, in the order of the labels; empty where there are none.
    """

    name: str
    generator: Mapping[str, Any]
    discriminator: Mapping[str, Any]
    image_shape: tuple[int, int, int]
    image_range: tuple[float, float]
    latent: Latent
    spectral_norm: tuple[Normalised, ...] = ()
    other_nets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    num_classes: int = 0
    classes: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Mapping[str, Any]]:
        """Return the constructor arguments of each net by its name, G first and D second."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            **self.other_nets,
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_json` reads back."""
        data: dict[str, Any] = {
            "name": self.name,
            "generator": dict(self.generator),
            "discriminator": dict(self.discriminator),
            "image_shape": list(self.image_shape),
            "image_range": list(self.image_range),
            "latent": self.latent.to_json(),
            "spectral_norm": list(self.spectral_norm),
        }
        if self.other_nets:
            data["other_nets"] = {net: dict(given) for net, given in self.other_nets.items()}
        if self.num_classes:
            data.update(num_classes=self.num_classes, classes=list(self.classes))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> ModelFacts:
        """Read what :meth:`to_json` wrote.

        Raises:
            CheckpointError: It is not that.
        """
        try:
            latent = TypeAdapter(_LatentFacts).validate_python(data["latent"])
            plain = {**data, "latent": latent.latent()}
            facts: ModelFacts = TypeAdapter(cls).validate_python(plain)
            check_range(*facts.image_range)
            check_classes(facts.classes, facts.num_classes)
        except ValidationError as error:
            key, found, reason = first_fault(error)
            raise CheckpointError(
                f"{where}: key 'model' does not describe one: {key}: found {str(found)[:60]!r}; "
                f"{reason}"
            ) from None
        except (ConfigError, KeyError, TypeError) as error:
            raise CheckpointError(f"{where}: key 'model' does not describe one: {error}") from None
        return facts


def check_classes(classes: Sequence[str], num_classes: int) -> None:
    """Refuse names of classes that are not as many as there are classes.

    Raises:
        ConfigError: They are more or fewer; none at all are right.
    """
    if classes and len(classes) != num_classes:
        raise ConfigError(f"classes: found {len(classes)} names for num_classes {num_classes}")


def find_class(name: str, num_classes: int, classes: tuple[str, ...], where: str) -> int:
    """Return the label that a class's name or number means.

    Args:
        name: Of a class, or its number from 0.
        num_classes: How many there are; 0 for a model without labels.
        classes: Their names, or none.
        where: What is asked, for the message: ``"--class"``.

    Raises:
        ConfigError: The model takes no labels, or has no such class.
    """
    if not num_classes:
        raise ConfigError(
            f"{where} {name}: the model was trained without labels; leave it out, or train one "
            "with model.conditional true"
        )
    if name in classes:
        return classes.index(name)
    if name.isdecimal() and int(name) < num_classes:
        return int(name)
    known = f"0 to {num_classes - 1}"
    if not all(name.isdecimal() for name in classes):
        known += f", or {', '.join(classes)}"
    raise ConfigError(f"{where} {name}: no such class{did_you_mean(name, classes)}; known: {known}")


def model_facts(
    name: str,
    image_shape: tuple[int, int, int],
    latent_dim: int,
    *,
    latent_prior: str | None = None,
    codes: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    packing: int = 1,
    spectral_norm: tuple[Normalised, ...] = (),
    conditional: bool = False,
    num_classes: int = 0,
    classes: tuple[str, ...] = (),
) -> ModelFacts:
    """Resolve every constructor argument of a model for images of this shape.

    Args:
        name: Of the model in the registry.
        image_shape: Channels, height and width.
        latent_dim: Size of z.
        latent_prior: None for the spec's own.
        codes: The codes in z, as the arguments of the nets are called; those that are left out
            are the model's own.
        arguments: Constructor arguments that are set, by net.
        packing: How many images D judges together.
        spectral_norm: The nets to normalise.
        conditional: Whether labels are asked for; a model that needs them has them anyway.
        num_classes: Classes of the data; 0 for data without labels.
        classes: Their names, or none.

    Raises:
        UnknownNameError: No such model.
        ConfigError: An argument that the net does not take or of the wrong type, or labels
            that the model or the data have not.
    """
    spec = MODELS.get(name, where="model.name")
    labelled = conditional or spec.labels == "needs"
    if labelled:
        _check_labels(spec, num_classes)
    channels, height, width = image_shape
    packed = (packing * channels, height, width)
    for name in codes or {}:
        if name not in constructor_arguments(spec.generator):
            raise ConfigError(
                f"latent.{name}: {spec.name} has no codes in its z; leave it out, or use a model "
                "that has, such as infogan"
            )
    resolved = {}
    for role in spec.nets:
        given: dict[str, Any] = {
            "latent_dim": latent_dim,
            "image_shape": packed if role == "discriminator" else image_shape,
            **(codes or {}),
        }
        if spec.labels != "ignores":
            given[CLASSES_ARGUMENT] = num_classes if labelled else 0
        resolved[role] = _check_arguments(spec, role, (arguments or {}).get(role, {}), given)
    for role in arguments or {}:
        if role not in spec.nets:
            raise ConfigError(
                f"model.nets.{role}: {name} has no such net{did_you_mean(role, spec.nets)}; it "
                f"has {', '.join(spec.nets)}"
            )
    if packed != image_shape and "image_shape" not in resolved["discriminator"]:
        raise ConfigError(
            f"constraints.packing: {spec.name}'s discriminator takes no image_shape and cannot "
            "be built for more channels; leave packing out or use another model"
        )
    of_z = {
        name: resolved["generator"][name]
        for name in CODE_ARGUMENTS
        if name in resolved["generator"]
    }
    return ModelFacts(
        name=spec.name,
        generator=resolved.pop("generator"),
        discriminator=resolved.pop("discriminator"),
        image_shape=image_shape,
        image_range=spec.image_range,
        latent=Latent(latent_dim, latent_prior or spec.latent_prior, **of_z),  # type: ignore[arg-type]
        spectral_norm=spectral_norm,
        other_nets=resolved,
        num_classes=num_classes if labelled else 0,
        classes=tuple(classes) if labelled else (),
    )


def build_model(facts: ModelFacts) -> Gan:
    """Build the nets.

    Raises:
        UnknownNameError: The model is not in the registry (a plugin that is not installed).
        ConfigError: The nets refuse their arguments, or do not fit the data.
    """
    spec = MODELS.get(facts.name, where="model.name")
    arguments = {
        role: _check_arguments(spec, role, lists_to_tuples(dict(given)), {})
        for role, given in facts.arguments().items()
    }
    check_size(spec, arguments)
    gan = build_gan(spec, **arguments)
    if gan.image_shape != facts.image_shape:
        raise ConfigError(
            f"model.name: {facts.name} makes images of shape {gan.image_shape}, and the data are "
            f"{facts.image_shape}; set data.image_size and data.channels to match"
        )
    if gan.latent_dim != facts.latent.dim:
        raise ConfigError(
            f"latent.dim: {facts.latent.dim}, and {facts.name} takes z of {gan.latent_dim}; set "
            "model.generator.latent_dim to match"
        )
    for net in facts.spectral_norm:
        spectral_norm(gan.nets[net])
    return gan


def _check_labels(spec: GanSpec, num_classes: int) -> None:
    if spec.labels == "ignores":
        raise ConfigError(
            f"model.conditional: {spec.name} takes no labels; leave conditional out, or use a "
            "model that does, such as gan_mlp or dcgan"
        )
    if not num_classes:
        raise ConfigError(
            f"model.name: {spec.name} is to be trained with labels, and the data have none; use "
            "data that have (mnist, fashion_mnist, a folder of class folders), or leave "
            "model.conditional out"
        )


def _check_arguments(
    spec: GanSpec, role: str, wanted: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Check one net's section against its constructor, and fill in what the data decide."""
    cls = spec.nets.get(role)
    if cls is None:
        raise ConfigError(f"model.nets.{role}: {spec.name} has no such net")
    title = role if role in ("generator", "discriminator") else f"nets.{role}"
    allowed = constructor_arguments(cls)
    resolved = {name: parameter.default for name, parameter in allowed.items()}
    resolved.update({key: value for key, value in given.items() if key in allowed})
    sources = {
        "latent_dim": "latent.dim",
        CLASSES_ARGUMENT: "model.conditional",
        **{name: f"latent.{name}" for name in CODE_ARGUMENTS},
    }
    for key, value in wanted.items():
        place = f"model.{title}.{key}"
        if key not in allowed:
            raise ConfigError(
                f"{place}: {spec.name}'s {role} has no such argument{did_you_mean(key, allowed)}; "
                f"allowed: {', '.join(allowed)}"
            )
        if key in given and value != given[key]:
            raise ConfigError(
                f"{place}: found {value!r}, but {sources.get(key, 'data')} gives {given[key]!r}; "
                "leave this key out"
            )
        resolved[key] = check_type(cls, key, value, place)
    return resolved


def check_type(cls: Callable[..., Any], key: str, value: Any, place: str) -> Any:
    """Check a value against the annotation of an argument of a class or function; return it.

    Raises:
        ConfigError: It is of another type.
    """
    try:
        adapter = TypeAdapter(annotation_of(cls, key))
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        raise ConfigError(f"{place}: found {value!r}; {first_fault(error).reason}") from None


def keyword_arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only arguments of a class or function, with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def check_arguments(
    function: Callable[..., Any], arguments: Mapping[str, Any], place: str, beside: Sequence[str]
) -> None:
    """Check keyword-only arguments of a class or function, as a recipe gives them.

    Args:
        function: What takes them.
        arguments: Them.
        place: Where they stand, for the message.
        beside: Further keys that may stand there.

    Raises:
        ConfigError: An argument that it does not take, or of the wrong type.
    """
    allowed = keyword_arguments(function)
    for key, value in arguments.items():
        if key not in allowed:
            raise ConfigError(
                f"{place}: has no argument {key!r}{did_you_mean(key, allowed)}; "
                f"allowed: {', '.join((*beside, *allowed))}"
            )
        check_type(function, key, value, f"{place}: {key}")


def annotation_of(cls: Callable[..., Any], key: str) -> Any:
    """Return the type of an argument with its bounds, or Any for one that cannot be looked up.

    Such as one that its module imports for type checkers alone.
    """
    constructor = cls.__init__ if isinstance(cls, type) else cls  # type: ignore[misc]
    raw = getattr(constructor, "__annotations__", {}).get(key, Any)
    if not isinstance(raw, str):
        return raw
    try:
        hints = typing.get_type_hints(
            type("_One", (), {"__annotations__": {key: raw}}),
            globalns=getattr(constructor, "__globals__", {}),
            include_extras=True,
        )
    except (NameError, AttributeError, TypeError):
        return Any
    return hints[key]
