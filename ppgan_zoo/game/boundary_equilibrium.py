"""The controller of BEGAN (Berthelot et al. 2017): how much of D's loss is of G's images."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo.distributed.collectives import average
from ppgan_zoo.game.terms import Scalars, Term, TermInputs
from ppgan_zoo.recipe.bounds import check_share
from ppgan_zoo.storage.checkpoint import Arrays


class BoundaryEquilibrium:
    """``(1 - k) E L(G(z))``, L the error of D's reconstruction, which is minus its logit.

    The objective ``wasserstein`` makes D's loss ``E L(x) - E L(G(z))``; with this it is BEGAN's,
    ``E L(x) - k E L(G(z))``, and G's is BEGAN's as it is. After each update of D, k is moved
    by ``rate * (gamma * E L(x) - E L(G(z)))`` and kept within 0 and 1: where G's images are
    reconstructed too well, D begins to reconstruct them worse.

    Args:
        gamma: Error of G's images as a share of that of real ones, which k is to bring about;
            in (0, 1]. Low ones give finer images that are less varied.
        rate: How fast k moves; in (0, 1].

    Raises:
        ConfigError: A number outside of these bounds.
    """

    def __init__(self, *, gamma: float = 0.5, rate: float = 0.001) -> None:
        for name, value in (("gamma", gamma), ("rate", rate)):
            check_share(f"terms: boundary_equilibrium: {name}", value, with_0=False)
        self.gamma, self.rate = gamma, rate
        self.k = paddle.zeros([1])
        self.convergence = paddle.zeros([1])
        self._balances: list[Tensor] = []  # one for each part of the batch

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term; k moves when the update is done."""
        real, fake = -inputs.real_logits.mean(), -inputs.fake_logits.mean()
        with paddle.no_grad():
            of_real, of_fake = (
                average(error.detach()).reshape([1]).astype("float32") for error in (real, fake)
            )
            balance = self.gamma * of_real - of_fake
            self._balances.append(balance)
            self.convergence = of_real + balance.abs()
        return (1.0 - self.k.reshape([]).astype(fake.dtype)) * fake

    @paddle.no_grad()
    def updated(self) -> None:
        """Move k by the errors of the update."""
        if self._balances:
            balance = paddle.stack(self._balances).mean(axis=0)
            self.k = (self.k + self.rate * balance).clip(0.0, 1.0)
            self._balances = []

    def scalars(self) -> Scalars:
        """Return k, and the paper's measure ``L(x) + |gamma L(x) - L(G(z))|``, which falls."""
        return {"k": self.k.reshape([]), "convergence": self.convergence.reshape([])}

    def state(self) -> Arrays:
        """Return k."""
        return {"k": self.k.numpy()}

    def load_state(self, arrays: Arrays) -> None:
        """Put k back."""
        self.k = paddle.to_tensor(np.asarray(arrays["k"], np.float32))
        self._balances = []


BOUNDARY_EQUILIBRIUM = Term(
    "boundary_equilibrium",
    "Berthelot et al. 2017 (BEGAN)",
    BoundaryEquilibrium,
    1.0,
    needs=("reconstruction",),
    bounds_critic=True,
)
