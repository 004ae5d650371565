"""A whole recipe: its sections, and what must hold between them.

Pure data: the arguments of what is open to plugins (nets, terms, trainers, data) are
checked against their signatures later, in :mod:`ppgan_zoo.run.build`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ppgan_zoo.recipe.base import Section
from ppgan_zoo.recipe.game import (
    Arguments,
    Constraints,
    Data,
    LatentSection,
    Model,
    ObjectiveSection,
    TermSection,
)
from ppgan_zoo.recipe.strict_yaml import to_yaml
from ppgan_zoo.recipe.training import Distributed, Ema, Optimizers, Training
from ppgan_zoo.recipe.watching import (
    Checkpoints,
    EvaluationSection,
    Health,
    Log,
    Recovery,
    Samples,
)


class Recipe(Section):
    """A whole recipe. `every_steps` left out in `samples`, `checkpoint`: after every epoch.

    `terms`: what D and G minimise beside the objective; None takes the model's own. `trainer`:
    the arguments of a trainer of its own kind.
    """

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|gpu(:\d+)?)$")] = "auto"
    model: Model
    latent: LatentSection = LatentSection()
    data: Data
    objective: ObjectiveSection = ObjectiveSection()
    terms: tuple[TermSection, ...] | None = None
    constraints: Constraints = Constraints()
    optimizer: Optimizers = Optimizers()
    training: Training
    distributed: Distributed = Distributed()
    trainer: Arguments = Field(default={})
    ema: Ema = Ema()
    samples: Samples = Samples()
    log: Log = Log()
    checkpoint: Checkpoints = Checkpoints()
    evaluation: EvaluationSection = EvaluationSection()
    recovery: Recovery = Recovery()
    health: Health = Health()

    @model_validator(mode="after")
    def _batch_divides(self) -> Recipe:
        parts, packing = self.training.accumulate_steps, self.constraints.packing
        if self.data.batch_size % (parts * packing):
            raise ValueError(
                f"data.batch_size: {self.data.batch_size} is no multiple of {parts * packing}, the "
                "product of training.accumulate_steps and constraints.packing; change one of them"
            )
        return self

    @property
    def images_per_step(self) -> int:
        """Real images of one iteration: those of all its updates that have their own."""
        return self.data.batch_size * self.training.batches_per_step

    def to_yaml(self) -> str:
        """Return the recipe as YAML, which is read back to an equal one."""
        return to_yaml(self.model_dump(mode="json"))
