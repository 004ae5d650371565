"""The space that a trained G makes images of: z, or the styles w of a G that has them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from ppgan_zoo.data import to_uint8
from ppgan_zoo.models.latent import Latent, labels_in_turn
from ppgan_zoo.models.nets import BATCH_SIZE, in_mode
from ppgan_zoo.models.restore import find_checkpoint, has_styles, load_generator

Points = NDArray[np.float32]
"""float32 ``[N, dim]``: each row is what one image is made of."""

AVERAGED_STYLES, AVERAGED_SEED = 10_000, 0x57A7
"""Of which the spread of w is taken, as in StyleGAN2's projector."""


@dataclass(frozen=True)
class LatentSpace:
    """A trained G, seen from what it makes images of.

    Of a G with styles that is w, one style for the whole image (Karras et al. 2019): ways and
    directions there are straighter than in z. Of any other it is z.

    Attributes:
        generator: G; it is used in eval mode.
        latent: The prior of z.
        image_range: Lowest and highest value of an image.
        num_classes: Classes that G takes labels of; 0 for none.
        classes: Their names, where they are known.
        model: Its name in the registry, for messages.
    """

    generator: nn.Layer
    latent: Latent
    image_range: tuple[float, float]
    num_classes: int = 0
    classes: tuple[str, ...] = ()
    model: str = "the model"

    @property
    def name(self) -> str:
        """``"w"`` for a G with styles, ``"z"`` for any other."""
        return "w" if has_styles(self.generator) else "z"

    @property
    def dim(self) -> int:
        """Size of a point."""
        return int(self.generator.average.shape[0]) if self.name == "w" else self.latent.dim

    @property
    def free_dim(self) -> int:
        """How many numbers of a point, from the first, are no codes: all, but for InfoGAN's z."""
        return self.dim if self.name == "w" else self.latent.noise_dim

    @property
    def is_normal(self) -> bool:
        """Whether points are normal noise, whose length is nearly always the same."""
        return self.name == "z" and self.latent.prior == "normal"

    def points(self, count: int, *key: int, labels: NDArray[np.int64] | None = None) -> Points:
        """Draw points; the first ones do not depend on `count`.

        Args:
            count: How many.
            *key: A seed, and what tells this draw from others.
            labels: int64 ``[count]``, for the w of a G with labels; None for each in its turn.
        """
        z = self.latent.sample(count, *key)
        if self.name == "z":
            return z
        given = self.labels(count, labels)
        return self._in_batches(self.generator.mapping, z, given)

    def images(self, points: Points, labels: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """Return the images uint8 ``[N, C, H, W]`` of points.

        Args:
            points: float32 ``[N, dim]``.
            labels: int64 ``[N]``; None for each class in its turn.
        """
        made = self._in_batches(self.forward, points, self.labels(len(points), labels))
        return to_uint8(made, self.image_range)

    def forward(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the images ``[N, C, H, W]`` of points ``[N, dim]``, as G makes them."""
        if self.name == "w":
            repeated = points.unsqueeze(1).tile([1, self.generator.style_count, 1])
            return self.generator.synthesis(repeated)
        return self.generator(points) if labels is None else self.generator(points, labels)

    @cached_property
    def centre(self) -> NDArray[np.float32]:
        """The middle of the space, float32 ``[dim]``: w's average, or 0."""
        if self.name == "w":
            return self._styles.mean(axis=0)
        return np.zeros(self.dim, np.float32)

    @cached_property
    def spread(self) -> float:
        """How far a number of a point is from the centre: the root of the mean square."""
        if self.name == "w":
            return float(np.sqrt(np.square(self._styles - self.centre).mean()))
        return 1.0 if self.latent.prior == "normal" else 3.0**-0.5

    def truncated(self, points: Points, psi: float) -> Points:
        """Return ``centre + psi (points - centre)``, of w (Karras et al. 2019, appendix B).

        Of z, `psi` has no meaning of this kind: draw z with :attr:`Latent.truncation`.
        """
        return (self.centre + np.float32(psi) * (points - self.centre)).astype(np.float32)

    @cached_property
    def _styles(self) -> Points:
        return self.points(AVERAGED_STYLES, AVERAGED_SEED)

    def labels(
        self, count: int, labels: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64] | None:
        """Return labels int64 ``[count]``: those given, or each class in its turn; or None."""
        if not self.num_classes:
            return None
        return labels_in_turn(count, self.num_classes) if labels is None else labels

    def _in_batches(
        self, function: Any, points: Points, labels: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        parts = []
        with in_mode(self.generator, training=False), paddle.no_grad():
            for start in range(0, len(points), BATCH_SIZE):
                rows = slice(start, start + BATCH_SIZE)
                given = [points[rows]] if labels is None else [points[rows], labels[rows]]
                parts.append(function(*map(paddle.to_tensor, given)).numpy())
        return np.concatenate(parts)


def open_space(
    model: str | os.PathLike[str], *, best: bool = False, ema: bool | None = None
) -> LatentSpace:
    """Return the latent space of a run, a checkpoint or a pretrained model.

    Args:
        model: Its path, or the name of a pretrained model. An exported model has no layers to
            look at, and is refused.
        best: Take a run's best checkpoint.
        ema: Whether to take the EMA's weights; None for them where there are any.

    Raises:
        CheckpointError: It is none of these, or damaged.
    """
    generator, facts = load_generator(find_checkpoint(model, best=best), ema=ema)
    return LatentSpace(
        generator, facts.latent, facts.image_range, facts.num_classes, facts.classes, facts.name
    )
