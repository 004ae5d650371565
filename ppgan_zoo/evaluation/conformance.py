"""The promises of an architecture that the zoo relies on, as a list of named checks.

``ppgan-zoo check`` prints all of them; :func:`ppgan_zoo.testing.check_model` stops at the first
that fails. What is checked is a :class:`ppgan_zoo.evaluation.subject.Subject`; how, stands in
``promises.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ppgan_zoo.errors import ZooError
from ppgan_zoo.evaluation import promises
from ppgan_zoo.evaluation.subject import CLASSES, Subject


@dataclass(frozen=True)
class Check:
    """One promise.

    Attributes:
        name: In the table of results.
        run: Raises AssertionError where the promise is broken; may return a line to show.
        needs: Names of the checks without which this one has no meaning.
        starts_processes: Whether it takes seconds, for it starts other processes.
    """

    name: str
    run: Callable[[Subject], str | None]
    needs: tuple[str, ...] = ("constructors",)
    starts_processes: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one check.

    Attributes:
        name: Of the check.
        result: How it ended.
        detail: What is wrong, why it was not run, or what was measured; one line or nothing.
        error: What it raised, if it failed.
    """

    name: str
    result: Literal["passed", "failed", "not run"]
    detail: str = ""
    error: Exception | None = None


def run_checks(subject: Subject, *, processes: bool = True) -> Iterator[Outcome]:
    """Run all checks in their order, each only if those that it needs have passed.

    Args:
        subject: What to check.
        processes: Whether those that start processes are among them.

    Raises:
        ZooError: The model cannot be built at all.
    """
    lost: set[str] = set()
    for check in CHECKS:
        if check.starts_processes and not processes:
            continue
        missing = [name for name in check.needs if name in lost]
        if missing:
            outcome = Outcome(check.name, "not run", f"it needs {missing[0]}")
        else:
            outcome = _run(check, subject)
        if missing or outcome.result == "failed":
            lost.add(check.name)
        yield outcome


def _run(check: Check, subject: Subject) -> Outcome:
    try:
        return Outcome(check.name, "passed", check.run(subject) or "")
    except promises.DoesNotApply as reason:
        return Outcome(check.name, "not run", str(reason))
    except AssertionError as error:
        return Outcome(check.name, "failed", _line(str(error) or "an assertion failed"), error)
    except Exception as error:  # a stranger's net can raise anything
        if isinstance(error, ZooError) and not subject.is_built:
            raise
        return Outcome(check.name, "failed", _line(f"{type(error).__name__}: {error}"), error)


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:150]} ... {line[-150:]}"


def _labels(subject: Subject) -> str:
    """Labels make a difference; a model that can do without keeps every promise with them too."""
    if subject.gan.num_classes:
        return promises.labels_matter(subject)
    if subject.spec.labels == "ignores":
        raise promises.DoesNotApply("the model takes none")
    for outcome in run_checks(subject.with_classes(CLASSES), processes=False):
        if outcome.result == "failed":
            raise AssertionError(
                f"built with {CLASSES} classes: {outcome.name}: {outcome.detail}"
            ) from outcome.error
    return f"without, and all checks again with {CLASSES} classes"


CHECKS = (
    Check("constructors", promises.constructors, needs=()),
    Check("same seed, same weights", promises.same_seed),
    Check("shapes", promises.shapes),
    Check("image range", promises.image_range, needs=("constructors", "shapes")),
    Check("eval mode", promises.eval_mode, needs=("constructors", "shapes")),
    Check("gradients", promises.gradients, needs=("constructors", "shapes")),
    Check("further nets", promises.further_nets, needs=("constructors", "shapes", "gradients")),
    Check("a step", promises.a_step, needs=("constructors", "gradients", "further nets")),
    Check("state and resume", promises.state_and_resume, needs=("constructors", "a step")),
    Check(
        "two processes",
        promises.two_processes,
        needs=("constructors", "a step"),
        starts_processes=True,
    ),
    Check("logits", promises.logits, needs=("constructors", "shapes")),
    Check("export", promises.exported, needs=("constructors", "eval mode", "a step")),
    Check("labels", _labels, needs=("constructors", "shapes", "a step")),
)
