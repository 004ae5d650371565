"""Terms: whatever is added to D's or G's loss beside the adversarial game.

A term is a function of what was shown in one update and of what D said of it
(:class:`TermInputs`). Any term goes with any objective, and with any model that offers what
it needs. A term that remembers something between updates is a class with ``state`` and
``load_state``; checkpoints carry it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import paddle
from paddle import Tensor

from ppgan_zoo import ops
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.game.schedules import Value, at
from ppgan_zoo.models.facts import check_arguments, keyword_arguments
from ppgan_zoo.models.gan import Gan, Judgement
from ppgan_zoo.models.latent import Code
from ppgan_zoo.recipe.bounds import check_count, check_weight
from ppgan_zoo.registry import TERMS
from ppgan_zoo.storage.checkpoint import Arrays

Net = Literal["generator", "discriminator"]
NETS: tuple[Net, ...] = get_args(Net)
Side = Literal["real", "fake"]
"""Which of the two batches that D is shown."""
SIDES: tuple[Side, ...] = get_args(Side)
Scalars = dict[str, Tensor]


@dataclass
class TermInputs:
    """What D was shown in one update and what it said.

    Attributes:
        judge: D: images ``[N, C, H, W]`` and labels, or None, to a :class:`Judgement`. A third
            argument is the z of the images, if it is known.
        real: Real images as D was shown them (augmented, noisy, packed), and their labels.
        fake: G's, likewise; in a term of G's loss with their graph back to G.
        rng: For whatever is random.
        gan: The nets.
        code: What the fake images were made of.
        iteration: Iterations done before this one.
        net: In whose loss the term is this time.
        gradients: The gradient of D's logits, summed over the batch, at the images that D was
            shown, with its graph: of the sides for which :attr:`Term.gradient_at` asks, where
            it came of the pass that D's loss needs anyway.
    """

    judge: Callable[..., Judgement]
    real: Batch
    fake: Batch
    rng: np.random.Generator
    gan: Gan | None = None
    code: Code | None = None
    iteration: int = 0
    net: Net = "discriminator"
    gradients: dict[Side, Tensor] = field(default_factory=dict, repr=False)
    _judged: dict[str, Judgement] = field(default_factory=dict, repr=False)

    def note(self, real: Judgement | None = None, fake: Judgement | None = None) -> TermInputs:
        """Take over what D has said already, and return itself."""
        self._judged.update({k: v for k, v in (("real", real), ("fake", fake)) if v is not None})
        return self

    @property
    def real_judgement(self) -> Judgement:
        """What D says of the real images, with its graph; D is asked at most once."""
        return self.judgement("real")

    @property
    def fake_judgement(self) -> Judgement:
        """What D says of the fake images, likewise."""
        return self.judgement("fake")

    @property
    def real_logits(self) -> Tensor:
        """D's logits of the real images."""
        return self.real_judgement.logits

    @property
    def fake_logits(self) -> Tensor:
        """D's logits of the fake images."""
        return self.fake_judgement.logits

    def logits(self, images: Tensor, labels: Any, z: Tensor | None = None) -> Tensor:
        """Return D's logits of any images; beside z, if it judges pairs and z is given."""
        return self.judge(images, labels, *(() if z is None else (z,))).logits

    def z_of(self, batch: Batch) -> Tensor | None:
        """Return the z that D sees beside a batch, without a graph; None if it sees images alone.

        Of fake images it is what they were made of, of real ones what the encoder finds.
        """
        if self.gan is None or self.gan.spec.encoder is None:
            return None
        if batch.code is not None:
            z = batch.code.z
        else:
            with paddle.no_grad():
                z = self.gan.nets[self.gan.spec.encoder](batch.images)
        return leaf(z)  # or Paddle lacks the double gradient of a concat with images

    def shown(self, side: Side) -> Batch:
        """Return the real or the fake images as D was shown them."""
        return self.real if side == "real" else self.fake

    def judgement(self, side: Side) -> Judgement:
        """Return what D says of one side, with its graph; D is asked at most once."""
        if side not in self._judged:
            batch = self.shown(side)
            z = () if batch.code is None else (batch.code.z,)
            self._judged[side] = self.judge(batch.images, batch.labels, *z)
        return self._judged[side]


def leaf(values: Tensor) -> Tensor:
    """Return the same values without their graph, as what a gradient may be asked of."""
    values = values.detach()
    values.stop_gradient = False
    return values


