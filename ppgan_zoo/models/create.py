"""Building a model by its name, new or pretrained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ppgan_zoo.errors import ConfigError, did_you_mean
from ppgan_zoo.models.gan import Gan, build_gan
from ppgan_zoo.models.spec import constructor_arguments
from ppgan_zoo.registry import MODELS


def create(
    name: str,
    *,
    generator: Mapping[str, Any] | None = None,
    discriminator: Mapping[str, Any] | None = None,
    pretrained: str | os.PathLike[str] | None = None,
    **shared: Any,
) -> Gan:
    """Build the architecture called `name`, new or with weights that were trained before.

    Args:
        name: A name of :func:`list_models`.
        generator: Constructor arguments of the generator alone.
        discriminator: Constructor arguments of the discriminator alone.
        pretrained: Where G's weights come from, and all constructor arguments with them: the name
            of a pretrained model, or the path of a run or a checkpoint. D is new: a published
            model is its generator.
        **shared: Arguments handed to whichever of the nets takes them, such as
            ``latent_dim=64`` or ``image_shape=(3, 32, 32)``.

    Returns:
        The nets in train mode, with their spec.

    Raises:
        UnknownNameError: No such model.
        ConfigError: An argument that no net takes, or a value that one refuses; or one beside
            `pretrained`, or weights of another model.
        CheckpointError: `pretrained` is missing or damaged.
    """
    if pretrained is not None:
        return _restored(name, pretrained, {**(generator or {}), **(discriminator or {}), **shared})
    spec = MODELS.get(name)
    allowed = {role: constructor_arguments(cls) for role, cls in spec.nets.items()}
    for key in shared:
        if not any(key in arguments for arguments in allowed.values()):
            known = sorted({key for arguments in allowed.values() for key in arguments})
            raise ConfigError(
                f"{name}: no net has an argument {key!r}{did_you_mean(key, known)}; "
                f"allowed: {', '.join(known)}"
            )
    own: dict[str, Mapping[str, Any]] = {
        "generator": generator or {},
        "discriminator": discriminator or {},
    }
    return build_gan(
        spec,
        **{
            role: {**{k: v for k, v in shared.items() if k in arguments}, **own.get(role, {})}
            for role, arguments in allowed.items()
        },
    )


def _restored(name: str, pretrained: str | os.PathLike[str], given: Mapping[str, Any]) -> Gan:
    """Return the nets of a checkpoint, with the weights of its G."""
    from ppgan_zoo.models.restore import find_checkpoint, restore

    MODELS.check_name(name)
    if given:
        raise ConfigError(
            f"{name}: pretrained weights bring their own arguments; leave out {', '.join(given)}"
        )
    gan, facts = restore(find_checkpoint(pretrained))
    if facts.name != name:
        raise ConfigError(f"{name}: {pretrained} is of {facts.name}; create that")
    return gan
