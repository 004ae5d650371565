"""A conformance check for architectures, for their authors' own tests.

``check_model("my_gan")`` in a test is all that a plugin needs to know that its nets can
be trained, sampled, saved, resumed and exported by the zoo. ``ppgan-zoo check my_gan`` runs
the same list of checks and prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ppgan_zoo.evaluation.conformance import CHECKS, Check, Outcome, run_checks
from ppgan_zoo.evaluation.subject import Subject, tiny
from ppgan_zoo.game.terms import Term
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.registry import MODELS

__all__ = ["CHECKS", "Check", "Outcome", "Subject", "check_model", "run_checks", "tiny"]


def check_model(
    model: str | GanSpec,
    *,
    latent_dim: int = 16,
    batch_size: int = 8,
    terms: Sequence[Term | str] = (),
    small: bool = True,
    **arguments: Any,
) -> None:
    """Check that an architecture keeps the promises that the zoo relies on.

    Builds it a few times, trains it for two iterations and exports it; leaves out only the
    check of two processes, which ``ppgan-zoo check`` has.

    Args:
        model: A name of :func:`ppgan_zoo.list_models`, or a spec that is not registered.
        latent_dim: Size of z.
        batch_size: Images in a training batch.
        terms: Terms of the loss, or their names, that its further nets learn from.
        small: Whether to bring all widths but `arguments` down to at most 8; False for the
            nets' defaults.
        **arguments: Constructor arguments, handed to whichever net takes them, such as
            ``image_shape=(3, 32, 32)``.

    Raises:
        AssertionError: A promise is broken; the message says which and by which net.
        ZooError: The model cannot be found or built.
    """
    spec = MODELS.get(model) if isinstance(model, str) else model
    shared = {"latent_dim": latent_dim, **arguments}
    subject = Subject(spec, shared, terms=terms, batch_size=batch_size, small=small)
    for outcome in run_checks(subject, processes=False):
        if outcome.result == "failed":
            raise AssertionError(f"{spec.name}: {outcome.detail}") from outcome.error
