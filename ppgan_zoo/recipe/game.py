"""Sections that say what is trained: nets, data, the loss, what holds D back."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from ppgan_zoo.recipe.base import (
    AugmentationName,
    DataName,
    ModelName,
    Needs,
    ObjectiveName,
    Positive,
    Section,
    Share,
    TermName,
    name_or_section,
)
from ppgan_zoo.recipe.bounds import MOST_WEIGHT
from ppgan_zoo.recipe.schedules import Adaptive, Schedule, number_or_schedule

Arguments = dict[str, Any]
"""Arguments of something open to plugins: checked against its signature, once it is known."""

_Weight = Annotated[float, Field(gt=0.0, le=MOST_WEIGHT, allow_inf_nan=False)]
_Values = Annotated[int, Field(ge=2, le=1000)]
_TopShare = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]
_Smoothing = Annotated[float, Field(ge=0.0, lt=0.5, allow_inf_nan=False)]


class Model(Section):
    """Which architecture, and the constructor arguments of its nets.

    `conditional`: G and D are told the class of an image. `nets`: the arguments of further
    nets, by the net's name.
    """

    name: ModelName
    conditional: bool = False
    generator: Arguments = Field(default={})
    discriminator: Arguments = Field(default={})
    nets: dict[str, Arguments] = Field(default={})


class LatentSection(Section):
    """The latent prior. `shared`: one z an iteration for all its updates.

    `categorical`, `continuous`: the codes in z, of a model that has some; None takes its own.
    """

    dim: Positive = 100
    prior: Literal["normal", "uniform"] | None = None
    categorical: tuple[_Values, ...] | None = None
    continuous: Annotated[int, Field(ge=0, le=1000)] | None = None
    shared: bool = False

    def codes(self) -> Arguments:
        """Return the codes that are given, as the arguments of nets are called."""
        given = {"categorical": self.categorical, "continuous": self.continuous}
        return {name: value for name, value in given.items() if value is not None}


class Data(Section):
    """What to train on. `image_size` and `channels` None leave a set as it is (folder: 32).

    `limit`: so many images, shuffled and even over the classes, by `limit_seed`. `flip`: half of
    the images of a batch, by chance, are mirrored. `dequantise`: each value of a real image is
    moved to a random place within its grey level. `options`: arguments of this kind of data.
    """

    name: DataName
    directory: str | None = None
    batch_size: Positive
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    channels: Literal[1, 3] | None = None
    limit: Positive | None = None
    limit_seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    replacement: bool = False
    flip: bool = False
    dequantise: bool = False
    options: Arguments = Field(default={})

    @model_validator(mode="after")
    def _folder_needs_a_directory(self) -> Data:
        if self.name == "folder" and self.directory is None:
            raise ValueError("directory: a folder of images needs one; set data.directory")
        return self


class Smoothing(Section):
    """Label smoothing: targets are ``1 - real``, ``fake`` and ``1 - generator``."""

    real: _Smoothing = 0.0
    fake: _Smoothing = 0.0
    generator: _Smoothing = 0.0


class ObjectiveSection(Section):
    """The game. `name` None takes the model's own.

    `top_share`: the share of its images that G learns from, those that D scores highest.
    """

    name: ObjectiveName | None = None
    label_smoothing: Smoothing = Smoothing()
    top_share: Annotated[float | Schedule[_TopShare], number_or_schedule(_TopShare)] = 1.0


class TermSection(Section):
    """One more term of a net's loss: name, weight, how often, and the term's own arguments.

    `weight` None takes the paper's. Every other key is an argument of the term.
    """

    model_config = ConfigDict(extra="allow")

    name: TermName
    weight: Annotated[float | Schedule[_Weight], number_or_schedule(_Weight)] | None = None
    every_steps: Positive = 1

    @property
    def arguments(self) -> Arguments:
        """The term's own arguments."""
        return dict(self.model_extra or {})


class AugmentationSection(Section):
    """One way of augmenting what D is shown, by name, with arguments of its own.

    Every other key is an argument of the augmentation.
    """

    model_config = ConfigDict(extra="allow")

    name: AugmentationName

    @property
    def arguments(self) -> Arguments:
        """The augmentation's own arguments."""
        return dict(self.model_extra or {})


class SpectralNormSection(Section):
    """Which nets have the weights of their dense and convolution layers normalised."""

    discriminator: bool = False
    generator: bool = False


class InstanceNoise(Section):
    """Gaussian noise on what D is shown, falling from `std` to nothing at `until_step`."""

    std: Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)] = 0.0
    until_step: Positive | None = None

    needs: ClassVar = {
        "until_step": Needs(
            "constraints.instance_noise.std",
            lambda recipe: recipe.constraints.instance_noise.std > 0,
        )
    }


class Constraints(Section):
    """What holds D back, on any model.

    `packing`: how many images D judges together. `augment_probability`: the share of
    images that are augmented.
    """

    weight_clip: Annotated[float, Field(gt=0.0, le=1e3, allow_inf_nan=False)] | None = None
    spectral_norm: SpectralNormSection = SpectralNormSection()
    instance_noise: InstanceNoise = InstanceNoise()
    packing: Annotated[int, Field(ge=1, le=16)] = 1
    augment: tuple[
        Annotated[
            str | AugmentationSection, name_or_section(AugmentationName, AugmentationSection)
        ],
        ...,
    ] = ()
    augment_probability: Annotated[
        float | Schedule[Share] | Adaptive, number_or_schedule(Share, adaptive=True)
    ] = 1.0

    moved: ClassVar = {"penalties": "terms"}
    needs: ClassVar = {
        "augment_probability": Needs(
            "constraints.augment", lambda recipe: bool(recipe.constraints.augment)
        )
    }
