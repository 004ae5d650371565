"""The game: what D and G are shown in an update, and what they minimise.

Read :meth:`Game.discriminator_loss` and :meth:`Game.generator_loss`. A new algorithm adds a
term, a view or an objective; one whose losses are of another form overrides these methods
and names its class in :attr:`ppgan_zoo.GanSpec.game`. Of several processes that train together,
each has its rows of a batch: an objective is given the logits of all of them, a term those at
hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo import ops
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.distributed.collectives import whole
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.compatibility import check_combination, probe_batch
from ppgan_zoo.game.objectives import LabelSmoothing, Objective
from ppgan_zoo.game.schedules import Value, at
from ppgan_zoo.game.teaching import check_teaching
from ppgan_zoo.game.terms import SIDES, Net, Scalars, Side, Term, TermInputs, Terms, leaf
from ppgan_zoo.game.view import View
from ppgan_zoo.models.gan import Gan, Judgement
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import acts_row_by_row
from ppgan_zoo.recipe.bounds import check_share

SIGN = "augment/sign"
"""The scalar that an adaptive probability of augmentation follows: E sign D(real)."""


class Moment(Protocol):
    """What a loss may depend on beside nets, images and codes."""

    iteration: int
    """Iterations done before this one."""

    rng: np.random.Generator
    """For all that is random beside codes and what Paddle draws."""


class Game:
    """An objective, further terms, and how D sees images.

    Args:
        objective: The adversarial game.
        smoothing: Label smoothing.
        terms: What else is in the losses: terms, or names of those with their paper's weight.
        view: How D sees images; None: as they are.
        concatenate: Show D real and fake images in one batch (batch norm sees both
            together) and not in two; if it is all the same to D, it gets one anyway.
        top_share: The share of its images that G learns from: those that D scores highest
            (Sinha et al. 2020, top-k training), or a schedule of it. Terms see all of them.

    Attributes:
        accelerated: Whether convolutions and dense layers may be computed by
            :mod:`ppgan_zoo.ops`. None: if the class has the losses of this one; a class of
            its own losses may differentiate in ways of its own, and says so by True or False.
        one_batch: Whether D gets real and fake images in one batch; :meth:`prepare` finds out.

    Raises:
        ConfigError: A share that is not above 0 and at most 1.
    """

    accelerated: bool | None = None

    def __init__(
        self,
        objective: Objective,
        *,
        smoothing: LabelSmoothing | None = None,
        terms: Sequence[Term | str] = (),
        view: View | None = None,
        concatenate: bool = False,
        top_share: Value = 1.0,
    ) -> None:
        if not callable(top_share):
            check_share("objective: top_share", top_share, with_0=False)
        self.objective = objective
        self.smoothing = smoothing or LabelSmoothing()
        self.terms = Terms(terms)
        self.view = view or View()
        self.concatenate = concatenate
        self.top_share = top_share
        self.one_batch = concatenate
        self._row_by_row = False

    def prepare(self, gan: Gan, weight_clip: float | None = None) -> list[str]:
        """Look whether the game can be played with these nets, and how best.

        Returns:
            A line for each choice that works and is not advised.

        Raises:
            ConfigError: It makes no sense.
        """
        self._check_adaptive_view()
        warnings = check_combination(
            gan,
            self.objective,
            self.terms.terms,
            weight_clip=weight_clip,
            packing=self.view.packing,
        )
        # Losses or a trainer of a model's own may teach in ways that nobody else knows.
        if not self.has_own_losses() and gan.spec.trainer is None:
            warnings += check_teaching(gan, self.terms.terms, self.view.packing)
        probe = probe_batch(gan, self.view.packing, count=4)
        self._row_by_row = acts_row_by_row(gan.discriminator, probe.images, probe.labels)
        self.one_batch = self.concatenate or self._row_by_row
        if self.accelerated is None and not self.has_own_losses():
            self.accelerated = True
        elif self.accelerated is None:
            warnings.append(
                f"{type(self).__name__} has its own loss, so its nets are trained by Paddle's "
                "unchanged layers; write accelerated = True in the class if its "
                "losses differentiate D at most by its images, and False to silence this"
            )
        return warnings

    def discriminator_loss(
        self, gan: Gan, real: Batch, fake: Batch, moment: Moment
    ) -> tuple[Tensor, Scalars]:
        """Return D's loss and what to log.

        Args:
            gan: The nets.
            real: Real images ``[N, C, H, W]``, and their labels where G and D take labels.
            fake: G's images, likewise, without a graph back to G.
            moment: When it is.
        """
        fake = self.show(fake, moment)
        real = self.show(real, moment)
        gradients: dict[Side, Tensor] = {}
        if sides := self._sides_of_gradients(gan, moment):
            of_real, of_fake, gradients = self._judge_and_differentiate(gan, real, fake, sides)
        else:
            of_real, of_fake = self._judge_both(gan, real, fake)
        logits = whole(of_real.logits), whole(of_fake.logits)
        loss = self.objective.discriminator_loss(*logits, self.smoothing)
        inputs = self._inputs("discriminator", gan, real, fake, moment).note(of_real, of_fake)
        inputs.gradients.update(gradients)
        loss, scalars = self._add_terms(loss, inputs)
        with paddle.no_grad():
            scores = {
                **self._scores_of_real(logits[0]),
                "score/fake": self.objective.score(logits[1]),
            }
        return loss, {**scores, **scalars}

    def generator_loss(
        self, gan: Gan, real: Batch, code: Code, moment: Moment
    ) -> tuple[Tensor, Scalars]:
        """Return G's loss and what to log; only relativistic objectives look at `real`.

        The code has as many rows as `real`, or a multiple of them
        (:attr:`ppgan_zoo.training.update.Update.batch_multiple`).
        """
        of_real: Judgement | None = None
        if self.shows_reals_to_generator:
            real = self.show(real, moment)
        if self.objective.relativistic:
            of_real = judge(gan, real)
        fake = self.show(Batch(gan.generate(code), code.labels, code), moment)
        of_fake = judge(gan, fake)
        loss = self.objective.generator_loss(
            *self._top(
                whole(of_fake.logits), None if of_real is None else whole(of_real.logits), moment
            ),
            self.smoothing,
        )
        inputs = self._inputs("generator", gan, real, fake, moment)
        return self._add_terms(loss, inputs.note(of_real, of_fake))

    def loss_of_real(self, gan: Gan, real: Batch, moment: Moment) -> tuple[Tensor, Scalars]:
        """Return the part of D's loss that is of real images alone, for alternating updates."""
        assert self.objective.halves is not None
        real = self.show(real, moment)
        logits = whole(judge(gan, real).logits)
        with paddle.no_grad():
            scores = self._scores_of_real(logits)
        return self.objective.halves[0](logits, self.smoothing), scores

    def loss_of_fake(
        self, gan: Gan, real: Batch, fake: Batch, moment: Moment
    ) -> tuple[Tensor, Scalars]:
        """Return the rest of D's loss: of fake images, and all terms."""
        assert self.objective.halves is not None
        fake = self.show(fake, moment)
        of_fake = judge(gan, fake)
        logits = whole(of_fake.logits)
        loss = self.objective.halves[1](logits, self.smoothing)
        if self.terms.of("discriminator"):
            real = self.show(real, moment)
        inputs = self._inputs("discriminator", gan, real, fake, moment).note(fake=of_fake)
        loss, scalars = self._add_terms(loss, inputs)
        with paddle.no_grad():
            return loss, {"score/fake": self.objective.score(logits), **scalars}

    def lazy_loss(
        self, net: Net, gan: Gan, real: Batch, code: Code, moment: Moment
    ) -> tuple[Tensor | None, Scalars]:
        """Return the sum of the lazy terms that are due, or None, for an update of its own."""
        due = self.terms.due(net, moment.iteration, lazy=True)
        if not due:
            return None, {}
        fake = Batch(None, code.labels, code)
        if any(term.of_fakes for term in due):
            graph = contextlib.nullcontext() if net == "generator" else paddle.no_grad()
            with graph:
                fake = Batch(gan.generate(code), code.labels, code)
            fake = self.show(fake, moment)
        real = self.show(real, moment)
        return self.terms.add_to(None, due, self._inputs(net, gan, real, fake, moment))

    @property
    def shows_reals_to_generator(self) -> bool:
        """Whether G's loss depends on real images; that of a class of its own may."""
        return bool(
            self.objective.relativistic or self.terms.of("generator") or self.has_own_losses()
        )

    def beside(self, net: Net, real: Batch, code: Code) -> Code:
        """Return the code that goes with real images in an update of `net`: with their labels.

        That is, where a loss takes each real image together with the fake one at its place: in a
        paired game, and in D's updates by a term that does.
        """
        with_labels = self.objective.paired or (
            net == "discriminator" and any(term.of_pairs for term in self.terms.of(net))
        )
        return Code(code.z, real.labels) if with_labels else code

    def show(self, batch: Batch, moment: Moment) -> Batch:
        """Return a batch as D sees it."""
        images = self.view(batch.images, moment.iteration, moment.rng)
        return Batch(images, batch.labels, batch.code)

    @classmethod
    def has_own_losses(cls) -> bool:
        """Tell whether a class has losses other than those of this one."""
        return (
            cls.discriminator_loss is not Game.discriminator_loss
            or cls.generator_loss is not Game.generator_loss
        )

    def _scores_of_real(self, logits: Tensor) -> Scalars:
        """Return what is logged of D's logits of real images, and what adapts augmentation."""
        scores = {"score/real": self.objective.score(logits)}
        if self.view.controller is not None:
            undecided = self.objective.undecided(self.smoothing.middle)
            scores[SIGN] = (logits - undecided).sign().mean()
        return scores

    def _check_adaptive_view(self) -> None:
        """Refuse to adapt augmentation to logits whose sign says nothing."""
        if self.view.controller is None:
            return
        what = None
        if self.objective.relativistic or self.objective.of_critic:
            what = f"objective {self.objective.name} leaves free"
        elif type(self).discriminator_loss is not Game.discriminator_loss:
            what = f"{type(self).__name__}, which has a loss of its own, does not tell"
        if what is not None:
            raise ConfigError(
                "constraints.augment_probability: adaptive goes by the sign of D's logits of real "
                f"images, which {what}; give a number or a schedule"
            )

    def _judge_both(self, gan: Gan, real: Batch, fake: Batch) -> tuple[Judgement, Judgement]:
        if not self.one_batch:
            return judge(gan, real), judge(gan, fake)
        labels = None if real.labels is None else paddle.concat([real.labels, fake.labels])
        z = None
        if gan.spec.encoder is not None:
            z = paddle.concat([gan.nets[gan.spec.encoder](real.images), fake.code.z])
        both = gan.judge(paddle.concat([real.images, fake.images]), labels, z)
        of_real, of_fake = both.split([real.images.shape[0], fake.images.shape[0]])
        return of_real, of_fake

    def _sides_of_gradients(self, gan: Gan, moment: Moment) -> list[Side]:
        """Return at which images D's gradient comes of the pass that its loss needs.

        None, if D sees images differently in a pass of their own: with batch norm or dropout,
        or beside codes that an encoder makes of them.
        """
        if not self._row_by_row or gan.spec.encoder is not None:
            return []
        due = self.terms.due("discriminator", moment.iteration, lazy=False)
        asked = {term.gradient_at for term in due}
        return [side for side in SIDES if side in asked]

    def _judge_and_differentiate(
        self, gan: Gan, real: Batch, fake: Batch, sides: Sequence[Side]
    ) -> tuple[Judgement, Judgement, dict[Side, Tensor]]:
        """Return what D says of both, and its gradient at the images of some sides."""
        shown: dict[Side, Batch] = {"real": real, "fake": fake}
        for side in sides:
            batch = shown[side]
            shown[side] = Batch(leaf(batch.images), batch.labels, batch.code)
        with ops.input_gradients():
            if len(sides) == len(shown):
                of_real, of_fake = self._judge_both(gan, shown["real"], shown["fake"])
            else:  # apart, so that the gradient is of one side's graph alone
                of_real, of_fake = (judge(gan, batch) for batch in shown.values())
            said: dict[Side, Judgement] = {"real": of_real, "fake": of_fake}
            found = paddle.grad(
                [said[side].logits.sum() for side in sides],
                [shown[side].images for side in sides],
                create_graph=True,
            )
        return of_real, of_fake, dict(zip(sides, found, strict=True))

    def _top(
        self, fake: Tensor, real: Tensor | None, moment: Moment
    ) -> tuple[Tensor, Tensor | None]:
        """Return the rows of the fake logits that are highest, and of the real ones the same."""
        count = fake.shape[0]
        kept = max(1, round(at(self.top_share, moment.iteration) * count))
        if kept >= count:
            return fake, real
        # By the logits, not by the loss; a D of patches scores an image by their mean.
        rows = fake.detach().mean(axis=1).argsort(descending=True)[:kept]
        return fake.index_select(rows), None if real is None else real.index_select(rows)

    def _inputs(self, net: Net, gan: Gan, real: Batch, fake: Batch, moment: Moment) -> TermInputs:
        code = fake.code
        return TermInputs(gan.judge, real, fake, moment.rng, gan, code, moment.iteration, net)

    def _add_terms(self, loss: Tensor, inputs: TermInputs) -> tuple[Tensor, Scalars]:
        due = self.terms.due(inputs.net, inputs.iteration, lazy=False)
        with_terms, scalars = self.terms.add_to(loss, due, inputs)
        assert with_terms is not None
        return with_terms, scalars


def judge(gan: Gan, shown: Batch) -> Judgement:
    """Return what D says of a batch as it was shown it, and of what G made it of."""
    z = None if shown.code is None else shown.code.z
    return gan.judge(shown.images, shown.labels, z)