class Remembers(Protocol):
    """A term's function that keeps something between updates.

    It may also have a method ``scalars() -> Scalars``: what to log beside its value; and a method
    ``updated() -> None``, called after each update of a net whose loss it is in. A batch can pass
    in parts (``accumulate_steps``), each of which calls the term: what moves once an update, as a
    moving average does, moves there.
    """

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Return the term, a scalar, without its weight."""

    def state(self) -> Arrays:
        """Return what a checkpoint must hold."""

    def load_state(self, arrays: Arrays) -> None:
        """Put it back."""


@dataclass(frozen=True)
class Term:
    """A term of D's or of G's loss.

    Attributes:
        name: Name in a recipe.
        source: Paper that it comes from.
        function: ``TermInputs -> scalar``, without the weight. Its keyword-only arguments
            with defaults can be set in a recipe. Or a class whose instances are that (and
            may have ``state`` and ``load_state``); its keyword-only arguments likewise.
        weight: Factor in the loss, or a schedule of it; in the zoo's own, the paper's.
        net: In whose loss it is: one net's, or ``"both"``; :attr:`TermInputs.net` then says
            in whose it is this time.
        every_steps: 1 adds it to the loss of each update. Above, it has an update of its own
            in iterations divisible by this, with as many times its weight, so that it pulls
            as hard (lazy regularisation, Karras et al. 2020, appendix B).
        of_gradient: Whether it is of the gradient of its net, and so needs a double gradient.
        gradient_at: If that gradient is D's at the real or at the fake images as D was shown them,
            which: a D that takes each image by itself then passes them once for its loss and for
            the term (:attr:`TermInputs.gradients`).
        compares: Whether it compares what D says of two versions of an image, which batch norm in D
            makes depend on the rest of the batch.
        of_fakes: Whether it looks at G's images. Where no lazy term that is due does, an update of
            its own is spared making them.
        of_pairs: Whether it takes each fake image together with the real one in the same place. In
            D's updates the fake one then is of the real one's class.
        of_single_images: Whether its paper rules out a D with batch norm, in which the
            gradient at one image depends on the whole batch.
        bounds_critic: Whether it keeps the loss of a critic, such as ``wasserstein``'s, from
            falling for ever.
        needs: Names of :attr:`Judgement.extras` that D must answer with.
        needs_encoder: Whether D must judge pairs (:attr:`ppgan_zoo.GanSpec.encoder`).
        calls: Names of methods beside ``forward`` that it calls, and that G must have.
        arguments: Set by :meth:`having`; the function gets them.
    """

    name: str
    source: str
    function: Callable[..., Any]
    weight: Value
    net: Net | Literal["both"] = "discriminator"
    every_steps: int = 1
    of_gradient: bool = False
    gradient_at: Side | None = None
    compares: bool = False
    of_fakes: bool = True
    of_pairs: bool = False
    of_single_images: bool = False
    bounds_critic: bool = False
    needs: tuple[str, ...] = ()
    needs_encoder: bool = False
    calls: tuple[str, ...] = ()
    arguments: tuple[tuple[str, Any], ...] = ()

    def having(self, weight: Value | None = None, every_steps: int = 1, **arguments: Any) -> Term:
        """Return the term with another weight (None: its own), interval or arguments.

        Raises:
            ConfigError: An argument that the term does not take or of the wrong type, an
                interval below 1, or a weight below 0 or above 1,000,000.
        """
        check_count(f"terms: {self.name}: every_steps", every_steps)
        if weight is not None and not callable(weight):
            check_weight(f"terms: {self.name}: weight", weight)
        check_arguments(
            self.function, arguments, f"terms: {self.name}", beside=("weight", "every_steps")
        )
        return replace(
            self,
            weight=self.weight if weight is None else weight,
            every_steps=every_steps,
            arguments=tuple(arguments.items()),
        )

    def takes(self) -> dict[str, Any]:
        """Return the arguments of its own, with their defaults."""
        return keyword_arguments(self.function)

    def ready(self) -> Callable[[TermInputs], Tensor]:
        """Return the function, with its arguments set and, if it remembers, nothing yet."""
        arguments = dict(self.arguments)
        if inspect.isclass(self.function):
            made: Any = self.function(**arguments)
            return made
        return functools.partial(self.function, **arguments) if arguments else self.function


def get_term(
    name: str, weight: Value | None = None, every_steps: int = 1, **arguments: Any
) -> Term:
    """Return the term called `name`; the rest is for :meth:`Term.having`.

    Raises:
        UnknownNameError: No such term.
        ConfigError: See :meth:`Term.having`.
    """
    return TERMS.get(name).having(weight, every_steps, **arguments)


class Terms:
    """The terms of one run, with what they remember.

    Args:
        terms: Terms, or names of those with their paper's weight.

    Attributes:
        terms: All of them.

    Raises:
        UnknownNameError: No such term.
        ConfigError: One is there twice.
    """

    def __init__(self, terms: Sequence[Term | str] = ()) -> None:
        self.terms = tuple(get_term(term) if isinstance(term, str) else term for term in terms)
        names = [term.name for term in self.terms]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"terms: {name} is there twice; keep one of them")
        self._functions = {term.name: term.ready() for term in self.terms}

    def of(self, net: Net) -> tuple[Term, ...]:
        """Return the terms of one net's loss."""
        return tuple(term for term in self.terms if term.net in (net, "both"))

    def net_of(self, name: str) -> Net | None:
        """Return in whose loss alone a term is; None if in both, or if there is no such term."""
        nets = {term.name: term.net for term in self.terms}
        return next((net for net in NETS if nets.get(name) == net), None)

    def due(self, net: Net, iteration: int, *, lazy: bool) -> list[Term]:
        """Return the terms of an update: those in each, or the `lazy` ones that are due."""
        return [
            term
            for term in self.of(net)
            if (term.every_steps > 1) == lazy and iteration % term.every_steps == 0
        ]

    def share_of_lazy_steps(self, net: Net) -> float:
        """Return how many updates of their own the lazy terms have in an iteration."""
        periods = [term.every_steps for term in self.of(net) if term.every_steps > 1]
        if not periods:
            return 0.0
        span = math.lcm(*periods)
        if span > 1_000_000:  # of odd intervals: nearly none fall together
            return 1.0 - math.prod(1.0 - 1.0 / period for period in periods)
        return sum(any(i % period == 0 for period in periods) for i in range(span)) / span

    def check_batch(self, count: int, processes: int) -> None:
        """Make sure that a batch can be shared out to processes, where a term asks for more of it.

        A term's class may have a method of this name and these arguments, or a batch is as good as
        any other.

        Args:
            count: Images that a loss is of, in all processes together.
            processes: How many there are.

        Raises:
            ConfigError: It cannot.
        """
        for function in self._functions.values():
            if hasattr(function, "check_batch"):
                function.check_batch(count, processes)

    def add_to(
        self, loss: Tensor | None, terms: Sequence[Term], inputs: TermInputs
    ) -> tuple[Tensor | None, Scalars]:
        """Return a loss with `terms` added to it, and each of them without its weight.

        Without a loss it is the weighted sum of the terms, or None if there are none.
        """
        scalars: Scalars = {}
        for term in terms:
            # A term of somebody else's may differentiate in ways of its own.
            with ops.native() if term.of_gradient else contextlib.nullcontext():
                value = self._functions[term.name](inputs)
            weighted = at(term.weight, inputs.iteration) * term.every_steps * value
            loss = weighted if loss is None else loss + weighted
            key = f"{term.name}/{inputs.net}" if term.net == "both" else term.name
            scalars[f"term/{key}"] = value.detach()
            more: Scalars = getattr(self._functions[term.name], "scalars", dict)()
            scalars.update({f"term/{term.name}/{name}": scalar for name, scalar in more.items()})
        return loss, scalars

    def updated(self, net: Net) -> None:
        """Let what is kept between updates move, after an update of `net`."""
        for term in self.of(net):
            getattr(self._functions[term.name], "updated", lambda: None)()

    def state(self) -> Arrays:
        """Return what a checkpoint must hold: ``"term.name"`` of all that remember."""
        return {
            f"{name}.{key}": array
            for name, function in self._remembering().items()
            for key, array in function.state().items()
        }

    def load_state(self, arrays: Arrays) -> None:
        """Put back what :meth:`state` returned.

        Raises:
            CheckpointError: It is of other terms.
        """
        expected = set(self.state())
        if set(arrays) != expected:
            odd = sorted(set(arrays) ^ expected)[0]
            raise CheckpointError(
                f"checkpoint holds the state of the terms {', '.join(sorted(arrays)) or 'none'}; "
                f"{odd!r} is {'missing' if odd in expected else 'not of this run'}"
            )
        for name, function in self._remembering().items():
            prefix = f"{name}."
            function.load_state(
                {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            )

    def _remembering(self) -> dict[str, Any]:
        return {
            name: function
            for name, function in self._functions.items()
            if hasattr(function, "state")
        }
