"""Path length regularisation (Karras et al. 2020, section 3.2)."""

from __future__ import annotations

import math

import paddle
from paddle import Tensor

from ppgan_zoo.distributed.collectives import average, own, whole
from ppgan_zoo.distributed.group import active
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.augmentation import tensor_like
from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.models.latent import Code
from ppgan_zoo.storage.checkpoint import Arrays


class PathLength:
    """``E (|J(w)' y| - a)^2``: a step in w should change an image by about a, wherever it is.

    y are images of noise, N(0, 1) / sqrt(H W); ``J(w)' y`` is the gradient of ``sum(G(w) y)`` by
    w, one for each of G's layers, whose squared lengths are averaged. a follows the mean length.

    Args:
        decay: How far a goes to the mean length of each batch.
        shrink: Of each batch, one in so many images is used.

    Raises:
        ConfigError: `decay` is not above 0 and at most 1, or `shrink` is below 1.
    """

    def __init__(self, *, decay: float = 0.01, shrink: int = 2) -> None:
        if not 0.0 < decay <= 1.0 or shrink < 1:
            raise ConfigError(
                "terms: path_length: decay must be above 0 and at most 1, shrink 1 or more; found "
                f"{decay} and {shrink}"
            )
        self.decay = decay
        self.shrink = shrink
        self.target = paddle.zeros([1])
        self._next: list[Tensor] = []  # one for each part of the batch

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term, by an a that these lengths are part of.

        Of a batch in parts each part sees its own; their mean is kept when the update is done.
        """
        assert inputs.gan is not None and inputs.code is not None
        generator = inputs.gan.generator
        code = self._some(inputs.code)
        styles = generator.styles(code.z, code.labels)
        images = generator.synthesis(styles, twice=True)
        noise = tensor_like(inputs.rng.standard_normal(images.shape), images)
        product = (images * noise).sum() / math.sqrt(images.shape[2] * images.shape[3])
        (gradient,) = paddle.grad(product, styles, create_graph=True)
        lengths = gradient.square().sum(axis=2).mean(axis=1).sqrt()
        # As in the authors' code, a follows first, and its own gradient counts too.
        target = self.target + self.decay * (average(lengths.mean()) - self.target)
        self._next.append(target.detach())
        return (lengths - target).square().mean()

    def check_batch(self, count: int, processes: int) -> None:
        """Make sure that what it takes of `count` codes can be shared out to processes.

        Raises:
            ConfigError: It cannot, evenly.
        """
        taken = self._taken(count)
        if taken % processes:
            raise ConfigError(
                f"terms: path_length: of {count} codes it takes {taken}, which cannot be shared "
                f"out to {processes} processes; set its shrink to 1, or data.batch_size to a "
                f"multiple of {self.shrink * processes}"
            )

    def _taken(self, count: int) -> int:
        return max(1, count // self.shrink)

    def _some(self, code: Code) -> Code:
        """Return the first codes of the batch; of several processes', each gets as many."""
        code = code.map(whole)
        self.check_batch(len(code), active().size)
        return code[slice(0, self._taken(len(code)))].map(own)

    def updated(self) -> None:
        """Keep a, with the update's lengths in it."""
        if self._next:
            self.target = paddle.stack(self._next).mean(axis=0)
            self._next = []

    def state(self) -> Arrays:
        """Return a."""
        return {"target": self.target.numpy()}

    def load_state(self, arrays: Arrays) -> None:
        """Put a back."""
        self.target = paddle.to_tensor(arrays["target"])
        self._next = []


PATH_LENGTH = Term(
    "path_length",
    "Karras et al. 2020, section 3.2",
    PathLength,
    2.0,
    net="generator",
    of_gradient=True,
    of_fakes=False,  # it makes its own
    calls=("styles", "synthesis"),
)
