"""All that is random in training, each draw with its key.

Everything random in an iteration is a function of (seed, iteration): codes, dropout, the
noise on what D sees. A run that is stopped and resumed therefore does what it would have
done, and its state is weights and optimizer moments alone.
"""

from __future__ import annotations

import numpy as np
import paddle

from ppgan_zoo.distributed.group import Group
from ppgan_zoo.models.latent import Code, Latent, labels_in_turn, sample_labels
from ppgan_zoo.ops.arrays import from_array

# Told apart in the key of a draw, so that no two purposes share random numbers.
TRAINING_DRAW, DISPLAY_DRAW, CONSTRAINT_DRAW, COURSE_DRAW, STATISTICS_DRAW, HEALTH_DRAW = (
    1, 2, 3, 4, 5, 6,
)  # fmt: skip


class Chance:
    """Draws codes, and seeds what draws by itself.

    Args:
        seed: Of everything random in training.
        latent: The prior of z.
        num_classes: Classes to draw labels of, each as likely; 0 for no labels.
        shared: Draw one code an iteration for all its updates, not one for each.
        group: The processes that train together; this one gets its rows of every draw.

    Attributes:
        rollbacks: How often the run went back to a checkpoint; each time what is random
            from there on, but for the order of the data, is drawn anew.
        restarts: How often it began again from other weights, since G did not begin to learn;
            likewise.
    """

    def __init__(
        self,
        seed: int,
        latent: Latent,
        *,
        num_classes: int = 0,
        shared: bool = False,
        group: Group | None = None,
    ) -> None:
        self.seed = seed
        self.latent = latent
        self.num_classes = num_classes
        self.shared = shared
        self.group = group or Group()
        self.rollbacks = 0
        self.restarts = 0

    def at(self, iteration: int) -> Moment:
        """Begin an iteration: seed Paddle, for dropout, and return what is drawn in it."""
        course = self._course()
        self.seed_paddle(iteration, course)
        return Moment(self, course, iteration, self.group)

    def seed_paddle(self, iteration: int, course: int | None = None) -> None:
        """Seed what Paddle draws: dropout, and noise of a model's own."""
        # Paddle mixes its seed badly for neighbouring integers; numpy's sequence does not.
        key = [self.seed if course is None else course, iteration]
        paddle.seed(int(np.random.SeedSequence(key).generate_state(1)[0]))

    def code(self, count: int, *key: int) -> Code:
        """Return `count` codes as tensors, by the key of a draw."""
        return self.arrays(count, *key).map(from_array)

    def arrays(self, count: int, *key: int) -> Code:
        """Return `count` codes as arrays, by the key of a draw."""
        labels = sample_labels(count, self.num_classes, *key) if self.num_classes else None
        return Code(self.latent.sample(count, *key), labels)

    def display(self, count: int, labels: np.ndarray | None = None) -> Code:
        """Return the fixed codes of sample grids, as arrays; each class in its turn.

        Args:
            count: How many.
            labels: int64 ``[count]``, in place of each class in its turn.
        """
        if labels is None and self.num_classes:
            labels = labels_in_turn(count, self.num_classes)
        return Code(self.latent.sample(count, self.seed, DISPLAY_DRAW), labels)

    def statistics(self, count: int) -> Code:
        """Return the fixed codes that an average's batch norms take their statistics of."""
        return self.code(count, self.seed, STATISTICS_DRAW)

    def health(self, iteration: int) -> Moment:
        """Return what the watch for trouble draws after an iteration; seeds nothing."""
        return Moment(self, self.seed, iteration, Group(), HEALTH_DRAW)

    def _course(self) -> int:
        """Return the seed of what is random in an iteration: another after each new try."""
        if not self.rollbacks and not self.restarts:
            return self.seed
        key = [self.seed, COURSE_DRAW, self.rollbacks]
        sequence = np.random.SeedSequence([*key, self.restarts] if self.restarts else key)
        return int(sequence.generate_state(1)[0])


class Moment:
    """One iteration's draws.

    Attributes:
        iteration: Iterations done before this one.
        group: The processes that each get their rows of every draw.
        rng: For all that is random beside codes and what Paddle draws.
    """

    def __init__(
        self,
        chance: Chance,
        course: int,
        iteration: int,
        group: Group,
        purpose: int = TRAINING_DRAW,
    ) -> None:
        self.chance = chance
        self.group = group
        self.iteration = iteration
        of_rng = CONSTRAINT_DRAW if purpose == TRAINING_DRAW else purpose
        self.rng: np.random.Generator = group.generator(course, of_rng, iteration)
        self._key = (course, purpose, iteration)
        self._drawn = 0

    def code(self, count: int, parts: int = 1) -> Code:
        """Return the next `count` codes; the same ones each time if codes are shared.

        Args:
            count: Of this process.
            parts: How many parts they are used in, one after the other.
        """
        code = self.chance.arrays(count * self.group.size, *self._key, self._drawn)
        self._drawn += not self.chance.shared
        return code.map(lambda rows: from_array(self.group.own(rows, parts)))
