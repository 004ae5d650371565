"""Sections that say how it is trained: optimizers, length, the average of G's weights."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ppgan_zoo.recipe.base import Fraction, Needs, Positive, Rate, Section, check_keys
from ppgan_zoo.recipe.bounds import LEAST_COUNT, LEAST_WARMUP
from ppgan_zoo.recipe.schedules import (
    LearningRateSchedule,
    Schedule,
    first_value,
    number_or_schedule,
)

_Images = Annotated[float, Field(gt=0.0, le=1e12, allow_inf_nan=False)]


class OptimizerSection(Section):
    """One net's optimizer.

    Adam's and AdamW's betas are 0.5 and 0.999 if left out (Radford et al. 2016); other
    keys left out take Paddle's own values. `clip_norm`: all gradients of the net together are
    scaled down to this norm, where it is larger.
    """

    name: Literal["adam", "adamw", "rmsprop", "momentum", "sgd"] = "adam"
    learning_rate: Rate = 2e-4
    beta1: Fraction | None = None
    beta2: Annotated[float | Schedule[Fraction], number_or_schedule(Fraction)] | None = None
    epsilon: Rate | None = None
    momentum: Fraction | None = None
    rho: Fraction | None = None
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)] | None = None
    clip_norm: Annotated[float, Field(gt=0.0, le=1e6, allow_inf_nan=False)] | None = None
    schedule: LearningRateSchedule = LearningRateSchedule()

    @model_validator(mode="before")
    @classmethod
    def _betas(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("name", "adam") in ("adam", "adamw"):
            left_out = {"beta1": 0.5, "beta2": 0.999}
            return {**data, **{key: v for key, v in left_out.items() if data.get(key) is None}}
        return data

    @model_validator(mode="after")
    def _keys_of_this_optimizer(self) -> OptimizerSection:
        takes = {
            "adam": {"beta1", "beta2", "epsilon", "weight_decay"},
            "adamw": {"beta1", "beta2", "epsilon", "weight_decay"},
            "rmsprop": {"rho", "epsilon", "momentum", "weight_decay"},
            "momentum": {"momentum", "weight_decay"},
            "sgd": {"weight_decay"},
        }[self.name]
        check_keys(f"optimizer {self.name}", set(self.options()), takes, set())
        return self

    def options(self) -> dict[str, float]:
        """Return the keys of this kind of optimizer that were given, as at the beginning."""
        rest = {"name", "learning_rate", "clip_norm", "schedule"}
        return {
            key: first_value(value) for key, value in self if key not in rest and value is not None
        }


class Optimizers(Section):
    """The optimizers of G and D. A further net learns with the net that it is trained with."""

    generator: OptimizerSection = OptimizerSection(beta1=0.5, beta2=0.999)
    discriminator: OptimizerSection = OptimizerSection(beta1=0.5, beta2=0.999)


class Training(Section):
    """How long, and what one iteration is. Exactly one of `epochs` and `iterations`.

    `fresh_reals`: G's updates have real images of their own, and not those of D's last update,
    to be compared with. `generator_batch_multiple`: images in one of G's updates, as a multiple of
    `data.batch_size`. `accumulate_steps`: parts that a batch goes through the nets in, to
    save memory. `clean_gradients`: NaN in a gradient becomes 0, and what is infinite 1e5.
    `precision`: of the factors of products; `auto` is bfloat16 where the machine has it.
    """

    epochs: Positive | None = None
    iterations: Positive | None = None
    discriminator_steps: Annotated[int, Field(ge=LEAST_COUNT, le=100)] = 1
    generator_steps: Annotated[int, Field(ge=LEAST_COUNT, le=100)] = 2
    fresh_reals: bool = False
    generator_batch_multiple: Annotated[int, Field(ge=LEAST_COUNT, le=100)] = 1
    first: Literal["discriminator", "generator"] = "discriminator"
    discriminator_batch: Literal["separate", "concatenated", "alternating"] = "separate"
    accumulate_steps: Annotated[int, Field(ge=LEAST_COUNT, le=1024)] = 1
    clean_gradients: bool = False
    precision: Literal["float32", "bfloat16", "auto"] = "float32"

    @model_validator(mode="after")
    def _one_length(self) -> Training:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                "give exactly one of epochs and iterations; to replace one by the other on the "
                "command line, make it null: -o training.iterations=null -o training.epochs=5, or "
                "-o training.epochs=null -o training.iterations=1000"
            )
        return self

    @property
    def batches_per_step(self) -> int:
        """Batches of real images that one iteration takes."""
        return self.discriminator_steps + (self.generator_steps if self.fresh_reals else 0)


class Distributed(Section):
    """Several processes that train together. None of it matters to one alone.

    `batch_norm`: whose images a batch norm takes statistics of: those of all processes, as in
    one, or of each process by itself, as in one that takes a batch in so many parts.
    """

    batch_norm: Literal["synchronised", "local"] = "synchronised"


_AVERAGE = Needs(
    "ema.decay",
    lambda recipe: recipe.ema.decay is not None or recipe.ema.half_life is not None,
)


class Ema(Section):
    """The moving average of G's weights; `decay` per iteration, None for none.

    In iteration t the decay is no more than ``(1 + t) / (warmup + t)``; 10 unless set. In place
    of `decay`, `half_life` says after how many images a weight counts half, and `warmup` bounds
    it only where it is set. The average's
    batch norms have statistics of their own, of `statistics_batches` batches of z.
    """

    decay: Fraction | None = None
    half_life: Annotated[float | Schedule[_Images], number_or_schedule(_Images)] | None = None
    warmup: Annotated[float, Field(ge=LEAST_WARMUP, le=1000.0, allow_inf_nan=False)] | None = None
    statistics_batches: Annotated[int, Field(ge=LEAST_COUNT, le=1000)] = 16

    needs: ClassVar = {"warmup": _AVERAGE, "statistics_batches": _AVERAGE}

    @model_validator(mode="after")
    def _one_length(self) -> Ema:
        if self.decay is not None and self.half_life is not None:
            raise ValueError("half_life: replaces decay; give one of the two")
        return self
