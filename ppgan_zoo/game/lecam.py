"""LeCam regularisation (Tseng et al. 2021)."""

from __future__ import annotations

import paddle
from paddle import Tensor

from ppgan_zoo.distributed.collectives import average
from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.recipe.bounds import check_share
from ppgan_zoo.storage.checkpoint import Arrays


class LeCam:
    """``E (D(real) - a_fake)^2 + E (D(fake) - a_real)^2``, a_... the moving averages.

    Args:
        decay: Of the moving averages of D's mean logits, per update; in [0, 1).

    Raises:
        ConfigError: It is outside of that.
    """

    def __init__(self, *, decay: float = 0.99) -> None:
        check_share("terms: lecam: decay", decay, with_1=False)
        self.decay = decay
        # Sums of mean logits, and of the weights that they came with.
        self.sums = {key: paddle.zeros([1]) for key in ("real", "fake", "weight")}
        self._next: list[dict[str, Tensor]] = []  # with each part of the batch taken in

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term, by averages that these logits are part of.

        Of a batch in parts each part sees its own; the averages are kept when the update is done.
        """
        averages = self._with(inputs)
        return (inputs.real_logits - averages["fake"]).square().mean() + (
            inputs.fake_logits - averages["real"]
        ).square().mean()

    def state(self) -> Arrays:
        """Return the sums."""
        return {key: value.numpy() for key, value in self.sums.items()}

    def load_state(self, arrays: Arrays) -> None:
        """Put the sums back."""
        self.sums = {key: paddle.to_tensor(arrays[key]) for key in self.sums}
        self._next = []

    @paddle.no_grad()
    def updated(self) -> None:
        """Keep the averages, with the update's logits in them."""
        if self._next:
            self.sums = {
                key: paddle.stack([sums[key] for sums in self._next]).mean(axis=0)
                for key in self.sums
            }
            self._next = []

    @paddle.no_grad()
    def _with(self, inputs: TermInputs) -> dict[str, Tensor]:
        means = {
            "real": average(inputs.real_logits.mean()),
            "fake": average(inputs.fake_logits.mean()),
            "weight": paddle.ones([1]),
        }
        sums = {
            key: self.decay * total + (1.0 - self.decay) * means[key].reshape([1])
            for key, total in self.sums.items()
        }
        self._next.append(sums)
        # Divided by the weights, as in Adam, so that the first averages are not near 0.
        return {key: sums[key] / sums["weight"] for key in ("real", "fake")}


LECAM = Term("lecam", "Tseng et al. 2021", LeCam, 0.01)
