"""Numbers that change over the iterations: rates, weights of terms, strengths.

A schedule is a pure function of the iteration, so that nothing of it needs saving. Where a
plain number will do, a number is a schedule too: :func:`at` reads either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Union

Schedule = Callable[[int], float]
"""From the iteration, counted from 0, to the number."""

Value = Union[float, Schedule]  # noqa: UP007  an alias that Python 3.10 evaluates
"""A number, or a schedule of it."""


def at(value: Value, iteration: int) -> float:
    """Return what a value is in an iteration."""
    return value(iteration) if callable(value) else value


def constant(value: float) -> Schedule:
    """Keep it as it is."""
    return lambda iteration: value


def linear(first: float, iterations: int, start: int = 0, final: float = 0.0) -> Schedule:
    """Keep it until `start`, then go straight to ``final * first`` at `iterations`."""

    def value(iteration: int) -> float:
        span = max(iterations - start, 1)
        done = min(max((iteration - start) / span, 0.0), 1.0)
        return first * (1.0 - done * (1.0 - final))

    return value


def cosine(first: float, iterations: int, final: float = 0.0) -> Schedule:
    """Half a cosine from `first` down to ``final * first`` (Loshchilov and Hutter 2017)."""

    def value(iteration: int) -> float:
        done = min(iteration / max(iterations, 1), 1.0)
        return first * (final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * done)))

    return value


def inverse_time(first: float, decay: float) -> Schedule:
    """Keras's ``decay``: `first` over ``1 + decay * iteration``."""
    return lambda iteration: first / (1.0 + decay * iteration)


def steps(first: float, at_steps: Sequence[int], factor: float) -> Schedule:
    """Multiply by `factor` at each of `at_steps`."""
    return lambda iteration: first * factor ** sum(iteration >= step for step in at_steps)


def warmed_up(schedule: Schedule, over: int) -> Schedule:
    """Let a rate rise in a straight line in the first `over` iterations (Goyal et al. 2017)."""
    return lambda iteration: schedule(iteration) * min((iteration + 1) / max(over, 1), 1.0)


def straight(first: float, last: float, start: int, until: int) -> Schedule:
    """Go straight from `first`, up to `start`, to `last`, from `until` on."""
    return lambda iteration: first + (last - first) * _done(iteration, start, until)


def half_cosine(first: float, last: float, start: int, until: int) -> Schedule:
    """Go by half a cosine from `first`, up to `start`, to `last`, from `until` on."""

    def value(iteration: int) -> float:
        done = _done(iteration, start, until)
        return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * done))

    return value


def _done(iteration: int, start: int, until: int) -> float:
    return min(max((iteration - start) / max(until - start, 1), 0.0), 1.0)
