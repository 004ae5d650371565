"""The auxiliary classifier (Odena et al. 2017): D also says of which class an image is."""

from __future__ import annotations

from paddle import Tensor
from paddle.nn import functional as F

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.game.terms import Term, TermInputs
from ppgan_zoo.models.gan import Judgement
from ppgan_zoo.recipe.bounds import check_weight


class AuxiliaryClassifier:
    """Cross-entropy of D's class logits and the labels: ``L_C`` of the paper.

    In D's loss ``real * CE(x) + fake * CE(G(z, y))``, in G's ``generator * CE(G(z, y))``. The
    logits go through one softmax, which is that of the cross-entropy.

    Args:
        real: Weight of the real images in D's loss.
        fake: Weight of G's images in D's loss; 0 teaches D by real images alone.
        generator: Weight in G's loss.

    Raises:
        ConfigError: A weight below 0, or above 1,000,000.
    """

    def __init__(self, *, real: float = 1.0, fake: float = 1.0, generator: float = 1.0) -> None:
        for name, weight in (("real", real), ("fake", fake), ("generator", generator)):
            check_weight(f"terms: auxiliary_classifier: {name}", weight)
        self.real, self.fake, self.generator = real, fake, generator

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term of the net whose loss it is in."""
        if inputs.net == "generator":
            return self.generator * _cross_entropy(inputs.fake_judgement, inputs.fake)
        loss = self.real * _cross_entropy(inputs.real_judgement, inputs.real)
        if self.fake:
            loss = loss + self.fake * _cross_entropy(inputs.fake_judgement, inputs.fake)
        return loss


def _cross_entropy(judgement: Judgement, shown: Batch) -> Tensor:
    return F.cross_entropy(judgement.extras["class_logits"], shown.labels)


AUXILIARY_CLASSIFIER = Term(
    "auxiliary_classifier",
    "Odena et al. 2017",
    AuxiliaryClassifier,
    1.0,
    net="both",
    needs=("class_logits",),
)
